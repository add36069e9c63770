//! The way back: the API's answer as chunks of an encapsulated binary HTTP response,
//! filled up to the padding profile, with the receipt as its trailer.

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt;
use strongroom_channel::bhttp::{Fields, ResponseEncoder};
use strongroom_channel::ohttp::{RESPONSE_MEDIA_TYPE, ResponseSealer};
use strongroom_channel::padding;
use strongroom_channel::receipt::{Receipt, SaltedHasher, salted_hash};
use tokio::sync::mpsc;
use tower::ServiceExt;

use super::inner::Inner;
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::receipts::ReceiptSlot;
use crate::serving::Admitted;

/// Chunks that wait for a slow client.
const IN_FLIGHT: usize = 4;
/// The longest answer that is no stream, bytes.
const WHOLE_MAX: usize = 8 << 20;
/// Trailer that carries the receipt, b64u of a COSE_Sign1.
const RECEIPT: &str = "strongroom-receipt";

/// Runs the API on `inner` and streams its answer into `sealer`.
pub(crate) async fn respond(
    app: App,
    admitted: Admitted,
    inner: Result<Inner, ApiError>,
    sealer: ResponseSealer,
) -> Response {
    let slot = ReceiptSlot::default();
    let answer = match &inner {
        Ok(request) => match request.request(admitted.served.clone(), slot.clone()) {
            Ok(request) => app.api().oneshot(request).await.unwrap_or_else(|never| match never {}),
            Err(error) => error.into_response(),
        },
        Err(error) => error.clone().into_response(),
    };
    let (wire, outbox) = mpsc::channel::<Result<Bytes, std::io::Error>>(IN_FLIGHT);
    tokio::spawn(async move {
        stream(app, inner.ok(), slot, answer, sealer, wire).await;
        // Until here the request runs.
        drop(admitted);
    });
    let body = Body::from_stream(futures_util::stream::unfold(outbox, |mut outbox| async {
        outbox.recv().await.map(|item| (item, outbox))
    }));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(RESPONSE_MEDIA_TYPE));
    headers.insert("incremental", HeaderValue::from_static("?1"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Ends without the final chunk when the API's answer breaks off: the client then knows
/// that it is truncated.
async fn stream(
    app: App,
    inner: Option<Inner>,
    slot: ReceiptSlot,
    answer: Response,
    sealer: ResponseSealer,
    wire: mpsc::Sender<Result<Bytes, std::io::Error>>,
) {
    if send(&app, inner.as_ref(), &slot, answer, sealer, &wire).await.is_none() {
        app.metrics.broken_off.inc();
    }
}

/// `None` when the answer broke off, whoever's fault it was.
async fn send(
    app: &App,
    inner: Option<&Inner>,
    slot: &ReceiptSlot,
    answer: Response,
    sealer: ResponseSealer,
    wire: &mpsc::Sender<Result<Bytes, std::io::Error>>,
) -> Option<()> {
    let (parts, body) = answer.into_parts();
    let event_stream =
        parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    let (encoder, head) = ResponseEncoder::head(parts.status.as_u16(), &fields(&parts.headers)).ok()?;
    let mut sealed = Sealed { encoder, sealer, wire, held: (!event_stream).then(Vec::new) };
    sealed.start(&head).await?;

    let mut salt = [0; 16];
    // No answer without a receipt that hides what it hashes.
    getrandom::fill(&mut salt).ok()?;
    let mut delivered = SaltedHasher::new(&salt);
    let mut frames = body.into_data_stream();
    while let Some(frame) = next(&mut frames, wire).await? {
        let mut content = frame.ok()?.to_vec();
        delivered.update(&content);
        if event_stream && app.padding.pads() {
            padding::pad_sse_chunk(&mut content);
        }
        sealed.content(&content).await?;
    }
    let (Some(inner), Some(facts)) = (inner, slot.take()) else {
        return sealed.finish(&Vec::new(), app.padding.pads()).await;
    };
    let receipt = Receipt {
        request_id: inner.request_id,
        salt,
        request_hash: salted_hash(&salt, &inner.body),
        response_hash: delivered.finish(),
        statement_hash: inner.statement_hash,
        model_id: facts.model_id,
        model_name: facts.model_name,
        plugins: facts.plugins,
        prompt_tokens: facts.prompt_tokens,
        completion_tokens: facts.completion_tokens,
        time: app.clock.now(),
        finish: facts.finish,
    }
    .sign(&app.instance.key);
    let trailer = (RECEIPT.to_owned(), URL_SAFE_NO_PAD.encode(receipt));
    app.metrics.receipts.inc();
    sealed.finish(&vec![trailer], app.padding.pads()).await
}

/// The API's next piece, or its end. `None` as soon as the client is gone, however far off the next piece is: what
/// is computed for nobody ends, and its place and the tenant's budget are free.
async fn next(
    frames: &mut BodyDataStream,
    wire: &mpsc::Sender<Result<Bytes, std::io::Error>>,
) -> Option<Option<Result<Bytes, axum::Error>>> {
    tokio::select! {
        biased;
        () = wire.closed() => None,
        frame = frames.next() => Some(frame),
    }
}

fn fields(headers: &HeaderMap) -> Fields {
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
    headers.iter().filter_map(text).collect()
}

/// The encapsulated response on its way out. `None` when the client is gone.
struct Sealed<'a> {
    encoder: ResponseEncoder,
    sealer: ResponseSealer,
    wire: &'a mpsc::Sender<Result<Bytes, std::io::Error>>,
    /// An answer that is no stream of events is held back and sealed as one padded message:
    /// in chunks, each would show its own length.
    held: Option<Vec<u8>>,
}

impl Sealed<'_> {
    async fn start(&mut self, head: &[u8]) -> Option<()> {
        if let Some(held) = &mut self.held {
            held.extend_from_slice(head);
            return Some(());
        }
        let mut bytes = self.sealer.header();
        bytes.extend(self.sealer.seal_chunk(head).ok()?);
        self.wire.send(Ok(bytes.into())).await.ok()
    }

    async fn content(&mut self, content: &[u8]) -> Option<()> {
        let plain = self.encoder.content(content);
        if let Some(held) = &mut self.held {
            held.extend_from_slice(&plain);
            return (held.len() <= WHOLE_MAX).then_some(());
        }
        let sealed = self.sealer.seal_chunk(&plain).ok()?;
        self.wire.send(Ok(sealed.into())).await.ok()
    }

    async fn finish(self, trailers: &Fields, pad: bool) -> Option<()> {
        let last = self.encoder.finish(trailers, pad).ok()?;
        let (mut bytes, plain) = match self.held {
            Some(mut held) => {
                held.extend_from_slice(&last);
                (self.sealer.header(), held)
            }
            None => (Vec::new(), last),
        };
        bytes.extend(self.sealer.finish(&plain).ok()?);
        self.wire.send(Ok(bytes.into())).await.ok()
    }
}
