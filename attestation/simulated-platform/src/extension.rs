//! X.509 extensions: the standard ones of AMD's authorities, AMD's own of a VCEK or VLEK,
//! and the one that says "development".

use x509_cert::der::Error;

use crate::{
    der::{
        Der, boolean, explicit, ia5_string, implicit, integer, named_bits, object_identifier, octet_string, sequence,
        utf8_string,
    },
    product::Tcb,
};

/// The extension, always critical, that marks a development certificate: under the private
/// enterprise number reserved for documentation (RFC 5612). Its value is the UTF8String
/// "DEVELOPMENT - NOT A TEE".
pub const DEVELOPMENT_EXTENSION_OID: &str = "1.3.6.1.4.1.32473.5.1";
/// What the development extension says.
pub(crate) const DEVELOPMENT_TEXT: &str = "DEVELOPMENT - NOT A TEE";
/// A critical extension that nobody knows, for the fault of that name.
const UNKNOWN_EXTENSION_OID: &str = "1.3.6.1.4.1.32473.5.99";

/// Certificate Sign alone (an ASK), or with CRL Sign (an ARK).
#[derive(Clone, Copy)]
pub(crate) enum KeyUsage {
    CertificateSign,
    CertificateAndCrlSign,
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
        KeyUsage::CertificateAndCrlSign => named_bits(1, &[0x06])?,
    };
    extension("2.5.29.15", true, &bits)
}

/// Where the list would be published; `.invalid` is a name that never resolves (RFC 6761).
pub(crate) fn crl_distribution_point(kind: &str, product: &str) -> Result<Der, Error> {
    let url = format!("https://simulated-amd.invalid/{kind}/v1/{product}/crl");
    let names = explicit(0, &implicit(6, url.as_bytes())?)?;
    let point = sequence(&[&explicit(0, &names)?])?;
    extension("2.5.29.31", false, &sequence(&[&point])?)
}

/// Structure version of a VCEK or VLEK: 1 since Turin, 0 before.
pub(crate) fn structure_version(version: u32) -> Result<Der, Error> {
    amd("1", &integer(version)?)
}

pub(crate) fn product_name(name: &str) -> Result<Der, Error> {
    amd("2", &ia5_string(name)?)
}

/// The security patch levels, in the order in which AMD writes them.
pub(crate) fn security_patch_levels(tcb: Tcb) -> Result<Vec<Der>, Error> {
    let level = |suffix: &str, value: u8| amd(suffix, &integer(u32::from(value))?);
    let mut levels = Vec::new();
    if let Some(fmc) = tcb.fmc {
        levels.push(level("3.9", fmc)?);
    }
    levels.push(level("3.1", tcb.bootloader)?);
    levels.push(level("3.2", tcb.tee)?);
    let reserved = if tcb.fmc.is_some() {
        levels.push(level("3.3", tcb.snp)?);
        ["3.5", "3.6", "3.7"].as_slice()
    } else {
        &["3.4", "3.5", "3.6", "3.7"]
    };
    for suffix in reserved {
        levels.push(level(suffix, 0)?);
    }
    if tcb.fmc.is_none() {
        levels.push(level("3.3", tcb.snp)?);
    }
    levels.push(level("3.8", tcb.microcode)?);
    Ok(levels)
}

/// The hardware id: raw bytes without an inner OCTET STRING, as in every genuine VCEK.
pub(crate) fn hardware_id(id: &[u8]) -> Result<Der, Error> {
    amd("4", id)
}

/// The cloud provider that a VLEK was loaded for.
pub(crate) fn csp_id(id: &str) -> Result<Der, Error> {
    amd("5", &ia5_string(id)?)
}

fn amd(suffix: &str, value: &[u8]) -> Result<Der, Error> {
    extension(&format!("1.3.6.1.4.1.3704.1.{suffix}"), false, value)
}

fn extension(oid: &str, critical: bool, value: &[u8]) -> Result<Der, Error> {
    // `critical` is false by default, and DER leaves a default out.
    let flag = if critical { boolean(true)? } else { Vec::new() };
    sequence(&[&object_identifier(oid)?, &flag, &octet_string(value)?])
}
