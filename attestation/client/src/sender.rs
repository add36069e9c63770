//! Sending a sealed request, and the answer as it streams.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use sha2::{Digest as _, Sha256};
use strongroom_channel::bhttp::Fields;
use strongroom_channel::ohttp::{REQUEST_MEDIA_TYPE, RESPONSE_MEDIA_TYPE};
use strongroom_channel::padding::Profile;

use crate::connect::{Session, unavailable_answer};
use crate::error::ClientError;
use crate::exchange::{self, Exchange, OutgoingRequest, Terms, VerifiedReceipt};
use crate::receipt::ReceiptBundle;

/// Where encapsulated requests go (RFC 9540's location).
const GATEWAY_PATH: &str = "/.well-known/ohttp-gateway";

/// How long a request may be on its way, in seconds. The server allows at most 120 ahead.
const REQUEST_LIFE_SECS: u64 = 60;

/// The most that is read of an inner refusal, to find its code.
const REFUSAL_MOST: usize = 64 * 1024;

/// The inner code of a request that names a statement which is no longer live.
const SUPERSEDED: &str = "statement-superseded";

/// Why nothing was answered.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The instance's key or statement is not the one that was verified (any more): ask for evidence again.
    Superseded,
    /// Everything else.
    Failed(ClientError),
}

impl From<ClientError> for SendError {
    fn from(error: ClientError) -> Self {
        SendError::Failed(error)
    }
}

impl Session {
    /// Sends one request and gives its answer, once its head has come. It does not ask for evidence again;
    /// [`crate::Keeper::send`] does.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `STALE` when the verdict is too old, or the instance has moved on;
    /// [`ClientError::Misuse`] for a request that cannot be sent; else what went wrong on the way.
    pub async fn send(&self, request: &OutgoingRequest) -> Result<Answer, ClientError> {
        self.try_send(request).await.map_err(|error| match error {
            SendError::Superseded => {
                let detail = "the instance has a new epoch statement; ask for evidence again";
                strongroom_attestation::Refusal::new(strongroom_attestation::Code::Stale, detail).into()
            }
            SendError::Failed(error) => error,
        })
    }

    pub(crate) async fn try_send(&self, request: &OutgoingRequest) -> Result<Answer, SendError> {
        // 1. Never on a stale verdict.
        self.require_fresh()?;
        // 2. Seal to the key inside the evidence.
        let verified = self.verified();
        let statement = verified.statement();
        let mut request_id = [0; 16];
        getrandom::fill(&mut request_id)
            .map_err(|_| ClientError::unavailable("no randomness from the operating system"))?;
        let terms = Terms {
            key: verified.key_config(),
            suite: verified.suite(),
            authority: statement.deployment.authority(),
            statement_hash: *verified.statement_hash(),
            instance_key: verified.instance_key(),
            models: &statement.workload.models,
            // A profile that this version does not know hides at least as much as we can.
            pad_to_bucket: Profile::from_id(&statement.workload.padding) != Some(Profile::Off),
            expires: self.instance_time().saturating_add(REQUEST_LIFE_SECS),
        };
        let (wire, exchange) = exchange::seal(&terms, request, request_id)?;
        // 3. Send, and hold the outside of the answer to what it may be.
        let doing = "sending the request";
        let outer = self
            .http
            .post(self.url(GATEWAY_PATH))
            .header(CONTENT_TYPE, REQUEST_MEDIA_TYPE)
            .header("incremental", "?1")
            .header("strongroom-key", key_hint(terms.key.as_bytes()))
            .body(wire)
            .send()
            .await
            .map_err(|error| ClientError::transport(doing, error))?;
        match outer.status() {
            StatusCode::OK if is_chunked_response(&outer) => {}
            // Hints from outside: at worst they make us ask for evidence once more.
            StatusCode::BAD_REQUEST | StatusCode::MISDIRECTED_REQUEST => return Err(SendError::Superseded),
            StatusCode::OK => {
                return Err(ClientError::Malformed(format!("{doing}: the answer is not {RESPONSE_MEDIA_TYPE}")).into());
            }
            _ => return Err(unavailable_answer(doing, &outer).into()),
        }
        // 4. The head, from inside.
        let mut answer = Answer {
            status: 0,
            headers: Fields::new(),
            request_id,
            simulated: self.is_simulated(),
            proof: std::sync::Arc::clone(self.proof()),
            transport: Transport::Streaming { outer, exchange },
            ready: Vec::new(),
            receipt: None,
        };
        answer.read_head().await?;
        if answer.status == 409 && answer.is_superseded().await? {
            return Err(SendError::Superseded);
        }
        Ok(answer)
    }
}

/// An answer from inside the encryption: head first, content as it comes, then the receipt.
pub struct Answer {
    status: u16,
    headers: Fields,
    request_id: [u8; 16],
    simulated: bool,
    proof: std::sync::Arc<crate::connect::SessionProof>,
    transport: Transport,
    /// Content that has come and was not yet taken.
    ready: Vec<u8>,
    receipt: Option<VerifiedReceipt>,
}

#[expect(clippy::large_enum_variant, reason = "one per answer, nearly always the large one")]
enum Transport {
    Streaming {
        outer: reqwest::Response,
        exchange: Exchange,
    },
    /// Complete, and its receipt held.
    Complete,
    /// Failed; it stays so.
    Failed(ClientError),
}

impl Answer {
    /// The inner status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The inner header fields.
    #[must_use]
    pub fn headers(&self) -> &Fields {
        &self.headers
    }

    /// The id that the receipt is for.
    #[must_use]
    pub fn request_id(&self) -> [u8; 16] {
        self.request_id
    }

    /// Whether the instance is simulated.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// Whether the content is a stream of server-sent events.
    #[must_use]
    pub fn is_event_stream(&self) -> bool {
        exchange::is_event_stream(&self.headers)
    }

    /// The next content. `None` is the end, and means that the answer is complete and its receipt holds.
    ///
    /// # Errors
    /// [`ClientError::Truncated`] when it broke off, [`ClientError::Receipt`] when the receipt does not hold,
    /// [`ClientError::Malformed`] when what came was altered. Every later call gives the same.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while self.ready.is_empty() {
            match &self.transport {
                Transport::Complete => return Ok(None),
                Transport::Failed(error) => return Err(error.clone()),
                Transport::Streaming { .. } => self.advance().await,
            }
        }
        Ok(Some(Bytes::from(std::mem::take(&mut self.ready))))
    }

    /// All content that is left, once the answer is complete and its receipt holds.
    ///
    /// # Errors
    /// Those of [`Answer::next`].
    pub async fn collect(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut content = Vec::new();
        while let Some(piece) = self.next().await? {
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }

    /// The receipt, after the end.
    #[must_use]
    pub fn receipt(&self) -> Option<&VerifiedReceipt> {
        self.receipt.as_ref()
    }

    /// The receipt with all that is needed to check it later and offline, after the end.
    #[must_use]
    pub fn receipt_bundle(&self) -> Option<ReceiptBundle> {
        let receipt = self.receipt.as_ref()?;
        Some(ReceiptBundle::new(receipt.message.clone(), std::sync::Arc::clone(&self.proof)))
    }

    /// Reads until the head has come.
    async fn read_head(&mut self) -> Result<(), ClientError> {
        while self.status == 0 {
            match &self.transport {
                Transport::Streaming { .. } => self.advance().await,
                Transport::Failed(error) => return Err(error.clone()),
                Transport::Complete => return Err(ClientError::Truncated { received: 0 }),
            }
        }
        Ok(())
    }

    /// One step: the next bytes of the outer body, or its end.
    ///
    /// Cancelled while it waits, it has changed nothing; only the end of an answer that held makes it complete.
    async fn advance(&mut self) {
        let Transport::Streaming { outer, exchange } = &mut self.transport else { return };
        let outcome = match outer.chunk().await {
            Ok(Some(bytes)) => exchange.push(&bytes).map(|progress| self.take(progress)),
            Ok(None) => self.end(),
            // The connection broke: whatever the reason, the final chunk has not come.
            Err(_) => Err(ClientError::Truncated { received: exchange.received() }),
        };
        if let Err(error) = outcome {
            self.transport = Transport::Failed(error);
        }
    }

    fn end(&mut self) -> Result<(), ClientError> {
        let unfinished = Transport::Failed(ClientError::Truncated { received: 0 });
        let Transport::Streaming { exchange, .. } = std::mem::replace(&mut self.transport, unfinished) else {
            return Ok(());
        };
        let finished = exchange.finish()?;
        self.take(finished.progress);
        self.receipt = finished.receipt;
        self.transport = Transport::Complete;
        Ok(())
    }

    fn take(&mut self, progress: exchange::Progress) {
        if let Some((status, headers)) = progress.head {
            self.status = status;
            self.headers = headers;
        }
        self.ready.extend(progress.content);
    }

    /// Whether this 409 says that the statement is no longer live; its content stays to be read otherwise.
    async fn is_superseded(&mut self) -> Result<bool, ClientError> {
        let mut content = Vec::new();
        while let Some(piece) = self.next().await? {
            content.extend_from_slice(&piece);
            if content.len() > REFUSAL_MOST {
                return Err(ClientError::Malformed("a refusal of more than 64 KiB".to_owned()));
            }
        }
        let superseded = serde_json::from_slice::<serde_json::Value>(&content)
            .is_ok_and(|body| body.pointer("/error/code").and_then(serde_json::Value::as_str) == Some(SUPERSEDED));
        self.ready = content;
        Ok(superseded)
    }
}

/// The routing hint for gateways: half of the key configuration's hash (protocol.md 1.3).
fn key_hint(config: &[u8]) -> String {
    let mut hint = URL_SAFE_NO_PAD.encode(Sha256::digest(config));
    hint.truncate(22);
    hint
}

fn is_chunked_response(outer: &reqwest::Response) -> bool {
    outer.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes() == RESPONSE_MEDIA_TYPE.as_bytes())
}
