//! The operator's interface: small JSON over HTTP on a Unix-domain socket, apart from the clients' gateway
//! (protocol.md, threat 12). Who may use it is who may open the socket. Every call is an event.

mod socket;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::StartError;
use crate::events::Event;
use crate::operator::{Operator, OperatorError};

pub(crate) use socket::Socket;

/// The longest request, bytes: a name.
const REQUEST_MAX: usize = 4 << 10;

/// Serves until `stopped` says so, and what was begun to its end.
pub(crate) fn serve(socket: Socket, operator: Arc<Operator>, mut stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/load", post(load))
        .route("/v1/unload", post(unload))
        .route("/v1/drain", post(drain))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(REQUEST_MAX))
        .with_state(operator);
    tokio::spawn(async move {
        let Socket { listener, path: _removed_at_the_end } = socket;
        let service = router.into_make_service_with_connect_info::<Caller>();
        let stop = async move {
            // An error means that the server was dropped, which stops it too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        // Accept errors are retried inside; the future ends when it is told to.
        let _ = axum::serve(listener, service).with_graceful_shutdown(stop).await;
    })
}

/// Who asks, as the system says it.
#[derive(Clone, Copy)]
struct Caller(Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|credentials| credentials.uid()))
    }
}

/// Which model is meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    model: String,
}

type Asked = (State<Arc<Operator>>, ConnectInfo<Caller>);

async fn status((State(operator), ConnectInfo(caller)): Asked) -> Response {
    told(&operator, caller, ("status", None), Ok(json!(operator.status())))
}

async fn load((State(operator), ConnectInfo(caller)): Asked, body: Bytes) -> Response {
    match named(&body) {
        Ok(name) => {
            let (work, model) = (operator.clone(), name.clone());
            let done = carried_out(async move { work.load(&model).await }).await;
            told(&operator, caller, ("load", Some(&name)), done.map(|()| json!({ "loaded": name })))
        }
        Err(error) => told(&operator, caller, ("load", None), Err(error)),
    }
}

async fn unload((State(operator), ConnectInfo(caller)): Asked, body: Bytes) -> Response {
    match named(&body) {
        Ok(name) => {
            let (work, model) = (operator.clone(), name.clone());
            let done = carried_out(async move { work.unload(&model).await }).await;
            told(&operator, caller, ("unload", Some(&name)), done.map(|()| json!({ "unloaded": name })))
        }
        Err(error) => told(&operator, caller, ("unload", None), Err(error)),
    }
}

async fn drain((State(operator), ConnectInfo(caller)): Asked) -> Response {
    operator.drain().await;
    let running = operator.asking.app.serving.running();
    told(&operator, caller, ("drain", None), Ok(json!({ "draining": true, "running": running })))
}

async fn unknown((State(operator), ConnectInfo(caller)): Asked) -> Response {
    let error = OperatorError::Malformed("no such path or method".into());
    told(&operator, caller, ("unknown", None), Err(error))
}

fn named(body: &[u8]) -> Result<String, OperatorError> {
    let named = serde_json::from_slice::<Named>(body);
    named.map(|named| named.model).map_err(|error| OperatorError::Malformed(error.to_string()))
}

/// A change goes on to its end when whoever asked goes away.
async fn carried_out(
    work: impl Future<Output = Result<(), OperatorError>> + Send + 'static,
) -> Result<(), OperatorError> {
    let crashed = |_| StartError::Crashed("the operator's interface").into();
    tokio::spawn(work).await.map_err(crashed).and_then(|done| done)
}

/// The answer, after the event that says what was asked and what became of it.
fn told(
    operator: &Operator,
    Caller(uid): Caller,
    (action, model): (&'static str, Option<&str>),
    outcome: Result<serde_json::Value, OperatorError>,
) -> Response {
    let code = outcome.as_ref().map_or_else(OperatorError::code, |_| "done".into());
    // A name that is not configured is somebody's text.
    let model = model.filter(|name| operator.roster.phase(name).is_some()).map(str::to_owned);
    (operator.asking.events)(&Event::Admin { action, model, uid, outcome: code.clone() });
    match outcome {
        Ok(value) => Json(value).into_response(),
        Err(error) => {
            let status = match &error {
                OperatorError::UnknownModel(_) => StatusCode::NOT_FOUND,
                OperatorError::Malformed(_) => StatusCode::BAD_REQUEST,
                OperatorError::Load(_) => StatusCode::BAD_GATEWAY,
                _ => StatusCode::CONFLICT,
            };
            let body = json!({ "code": code, "message": error.to_string(), "exit": error.exit_code() });
            (status, Json(json!({ "error": body }))).into_response()
        }
    }
}
