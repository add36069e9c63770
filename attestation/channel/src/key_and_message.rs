//! The envelope of a file that names its own signer: `{1: key of 32 bytes, 2: signed message}`. No
//! signature covers this map, and anybody may have written it, so it has one form only and nothing
//! is allocated to read it.

use sha2::{Digest as _, Sha256};

use crate::cbor::{self, CborError, Value};
use crate::cose::SigningKey;

/// The two parts of an envelope, unverified.
pub(crate) struct KeyAndMessage<'a> {
    pub(crate) key: [u8; 32],
    pub(crate) message: &'a [u8],
}

/// Why bytes are no envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EnvelopeError {
    /// A part is not of its form.
    Cbor(CborError),
    /// Another field stands where this one should.
    Field { field: u64, wanted: &'static str },
}

/// The envelope of `payload`, signed by `key` as `media_type`.
pub(crate) fn sign(key: &SigningKey, media_type: &str, payload: &[u8]) -> Vec<u8> {
    let message = key.sign1(media_type, payload);
    Value::map([(1, Value::Bytes(&key.verifying_key().to_bytes())), (2, Value::Bytes(&message))]).encode()
}

impl<'a> KeyAndMessage<'a> {
    /// Reads exactly one envelope.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<KeyAndMessage<'a>, EnvelopeError> {
        let wrong = |field, wanted| EnvelopeError::Field { field, wanted };
        // A map of two, key 1.
        let rest = bytes.strip_prefix(&[0xa2, 0x01]).ok_or(wrong(1, "a key and a signed message, and nothing else"))?;
        let (key, rest) = cbor::split_byte_string(rest)?;
        let key = key.try_into().map_err(|_| wrong(1, "a key of 32 bytes"))?;
        // Key 2.
        let rest = rest.strip_prefix(&[0x02]).ok_or(wrong(2, "a signed message after the key"))?;
        let [message] = cbor::byte_strings_in_a_row(rest)?;
        Ok(KeyAndMessage { key, message })
    }

    /// SHA-256 of the key, by which it is pinned.
    pub(crate) fn thumbprint(&self) -> [u8; 32] {
        Sha256::digest(self.key).into()
    }
}

impl From<CborError> for EnvelopeError {
    fn from(error: CborError) -> EnvelopeError {
        EnvelopeError::Cbor(error)
    }
}
