//! The one place where a cryptographic provider is named: digests, and the vendors' signatures.
//!
//! `aws-lc-rs` by default; `ring` where only the feature `ring` is on. Both give the same answers,
//! and the same tests run with each. Keys and signatures come in the encodings of the standards,
//! so that a pure Rust provider can be put here for the browser.

#[cfg(feature = "aws-lc")]
use aws_lc_rs::signature;
#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
use ring::signature;

use sha2::{Digest, Sha256, Sha384, Sha512};
use thiserror::Error;

#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
compile_error!("choose a provider of signatures: feature `aws-lc` or feature `ring`");

/// The signature does not verify, or the key is not one. Which of the two is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// SHA-256 of `bytes` (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-384 of `bytes` (FIPS 180-4).
pub fn sha384(bytes: &[u8]) -> [u8; 48] {
    Sha384::digest(bytes).into()
}

/// SHA-512 of `bytes` (FIPS 180-4).
pub fn sha512(bytes: &[u8]) -> [u8; 64] {
    Sha512::digest(bytes).into()
}

/// SHA-384 of bytes that come in pieces.
#[derive(Clone, Default)]
pub struct Sha384Pieces(Sha384);

impl Sha384Pieces {
    /// Goes on with `piece`.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> [u8; 48] {
        self.0.finalize().into()
    }
}

/// Verifies ECDSA on P-384 with SHA-384 (FIPS 186-5).
///
/// `point` is the uncompressed public point (97 bytes, SEC 1), `signature` is r and s as 48
/// big-endian bytes each. Values of r or s that are zero or not below the group order are refused.
pub fn verify_ecdsa_p384_sha384(point: &[u8], message: &[u8], signature: &[u8; 96]) -> Result<(), BadSignature> {
    signature::UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

/// Verifies RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes (RFC 8017 8.1.2).
///
/// `public_key` is a DER `RSAPublicKey` of 2048 to 8192 bits.
pub fn verify_rsa_pss_sha384(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    signature::UnparsedPublicKey::new(&signature::RSA_PSS_2048_8192_SHA384, public_key)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

/// Verifies ECDSA on P-256 with SHA-256 (FIPS 186-5), r and s as 32 big-endian bytes each.
pub fn verify_ecdsa_p256_sha256(point: &[u8], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

/// Verifies ECDSA on P-256 with SHA-256, the signature as X.509 carries it: a DER sequence of r and s.
pub fn verify_ecdsa_p256_sha256_asn1(point: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

/// Verifies RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 8.2.2).
pub fn verify_rsa_pkcs1_sha256(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public_key)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

/// Verifies RSASSA-PKCS1-v1_5 with SHA-384 (RFC 8017 8.2.2).
pub fn verify_rsa_pkcs1_sha384(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA384, public_key)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_the_empty_string() {
        assert!(hex::encode(sha256(b"")).starts_with("e3b0c44298fc1c14"));
        assert!(hex::encode(sha384(b"")).starts_with("38b060a751ac9638"));
        assert!(hex::encode(sha512(b"")).starts_with("cf83e1357eefb8bd"));
    }

    #[test]
    fn nonsense_keys_are_refused() {
        assert_eq!(verify_ecdsa_p384_sha384(&[4; 97], b"m", &[1; 96]), Err(BadSignature));
        assert_eq!(verify_rsa_pss_sha384(&[0x30, 0], b"m", &[1; 512]), Err(BadSignature));
    }
}
