//! The one place where a cryptographic provider is named: digests, and the vendors' signatures.
//!
//! `aws-lc-rs` by default; `ring` where aws-lc does not build; pure Rust for the browser. Cargo adds
//! features up, so with several on the first of these three is used. All of them give the same
//! answers: what a key and a signature may look like is decided here, once, before any provider is
//! asked, and the same cases (`tests/vectors/signatures`) run with each.

#[cfg(any(feature = "aws-lc", feature = "ring"))]
mod aws_lc_or_ring;
mod keys;
#[cfg(all(feature = "pure-rust", not(any(feature = "aws-lc", feature = "ring"))))]
mod pure_rust;
#[cfg(test)]
mod tests;

#[cfg(any(feature = "aws-lc", feature = "ring"))]
use aws_lc_or_ring as provider;
#[cfg(all(feature = "pure-rust", not(any(feature = "aws-lc", feature = "ring"))))]
use pure_rust as provider;

use sha2::{Digest, Sha256, Sha384, Sha512};
use thiserror::Error;

use keys::RsaPublicKey;

#[cfg(not(any(feature = "aws-lc", feature = "ring", feature = "pure-rust")))]
compile_error!("choose a provider of signatures: feature `aws-lc`, `ring` or `pure-rust`");

/// The signature does not verify, or the key is not one. Which of the two is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// SHA-1 of `bytes` (FIPS 180-4), with which RFC 6960 names keys and issuers. It is broken as a promise
/// that bytes are the same: what it names must be signed as well.
pub(crate) fn sha1(bytes: &[u8]) -> [u8; 20] {
    provider::sha1(bytes)
}

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
/// Both s and its negative are accepted: ECDSA signatures are malleable, and no standard that the
/// vendors follow asks for the lower one.
pub fn verify_ecdsa_p384_sha384(point: &[u8], message: &[u8], signature: &[u8; 96]) -> Result<(), BadSignature> {
    provider::ecdsa_p384_sha384(keys::uncompressed::<97>(point)?, message, signature)
}

/// Verifies ECDSA on P-256 with SHA-256 (FIPS 186-5).
///
/// `point` is the uncompressed public point (65 bytes, SEC 1), `signature` is r and s as 32
/// big-endian bytes each; the rules are those of [`verify_ecdsa_p384_sha384`].
pub fn verify_ecdsa_p256_sha256(point: &[u8], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    provider::ecdsa_p256_sha256(keys::uncompressed::<65>(point)?, message, signature)
}

/// Verifies ECDSA on P-256 with SHA-256, as certificates and revocation lists carry it: `signature`
/// is a DER `Ecdsa-Sig-Value` (RFC 3279 2.2.3). Anything but DER's one form is refused.
///
/// `point` is the uncompressed public point (65 bytes, SEC 1).
pub fn verify_ecdsa_p256_sha256_asn1(point: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    verify_ecdsa_p256_sha256(point, message, &keys::fixed_from_asn1::<32, 64>(signature)?)
}

/// Verifies ECDSA on P-384 with SHA-384 as certificates carry it; the rules are those of
/// [`verify_ecdsa_p256_sha256_asn1`].
///
/// `point` is the uncompressed public point (97 bytes, SEC 1).
pub fn verify_ecdsa_p384_sha384_asn1(point: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    verify_ecdsa_p384_sha384(point, message, &keys::fixed_from_asn1::<48, 96>(signature)?)
}

/// Verifies RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes (RFC 8017 8.1.2).
///
/// `public_key` is a DER `RSAPublicKey` (RFC 8017 A.1.1). Its modulus is odd, has 2048 to 8192 bits
/// and fills whole bytes; its exponent is odd, from 3 to 2^33 - 1. `signature` is exactly as long as
/// the modulus, and as a number below it.
pub fn verify_rsa_pss_sha384(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    provider::rsa_pss_sha384(&RsaPublicKey::for_signature(public_key, signature)?, message, signature)
}

/// Verifies RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 8.2.2); keys as for [`verify_rsa_pss_sha384`].
pub fn verify_rsa_pkcs1_sha256(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    provider::rsa_pkcs1_sha256(&RsaPublicKey::for_signature(public_key, signature)?, message, signature)
}

/// Verifies RSASSA-PKCS1-v1_5 with SHA-384 (RFC 8017 8.2.2); keys as for [`verify_rsa_pss_sha384`].
pub fn verify_rsa_pkcs1_sha384(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    provider::rsa_pkcs1_sha384(&RsaPublicKey::for_signature(public_key, signature)?, message, signature)
}

/// Verifies RSASSA-PKCS1-v1_5 with SHA-512 (RFC 8017 8.2.2); keys as for [`verify_rsa_pss_sha384`].
pub fn verify_rsa_pkcs1_sha512(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    provider::rsa_pkcs1_sha512(&RsaPublicKey::for_signature(public_key, signature)?, message, signature)
}
