//! aws-lc-rs, or ring: two libraries with one interface.

#[cfg(feature = "aws-lc")]
use aws_lc_rs::{digest, signature};
#[cfg(not(feature = "aws-lc"))]
use ring::{digest, signature};

use signature::{RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};

use crate::crypto::BadSignature;
use crate::crypto::keys::RsaPublicKey;

pub(super) fn sha1(bytes: &[u8]) -> [u8; 20] {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let mut result = [0; 20];
    for (place, byte) in result.iter_mut().zip(digest.as_ref()) {
        *place = *byte;
    }
    result
}

pub(super) fn ecdsa_p384_sha384(point: &[u8; 97], message: &[u8], signature: &[u8; 96]) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

pub(super) fn ecdsa_p256_sha256(point: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}

pub(super) fn rsa_pss_sha384(key: &RsaPublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    rsa(&signature::RSA_PSS_2048_8192_SHA384, key, message, signature)
}

pub(super) fn rsa_pkcs1_sha256(key: &RsaPublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    rsa(&signature::RSA_PKCS1_2048_8192_SHA256, key, message, signature)
}

pub(super) fn rsa_pkcs1_sha384(key: &RsaPublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    rsa(&signature::RSA_PKCS1_2048_8192_SHA384, key, message, signature)
}

pub(super) fn rsa_pkcs1_sha512(key: &RsaPublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    rsa(&signature::RSA_PKCS1_2048_8192_SHA512, key, message, signature)
}

fn rsa(
    scheme: &'static RsaParameters,
    key: &RsaPublicKey<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    RsaPublicKeyComponents { n: key.modulus, e: key.exponent }
        .verify(scheme, message, signature)
        .map_err(|_| BadSignature)
}
