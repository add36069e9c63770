//! The RustCrypto crates: no C and no assembler, so that the verifier runs in a browser.
//!
//! Only public keys and signatures pass here. There is no secret whose timing could leak.

use p256::ecdsa::signature::Verifier;
use rsa::{BoxedUint, pkcs1v15, pss};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};

use crate::crypto::BadSignature;
use crate::crypto::keys::RsaPublicKey;

pub(super) fn sha1(bytes: &[u8]) -> [u8; 20] {
    Sha1::digest(bytes).into()
}

pub(super) fn ecdsa_p384_sha384(point: &[u8; 97], message: &[u8], signature: &[u8; 96]) -> Result<(), BadSignature> {
    use p384::ecdsa::{Signature, VerifyingKey};
    let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| BadSignature)?;
    let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
    key.verify(message, &signature).map_err(|_| BadSignature)
}

pub(super) fn ecdsa_p256_sha256(point: &[u8; 65], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    use p256::ecdsa::{Signature, VerifyingKey};
    let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| BadSignature)?;
    let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
    key.verify(message, &signature).map_err(|_| BadSignature)
}

pub(super) fn rsa_pss_sha384(key: &RsaPublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    // The salt is as long as the digest, and of no other length.
    let key = pss::VerifyingKey::<Sha384>::new(public_key(key)?);
    let signature = pss::Signature::try_from(signature).map_err(|_| BadSignature)?;
    key.verify(message, &signature).map_err(|_| BadSignature)
}

pub(super) fn rsa_pkcs1_sha256(key: &RsaPublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let key = pkcs1v15::VerifyingKey::<Sha256>::new(public_key(key)?);
    let signature = pkcs1v15::Signature::try_from(signature).map_err(|_| BadSignature)?;
    key.verify(message, &signature).map_err(|_| BadSignature)
}

pub(super) fn rsa_pkcs1_sha384(key: &RsaPublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let key = pkcs1v15::VerifyingKey::<Sha384>::new(public_key(key)?);
    let signature = pkcs1v15::Signature::try_from(signature).map_err(|_| BadSignature)?;
    key.verify(message, &signature).map_err(|_| BadSignature)
}

pub(super) fn rsa_pkcs1_sha512(key: &RsaPublicKey<'_>, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let key = pkcs1v15::VerifyingKey::<Sha512>::new(public_key(key)?);
    let signature = pkcs1v15::Signature::try_from(signature).map_err(|_| BadSignature)?;
    key.verify(message, &signature).map_err(|_| BadSignature)
}

fn public_key(key: &RsaPublicKey<'_>) -> Result<rsa::PublicKey, BadSignature> {
    let number = BoxedUint::from_be_slice_vartime;
    rsa::PublicKey::new(number(key.modulus), number(key.exponent)).map_err(|_| BadSignature)
}
