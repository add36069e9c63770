//! The question and the answer of `POST /.well-known/strongroom/attest` (protocol.md 1.3, A1):
//! JSON both ways, bounded, with one spelling for each value.

mod collection;
mod request;
mod response;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use collection::{Collection, CollectionKind, Record, indicator};
pub use request::{AttestRequest, MAX_REQUEST, PROFILE_OHTTP, SuiteId, suite};
pub use response::{AttestResponse, MAX_RESPONSE};

/// Where an instance answers.
pub const PATH: &str = "/.well-known/strongroom/attest";
/// Content type of the answer.
pub const RESPONSE_MEDIA_TYPE: &str = "application/strongroom-attestation+json";

/// The only version of both messages.
const VERSION: u64 = 1;

/// Why bytes are not an attest request or response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// Longer than the limit of its kind.
    #[error("the message is {found} bytes long, at most {limit} are read")]
    TooLong {
        /// Most bytes that are read.
        limit: usize,
        /// The message's length.
        found: usize,
    },
    /// Not JSON of the wanted shape: a field missing, unknown, twice, or of another type.
    #[error("not the JSON that was wanted, at line {line}, column {column}")]
    Json {
        /// Line of the error, from 1.
        line: usize,
        /// Column of the error.
        column: usize,
    },
    /// A field's text is not a value of that field.
    #[error("{field}: wanted {wanted}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
}

impl AttestError {
    fn field(field: &'static str, wanted: &'static str) -> AttestError {
        AttestError::Field { field, wanted }
    }
}

impl From<serde_json::Error> for AttestError {
    fn from(error: serde_json::Error) -> AttestError {
        AttestError::Json { line: error.line(), column: error.column() }
    }
}

/// base64url without padding; the engine refuses padding, other alphabets and stray bits.
fn to_text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn from_text(field: &'static str, text: &str) -> Result<Vec<u8>, AttestError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| AttestError::field(field, "base64url without padding"))
}

fn fixed_from_text<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], AttestError> {
    from_text(field, text)?.try_into().map_err(|_| AttestError::field(field, "a base64url value of the fixed length"))
}

fn bounded(limit: usize, bytes: &[u8]) -> Result<&[u8], AttestError> {
    if bytes.len() > limit { Err(AttestError::TooLong { limit, found: bytes.len() }) } else { Ok(bytes) }
}

fn version_1(version: u64) -> Result<(), AttestError> {
    if version == VERSION { Ok(()) } else { Err(AttestError::field("v", "version 1")) }
}
