//! Our errors in the shape that OpenAI's SDKs expect.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::ClientError;

/// The body of an error.
pub(super) fn body(error: &ClientError) -> Value {
    json!({"error": {
        "message": error.to_string(),
        "type": kind(error),
        "code": error.code(),
        "param": null,
    }})
}

/// An error as a response.
pub(super) fn response(error: &ClientError) -> Response {
    let mut response = (status(error), Json(body(error))).into_response();
    if let ClientError::Unavailable { retry_after: Some(seconds), .. } = error {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
    }
    response
}

/// An error as the last event of a stream that has begun.
pub(super) fn event(error: &ClientError) -> Vec<u8> {
    format!("data: {}\n\n", body(error)).into_bytes()
}

/// The answer to a path that is not ours.
pub(super) fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing at this path; the API is under /v1/")
}

/// An error that is the local caller's.
pub(super) fn plain(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "code": code, "param": null}});
    (status, Json(body)).into_response()
}

fn status(error: &ClientError) -> StatusCode {
    match error {
        ClientError::Misuse(_) => StatusCode::BAD_REQUEST,
        ClientError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    }
}

fn kind(error: &ClientError) -> &'static str {
    match error {
        ClientError::Misuse(_) => "invalid_request_error",
        ClientError::Unavailable { .. } => "server_error",
        _ => "strongroom_error",
    }
}
