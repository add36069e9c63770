//! Certificates and revocation lists (RFC 5280) and OCSP responses (RFC 6960), read strictly and kept as received.

mod certificate;
mod name;
mod ocsp_request;
mod ocsp_response;
mod revocation_list;

pub(crate) use certificate::{Certificate, Extension, PublicKey, SignatureAlgorithm};
pub(crate) use name::Name;
pub use ocsp_request::OcspRequest;
pub(crate) use ocsp_response::{CertStatus, OcspResponse};
pub(crate) use revocation_list::RevocationList;

use crate::der::{DerError, Reader, tag};

/// Object identifiers as they are encoded.
pub(crate) mod oid {
    pub(crate) const RSA_ENCRYPTION: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1];
    pub(crate) const RSASSA_PSS: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 10];
    pub(crate) const MGF1: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 8];
    pub(crate) const SHA1: &[u8] = &[0x2B, 14, 3, 2, 26];
    pub(crate) const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
    pub(crate) const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
    pub(crate) const SHA256_WITH_RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11];
    pub(crate) const SHA384_WITH_RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 12];
    pub(crate) const SHA512_WITH_RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 13];
    pub(crate) const ECDSA_WITH_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
    pub(crate) const ECDSA_WITH_SHA384: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 3];
    pub(crate) const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];
    pub(crate) const SECP384R1: &[u8] = &[0x2B, 0x81, 4, 0, 34];
    pub(crate) const PRIME256V1: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];
    pub(crate) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    pub(crate) const SERIAL_NUMBER: &[u8] = &[0x55, 4, 5];
    pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 19];
    pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1D, 15];
    pub(crate) const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1D, 17];
    pub(crate) const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1D, 31];
    pub(crate) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1D, 32];
    pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1D, 37];
    pub(crate) const OCSP_SIGNING: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 3, 9];
    pub(crate) const OCSP_BASIC: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 48, 1, 1];
    pub(crate) const OCSP_NO_CHECK: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 48, 1, 5];
}

/// Reads an AlgorithmIdentifier of a signature. Told apart are those that vendors sign with:
/// RSASSA-PSS with SHA-384 throughout and a salt of 48 bytes (AMD), ECDSA on P-256 with SHA-256
/// (Intel) and on P-384 with SHA-384 (NVIDIA), RSASSA-PKCS1-v1_5 (Microsoft). The rest may stand in a
/// bag, and signs nothing here.
fn signature_algorithm(identifier: &[u8]) -> Result<SignatureAlgorithm, DerError> {
    let mut outer = Reader::new(identifier);
    let mut fields = outer.sequence()?;
    outer.finish()?;
    let kind = fields.oid()?;
    Ok(match kind {
        oid::RSASSA_PSS if pss_parameters_are_sha384(fields.clone()) == Ok(true) => SignatureAlgorithm::RsaPssSha384,
        // RFC 5758 3.2: the parameters are absent.
        oid::ECDSA_WITH_SHA256 if fields.is_empty() => SignatureAlgorithm::EcdsaP256Sha256,
        oid::ECDSA_WITH_SHA384 if fields.is_empty() => SignatureAlgorithm::EcdsaP384Sha384,
        // RFC 4055 5: the parameters are NULL.
        oid::SHA256_WITH_RSA if is_null(fields.clone()) => SignatureAlgorithm::RsaPkcs1Sha256,
        oid::SHA384_WITH_RSA if is_null(fields.clone()) => SignatureAlgorithm::RsaPkcs1Sha384,
        oid::SHA512_WITH_RSA if is_null(fields.clone()) => SignatureAlgorithm::RsaPkcs1Sha512,
        _ => SignatureAlgorithm::Other,
    })
}

fn is_null(mut fields: Reader<'_>) -> bool {
    fields.expect(tag::NULL).is_ok_and(|element| element.value.is_empty()) && fields.is_empty()
}

/// RFC 4055 3.1. AMD's own certificates write the default trailer field, which DER forbids;
/// accepting both forms changes nothing about what is signed.
fn pss_parameters_are_sha384(mut fields: Reader<'_>) -> Result<bool, DerError> {
    let mut parameters = fields.sequence()?;
    fields.finish()?;
    let mut hash = parameters.expect(tag::context(0))?.reader();
    let mut mask = parameters.expect(tag::context(1))?.reader();
    let mut salt = parameters.expect(tag::context(2))?.reader();
    let trailer = parameters.optional(tag::context(3))?;
    parameters.finish()?;

    let mut mask_fields = mask.sequence()?;
    let mask_is_mgf1 = mask_fields.oid()? == oid::MGF1;
    let holds = is_sha384(&mut hash)?
        && mask_is_mgf1
        && is_sha384(&mut mask_fields)?
        && salt.small()? == 48
        && trailer.is_none_or(|element| element.value == [tag::INTEGER, 1, 1]);
    hash.finish()?;
    mask.finish()?;
    mask_fields.finish()?;
    salt.finish()?;
    Ok(holds)
}

/// SHA-384 with the parameters absent or NULL: RFC 4055 2.1 asks readers to accept both.
fn is_sha384(reader: &mut Reader<'_>) -> Result<bool, DerError> {
    let mut fields = reader.sequence()?;
    let is_sha384 = fields.oid()? == oid::SHA384;
    let null = fields.optional(tag::NULL)?;
    fields.finish()?;
    Ok(is_sha384 && null.is_none_or(|element| element.value.is_empty()))
}
