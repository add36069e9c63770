//! The one place where errors become responses. Inside the channel they have OpenAI's
//! shape; outside, a problem document that tells a stranger nothing (protocol.md 1.3).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::serving::Refused;

/// An error of the API, in OpenAI's shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// OpenAI's `type`.
    pub(crate) kind: &'static str,
    /// OpenAI's `code`: stable, for programs.
    pub(crate) code: &'static str,
    /// For people: what failed, what was wanted, what to do.
    pub(crate) message: String,
    /// The parameter to blame.
    pub(crate) param: Option<String>,
    /// When to try again, seconds.
    pub(crate) retry_after: Option<u32>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, code, message: message.into(), param: None, retry_after: None }
    }

    /// The request is wrong.
    pub(crate) fn invalid(code: &'static str, param: Option<&str>, message: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", code, message);
        Self { param: param.map(str::to_owned), ..error }
    }

    pub(crate) fn missing_key() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_request_error",
            "missing_api_key",
            "no API key was given: send `Authorization: Bearer sk-strongroom-…` with a key that the tenant made",
        )
    }

    pub(crate) fn wrong_key() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_request_error",
            "invalid_api_key",
            "the API key is not known to this deployment: check it, or ask the tenant for a new one",
        )
    }

    pub(crate) fn model_not_found(name: &str, known: &[&str]) -> Self {
        let message = format!("the model `{name}` is not served here; served: {}", known.join(", "));
        let error = Self::new(StatusCode::NOT_FOUND, "invalid_request_error", "model_not_found", message);
        Self { param: Some("model".into()), ..error }
    }

    /// The model does something else.
    pub(crate) fn wrong_endpoint(name: &str, endpoints: &[&str]) -> Self {
        let message = format!("the model `{name}` does not answer this; it answers {}", endpoints.join(", "));
        Self::invalid("model_not_supported", Some("model"), message)
    }

    pub(crate) fn no_route(method: &str, path: &str) -> Self {
        let message = format!("no such endpoint: {method} {path}");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", "unknown_url", message)
    }

    pub(crate) fn wrong_method(method: &str, path: &str) -> Self {
        let message = format!("{path} does not take {method}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", "method_not_allowed", message)
    }

    pub(crate) fn busy() -> Self {
        let message = "all places are taken; try again in a moment";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "busy", message);
        Self { retry_after: Some(1), ..error }
    }

    /// The answer was not complete in time.
    pub(crate) fn deadline(allowed: std::time::Duration) -> Self {
        let message = format!(
            "the answer was not complete within {} ms, which were allowed; ask for fewer tokens, or allow more time",
            allowed.as_millis()
        );
        Self::new(StatusCode::GATEWAY_TIMEOUT, "server_error", "deadline_exceeded", message)
    }

    pub(crate) fn loading() -> Self {
        let message = "no model is loaded at present: the server has no lease";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "model_loading", message)
    }

    /// The model is configured and comes.
    pub(crate) fn model_loading(name: &str) -> Self {
        let message = format!("the model `{name}` is not ready yet; try again in a moment");
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "model_loading", message);
        Self { param: Some("model".into()), retry_after: Some(1), ..error }
    }

    /// The model is configured and not in memory.
    pub(crate) fn model_unloaded(name: &str) -> Self {
        let message = format!("the model `{name}` is not loaded at present; its operator can load it");
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "model_unloaded", message);
        Self { param: Some("model".into()), ..error }
    }

    /// A plugin refused the request, with its reason.
    pub(crate) fn content_policy(plugin: &str, reason: &str) -> Self {
        let status = StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS;
        Self::new(status, "invalid_request_error", "content_policy", format!("refused by plugin `{plugin}`: {reason}"))
    }

    /// A plugin failed; the request fails with it.
    pub(crate) fn plugin(plugin: &str, cause: &str) -> Self {
        let message = format!("plugin `{plugin}` failed ({cause}); the request was not processed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "plugin_failed", message)
    }

    pub(crate) fn internal() -> Self {
        let message = "the server failed to answer; nothing was returned";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "internal", message)
    }

    /// Refusals of the gateway that only the authenticated client sees.
    pub(crate) fn channel(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self::new(status, "invalid_request_error", code, message)
    }

    pub(crate) fn body(&self) -> serde_json::Value {
        json!({ "error": { "message": self.message, "type": self.kind, "code": self.code, "param": self.param } })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What a stranger is told. None of these says why a check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outer {
    /// One answer for each failure of key, decapsulation, authentication or framing.
    OhttpKey,
    /// A plain request for the API.
    EncapsulationRequired,
    UnsupportedMediaType,
    TooLarge,
    BadAttestRequest,
    WrongDeployment,
    AttestBusy,
    Busy,
    NotReady,
    /// The server ends: another instance is to be asked.
    Draining,
    Platform,
}

impl From<Refused> for Outer {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotReady => Self::NotReady,
            Refused::Draining => Self::Draining,
        }
    }
}

impl IntoResponse for Outer {
    fn into_response(self) -> Response {
        let (status, kind, title) = match self {
            Self::OhttpKey => {
                (400, "https://iana.org/assignments/http-problem-types#ohttp-key", "key identifier unknown")
            }
            Self::EncapsulationRequired => {
                (403, "urn:strongroom:error:encapsulation-required", "use `strongroom proxy` or a Strongroom client")
            }
            Self::UnsupportedMediaType => {
                (415, "urn:strongroom:error:media-type", "message/ohttp-chunked-req is wanted")
            }
            Self::TooLarge => (413, "urn:strongroom:error:too-large", "the body is too large"),
            Self::BadAttestRequest => (400, "urn:strongroom:error:attest-request", "the attest request is malformed"),
            Self::WrongDeployment => (421, "urn:strongroom:error:wrong-instance", "another deployment was asked for"),
            Self::AttestBusy => (503, "urn:strongroom:error:attest-busy", "too many ask at once"),
            Self::Busy => (503, "urn:strongroom:error:busy", "too many requests are being received"),
            Self::NotReady => (503, "urn:strongroom:error:not-ready", "no model is served at present"),
            Self::Draining => (503, "urn:strongroom:error:draining", "this server ends; ask another instance"),
            Self::Platform => (500, "urn:strongroom:error:platform", "the platform gave no evidence"),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({ "type": kind, "title": title });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
