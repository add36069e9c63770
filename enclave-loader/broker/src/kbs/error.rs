//! The protocol's errors: problem details (RFC 7807), 401 for nearly everything.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use strongroom_attestation::Refusal;
use strongroom_enclave_loader::kbs::Problem;

use crate::error::Denial;
use crate::log::LogError;
use crate::store::StoreError;

/// An answer other than 200.
#[derive(Debug)]
pub(crate) struct KbsError {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    /// The broker's own failure, for its operator only.
    cause: Option<Denial>,
}

impl KbsError {
    /// The client should attest, again.
    pub(crate) fn attestation(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, kind: "AttestationError", detail: detail.into(), cause: None }
    }

    /// There is no token, or it is over: the client should attest.
    pub(crate) fn token_not_found() -> Self {
        let detail = "there is no attested session; attest first".to_owned();
        Self { status: StatusCode::UNAUTHORIZED, kind: "TokenNotFound", detail, cause: None }
    }

    /// Final: attesting again changes nothing.
    pub(crate) fn policy_deny(refusal: &Refusal) -> Self {
        let detail = refusal.to_string();
        Self { status: StatusCode::UNAUTHORIZED, kind: "PolicyDeny", detail, cause: None }
    }

    /// No such plugin or path.
    pub(crate) fn not_found() -> Self {
        let detail = "this broker serves auth, attest and resource".to_owned();
        Self { status: StatusCode::NOT_FOUND, kind: "PluginNotFound", detail, cause: None }
    }

    /// Not a resource path of ours.
    pub(crate) fn invalid_path() -> Self {
        let detail = "a resource is <model name>/model-key/<version>".to_owned();
        Self { status: StatusCode::NOT_FOUND, kind: "InvalidRequestPath", detail, cause: None }
    }
}

impl From<Denial> for KbsError {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Refused(refusal) => Self::policy_deny(&refusal),
            Denial::Malformed(detail) => Self::attestation(detail),
            Denial::Unauthenticated => Self::attestation("the request could not be authenticated"),
            own @ (Denial::Busy(_) | Denial::Failed(_)) => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                kind: "AttestationError",
                detail: "the broker cannot answer now".to_owned(),
                cause: Some(own),
            },
        }
    }
}

impl From<StoreError> for KbsError {
    fn from(error: StoreError) -> Self {
        Denial::from(error).into()
    }
}

impl From<LogError> for KbsError {
    fn from(error: LogError) -> Self {
        Denial::from(error).into()
    }
}

impl IntoResponse for KbsError {
    fn into_response(self) -> Response {
        if let Some(cause) = self.cause {
            // Reports the failure to the operator; that answer itself is of another protocol.
            drop(cause.into_response());
        }
        (self.status, Json(Problem::new(self.kind, self.detail))).into_response()
    }
}
