//! One way in and one way out for every CBOR message of the release protocol.

use strongroom_channel::cbor::{self, CborError, Value};

/// Bytes that are not a message of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {message}: {defect}")]
pub struct Malformed {
    /// Which message, as the specification names it.
    pub message: &'static str,
    /// What is wrong with it.
    pub defect: Defect,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// More bytes than this message may have.
    #[error("{found} bytes, at most {limit} are allowed")]
    TooLong {
        /// How many came.
        found: usize,
        /// How many may come.
        limit: usize,
    },
    /// Not the deterministic CBOR of the known fields.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Well-formed, but against a rule of the specification.
    #[error("{0}")]
    Rule(&'static str),
}

/// A message with exactly one encoding.
pub(super) trait Message: Sized {
    /// The message's name in errors.
    const NAME: &'static str;
    /// The most bytes that are looked at.
    const LIMIT: usize;

    fn value(&self) -> Value<'_>;
    fn read(value: Value<'_>) -> Result<Self, Defect>;

    fn encode(&self) -> Vec<u8> {
        self.value().encode()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let read = || {
            if bytes.len() > Self::LIMIT {
                return Err(Defect::TooLong { found: bytes.len(), limit: Self::LIMIT });
            }
            Self::read(cbor::decode(bytes)?)
        };
        read().map_err(|defect| Malformed { message: Self::NAME, defect })
    }
}

/// The items of an array with at most `limit` of them, so that a message cannot make us keep more.
pub(super) fn at_most<'a>(value: Value<'a>, limit: usize) -> Result<Vec<Value<'a>>, Defect> {
    let items = value.items()?;
    if items.len() > limit {
        return Err(Defect::Rule("a list is longer than the limit"));
    }
    Ok(items)
}

/// An array of at most `limit` byte strings.
pub(super) fn byte_strings(value: Value<'_>, limit: usize) -> Result<Vec<Vec<u8>>, Defect> {
    at_most(value, limit)?.into_iter().map(|item| Ok(item.bytes()?.to_vec())).collect()
}
