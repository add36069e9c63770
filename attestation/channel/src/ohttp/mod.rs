//! Chunked Oblivious HTTP: draft-ietf-ohai-chunked-ohttp-08 over RFC 9458, with the X-Wing hybrid KEM.
//!
//! Both ends are state machines without input or output: bytes of any split go in, plaintext chunks come out.
//!
//! ```text
//! client                                             server
//! RequestSealer::new ── header ───────────────────►  RequestOpener::push
//!   .seal_chunk      ── length, sealed chunk ─────►    .push            (plaintext)
//!   .finish          ── 0, sealed final chunk ────►    .finish          (final plaintext)
//!      │                                                  │ .into_response
//!      ▼                                                  ▼
//! ResponseOpener     ◄── response nonce ────────────  ResponseSealer::header
//!   .push            ◄── length, sealed chunk ──────    .seal_chunk
//!   .finish          ◄── 0, sealed final chunk ─────    .finish
//! ```
//!
//! The final chunk has no length: it reaches to the end of the stream, and only the transport knows where that is.
//! So the final chunk is opened by `finish`, not by `push`; bytes added after it make it fail.
//!
//! From outside, every failure to decapsulate, open or frame is one [`OhttpError::Invalid`]: an attacker learns
//! nothing from which it was.

mod chunk;
mod key_config;
mod request;
mod response;
mod suite;

use thiserror::Error;

pub use key_config::{KeyConfig, KeyPair};
pub use request::{RequestOpener, RequestSealer};
pub use response::{ResponseOpener, ResponseSealer};
pub use suite::{KEM_X_WING, Suite};

/// The media type of an encapsulated request.
pub const REQUEST_MEDIA_TYPE: &str = "message/ohttp-chunked-req";
/// The media type of an encapsulated response.
pub const RESPONSE_MEDIA_TYPE: &str = "message/ohttp-chunked-res";
/// The media type of a list of key configurations (RFC 9458, section 3.2).
pub const KEYS_MEDIA_TYPE: &str = "application/ohttp-keys";

/// The most plaintext that we put in one chunk. Every recipient must accept chunks of this size, and need not accept
/// larger ones; longer input becomes several chunks.
pub const SEALED_CHUNK_MOST: usize = 16 * 1024;

/// The most that an opener accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in one chunk on the wire, tag included.
    pub chunk: usize,
    /// Bytes in the whole message on the wire.
    pub total: u64,
}

impl Limits {
    /// For requests: chunks of 64 KiB and their tag, 32 MiB in all (a prompt of a million tokens is a quarter of it).
    #[must_use]
    pub const fn request() -> Self {
        Limits { chunk: 64 * 1024 + suite::TAG_LEN, total: 32 * 1024 * 1024 }
    }

    /// For responses: chunks of 64 KiB and their tag, 256 MiB in all.
    #[must_use]
    pub const fn response() -> Self {
        Limits { chunk: 64 * 1024 + suite::TAG_LEN, total: 256 * 1024 * 1024 }
    }
}

/// Why a message, or a key configuration, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OhttpError {
    /// A key configuration list that is not what RFC 9458 section 3 says.
    #[error("OHTTP key configuration: malformed")]
    KeyConfig,
    /// The key configuration does not offer this suite.
    #[error("OHTTP key configuration: the suite is not offered")]
    Suite,
    /// The request names a key or a suite that this instance does not have (RFC 9458, section 5.3): the client
    /// should fetch evidence again.
    #[error("OHTTP: unknown key")]
    UnknownKey,
    /// The one answer for every failure of decapsulation, authentication or framing.
    #[error("OHTTP: the message does not open")]
    Invalid,
    /// The stream ended before the final chunk: what came so far may be a part only.
    #[error("OHTTP: the message was cut off before its final chunk")]
    Truncated,
    /// A chunk or the message is over its limit.
    #[error("OHTTP: the message is over the size limit")]
    TooLarge,
    /// The caller did something out of order, for instance answered a request of which nothing has opened.
    #[error("OHTTP: used out of order")]
    Misuse,
    /// The operating system gave no randomness.
    #[error("OHTTP: no randomness from the operating system")]
    Randomness,
}

#[cfg(test)]
mod interop_tests;
#[cfg(test)]
mod tests;
