//! The broker over HTTP: the instances' endpoints, and the tenant's own behind a token.

mod admin;
mod answer;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use strongroom_enclave_loader::release::MAX_REQUEST_BYTES;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::broker::Broker;
use crate::error::Denial;
use crate::heartbeat::MAX_HEARTBEAT_BYTES;

/// Requests that are worked on at once; more are told to come back. Verification is bounded
/// work, so a queue would only hide that there is too much of it.
const MAX_AT_WORK: usize = 256;

/// The largest admin request: a policy text, with room.
const MAX_ADMIN_BYTES: usize = 1024 * 1024;

/// The largest challenge request: `{}`.
const MAX_CHALLENGE_BYTES: usize = 64;

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) broker: Arc<Broker>,
    at_work: Arc<Semaphore>,
}

/// Every endpoint of a broker (key-release.md section 7).
pub fn router(broker: Arc<Broker>) -> Router {
    let service = Service { broker, at_work: Arc::new(Semaphore::new(MAX_AT_WORK)) };
    let small = |limit| DefaultBodyLimit::max(limit);
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/strongroom/v1/challenge", post(challenge).layer(small(MAX_CHALLENGE_BYTES)))
        .route("/strongroom/v1/release", post(release).layer(small(MAX_REQUEST_BYTES)))
        .route("/strongroom/v1/renewal", post(renewal).layer(small(MAX_REQUEST_BYTES)))
        .route("/strongroom/v1/heartbeat", post(heartbeat).layer(small(MAX_HEARTBEAT_BYTES)))
        .nest("/strongroom/v1/admin", admin::router(&service).layer(small(MAX_ADMIN_BYTES)))
        .nest("/kbs/v0", crate::kbs::router())
        .with_state(service)
}

/// Serves a broker until `shutdown` is done; requests under way are answered first.
///
/// # Errors
/// What the listener's system says.
pub async fn serve(
    broker: Arc<Broker>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    // An answer does not wait until its head was acknowledged (RFC 896).
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    axum::serve(listener, router(broker)).with_graceful_shutdown(shutdown).await
}

impl Service {
    /// Does blocking work (verification, disk) away from the event loop.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Broker) -> Result<T, Denial> + Send + 'static,
    ) -> Result<T, Denial> {
        let permit = Arc::clone(&self.at_work).try_acquire_owned();
        let permit = permit.map_err(|_| Denial::Busy("too many requests at once"))?;
        let broker = Arc::clone(&self.broker);
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&broker);
            drop(permit);
            result
        });
        done.await.unwrap_or(Err(Denial::Busy("the request was given up")))
    }
}

/// The body says nothing, but it is read, so that its limit holds.
async fn challenge(State(service): State<Service>, _body: Bytes) -> Result<Response, Denial> {
    Ok(json(service.broker.challenge()?))
}

async fn release(State(service): State<Service>, body: Bytes) -> Result<Response, Denial> {
    Ok(json(service.work(move |broker| broker.release(&body)).await?))
}

async fn renewal(State(service): State<Service>, body: Bytes) -> Result<Response, Denial> {
    Ok(json(service.work(move |broker| broker.renewal(&body)).await?))
}

async fn heartbeat(State(service): State<Service>, body: Bytes) -> Result<Response, Denial> {
    let answer = service.work(move |broker| broker.heartbeat(&body)).await?;
    let media_type = strongroom_channel::cose::media::HEARTBEAT_ANSWER;
    Ok(([(CONTENT_TYPE, media_type)], answer).into_response())
}

pub(crate) fn json(body: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
