//! The one-use key that an answer is sealed to: HPKE (RFC 9180) base mode with X-Wing,
//! HKDF-SHA256 and AES-256-GCM.

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use strongroom_attestation::crypto;
use zeroize::Zeroizing;

use super::error::ReleaseError;

/// HPKE's `info` for release and renewal answers.
const INFO: &[u8] = b"strongroom/release/v1";

/// An instance's key pair for one answer; generated for one request and dropped after it, so
/// that recorded traffic stays closed whatever is stolen later. Not printable, not cloneable.
pub struct ReplyKeyPair {
    private: <XWing as Kem>::PrivateKey,
    public: Vec<u8>,
}

/// An answer that only the requesting instance can open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedReply {
    /// The encapsulated key.
    pub enc: Vec<u8>,
    /// The ciphertext with its tag.
    pub sealed: Vec<u8>,
}

impl ReplyKeyPair {
    /// A new key pair from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let (private, public) = XWing::gen_keypair();
        Self { private, public: public.to_bytes().to_vec() }
    }

    /// The public key, for the release body.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Opens the answer to the request with this body.
    ///
    /// # Errors
    /// [`ReleaseError::Authentication`], the same for every way in which opening can fail.
    pub fn open(&self, reply: &SealedReply, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, ReleaseError> {
        let failed = |_| ReleaseError::Authentication("the sealed answer's encryption");
        let enc = <XWing as Kem>::EncappedKey::from_bytes(&reply.enc).map_err(failed)?;
        hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.private,
            &enc,
            INFO,
            &reply.sealed,
            &crypto::sha256(body),
        )
        .map(Zeroizing::new)
        .map_err(failed)
    }
}

/// Whether these bytes are a public key that an answer can be sealed to.
pub(crate) fn is_public_key(bytes: &[u8]) -> bool {
    <XWing as Kem>::PublicKey::from_bytes(bytes).is_ok()
}

/// The broker's side: seals `plaintext` to the reply key of the request with this body.
///
/// # Errors
/// [`ReleaseError::Misuse`] where `reply_key` is no X-Wing public key.
pub fn seal_reply(reply_key: &[u8], body: &[u8], plaintext: &[u8]) -> Result<SealedReply, ReleaseError> {
    let unusable = |_| ReleaseError::Misuse("the reply key is not an X-Wing public key");
    let key = <XWing as Kem>::PublicKey::from_bytes(reply_key).map_err(unusable)?;
    let (enc, sealed) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, XWing>(
        &OpModeS::Base,
        &key,
        INFO,
        plaintext,
        &crypto::sha256(body),
    )
    .map_err(unusable)?;
    Ok(SealedReply { enc: enc.to_bytes().to_vec(), sealed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_opens_for_its_key_and_body_only() {
        let pair = ReplyKeyPair::generate();
        assert_eq!(pair.public().len(), crate::release::REPLY_KEY_BYTES);
        let reply = seal_reply(pair.public(), b"body", b"secret").unwrap();
        assert_eq!(*pair.open(&reply, b"body").unwrap(), b"secret");

        let refused = ReleaseError::Authentication("the sealed answer's encryption");
        assert_eq!(pair.open(&reply, b"another body"), Err(refused.clone()));
        let other = ReplyKeyPair::generate();
        assert_eq!(other.open(&reply, b"body"), Err(refused.clone()));
        for part in 0..2 {
            let mut changed = reply.clone();
            let bytes = if part == 0 { &mut changed.enc } else { &mut changed.sealed };
            bytes[3] ^= 1;
            assert_eq!(pair.open(&changed, b"body"), Err(refused.clone()));
        }
        let short = SealedReply { enc: vec![0; 3], ..reply };
        assert_eq!(pair.open(&short, b"body"), Err(refused));
    }

    #[test]
    fn nothing_is_sealed_to_a_key_of_the_wrong_length() {
        assert!(seal_reply(&[0; 32], b"body", b"secret").is_err());
    }
}
