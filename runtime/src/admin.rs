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
use tokio::task::JoinHandle;

use crate::error::StartError;
use crate::events::Event;
use crate::operator::{Operator, OperatorError};

pub(crate) use socket::Socket;

/// The longest request, bytes: a name.
const REQUEST_MAX: usize = 4 << 10;

/// Serves until `stop` is done, and what was begun to its end.
pub(crate) fn serve(
    socket: Socket,
    operator: Arc<Operator>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
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

async fn load(asked: Asked, body: Bytes) -> Response {
    changed(asked, &body, ["load", "loaded"], |operator, name| async move { operator.load(&name).await }).await
}

async fn unload(asked: Asked, body: Bytes) -> Response {
    changed(asked, &body, ["unload", "unloaded"], |operator, name| async move { operator.unload(&name).await }).await
}

/// Carries out a change of the model that the body names. `words` are the order's, and the answer's.
async fn changed<F>(
    (State(operator), ConnectInfo(caller)): Asked,
    body: &[u8],
    [order, done]: [&'static str; 2],
    change: impl FnOnce(Arc<Operator>, String) -> F,
) -> Response
where
    F: Future<Output = Result<(), OperatorError>> + Send + 'static,
{
    match named(body) {
        Ok(name) => {
            let outcome = carried_out(change(operator.clone(), name.clone())).await;
            told(&operator, caller, (order, Some(&name)), outcome.map(|()| json!({ done: name })))
        }
        Err(error) => told(&operator, caller, (order, None), Err(error)),
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
