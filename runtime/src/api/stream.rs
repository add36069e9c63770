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
use super::generate::{self, Next, Piece, Running};
use super::openai::Usage;
use crate::plugins::Pipeline;

/// How the events of an endpoint look. An answer is told by its number, from 0.
pub(super) trait Shape: Send + 'static {
    /// What comes before everything.
    fn first(&mut self) -> Vec<Value>;
    /// More of an answer.
    fn piece(&mut self, choice: usize, piece: &Piece) -> Vec<Value>;
    /// The end of one.
    fn ended(&mut self, choice: usize, reason: &str) -> Vec<Value>;
    /// What it took, where that was asked for.
    fn usage(&self, usage: Usage) -> Value;
}

/// Streams `running`. With a plugin that reads answers the text is held back until it is
/// whole, since such a plugin judges an answer, not a piece of one.
pub(super) async fn respond(
    app: App,
    plugins: Pipeline,
    running: Running,
    mut shape: impl Shape,
    include_usage: bool,
) -> Result<Response, ApiError> {
    if plugins.reads_answers() {
        let (choices, usage) = running.collect(&app).await?;
        let choices = generate::filtered(plugins, choices).await?;
        let mut all = events(&shape.first());
        for (number, choice) in choices.iter().enumerate() {
            all.push_str(&events(&shape.piece(number, &choice.piece)));
            all.push_str(&events(&shape.ended(number, choice.reason)));
        }
        all.push_str(&ending(&shape, usage, include_usage));
        return Ok(event_stream(Body::from(all)));
    }
    let first = Some(events(&shape.first()));
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
    if let Some(first) = state.first.take().filter(|first| !first.is_empty()) {
        return Some((Ok(first.into()), state));
    }
    loop {
        let text = match state.running.next().await {
            Next::Text(choice, piece) => events(&state.shape.piece(choice, &piece)),
            Next::Ended(choice, reason) => events(&state.shape.ended(choice, reason)),
            Next::Done(usage) => {
                state.over = true;
                ending(&state.shape, usage, state.include_usage)
            }
            Next::Broken | Next::Late => {
                state.over = true;
                return Some((Err(io::Error::other("the engine stopped")), state));
            }
        };
        // A piece may show nothing yet.
        if !text.is_empty() {
            return Some((Ok(text.into()), state));
        }
    }
}

fn ending(shape: &impl Shape, usage: Usage, include_usage: bool) -> String {
    let usage = include_usage.then(|| event(&shape.usage(usage)));
    usage.unwrap_or_default() + "data: [DONE]\n\n"
}

fn events(values: &[Value]) -> String {
    values.iter().map(event).collect()
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
