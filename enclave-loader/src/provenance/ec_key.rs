//! Elliptic-curve keys that sign models: P-256 to sign, P-256 and P-384 to verify.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use strongroom_attestation::HexBytes;
use strongroom_attestation::crypto::{self, BadSignature};
use zeroize::Zeroizing;

use super::{ProvenanceError, pem};

/// What stands before the uncompressed point in a SubjectPublicKeyInfo (RFC 5480 2): DER has one form.
const SPKI_P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE,
    0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const SPKI_P384: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00,
    0x22, 0x03, 0x62, 0x00,
];
const SPKI_P521: &[u8] = &[
    0x30, 0x81, 0x9B, 0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x05, 0x2B, 0x81, 0x04,
    0x00, 0x23, 0x03, 0x81, 0x86, 0x00,
];

/// The public key of whoever signs models, on P-256 or P-384.
#[derive(Clone, PartialEq, Eq)]
pub struct EcPublicKey {
    spki: Vec<u8>,
    curve: Curve,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

impl EcPublicKey {
    /// Reads PEM text with one `PUBLIC KEY` (RFC 7468 13).
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, `Unsupported` for P-521, and `Key` for what is no key on P-256 or
    /// P-384 with its point uncompressed.
    pub fn from_pem(text: &str) -> Result<Self, ProvenanceError> {
        Self::from_spki(&pem::only(text, pem::PUBLIC_KEY, "a file with one PUBLIC KEY is needed")?)
    }

    /// Reads a DER SubjectPublicKeyInfo (RFC 5480 2).
    ///
    /// # Errors
    /// As [`EcPublicKey::from_pem`].
    pub fn from_spki(der: &[u8]) -> Result<Self, ProvenanceError> {
        let is = |prefix: &[u8], point: usize| {
            der.strip_prefix(prefix).is_some_and(|rest| rest.len() == point && rest.first() == Some(&4))
        };
        let curve = if is(SPKI_P256, 65) {
            Curve::P256
        } else if is(SPKI_P384, 97) {
            Curve::P384
        } else if der.starts_with(SPKI_P521) {
            return Err(ProvenanceError::Unsupported { what: "a key on P-521".to_owned() });
        } else {
            return Err(ProvenanceError::Key("a public key on P-256 or P-384, its point uncompressed, is needed"));
        };
        Ok(Self { spki: der.to_vec(), curve })
    }

    /// The key as PEM text, as other tools write it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::text(pem::PUBLIC_KEY, &self.spki).to_string()
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo: how people and policies name it.
    #[must_use]
    pub fn fingerprint(&self) -> HexBytes<32> {
        HexBytes(crypto::sha256(&self.spki))
    }

    /// How a bundle names the key: SHA-256 of its PEM text, in hexadecimal (a convention of the
    /// model-signing package).
    pub(super) fn hint(&self) -> String {
        hex::encode(crypto::sha256(self.to_pem().as_bytes()))
    }

    /// Verifies ECDSA with the hash that goes with the curve (SHA-256, SHA-384); the signature is
    /// DER (RFC 3279 2.2.3).
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), ProvenanceError> {
        let verified = match self.curve {
            Curve::P256 => self
                .spki
                .strip_prefix(SPKI_P256)
                .ok_or(BadSignature)
                .and_then(|point| crypto::verify_ecdsa_p256_sha256_asn1(point, message, signature)),
            Curve::P384 => self
                .spki
                .strip_prefix(SPKI_P384)
                .ok_or(BadSignature)
                .and_then(|point| crypto::verify_ecdsa_p384_sha384_asn1(point, message, signature)),
        };
        verified.map_err(|_| ProvenanceError::Signature)
    }
}

impl fmt::Debug for EcPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcPublicKey(sha256:{})", self.fingerprint())
    }
}

/// A private key on P-256 that signs models and provenance. It is wiped by its library on drop, and
/// never printed.
pub struct EcSigningKey {
    pair: EcdsaKeyPair,
    public: EcPublicKey,
}

impl EcSigningKey {
    /// Draws a new key.
    ///
    /// # Errors
    /// `Crypto` where the system gives no random bytes.
    pub fn generate() -> Result<Self, ProvenanceError> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(|_| ProvenanceError::Crypto { what: "making a signing key" })
            .and_then(Self::of)
    }

    /// Reads PEM text with one unencrypted PKCS #8 `PRIVATE KEY` (RFC 5958).
    ///
    /// # Errors
    /// `Malformed`, and `Key` for what is no such key on P-256.
    pub fn from_pem(text: &str) -> Result<Self, ProvenanceError> {
        let needed = "an unencrypted PKCS #8 PRIVATE KEY on P-256 is needed; \
                      `openssl pkcs8 -topk8 -nocrypt` writes one";
        let der = pem::only(text, pem::PRIVATE_KEY, needed)?;
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der)
            .map_err(|_| ProvenanceError::Key(needed))
            .and_then(Self::of)
    }

    /// The key as PKCS #8 PEM text, for a file that only its owner can read.
    ///
    /// # Errors
    /// `Crypto` where the library cannot write it, which does not happen.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, ProvenanceError> {
        let der = self.pair.to_pkcs8v1().map_err(|_| ProvenanceError::Crypto { what: "writing a signing key" })?;
        Ok(pem::text(pem::PRIVATE_KEY, der.as_ref()))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &EcPublicKey {
        &self.public
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ProvenanceError> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        signature.map(|bytes| bytes.as_ref().to_vec()).map_err(|_| ProvenanceError::Crypto { what: "signing" })
    }

    fn of(pair: EcdsaKeyPair) -> Result<Self, ProvenanceError> {
        let spki: PublicKeyX509Der<'_> =
            pair.public_key().as_der().map_err(|_| ProvenanceError::Crypto { what: "writing a public key" })?;
        let public = EcPublicKey::from_spki(spki.as_ref())?;
        Ok(Self { pair, public })
    }
}

impl fmt::Debug for EcSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcSigningKey(of {:?})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_their_text_and_verify_only_their_own() {
        let key = EcSigningKey::generate().expect("a key");
        let again = EcSigningKey::from_pem(&key.to_pem().expect("text")).expect("the key");
        assert_eq!(again.public(), key.public());
        let public = EcPublicKey::from_pem(&key.public().to_pem()).expect("the public key");
        let signature = again.sign(b"message").expect("signs");
        assert_eq!(public.verify(b"message", &signature), Ok(()));
        assert_eq!(public.verify(b"massage", &signature), Err(ProvenanceError::Signature));
        let other = EcSigningKey::generate().expect("a key");
        assert_eq!(other.public().verify(b"message", &signature), Err(ProvenanceError::Signature));
        assert_ne!(other.public().fingerprint(), public.fingerprint());
    }

    #[test]
    fn what_is_no_key_of_these_curves_is_refused_by_name() {
        let mut p521 = SPKI_P521.to_vec();
        p521.extend([4; 133]);
        assert_eq!(EcPublicKey::from_spki(&p521).map_err(|e| e.code()), Err("PROVENANCE_UNSUPPORTED"));
        let good = EcSigningKey::generate().expect("a key").public().spki.clone();
        let mut compressed = good.clone();
        compressed[SPKI_P256.len()] = 2;
        let mut long = good.clone();
        long.push(0);
        for wrong in [&compressed[..], &long, &good[1..], &good[..90], b""] {
            assert_eq!(EcPublicKey::from_spki(wrong).map_err(|e| e.code()), Err("PROVENANCE_KEY"));
        }
        assert_eq!(
            EcSigningKey::from_pem(&pem::text("EC PRIVATE KEY", b"")).map_err(|e| e.code()).err(),
            Some("PROVENANCE_KEY")
        );
        assert_eq!(
            EcSigningKey::from_pem(&pem::text("PRIVATE KEY", b"0")).map_err(|e| e.code()).err(),
            Some("PROVENANCE_KEY")
        );
    }
}
