//! Answers as server-sent events. A stream that breaks off is an error of the body, so
//! that the gateway leaves out the final chunk and the client sees it truncated.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;

use super::App;
use super::error::ApiError;
use super::generate::{self, Finished, Next, Running};
use super::openai::Usage;
use crate::plugins::Pipeline;

/// How the events of an endpoint look.
pub(super) trait Shape: Send + 'static {
    fn first(&self) -> Option<Value>;
    fn piece(&self, text: &str) -> Value;
    fn last(&self, reason: &str) -> Value;
    fn usage(&self, usage: Usage) -> Value;
}

/// Streams `running`. With a plugin that reads answers the text is held back until it is
/// whole, since such a plugin judges an answer, not a piece of one.
pub(super) async fn respond(
    app: App,
    plugins: Pipeline,
    running: Running,
    shape: impl Shape,
    include_usage: bool,
) -> Result<Response, ApiError> {
    if plugins.reads_answers() {
        let (text, finished) = running.collect(&app).await?;
        let text = generate::off_executor(move || plugins.on_response(text)).await?;
        let mut events = String::new();
        events.extend(shape.first().as_ref().map(event));
        events.push_str(&event(&shape.piece(&text)));
        events.push_str(&ending(&shape, &finished, include_usage));
        return Ok(event_stream(Body::from(events)));
    }
    let first = shape.first().as_ref().map(event);
    let state = State { running, shape, include_usage, first, over: false };
    Ok(event_stream(Body::from_stream(stream::unfold(state, step))))
}

struct State<S> {
    running: Running,
    shape: S,
    include_usage: bool,
    first: Option<String>,
    over: bool,
}

async fn step<S: Shape>(mut state: State<S>) -> Option<(Result<Bytes, io::Error>, State<S>)> {
    if state.over {
        return None;
    }
    if let Some(first) = state.first.take() {
        return Some((Ok(first.into()), state));
    }
    let item = match state.running.next().await {
        Next::Text(text) => Ok(event(&state.shape.piece(&text)).into()),
        Next::Done(finished) => {
            state.over = true;
            Ok(ending(&state.shape, &finished, state.include_usage).into())
        }
        Next::Broken => {
            state.over = true;
            Err(io::Error::other("the engine stopped"))
        }
    };
    Some((item, state))
}

fn ending(shape: &impl Shape, finished: &Finished, include_usage: bool) -> String {
    let mut events = event(&shape.last(finished.reason));
    if include_usage {
        events.push_str(&event(&shape.usage(finished.usage)));
    }
    events.push_str("data: [DONE]\n\n");
    events
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn event_stream(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}
