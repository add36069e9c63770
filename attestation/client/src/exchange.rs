//! One request and its answer, as bytes: sealing, opening, and the receipt. No sockets and no clock.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_channel::bhttp::{self, BhttpError, Fields, RequestHead, ResponseDecoder, ResponseEvent};
use strongroom_channel::cose::VerifyingKey;
use strongroom_channel::ohttp::{KeyConfig, RequestSealer, ResponseOpener, Suite};
use strongroom_channel::padding::FillerStripper;
use strongroom_channel::receipt::{Receipt, ReceiptError};

use crate::error::{ClientError, ReceiptFault};

/// The most content of one answer. It is kept until the receipt, whose hashes are over all of it.
const ANSWER_MOST: u64 = 64 * 1024 * 1024;

/// The trailer that carries the receipt, base64url.
const RECEIPT_TRAILER: &str = "strongroom-receipt";

/// A request of the application, to be sent inside the encapsulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingRequest {
    /// The method, `POST` or `GET`.
    pub method: String,
    /// Path and query, from the first slash, such as `/v1/chat/completions`.
    pub path: String,
    /// Header fields, names in lower case, `authorization` among them. Names that start with `strongroom-` are ours.
    pub headers: Fields,
    /// The body.
    pub body: Vec<u8>,
}

/// What a request is sealed to and its receipt held against: all from one verified session.
pub(crate) struct Terms<'a> {
    pub(crate) key: &'a KeyConfig,
    pub(crate) suite: Suite,
    pub(crate) authority: String,
    pub(crate) statement_hash: [u8; 32],
    pub(crate) instance_key: &'a VerifyingKey,
    /// Ids of the models in the statement.
    pub(crate) models: &'a [[u8; 32]],
    pub(crate) pad_to_bucket: bool,
    /// Unix seconds by the instance's clock.
    pub(crate) expires: u64,
}

/// A receipt that was checked against a verified session and the bytes of this exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReceipt {
    /// The COSE_Sign1 message as it came.
    pub message: Vec<u8>,
    /// Its content.
    pub receipt: Receipt,
}

/// An exchange under way: what is needed to open and check the answer.
pub(crate) struct Exchange {
    request_id: [u8; 16],
    statement_hash: [u8; 32],
    instance_key: VerifyingKey,
    models: Vec<[u8; 32]>,
    is_post: bool,
    request_body: Vec<u8>,
    opener: ResponseOpener,
    decoder: ResponseDecoder,
    stripper: Option<FillerStripper>,
    status: Option<u16>,
    delivered: Vec<u8>,
    trailers: Option<Fields>,
}

/// What a push brought: the head once, and content.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) head: Option<(u16, Fields)>,
    pub(crate) content: Vec<u8>,
}

/// The end of a whole answer.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Content that was only known to be content at the end.
    pub(crate) progress: Progress,
    pub(crate) receipt: Option<VerifiedReceipt>,
}

/// Seals a request; gives the bytes to send, and what opens the answer.
pub(crate) fn seal(
    terms: &Terms<'_>,
    request: &OutgoingRequest,
    request_id: [u8; 16],
) -> Result<(Vec<u8>, Exchange), ClientError> {
    let reserved = |name: &str| name.starts_with("strongroom-") || matches!(name, "host" | "content-length");
    if let Some((name, _)) = request.headers.iter().find(|(name, _)| reserved(name)) {
        return Err(ClientError::Misuse(format!("the header {name} is not the application's to set")));
    }
    let mut headers = request.headers.clone();
    headers.extend([
        ("strongroom-statement".to_owned(), URL_SAFE_NO_PAD.encode(terms.statement_hash)),
        ("strongroom-request-id".to_owned(), hex::encode(request_id)),
        ("strongroom-expires".to_owned(), terms.expires.to_string()),
    ]);
    let head = RequestHead {
        method: request.method.clone(),
        scheme: "https".to_owned(),
        authority: terms.authority.clone(),
        path: request.path.clone(),
        headers,
    };
    let plain = bhttp::encode_request(&head, &request.body, terms.pad_to_bucket)
        .map_err(|error| ClientError::Misuse(format!("the request cannot be sent: {error}")))?;
    let (sealer, mut wire) = RequestSealer::new(terms.key, terms.suite)?;
    let (sealed, opener) = sealer.finish(&plain)?;
    wire.extend_from_slice(&sealed);
    let limits = bhttp::Limits { content: ANSWER_MOST, ..bhttp::Limits::default() };
    Ok((
        wire,
        Exchange {
            request_id,
            statement_hash: terms.statement_hash,
            instance_key: terms.instance_key.clone(),
            models: terms.models.to_vec(),
            is_post: request.method == "POST",
            request_body: request.body.clone(),
            opener,
            decoder: ResponseDecoder::with_limits(limits),
            stripper: None,
            status: None,
            delivered: Vec::new(),
            trailers: None,
        },
    ))
}

impl Exchange {
    /// The bytes of content so far.
    pub(crate) fn received(&self) -> u64 {
        u64::try_from(self.delivered.len()).unwrap_or(u64::MAX)
    }

    /// Takes the next bytes of the response's body.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Progress, ClientError> {
        let mut progress = Progress::default();
        for plain in self.opener.push(bytes)? {
            self.decode(&plain, &mut progress)?;
        }
        Ok(progress)
    }

    /// The response's body has ended: the answer must be complete, and its receipt must hold.
    pub(crate) fn finish(mut self) -> Result<Finished, ClientError> {
        let received = self.received();
        // A final chunk that is missing, cut or altered: in each case the end was not the instance's.
        let plain = self.opener.finish().map_err(|_| ClientError::Truncated { received })?;
        let mut progress = Progress::default();
        self.decode(&plain, &mut progress)?;
        let decoder = std::mem::take(&mut self.decoder);
        if let Some(event) = decoder.finish().map_err(malformed)? {
            self.event(event, &mut progress);
        }
        if let Some(stripper) = self.stripper.take() {
            self.deliver(stripper.finish(), &mut progress);
        }
        let receipt = self.receipt()?;
        Ok(Finished { progress, receipt })
    }

    fn decode(&mut self, plain: &[u8], progress: &mut Progress) -> Result<(), ClientError> {
        for event in self.decoder.push(plain).map_err(malformed)? {
            self.event(event, progress);
        }
        Ok(())
    }

    fn event(&mut self, event: ResponseEvent, progress: &mut Progress) {
        match event {
            ResponseEvent::Head { status, headers } => {
                if is_event_stream(&headers) {
                    self.stripper = Some(FillerStripper::new());
                }
                self.status = Some(status);
                progress.head = Some((status, headers));
            }
            ResponseEvent::Content(content) => {
                let content = match &mut self.stripper {
                    Some(stripper) => stripper.push(&content),
                    None => content,
                };
                self.deliver(content, progress);
            }
            ResponseEvent::End { trailers } => self.trailers = Some(trailers),
        }
    }

    fn deliver(&mut self, content: Vec<u8>, progress: &mut Progress) {
        self.delivered.extend_from_slice(&content);
        progress.content.extend(content);
    }

    /// Checks the receipt. A completed answer to a `POST` must have one; errors and listings need none, but one that
    /// is there must hold.
    fn receipt(&self) -> Result<Option<VerifiedReceipt>, ClientError> {
        let trailers = self.trailers.as_deref().unwrap_or_default();
        let mut found = trailers.iter().filter(|(name, _)| name == RECEIPT_TRAILER).map(|(_, value)| value);
        let (first, second) = (found.next(), found.next());
        let text = match (first, second) {
            (Some(text), None) => text,
            (Some(_), Some(_)) => return Err(ClientError::Receipt(ReceiptFault::Malformed)),
            (None, _) if self.is_post && self.status.is_some_and(|status| status < 300) => {
                return Err(ClientError::Receipt(ReceiptFault::Missing));
            }
            (None, _) => return Ok(None),
        };
        let message = URL_SAFE_NO_PAD.decode(text).map_err(|_| ClientError::Receipt(ReceiptFault::Malformed))?;
        let receipt = verify_receipt(&message, &self.instance_key, &self.statement_hash, &self.models)?;
        if receipt.request_id != self.request_id {
            return Err(ClientError::Receipt(ReceiptFault::RequestId));
        }
        if !receipt.covers(&self.request_body, &self.delivered) {
            return Err(ClientError::Receipt(ReceiptFault::Bytes));
        }
        Ok(Some(VerifiedReceipt { message, receipt }))
    }
}

/// What holds for a receipt whatever the bytes: signature, statement, model.
pub(crate) fn verify_receipt(
    message: &[u8],
    instance_key: &VerifyingKey,
    statement_hash: &[u8; 32],
    models: &[[u8; 32]],
) -> Result<Receipt, ClientError> {
    let receipt = Receipt::verify(message, instance_key).map_err(|error| {
        ClientError::Receipt(match error {
            ReceiptError::Cose(_) => ReceiptFault::Signature,
            _ => ReceiptFault::Malformed,
        })
    })?;
    if receipt.statement_hash != *statement_hash {
        return Err(ClientError::Receipt(ReceiptFault::Statement));
    }
    if !models.contains(&receipt.model_id) {
        return Err(ClientError::Receipt(ReceiptFault::Model));
    }
    Ok(receipt)
}

/// Whether the content is a stream of server-sent events.
pub(crate) fn is_event_stream(headers: &Fields) -> bool {
    bhttp::field(headers, "content-type").is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("text/event-stream")
    })
}

/// Inside an authenticated chunk nothing may be malformed: if it is, the instance itself is wrong.
fn malformed(error: BhttpError) -> ClientError {
    ClientError::Malformed(format!("the answer inside the encryption: {error}"))
}

#[cfg(test)]
mod tests;
