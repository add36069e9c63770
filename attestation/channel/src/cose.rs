//! COSE_Sign1 (RFC 9052 section 4.2) with Ed25519, in one form only: untagged, protected
//! header `{1: -8}`, empty unprotected header, attached payload, and the message's media
//! type as external AAD, so that one kind of message never passes for another
//! (protocol.md A1).

use std::fmt;

use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::cbor::{self, Value};

/// Largest COSE message that is read: a trust file with anchors and lists, with room.
const MAX_MESSAGE: usize = 1 << 20;

/// The protected header {1 (alg): -8 (EdDSA)}, already encoded.
const PROTECTED: [u8; 3] = [0xa1, 0x01, 0x27];

/// What every message begins with, as the form above leaves no choice: the head of an array of
/// four, the protected header in a byte string, the empty map.
const MESSAGE_START: [u8; 6] = [0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0];

/// The media types that keep our messages apart: the external AAD of each.
pub mod media {
    /// What one quote proves, signed by the instance (protocol.md A2).
    pub const PROOF: &str = "application/strongroom-proof+cose";
    /// Who answered, with what.
    pub const RECEIPT: &str = "application/strongroom-receipt+cose";
    /// An instance's heartbeat (A10).
    pub const HEARTBEAT: &str = "application/strongroom-heartbeat+cose";
    /// The broker's answer to a heartbeat (A10).
    pub const HEARTBEAT_ANSWER: &str = "application/strongroom-heartbeat-answer+cose";
    /// The broker's answer to a release (A9).
    pub const RELEASE_ANSWER: &str = "application/strongroom-release-answer+cose";
    /// A lease (A10).
    pub const LEASE: &str = "application/strongroom-lease+cose";
    /// A deployment's trust file (A3).
    pub const TRUST_FILE: &str = "application/strongroom-trust-file+cose";
    /// A deny list (docs/specs/deny-list.md).
    pub const DENY_LIST: &str = "application/strongroom-deny-list+cose";
    /// The signed core of a sealed model (A6).
    pub const SEALED_CORE: &str = "application/strongroom-sealed-core+cose";
    /// The signed head of the broker's decision log.
    pub const LOG_HEAD: &str = "application/strongroom-log-head+cose";
}

/// Why a key or a signed message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoseError {
    /// Not the one form of COSE_Sign1 described above.
    #[error(
        "not a COSE_Sign1 message of the form used here (untagged, EdDSA, empty unprotected header, attached payload)"
    )]
    Malformed,
    /// Not an Ed25519 public key, or one of the weak points that verify anything.
    #[error("not a usable Ed25519 public key")]
    Key,
    /// The signature does not hold for this key, media type and payload.
    #[error("the signature does not hold for this key and kind of message")]
    Signature,
}

/// An Ed25519 key that signs. Wiped on drop; cannot be printed or cloned.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A fresh key from the operating system's randomness.
    ///
    /// # Panics
    /// Where the system gives no randomness: nothing safe can follow.
    #[must_use]
    pub fn generate() -> SigningKey {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).expect("the operating system gives randomness for a new key");
        SigningKey(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The key of a 32-byte seed (RFC 8032 section 5.1.5). The caller wipes its copy.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> SigningKey {
        let seed = Zeroizing::new(seed);
        SigningKey(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The seed, for storing it under another key.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// The COSE_Sign1 message over `payload`, of the kind `media_type`.
    #[must_use]
    pub fn sign1(&self, media_type: &str, payload: &[u8]) -> Vec<u8> {
        let signature = self.sign_raw(&signed_bytes(media_type, payload));
        Value::array([
            Value::Bytes(&PROTECTED),
            Value::Map(Vec::new()),
            Value::Bytes(payload),
            Value::Bytes(&signature),
        ])
        .encode()
    }

    /// A bare Ed25519 signature, for formats that bring their own envelope (X.509).
    #[must_use]
    pub fn sign_raw(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// An Ed25519 key that checks signatures.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// The key of 32 bytes (RFC 8032). Weak points, for which some signature fits many
    /// messages, are refused.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<VerifyingKey, CoseError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| CoseError::Key)?;
        if key.is_weak() { Err(CoseError::Key) } else { Ok(VerifyingKey(key)) }
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The key as a COSE_Key (RFC 9053 section 7.2): `{1: 1, -1: 6, -2: x}`.
    #[must_use]
    pub fn to_cose_key(&self) -> Vec<u8> {
        Value::Map(vec![
            (Value::Uint(1), Value::Uint(1)),
            (Value::Negative(0), Value::Uint(6)),
            (Value::Negative(1), Value::Bytes(self.0.as_bytes())),
        ])
        .encode()
    }

    /// The key in a COSE_Key of exactly the form that [`VerifyingKey::to_cose_key`] writes.
    pub fn from_cose_key(bytes: &[u8]) -> Result<VerifyingKey, CoseError> {
        let parse = || -> Result<[u8; 32], cbor::CborError> {
            let mut fields = cbor::decode(bytes)?.fields()?;
            fields.take_negative(1).ok_or(cbor::CborError::Malformed)?.fixed()
        };
        let key = VerifyingKey::from_bytes(&parse().map_err(|_| CoseError::Key)?)?;
        // The other two fields, and that there is no fourth: there is only one encoding.
        if key.to_cose_key() == bytes { Ok(key) } else { Err(CoseError::Key) }
    }

    /// SHA-256 of the 32 key bytes: how the key is named elsewhere.
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// Checks a COSE_Sign1 message of the kind `media_type` and returns its payload, which the
    /// caller wipes where it holds keys.
    pub fn verify1(&self, media_type: &str, message: &[u8]) -> Result<Vec<u8>, CoseError> {
        let (payload, signature) = parts(message)?;
        self.verify_raw(&signed_bytes(media_type, payload), &signature)?;
        Ok(payload.to_vec())
    }

    /// Checks a bare Ed25519 signature, by the strict rules (no malleable form, no weak key).
    pub fn verify_raw(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), CoseError> {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).map_err(|_| CoseError::Signature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", hex::encode(self.0.as_bytes()))
    }
}

/// The payload and signature of a message whose signature has not been checked. Nothing is
/// allocated, whatever the bytes: they may be anybody's.
fn parts(message: &[u8]) -> Result<(&[u8], [u8; 64]), CoseError> {
    if message.len() > MAX_MESSAGE {
        return Err(CoseError::Malformed);
    }
    let rest = message.strip_prefix(&MESSAGE_START).ok_or(CoseError::Malformed)?;
    let [payload, signature] = cbor::byte_strings_in_a_row(rest).map_err(|_| CoseError::Malformed)?;
    let signature = signature.try_into().map_err(|_| CoseError::Malformed)?;
    Ok((payload, signature))
}

/// Sig_structure (RFC 9052 section 4.4). Wiped: a release answer's payload holds keys.
fn signed_bytes(media_type: &str, payload: &[u8]) -> Zeroizing<Vec<u8>> {
    let aad = media_type.as_bytes();
    let parts = [Value::Text("Signature1"), Value::Bytes(&PROTECTED), Value::Bytes(aad), Value::Bytes(payload)];
    Zeroizing::new(Value::array(parts).encode())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed([7; 32])
    }

    #[test]
    fn a_signed_payload_comes_back() {
        let message = key().sign1(media::RECEIPT, b"payload");
        assert_eq!(key().verifying_key().verify1(media::RECEIPT, &message), Ok(b"payload".to_vec()));
    }

    #[test]
    fn rfc_8032_test_1() {
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let key = SigningKey::from_seed(seed.try_into().unwrap());
        assert_eq!(
            hex::encode(key.verifying_key().to_bytes()),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert!(
            hex::encode(key.sign_raw(b""))
                .starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")
        );
    }

    #[test]
    fn another_kind_of_message_is_refused() {
        let message = key().sign1(media::RECEIPT, b"payload");
        assert_eq!(key().verifying_key().verify1(media::LEASE, &message), Err(CoseError::Signature));
    }

    #[test]
    fn another_key_is_refused() {
        let message = key().sign1(media::RECEIPT, b"payload");
        assert_eq!(
            SigningKey::from_seed([8; 32]).verifying_key().verify1(media::RECEIPT, &message),
            Err(CoseError::Signature)
        );
    }

    #[test]
    fn other_headers_tags_and_trailing_bytes_are_refused() {
        let signature = key().sign_raw(&signed_bytes(media::RECEIPT, b"p"));
        let with = |protected: &[u8], unprotected: Value<'_>| {
            Value::array([Value::Bytes(protected), unprotected, Value::Bytes(b"p"), Value::Bytes(&signature)]).encode()
        };
        let good = with(&PROTECTED, Value::Map(Vec::new()));
        let verify = |message: &[u8]| key().verifying_key().verify1(media::RECEIPT, message);
        assert!(verify(&good).is_ok());
        assert_eq!(verify(&with(&[0xa1, 0x01, 0x26], Value::Map(Vec::new()))), Err(CoseError::Malformed));
        assert_eq!(verify(&with(&[], Value::Map(Vec::new()))), Err(CoseError::Malformed));
        assert_eq!(verify(&with(&PROTECTED, Value::map([(4, Value::Bytes(b"kid"))]))), Err(CoseError::Malformed));
        assert_eq!(verify(&[&[0xd2], good.as_slice()].concat()), Err(CoseError::Malformed));
        assert_eq!(verify(&[good.as_slice(), &[0]].concat()), Err(CoseError::Malformed));
        assert_eq!(verify(&[]), Err(CoseError::Malformed));
    }

    #[test]
    fn a_detached_payload_is_refused() {
        let signature = key().sign_raw(&signed_bytes(media::RECEIPT, b""));
        let message =
            Value::array([Value::Bytes(&PROTECTED), Value::Map(Vec::new()), Value::Null, Value::Bytes(&signature)])
                .encode();
        assert_eq!(key().verifying_key().verify1(media::RECEIPT, &message), Err(CoseError::Malformed));
    }

    #[test]
    fn only_one_encoding_of_a_message_is_read() {
        let good = key().sign1(media::RECEIPT, b"p");
        assert!(good.starts_with(&MESSAGE_START));
        let verify = |message: &[u8]| key().verifying_key().verify1(media::RECEIPT, message);
        // The payload's length in two bytes, and a signature that lacks its last byte.
        let longer = [&MESSAGE_START, &[0x58, 0x01][..], &good[7..]].concat();
        assert_eq!(verify(&longer), Err(CoseError::Malformed));
        let mut shorter = good.clone();
        shorter.pop();
        let length = shorter.len() - 64;
        shorter[length] = 63;
        assert_eq!(verify(&shorter), Err(CoseError::Malformed));
        // Valid CBOR that a general reader would build a tree of.
        let nested = [&[0x84, 0x43, 0xa1, 0x01, 0x27, 0xa0][..], &[0x81; 12], &[0x00], &good[8..]].concat();
        assert_eq!(verify(&nested), Err(CoseError::Malformed));
    }

    #[test]
    fn weak_keys_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(VerifyingKey::from_bytes(&identity), Err(CoseError::Key));
        assert_eq!(VerifyingKey::from_bytes(&[0; 32]), Err(CoseError::Key));
    }

    #[test]
    fn a_cose_key_comes_back_and_has_one_form() {
        let encoded = key().verifying_key().to_cose_key();
        assert_eq!(hex::encode(&encoded[..7]), "a3010120062158");
        assert_eq!(VerifyingKey::from_cose_key(&encoded), Ok(key().verifying_key()));
        let mut private_part_too = encoded.clone();
        private_part_too[0] = 0xa4;
        private_part_too.extend_from_slice(&[0x23, 0x41, 0x00]);
        assert_eq!(VerifyingKey::from_cose_key(&private_part_too), Err(CoseError::Key));
        let mut other_curve = encoded;
        other_curve[4] = 0x04;
        assert_eq!(VerifyingKey::from_cose_key(&other_curve), Err(CoseError::Key));
    }

    #[test]
    fn a_seed_comes_back_and_generated_keys_differ() {
        assert_eq!(*key().seed(), [7; 32]);
        assert_ne!(SigningKey::generate().verifying_key(), SigningKey::generate().verifying_key());
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_refused(payload in proptest::collection::vec(any::<u8>(), 0..40), position in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut message = key().sign1(media::PROOF, &payload);
            let at = position.index(message.len());
            message[at] ^= 1 << bit;
            prop_assert!(key().verifying_key().verify1(media::PROOF, &message).is_err());
        }
    }
}
