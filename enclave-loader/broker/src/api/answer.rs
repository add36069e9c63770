//! The one place that turns a denial into an HTTP answer.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use strongroom_enclave_loader::release::Refused;

use crate::error::{BrokerError, Denial};

/// How long a busy broker asks for patience, in seconds.
const RETRY_SECONDS: &str = "2";

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        let (status, refused) = match self {
            Self::Malformed(detail) => (StatusCode::BAD_REQUEST, Refused::new("PARSE", detail, Vec::new())),
            Self::Refused(refusal) => {
                let refused = Refused::new(refusal.code.as_str(), refusal.detail, refusal.checks);
                (StatusCode::FORBIDDEN, refused)
            }
            Self::Unauthenticated => (StatusCode::FORBIDDEN, Refused::unauthenticated()),
            Self::Busy(detail) => (StatusCode::SERVICE_UNAVAILABLE, Refused::new("UNAVAILABLE", detail, Vec::new())),
            Self::Failed(error) => {
                report(&error);
                let detail = "the broker failed; its own output says why";
                (StatusCode::SERVICE_UNAVAILABLE, Refused::new("UNAVAILABLE", detail, Vec::new()))
            }
        };
        let body = serde_json::to_vec(&refused).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, axum::http::HeaderValue::from_static(RETRY_SECONDS));
        }
        response
    }
}

/// The broker's own failures go to its operator, with their causes, and to nobody else.
fn report(error: &BrokerError) {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    eprintln!("strongroom broker: {text}");
}
