//! One request of the application, through the verified session and back.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;

use super::receipts::Receipts;
use super::{Proxy, error_shape};
use crate::error::ClientError;
use crate::exchange::OutgoingRequest;
use crate::sender::Answer;

/// The largest request of an application; the server's own limit is the same order.
const REQUEST_MOST: usize = 24 * 1024 * 1024;

/// The headers of the application that go inside. Others speak about the local hop, or about the user.
const FORWARDED: [HeaderName; 4] = [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT, TIMEOUT];

/// How long the application waits for an answer, milliseconds.
const TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// The application's own name for a request, where its SDK looks for one. It stays on this machine.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Inner headers that speak about a hop, or about a length that stripping filler changes.
const DROPPED: [HeaderName; 3] = [header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING];

/// The event that ends a stream of the API. It is held back until the receipt holds.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Anything under `/v1/`.
pub(super) async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    let own_id = request.headers().get(REQUEST_ID).cloned();
    let mut response = match outgoing(request).await {
        Ok(request) => match proxy.keeper.send(&request).await {
            Ok(answer) => deliver(answer, proxy.receipts).await,
            Err(error) => error_shape::response(&error),
        },
        Err(refused) => *refused,
    };
    if let Some(id) = own_id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The application's request as it goes inside.
async fn outgoing(request: Request) -> Result<OutgoingRequest, Box<Response>> {
    let (head, body) = request.into_parts();
    let refused = |status, message: &str| Box::new(error_shape::plain(status, "INVALID_REQUEST", message));
    let mut headers = Vec::new();
    for name in FORWARDED {
        if let Some(value) = head.headers.get(&name) {
            let value = value
                .to_str()
                .map_err(|_| refused(StatusCode::BAD_REQUEST, &format!("the header {name} is not text")))?;
            headers.push((name.as_str().to_owned(), value.trim().to_owned()));
        }
    }
    let body = axum::body::to_bytes(body, REQUEST_MOST)
        .await
        .map_err(|_| refused(StatusCode::PAYLOAD_TOO_LARGE, "the request broke off, or is longer than 24 MiB"))?;
    Ok(OutgoingRequest {
        method: head.method.as_str().to_owned(),
        path: head.uri.path_and_query().map_or_else(|| head.uri.path().to_owned(), ToString::to_string),
        headers,
        body: body.to_vec(),
    })
}

async fn deliver(mut answer: Answer, receipts: Receipts) -> Response {
    if answer.is_event_stream() {
        let mut response = Response::new(Body::empty());
        set_head(&mut response, &answer);
        *response.body_mut() = Body::from_stream(events(answer, receipts));
        return response;
    }
    match answer.collect().await {
        Ok(content) => {
            let mut response = Response::new(Body::from(content));
            set_head(&mut response, &answer);
            keep_receipt(&answer, &receipts);
            response
        }
        Err(error) => {
            let mut response = error_shape::response(&error);
            set_own_headers(&mut response, &answer);
            response
        }
    }
}

/// What a stream does next.
enum Phase {
    Streaming,
    /// The error was told; the body is to be aborted.
    Abort(ClientError),
    Ended,
}

struct Streaming {
    answer: Answer,
    receipts: Receipts,
    /// The end of what came, held back because it is `[DONE]` or may become it.
    held: Vec<u8>,
    phase: Phase,
}

/// The answer's events, then `[DONE]` once the receipt holds; or an error event and an aborted body.
fn events(answer: Answer, receipts: Receipts) -> impl stream::Stream<Item = io::Result<Bytes>> {
    let start = Streaming { answer, receipts, held: Vec::new(), phase: Phase::Streaming };
    stream::unfold(start, |mut state| async move { state.next().await.map(|item| (item, state)) })
}

impl Streaming {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Ended => return None,
            Phase::Abort(error) => {
                // An error item drops what the server has not written yet. Giving way once lets it write the event.
                tokio::task::yield_now().await;
                return Some(Err(io::Error::other(error)));
            }
            Phase::Streaming => self.phase = Phase::Streaming,
        }
        loop {
            match self.answer.next().await {
                Ok(Some(piece)) => {
                    let piece = self.hold_done(&piece);
                    if !piece.is_empty() {
                        return Some(Ok(piece));
                    }
                }
                Ok(None) => {
                    self.phase = Phase::Ended;
                    keep_receipt(&self.answer, &self.receipts);
                    let held = std::mem::take(&mut self.held);
                    return (!held.is_empty()).then(|| Ok(held.into()));
                }
                Err(error) => {
                    let event = error_shape::event(&error);
                    self.phase = Phase::Abort(error);
                    return Some(Ok(event.into()));
                }
            }
        }
    }

    /// Takes off the piece what is `[DONE]` so far. Other events end in a blank line, with which no part of `[DONE]`
    /// ends, so they are never late.
    fn hold_done(&mut self, piece: &[u8]) -> Bytes {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(piece);
        let done = (1..=DONE.len()).rev().filter_map(|len| DONE.get(..len)).find(|start| bytes.ends_with(start));
        self.held = bytes.split_off(bytes.len().saturating_sub(done.map_or(0, <[u8]>::len)));
        bytes.into()
    }
}

fn keep_receipt(answer: &Answer, receipts: &Receipts) {
    if let Some(bundle) = answer.receipt_bundle() {
        receipts.keep(answer.request_id(), bundle);
    }
}

fn set_head(response: &mut Response, answer: &Answer) {
    *response.status_mut() = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in answer.headers() {
        // The channel holds fields to a grammar of its own; what HTTP/1.1 cannot carry is left out.
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else { continue };
        if !DROPPED.contains(&name) {
            response.headers_mut().append(name, value);
        }
    }
    set_own_headers(response, answer);
}

fn set_own_headers(response: &mut Response, answer: &Answer) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(hex::encode(answer.request_id())) {
        headers.insert(REQUEST_ID, id.clone());
        headers.insert("strongroom-request-id", id);
    }
    if answer.is_simulated() {
        headers.insert("strongroom-simulated", HeaderValue::from_static("1"));
    }
}
