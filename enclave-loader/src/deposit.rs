//! The recipient of a sealed model: the broker's deposit key (protocol.md A5, A6).
//!
//! HPKE base mode (RFC 9180) with X-Wing (KEM 0x647a), HKDF-SHA256 and AES-256-GCM.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::error::{LoadError, SealError};
use crate::format::core::{Hash, sha256};
use crate::format::keys::{WrappedKey, WrappedKeys};
use crate::secret::{ArtifactKey, fill_random};

/// First word of the text form of a deposit key.
const TEXT_LABEL: &str = "strongroom-deposit-v1";
const WRAP_INFO: &[u8] = b"strongroom-sealed/v1/wrap";

/// The text or bytes are not a deposit key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a deposit key: wanted one line `strongroom-deposit-v1 <base64url>`, as the broker exports it")]
pub struct DepositKeyError;

/// The public half: whom a model is sealed to. Its text form is the file BROKER.pub.
#[derive(Clone, PartialEq, Eq)]
pub struct DepositPublicKey(<XWing as Kem>::PublicKey);

impl DepositPublicKey {
    /// Reads the 1,216 bytes of an X-Wing encapsulation key.
    ///
    /// # Errors
    /// Where the length is another, or the bytes are no such key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DepositKeyError> {
        let key = <XWing as Kem>::PublicKey::from_bytes(bytes).map_err(|_| DepositKeyError)?;
        Ok(Self(key))
    }

    /// The 1,216 bytes of the key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    /// SHA-256 of the key's bytes: how people compare two deposit keys.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        sha256(&self.to_bytes())
    }

    /// Wraps the key of run `run` of an artifact.
    pub(crate) fn wrap(&self, key: &ArtifactKey, artifact_id: &[u8; 16], run: u32) -> Result<WrappedKey, SealError> {
        let (encapsulated, ciphertext) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, XWing>(
            &OpModeS::Base,
            &self.0,
            WRAP_INFO,
            key.expose_secret(),
            &wrap_aad(artifact_id, run),
        )
        .map_err(|_| SealError::Crypto { what: "wrapping the key" })?;
        Ok(WrappedKey { encapsulated: encapsulated.to_bytes().to_vec(), ciphertext })
    }
}

impl fmt::Display for DepositPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{TEXT_LABEL} {}", URL_SAFE_NO_PAD.encode(self.0.to_bytes()))
    }
}

impl FromStr for DepositPublicKey {
    type Err = DepositKeyError;

    fn from_str(text: &str) -> Result<Self, DepositKeyError> {
        let encoded =
            text.trim().strip_prefix(TEXT_LABEL).and_then(|rest| rest.strip_prefix(' ')).ok_or(DepositKeyError)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| DepositKeyError)?;
        Self::from_bytes(&bytes)
    }
}

impl fmt::Debug for DepositPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DepositPublicKey(sha256:{})", hex::encode(self.fingerprint()))
    }
}

/// Both halves, for the broker. The secret half is wiped on drop and never printed.
pub struct DepositKeyPair {
    secret: Zeroizing<[u8; 32]>,
    public: DepositPublicKey,
}

impl DepositKeyPair {
    /// Draws a new pair.
    ///
    /// # Errors
    /// `Crypto` where the system gives no random bytes.
    pub fn generate() -> Result<Self, SealError> {
        let mut secret = Zeroizing::new([0; 32]);
        fill_random(secret.as_mut_slice())?;
        Self::from_secret(secret).map_err(|_| SealError::Crypto { what: "making a deposit key" })
    }

    /// The pair of a stored secret half: the 32-byte X-Wing seed.
    ///
    /// # Errors
    /// Where the bytes are no such seed.
    pub fn from_secret(secret: Zeroizing<[u8; 32]>) -> Result<Self, DepositKeyError> {
        let key = private_key(&secret)?;
        let public = DepositPublicKey(XWing::sk_to_pk(&key));
        Ok(Self { secret, public })
    }

    /// The 32 bytes of the secret half, for the broker's store.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &DepositPublicKey {
        &self.public
    }

    /// Unwraps all keys of an artifact, in the order of its runs.
    ///
    /// What comes out has not been compared with any core yet: that is
    /// [`SignedManifest::check_keys`](crate::SignedManifest::check_keys).
    ///
    /// # Errors
    /// `WrongKey` for whatever does not open.
    pub fn unwrap_keys(&self, wrapped: &WrappedKeys) -> Result<Vec<ArtifactKey>, LoadError> {
        let secret = private_key(&self.secret).map_err(|_| LoadError::WrongKey)?;
        wrapped
            .runs
            .iter()
            .zip(0..)
            .map(|(key, run)| unwrap_key(&secret, key, &wrapped.artifact_id, run).ok_or(LoadError::WrongKey))
            .collect()
    }
}

fn private_key(secret: &[u8; 32]) -> Result<<XWing as Kem>::PrivateKey, DepositKeyError> {
    <XWing as Kem>::PrivateKey::from_bytes(secret).map_err(|_| DepositKeyError)
}

fn unwrap_key(
    secret: &<XWing as Kem>::PrivateKey,
    wrapped: &WrappedKey,
    artifact_id: &[u8; 16],
    run: u32,
) -> Option<ArtifactKey> {
    let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(&wrapped.encapsulated).ok()?;
    let opened = hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(
        &OpModeR::Base,
        secret,
        &encapsulated,
        WRAP_INFO,
        &wrapped.ciphertext,
        &wrap_aad(artifact_id, run),
    )
    .ok()
    .map(Zeroizing::new)?;
    let mut key = Zeroizing::new([0; 32]);
    if opened.len() != key.len() {
        return None;
    }
    key.copy_from_slice(&opened);
    Some(ArtifactKey::from_bytes(key))
}

fn wrap_aad(artifact_id: &[u8; 16], run: u32) -> Vec<u8> {
    [artifact_id.as_slice(), &run.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(byte: u8) -> DepositKeyPair {
        DepositKeyPair::from_secret(Zeroizing::new([byte; 32])).unwrap_or_else(|_| panic!("a pair"))
    }

    fn wrapped(to: &DepositPublicKey) -> WrappedKeys {
        let key = |byte| ArtifactKey::from_bytes(Zeroizing::new([byte; 32]));
        let wrap = |byte, run| to.wrap(&key(byte), &[9; 16], run).expect("wraps");
        WrappedKeys { artifact_id: [9; 16], runs: vec![wrap(1, 0), wrap(2, 1)] }
    }

    #[test]
    fn unwraps_what_was_wrapped_to_it() {
        let keys = pair(1).unwrap_keys(&wrapped(pair(1).public())).expect("unwraps");
        let bytes: Vec<_> = keys.iter().map(|key| *key.expose_secret()).collect();
        assert_eq!(bytes, [[1; 32], [2; 32]]);
    }

    #[test]
    fn another_recipient_artifact_run_or_byte_does_not_unwrap() {
        let good = wrapped(pair(1).public());
        let refused = |pair: &DepositKeyPair, wrapped: &WrappedKeys| {
            assert_eq!(pair.unwrap_keys(wrapped).err(), Some(LoadError::WrongKey));
        };
        refused(&pair(2), &good);
        let mut other = good.clone();
        other.artifact_id[0] ^= 1;
        refused(&pair(1), &other);
        let mut other = good.clone();
        other.runs.swap(0, 1);
        refused(&pair(1), &other);
        let mut other = good.clone();
        other.runs[0].ciphertext[0] ^= 1;
        refused(&pair(1), &other);
        let mut other = good.clone();
        other.runs[0].encapsulated.truncate(1119);
        refused(&pair(1), &other);
        let mut other = good;
        other.runs[0].encapsulated[1119] ^= 1;
        refused(&pair(1), &other);
    }

    #[test]
    fn the_text_form_comes_back_and_nothing_else_does() {
        let public = pair(1).public().clone();
        assert_eq!(format!("{public}\n").parse(), Ok(public.clone()));
        for text in ["", "strongroom-deposit-v1", "strongroom-deposit-v1 AAAA", "strongroom-deposit-v2 AAAA"] {
            assert_eq!(text.parse::<DepositPublicKey>(), Err(DepositKeyError));
        }
    }
}
