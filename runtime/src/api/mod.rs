//! HTTP and JSON stop here. Every route is on this screen: those that a stranger
//! reaches, and those that are reached through the gateway only.

mod chat;
mod completions;
mod conversation;
mod deadline;
mod embeddings;
pub(crate) mod error;
mod extraction;
mod format;
mod generate;
pub(crate) mod identity;
mod limits;
mod openai;
mod operations;
mod parameters;
pub(crate) mod receipts;
mod stream;
mod tools;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use strongroom_channel::attest::AttestRequest;
use strongroom_channel::padding::Profile;
use strongroom_enclave_loader::release::Monotonic;
use tokio::sync::Semaphore;

use self::error::{ApiError, Outer};
use crate::attest::{AttestError, Attester};
use crate::budgets::Budgets;
use crate::clock::InstanceClock;
use crate::epochs::Epochs;
use crate::gateway;
use crate::instance::Instance;
use crate::metrics::Metrics;
use crate::serving::Serving;

/// The longest attest request, bytes (protocol.md 1.3).
const ATTEST_MAX: usize = 4 << 10;

/// What the routes work with.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) instance: Arc<Instance>,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) attester: Attester,
    pub(crate) clock: InstanceClock,
    pub(crate) metrics: Arc<Metrics>,
    /// What each tenant may take.
    pub(crate) budgets: Budgets,
    pub(crate) padding: Profile,
    pub(crate) default_max_tokens: usize,
    /// How many of the likeliest tokens log probabilities may come with; `None`: there are none.
    pub(crate) max_top_logprobs: Option<usize>,
    /// How long an answer may take, where that is bounded.
    pub(crate) answer_time: Option<Duration>,
    pub(crate) serving: Serving,
    /// Places for requests that are being received.
    pub(crate) uploads: Arc<Semaphore>,
}

impl App {
    /// A reading of the clock that only goes forward.
    pub(crate) fn now(&self) -> Monotonic {
        Monotonic::from_duration(self.clock.monotonic())
    }

    /// What a stranger reaches.
    pub(crate) fn public(&self) -> Router {
        let for_pages = Router::new()
            .route("/.well-known/strongroom", get(hints))
            .route("/.well-known/strongroom/attest", post(attest).options(preflight))
            .route("/.well-known/ohttp-gateway", get(gateway::keys).post(gateway::post).options(preflight))
            .layer(map_response(readable_from_any_page));
        for_pages
            .route("/healthz", get(operations::alive))
            .route("/readyz", get(operations::ready))
            .route("/metrics", get(operations::metrics))
            .route("/v1/{*rest}", any(encapsulation_required))
            .with_state(self.clone())
    }

    /// What is reached through the gateway only.
    pub(crate) fn api(&self) -> Router {
        Router::new()
            .route("/v1/chat/completions", post(chat::create))
            .route("/v1/completions", post(completions::create))
            .route("/v1/embeddings", post(embeddings::create))
            .route_layer(from_fn_with_state(self.clone(), limits::headers)) // of those above
            .route("/v1/models", get(identity::models))
            .route("/v1/models/{name}", get(identity::model))
            .fallback(no_route)
            .method_not_allowed_fallback(wrong_method)
            .layer(DefaultBodyLimit::disable()) // the gateway has its own
            .with_state(self.clone())
    }
}

async fn hints(State(app): State<App>) -> Response {
    axum::Json(serde_json::json!({
        "v": 1,
        "deployment": app.instance.deployment.to_string(),
        "profiles": ["ohttp"],
        "padding": app.padding.id(),
        "attest": "/.well-known/strongroom/attest",
        "gateway": "/.well-known/ohttp-gateway",
    }))
    .into_response()
}

async fn attest(State(app): State<App>, body: axum::body::Body) -> Response {
    match attest_response(&app, body).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/strongroom-attestation+json")], bytes).into_response(),
        Err(outer) => outer.into_response(),
    }
}

async fn attest_response(app: &App, body: axum::body::Body) -> Result<Vec<u8>, Outer> {
    let bytes = axum::body::to_bytes(body, ATTEST_MAX).await.map_err(|_| Outer::TooLarge)?.to_vec();
    let request = AttestRequest::from_bytes(&bytes).map_err(|_| Outer::BadAttestRequest)?;
    if request.deployment != app.instance.deployment {
        return Err(Outer::WrongDeployment);
    }
    // The boot epoch names no models: there is nothing to attest for clients yet (A9).
    app.serving.is_open()?;
    app.metrics.attest_requests.inc();
    app.attester.attest(bytes).await.map_err(|error| match error {
        AttestError::Busy => Outer::AttestBusy,
        AttestError::Platform => Outer::Platform,
    })
}

async fn encapsulation_required(State(app): State<App>) -> Outer {
    app.metrics.refused_outside.inc();
    Outer::EncapsulationRequired
}

async fn no_route(method: Method, uri: Uri) -> ApiError {
    ApiError::no_route(method.as_str(), uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::wrong_method(method.as_str(), uri.path())
}

async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, incremental, strongroom-key"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// A browser's page may speak to the instance from anywhere: nothing uses cookies, and
/// what is secret is encrypted to the attested key (protocol.md A13).
async fn readable_from_any_page(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, header::HeaderValue::from_static("*"));
    response
}
