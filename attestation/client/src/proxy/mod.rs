//! The local port: the OpenAI API for any SDK on this machine, each request sent through a verified session.
//!
//! Nothing leaves before a verdict. A whole answer is given only after its receipt holds; a stream is given as it
//! comes, and its `[DONE]` only after its receipt holds.

mod error_shape;
mod guard;
mod inference;
mod receipts;

use std::future::Future;
use std::net::SocketAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;

use crate::error::ClientError;
use crate::keeper::{Keeper, Verdict};
use receipts::Receipts;

/// Binds the local port. An address that other machines can reach is refused unless `allow_others`: the port speaks
/// in the clear, and with the user's own keys passing through.
///
/// # Errors
/// [`ClientError::Misuse`] for an address beyond loopback; [`ClientError::Listen`] for one that cannot be bound.
pub async fn bind(address: SocketAddr, allow_others: bool) -> Result<TcpListener, ClientError> {
    if !address.ip().is_loopback() && !allow_others {
        return Err(ClientError::Misuse(format!(
            "{address} can be reached from other machines, and this port speaks in the clear; bind to 127.0.0.1"
        )));
    }
    TcpListener::bind(address).await.map_err(|error| ClientError::Listen { address, detail: error.to_string() })
}

/// The proxy: a keeper, and the receipts of the answers that went through.
#[derive(Clone)]
pub struct Proxy {
    keeper: Keeper,
    receipts: Receipts,
}

impl Proxy {
    /// A proxy over this keeper.
    #[must_use]
    pub fn new(keeper: Keeper) -> Self {
        Proxy { keeper, receipts: Receipts::default() }
    }

    /// Serves until `shutdown`, then lets running answers end.
    ///
    /// # Errors
    /// [`ClientError::Unavailable`] when the port fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ClientError> {
        let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
        // Pieces go on as they come, not when the one before was acknowledged (RFC 896).
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        axum::serve(listener, self.router(loopback))
            .with_graceful_shutdown(shutdown)
            .await
            .map_err(|error| ClientError::unavailable(format!("the local port: {error}")))
    }

    fn router(self, loopback: bool) -> Router {
        let router = Router::new()
            .route("/v1/{*rest}", any(inference::forward))
            .route("/receipts/{id}", get(receipts::show))
            .route("/verdict", get(verdict))
            .route("/healthz", get(|| async { "ok\n" }))
            .fallback(|| async { error_shape::not_found() })
            .with_state(self);
        if loopback { router.layer(middleware::from_fn(guard::only_this_machine)) } else { router }
    }
}

/// What is known of the instance: 200 accepted, 503 not (yet).
async fn verdict(State(proxy): State<Proxy>) -> Response {
    match proxy.keeper.verdict() {
        Verdict::Accepted { checks, simulated } => {
            Json(json!({"verdict": "accepted", "simulated": simulated, "checks": checks})).into_response()
        }
        Verdict::Refused(error) => {
            let body = json!({
                "verdict": "refused",
                "code": error.code(),
                "detail": error.to_string(),
                "checks": error.checks(),
            });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
        Verdict::None => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"verdict": "none"}))).into_response(),
    }
}

#[cfg(test)]
mod tests;
