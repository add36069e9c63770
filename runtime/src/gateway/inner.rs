//! The decrypted request: which statement the client verified, when it expires, and
//! what it asks.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use strongroom_channel::bhttp::{self, RequestDecoder, RequestHead};
use strongroom_channel::deployment::DeploymentId;

use crate::api::error::ApiError;
use crate::api::identity::Tenant;
use crate::api::receipts::ReceiptSlot;
use crate::epochs::Epoch;
use crate::replay::EXPIRES_MAX;
use crate::serving::Served;

/// Header: b64u SHA-256 of the statement that the client verified.
const STATEMENT: &str = "strongroom-statement";
/// Header: 16 bytes of hex, the client's name for the request.
const REQUEST_ID: &str = "strongroom-request-id";
/// Header: unix seconds after which the request is void.
const EXPIRES: &str = "strongroom-expires";

/// A request that may be handed to the API.
pub(crate) struct Inner {
    /// The client's name for it.
    pub(crate) request_id: [u8; 16],
    /// The statement that was verified.
    pub(crate) statement_hash: [u8; 32],
    /// The body as the application sent it; receipts hash it.
    pub(crate) body: Bytes,
    /// Who asks, once that is known.
    pub(crate) tenant: Option<Tenant>,
    head: RequestHead,
}

impl Inner {
    /// Parses and checks the binary HTTP message `plain`, opened under `epoch` at `now`.
    pub(crate) fn parse(plain: &[u8], epoch: &Epoch, deployment: &DeploymentId, now: u64) -> Result<Self, ApiError> {
        let mut decoder = RequestDecoder::new();
        let (head, body) = decoder
            .push(plain)
            .and_then(|()| decoder.finish())
            .map_err(|_| ApiError::invalid("malformed_request", None, "the encapsulated request is no binary HTTP"))?;
        let statement_hash = hash_header(&head).ok_or_else(|| header_missing(STATEMENT))?;
        if statement_hash != epoch.hash {
            return Err(ApiError::channel(
                StatusCode::CONFLICT,
                "statement-superseded",
                "the statement that the client verified is not the one of this key: verify again",
            ));
        }
        if head.authority != deployment.authority() {
            return Err(ApiError::channel(
                StatusCode::MISDIRECTED_REQUEST,
                "wrong_deployment",
                "the request names another deployment",
            ));
        }
        let expires: u64 =
            header(&head, EXPIRES).and_then(|v| v.parse().ok()).ok_or_else(|| header_missing(EXPIRES))?;
        if expires < now || expires > now.saturating_add(EXPIRES_MAX) {
            return Err(ApiError::invalid(
                "request_expired",
                Some(EXPIRES),
                format!("the request's expiry {expires} is not within {EXPIRES_MAX} s after {now}: check the clock"),
            ));
        }
        let mut request_id = [0; 16];
        header(&head, REQUEST_ID)
            .and_then(|value| hex::decode_to_slice(value, &mut request_id).ok())
            .ok_or_else(|| header_missing(REQUEST_ID))?;
        Ok(Self { request_id, statement_hash, body: body.into(), tenant: None, head })
    }

    /// The API key as the client presents it.
    pub(crate) fn authorization(&self) -> Option<&str> {
        header(&self.head, "authorization")
    }

    /// The request for the API, which may use what is `served`; what the receipt will say is left in `slot`.
    pub(crate) fn request(&self, served: Arc<Served>, slot: ReceiptSlot) -> Result<Request<Body>, ApiError> {
        let mut request = Request::builder().method(self.head.method.as_str()).uri(self.head.path.as_str());
        for (name, value) in &self.head.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        if let Some(tenant) = &self.tenant {
            request = request.extension(tenant.clone());
        }
        request
            .extension(served)
            .extension(slot)
            .body(Body::from(self.body.clone()))
            .map_err(|_| ApiError::invalid("malformed_request", None, "method, path or headers are no HTTP"))
    }
}

fn header<'a>(head: &'a RequestHead, wanted: &str) -> Option<&'a str> {
    bhttp::field(&head.headers, wanted)
}

fn hash_header(head: &RequestHead) -> Option<[u8; 32]> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header(head, STATEMENT)?).ok()?;
    bytes.try_into().ok()
}

fn header_missing(name: &str) -> ApiError {
    ApiError::invalid("missing_header", Some(name), format!("the inner header `{name}` is missing or malformed"))
}
