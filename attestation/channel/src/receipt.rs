//! Receipts (protocol.md 1.3, A15): who answered which request with what, signed by the
//! instance key and checkable later against the epoch statement.
//!
//! Request and response appear as salted hashes only: a receipt can be shown to an auditor
//! without giving away, or letting anyone guess, what was said.

use sha2::{Digest as _, Sha256};

use crate::cbor::{self, CborError, Value};
use crate::cose::{CoseError, SigningKey, VerifyingKey, media};

/// The only version.
const VERSION: u64 = 1;
/// Most plugins in one receipt, as in a statement.
const MAX_PLUGINS: usize = 64;
/// Longest model name.
const MAX_NAME: usize = 128;

/// What one answer was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The inner header `strongroom-request-id`.
    pub request_id: [u8; 16],
    /// Random; goes before the bytes in both hashes.
    pub salt: [u8; 16],
    /// [`salted_hash`] of the request's body.
    pub request_hash: [u8; 32],
    /// [`salted_hash`] of the bytes delivered to the application, without filler (A15).
    pub response_hash: [u8; 32],
    /// Hash of the epoch statement.
    pub statement_hash: [u8; 32],
    /// Id of the model (A6).
    pub model_id: [u8; 32],
    /// Its name.
    pub model_name: String,
    /// Digests of the plugins that saw the request, in the order that they ran.
    pub plugins: Vec<[u8; 32]>,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Unix seconds by the instance's clock.
    pub time: u64,
    /// How the answer ended.
    pub finish: Finish,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it, or a stop text: "stop".
    Stop,
    /// The token limit: "length".
    Length,
    /// The client went away: "cancelled".
    Cancelled,
    /// A plugin refused: "refused".
    Refused,
    /// The instance could not go on: "error".
    Error,
}

/// Why a receipt is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The signature or its envelope.
    #[error("receipt: {0}")]
    Cose(#[from] CoseError),
    /// The payload is not the deterministic CBOR of a receipt's fields.
    #[error("receipt: {0}")]
    Cbor(#[from] CborError),
    /// A field has a value that no receipt has.
    #[error("receipt field {field}: wanted {wanted}")]
    Value {
        /// The field's key.
        field: u64,
        /// What was wanted.
        wanted: &'static str,
    },
}

impl Finish {
    /// The name in the receipt.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Cancelled => "cancelled",
            Finish::Refused => "refused",
            Finish::Error => "error",
        }
    }

    fn parse(text: &str) -> Option<Finish> {
        [Finish::Stop, Finish::Length, Finish::Cancelled, Finish::Refused, Finish::Error]
            .into_iter()
            .find(|finish| finish.as_str() == text)
    }
}

impl Receipt {
    /// The COSE_Sign1 message.
    #[must_use]
    pub fn sign(&self, instance_key: &SigningKey) -> Vec<u8> {
        instance_key.sign1(media::RECEIPT, &self.encode())
    }

    /// Checks the signature with the instance key (field 10 of the statement) and reads the
    /// receipt. That the statement is the one named is for the caller to compare.
    pub fn verify(message: &[u8], instance_key: &VerifyingKey) -> Result<Receipt, ReceiptError> {
        Receipt::decode(&instance_key.verify1(media::RECEIPT, message)?)
    }

    /// Whether the receipt is for these bytes.
    #[must_use]
    pub fn covers(&self, request: &[u8], response: &[u8]) -> bool {
        self.request_hash == salted_hash(&self.salt, request) && self.response_hash == salted_hash(&self.salt, response)
    }

    fn encode(&self) -> Vec<u8> {
        Value::map([
            (1, Value::Uint(VERSION)),
            (2, Value::Bytes(&self.request_id)),
            (3, Value::Bytes(&self.salt)),
            (4, Value::Bytes(&self.request_hash)),
            (5, Value::Bytes(&self.response_hash)),
            (6, Value::Bytes(&self.statement_hash)),
            (7, Value::Bytes(&self.model_id)),
            (8, Value::Text(&self.model_name)),
            (9, Value::byte_strings(&self.plugins)),
            (10, Value::Uint(self.prompt_tokens)),
            (11, Value::Uint(self.completion_tokens)),
            (12, Value::Uint(self.time)),
            (13, Value::Text(self.finish.as_str())),
        ])
        .encode()
    }

    fn decode(payload: &[u8]) -> Result<Receipt, ReceiptError> {
        let mut fields = cbor::decode(payload)?.fields()?;
        if fields.require(1)?.uint()? != VERSION {
            return Err(ReceiptError::Value { field: 1, wanted: "version 1" });
        }
        let receipt = Receipt {
            request_id: fields.require(2)?.fixed()?,
            salt: fields.require(3)?.fixed()?,
            request_hash: fields.require(4)?.fixed()?,
            response_hash: fields.require(5)?.fixed()?,
            statement_hash: fields.require(6)?.fixed()?,
            model_id: fields.require(7)?.fixed()?,
            model_name: fields.require(8)?.text()?.to_owned(),
            plugins: fields.require(9)?.items()?.into_iter().map(Value::fixed).collect::<Result<_, _>>()?,
            prompt_tokens: fields.require(10)?.uint()?,
            completion_tokens: fields.require(11)?.uint()?,
            time: fields.require(12)?.uint()?,
            finish: Finish::parse(fields.require(13)?.text()?)
                .ok_or(ReceiptError::Value { field: 13, wanted: "stop, length, cancelled, refused or error" })?,
        };
        fields.finish()?;
        let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if !(1..=MAX_NAME).contains(&receipt.model_name.len()) || !receipt.model_name.bytes().all(printable) {
            return Err(ReceiptError::Value { field: 8, wanted: "a name of 1 to 128 printable ASCII characters" });
        }
        if receipt.plugins.len() > MAX_PLUGINS {
            return Err(ReceiptError::Value { field: 9, wanted: "at most 64 plugins" });
        }
        Ok(receipt)
    }
}

/// `SHA-256(salt ‖ bytes)`.
#[must_use]
pub fn salted_hash(salt: &[u8; 16], bytes: &[u8]) -> [u8; 32] {
    let mut hasher = SaltedHasher::new(salt);
    hasher.update(bytes);
    hasher.finish()
}

/// [`salted_hash`] over bytes that come in pieces.
pub struct SaltedHasher(Sha256);

impl SaltedHasher {
    /// Begins with the salt.
    #[must_use]
    pub fn new(salt: &[u8; 16]) -> SaltedHasher {
        SaltedHasher(Sha256::new_with_prefix(salt))
    }

    /// The next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all pieces.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        Receipt {
            request_id: [1; 16],
            salt: [2; 16],
            request_hash: salted_hash(&[2; 16], b"question"),
            response_hash: salted_hash(&[2; 16], b"answer"),
            statement_hash: [3; 32],
            model_id: [4; 32],
            model_name: "qwen".to_owned(),
            plugins: vec![[5; 32]],
            prompt_tokens: 6,
            completion_tokens: 7,
            time: 1_700_000_000,
            finish: Finish::Stop,
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_seed([9; 32])
    }

    #[test]
    fn a_receipt_comes_back_and_covers_its_bytes() {
        let message = receipt().sign(&key());
        let read = Receipt::verify(&message, &key().verifying_key()).unwrap();
        assert_eq!(read, receipt());
        assert!(read.covers(b"question", b"answer"));
        assert!(!read.covers(b"question", b"answe"));
        assert!(!read.covers(b"questio", b"answer"));
    }

    #[test]
    fn every_way_to_finish_comes_back() {
        for finish in [Finish::Stop, Finish::Length, Finish::Cancelled, Finish::Refused, Finish::Error] {
            let one = Receipt { finish, ..receipt() };
            assert_eq!(Receipt::verify(&one.sign(&key()), &key().verifying_key()), Ok(one));
        }
    }

    #[test]
    fn the_salt_keeps_equal_requests_apart() {
        assert_ne!(salted_hash(&[1; 16], b"x"), salted_hash(&[2; 16], b"x"));
        let mut hasher = SaltedHasher::new(&[1; 16]);
        hasher.update(b"a");
        hasher.update(b"b");
        assert_eq!(hasher.finish(), salted_hash(&[1; 16], b"ab"));
    }

    #[test]
    fn another_instances_key_is_refused() {
        let message = receipt().sign(&SigningKey::from_seed([8; 32]));
        assert_eq!(Receipt::verify(&message, &key().verifying_key()), Err(CoseError::Signature.into()));
    }

    #[test]
    fn a_signed_message_of_another_kind_is_refused() {
        let message = key().sign1(media::LEASE, &receipt().encode());
        assert_eq!(Receipt::verify(&message, &key().verifying_key()), Err(CoseError::Signature.into()));
    }

    #[test]
    fn a_hostile_name_and_unknown_fields_are_refused() {
        let hostile = Receipt { model_name: "a\u{1b}[2J".to_owned(), ..receipt() };
        assert!(matches!(
            Receipt::verify(&hostile.sign(&key()), &key().verifying_key()),
            Err(ReceiptError::Value { field: 8, .. })
        ));
        let payload = receipt().encode();
        let Value::Map(mut entries) = cbor::decode(&payload).unwrap() else { unreachable!() };
        entries.push((Value::Uint(14), Value::Null));
        let message = key().sign1(media::RECEIPT, &Value::Map(entries).encode());
        assert_eq!(Receipt::verify(&message, &key().verifying_key()), Err(CborError::UnknownField { key: 14 }.into()));
    }
}
