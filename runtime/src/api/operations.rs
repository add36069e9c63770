//! For the operator's probes: alive, ready, metrics. None of it names a tenant or a model.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::App;
use crate::serving::Refused;

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// A model is loaded under a lease.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let reason = match app.serving.is_open() {
        Ok(()) => return "ready\n".into_response(),
        Err(Refused::NotReady) => "not ready: no model is loaded\n",
        Err(Refused::Draining) => "not ready: draining\n",
    };
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

/// OpenMetrics text.
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let text = app.metrics.text();
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
