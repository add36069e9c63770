//! What a page may ask, and how its texts become bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use strongroom_attestation::UnixTime;

use crate::answer::Failure;

/// Longest request in bytes: evidence and endorsements of any platform, several times over.
const REQUEST_MAX: usize = 16 << 20;

/// The request of [`crate::verify`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvidenceRequest {
    /// Base64, one text a file.
    pub(crate) evidence: Vec<String>,
    /// Base64, one text a file, in any order.
    #[serde(default)]
    pub(crate) endorsements: Vec<String>,
    /// Hexadecimal, at most 64 bytes: what the evidence must hold.
    pub(crate) nonce: Option<String>,
    /// 64 bytes in hexadecimal; absent: the report data is only looked at.
    pub(crate) report_data: Option<String>,
    pub(crate) at: Time,
    /// `strict`, `authentic`, or a policy's TOML text.
    pub(crate) policy: String,
    /// Base64 of simulated vendors' roots, under which evidence proves nothing about real hardware.
    #[serde(default)]
    pub(crate) development_roots: Vec<String>,
    /// Warn of what ends within this many days.
    #[serde(default = "thirty")]
    pub(crate) warn_days: u32,
}

/// The request of [`crate::attest_request`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuestionRequest {
    /// Base64.
    pub(crate) trust_file: String,
    /// As in [`SessionRequest`].
    pub(crate) trust_root: String,
    pub(crate) now: Time,
}

/// The request of [`crate::verify_session`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionRequest {
    /// Base64.
    pub(crate) trust_file: String,
    /// The pinned root: `sha256:` and 64 hexadecimal digits, or the digits alone.
    pub(crate) trust_root: String,
    /// Base64 of the attest request's body, exactly as sent.
    pub(crate) request_body: String,
    /// Base64 of the answer's body.
    pub(crate) response: String,
    pub(crate) now: Time,
    #[serde(default)]
    pub(crate) accept_simulated: bool,
}

/// RFC 3339 text, or seconds since 1970.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Time {
    Seconds(u64),
    Text(String),
}

impl Time {
    pub(crate) fn read(&self) -> Result<UnixTime, Failure> {
        match self {
            Time::Seconds(seconds) => Ok(UnixTime::from_secs(*seconds)),
            Time::Text(text) => UnixTime::parse_rfc3339(text)
                .ok_or_else(|| Failure::usage(format!("\"{text}\" is no RFC 3339 time like 2026-05-12T00:00:00Z"))),
        }
    }
}

pub(crate) fn read<R: DeserializeOwned>(request: &str) -> Result<R, Failure> {
    if request.len() > REQUEST_MAX {
        return Err(Failure::usage(format!("the request is longer than {REQUEST_MAX} bytes")));
    }
    serde_json::from_str(request).map_err(|error| Failure::usage(format!("the request is not one: {error}")))
}

/// The bytes of a base64 text (RFC 4648 4, padded); `what` names it in the error.
pub(crate) fn bytes(what: &str, text: &str) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(text).map_err(|error| Failure::usage(format!("{what} is not base64 with padding: {error}")))
}

/// Bytes from hexadecimal digits.
pub(crate) fn digits(what: &str, digits: &str) -> Result<Vec<u8>, Failure> {
    hex::decode(digits).map_err(|error| Failure::usage(format!("{what} is not hexadecimal: {error}")))
}

/// As the command warns when it is not told.
fn thirty() -> u32 {
    30
}

/// Exactly `N` bytes from hexadecimal digits.
pub(crate) fn array<const N: usize>(what: &str, digits: &str) -> Result<[u8; N], Failure> {
    let mut array = [0; N];
    match hex::decode_to_slice(digits, &mut array) {
        Ok(()) => Ok(array),
        Err(error) => Err(Failure::usage(format!("{what} is not {} hexadecimal digits: {error}", 2 * N))),
    }
}
