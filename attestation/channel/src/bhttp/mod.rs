//! Binary HTTP messages (RFC 9292), for the inside of an encapsulated request or response.
//!
//! Encoding is indeterminate-length both ways, so that a response can stream; decoding takes known-length and
//! indeterminate-length messages, in pieces of any size. Nothing here trusts its input: names and values are held to
//! RFC 9110's grammar, sizes to [`Limits`], padding must be zero, and a message that ends early is
//! [`BhttpError::Truncated`].
//!
//! ```text
//! request  = framing, control data (method, scheme, authority, path), headers, content, trailers, zeros
//! response = framing, [1xx status, headers]*, status, headers, content, trailers, zeros
//! ```

mod decode;
mod encode;
mod fields;
mod machine;
pub(crate) mod varint;

use thiserror::Error;

pub use decode::{RequestDecoder, ResponseDecoder, ResponseEvent};
pub use encode::{ResponseEncoder, encode_request};
pub use fields::{Fields, field};

/// The first byte of a message: its kind and its form (RFC 9292, section 3.3).
mod framing {
    pub(super) const KNOWN_REQUEST: u64 = 0;
    pub(super) const KNOWN_RESPONSE: u64 = 1;
    pub(super) const INDETERMINATE_REQUEST: u64 = 2;
    pub(super) const INDETERMINATE_RESPONSE: u64 = 3;
}

/// The control data and headers of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, a token such as `POST`.
    pub method: String,
    /// The scheme, `https` here.
    pub scheme: String,
    /// The authority, `<deployment>.strongroom.invalid` here.
    pub authority: String,
    /// Path and query, from the first slash.
    pub path: String,
    /// The header fields, names in lower case.
    pub headers: Fields,
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BhttpError {
    /// Not what RFC 9292 or RFC 9110 allows at this place.
    #[error("binary HTTP: malformed {0}")]
    Malformed(&'static str),
    /// A part is larger than its limit.
    #[error("binary HTTP: {0} over the limit")]
    TooLarge(&'static str),
    /// The input ended inside a part that cannot be left out.
    #[error("binary HTTP: the message ends early")]
    Truncated,
}

/// The most that a decoder accepts. The defaults suit both directions of the inference API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in method, scheme, authority or path, each.
    pub control: usize,
    /// Bytes in one field section, names and values and their lengths.
    pub fields: usize,
    /// Fields in one section.
    pub field_count: usize,
    /// Informational responses before the final one.
    pub informational: usize,
    /// Content bytes in the whole message.
    pub content: u64,
    /// Zero bytes after the message.
    pub padding: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            // RFC 9112 recommends that request lines of 8000 bytes work.
            control: 8 * 1024,
            // A receipt travels in a trailer, base64: a few kilobytes.
            fields: 64 * 1024,
            // Ours send fewer than ten, an application a few dozen.
            field_count: 100,
            // 100 and 103 in practice.
            informational: 8,
            // A prompt of a million tokens fits; a response of this size would take a day.
            content: 256 * 1024 * 1024,
            // Our buckets need less than 4 KiB; others may pad more.
            padding: 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod interop_tests;
