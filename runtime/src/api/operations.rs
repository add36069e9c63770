//! For the operator's probes: alive, ready, metrics. None of it names a tenant or a model.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::App;

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// A model is loaded under a lease.
pub(super) async fn ready(State(app): State<App>) -> Response {
    if app.serving.now().is_some() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "not ready: no model is loaded\n").into_response()
}

/// OpenMetrics text.
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let text = app.metrics.text();
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
