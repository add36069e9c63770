//! X.509 extensions: the standard ones, and the one that says "development".

use x509_cert::der::Error;

use crate::der::{
    Der, boolean, explicit, implicit, integer, named_bits, object_identifier, octet_string, sequence, utf8_string,
};

/// The extension, always critical, that marks a development certificate: under the private
/// enterprise number reserved for documentation (RFC 5612). Its value is the UTF8String
/// "DEVELOPMENT - NOT A TEE".
pub const DEVELOPMENT_EXTENSION_OID: &str = "1.3.6.1.4.1.32473.5.1";
/// What the development extension says.
pub(crate) const DEVELOPMENT_TEXT: &str = "DEVELOPMENT - NOT A TEE";
/// A critical extension that nobody knows, for the fault of that name.
const UNKNOWN_EXTENSION_OID: &str = "1.3.6.1.4.1.32473.5.99";

/// What a key is for.
#[derive(Clone, Copy)]
pub(crate) enum KeyUsage {
    /// An ASK.
    CertificateSign,
    /// The same in strict DER.
    OnlyCertificateSign,
    /// An authority that issues revocation lists too.
    CertificateAndCrlSign,
    /// Microsoft's root.
    SignatureCertificateAndCrlSign,
    /// A PCK, and whatever signs documents for Intel.
    SignatureAndNonRepudiation,
    /// A virtual TPM's attestation key.
    Signature,
}

pub(crate) fn development() -> Result<Der, Error> {
    extension(DEVELOPMENT_EXTENSION_OID, true, &utf8_string(DEVELOPMENT_TEXT)?)
}

pub(crate) fn unknown_critical() -> Result<Der, Error> {
    extension(UNKNOWN_EXTENSION_OID, true, &utf8_string("unknown")?)
}

pub(crate) fn subject_key_identifier(identifier: &[u8]) -> Result<Der, Error> {
    extension("2.5.29.14", false, &octet_string(identifier)?)
}

pub(crate) fn authority_key_identifier(identifier: &[u8]) -> Result<Der, Error> {
    extension("2.5.29.35", false, &sequence(&[&implicit(0, identifier)?])?)
}

pub(crate) fn crl_number(number: u32) -> Result<Der, Error> {
    extension("2.5.29.20", false, &integer(number)?)
}

/// A certificate authority, with a path length where one is given.
pub(crate) fn authority(path_length: Option<u32>) -> Result<Der, Error> {
    let limit = path_length.map(integer).transpose()?.unwrap_or_default();
    extension("2.5.29.19", true, &sequence(&[&boolean(true)?, &limit])?)
}

/// Not a certificate authority: `cA` is false by default, and so left out.
pub(crate) fn no_authority() -> Result<Der, Error> {
    extension("2.5.29.19", true, &sequence(&[])?)
}

pub(crate) fn key_usage(usage: KeyUsage) -> Result<Der, Error> {
    let bits = match usage {
        // One unused bit, not the two of strict DER: so AMD writes it.
        KeyUsage::CertificateSign => named_bits(1, &[0x04])?,
        KeyUsage::OnlyCertificateSign => named_bits(2, &[0x04])?,
        KeyUsage::CertificateAndCrlSign => named_bits(1, &[0x06])?,
        KeyUsage::SignatureCertificateAndCrlSign => named_bits(1, &[0x86])?,
        KeyUsage::SignatureAndNonRepudiation => named_bits(6, &[0xc0])?,
        KeyUsage::Signature => named_bits(7, &[0x80])?,
    };
    extension("2.5.29.15", true, &bits)
}

/// For which purposes the key may be used, by their OIDs.
pub(crate) fn extended_key_usage(purposes: &[&str]) -> Result<Der, Error> {
    let mut list = Vec::new();
    for purpose in purposes {
        list.append(&mut object_identifier(purpose)?);
    }
    extension("2.5.29.37", false, &sequence(&[&list])?)
}

/// Where the revocation list would be published; the hosts of this crate end in `.invalid`,
/// which never resolves (RFC 6761).
pub(crate) fn crl_distribution_point(url: &str) -> Result<Der, Error> {
    let names = explicit(0, &implicit(6, url.as_bytes())?)?;
    let point = sequence(&[&explicit(0, &names)?])?;
    extension("2.5.29.31", false, &sequence(&[&point])?)
}

pub(crate) fn extension(oid: &str, critical: bool, value: &[u8]) -> Result<Der, Error> {
    // `critical` is false by default, and DER leaves a default out.
    let flag = if critical { boolean(true)? } else { Vec::new() };
    sequence(&[&object_identifier(oid)?, &flag, &octet_string(value)?])
}
