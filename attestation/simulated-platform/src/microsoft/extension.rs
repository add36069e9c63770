//! Extensions that only certificates of virtual TPMs have.

use x509_cert::der::Error;

use crate::{
    der::{Der, implicit, integer, object_identifier, sequence},
    extension::{extended_key_usage, extension},
};

/// An endorsement key's certificate, and an attestation key's (TCG EK and AIK profiles).
const ENDORSEMENT_KEY: &str = "2.23.133.8.1";
const ATTESTATION_KEY: &str = "2.23.133.8.3";
/// Microsoft's purpose "system health" beside it.
const SYSTEM: &str = "1.3.6.1.4.1.311.10.3.12";

/// What an intermediate may certify.
pub(crate) fn certifies_tpm_keys() -> Result<Der, Error> {
    extended_key_usage(&[ENDORSEMENT_KEY, ATTESTATION_KEY])
}

/// What a leaf's key is for.
pub(crate) fn attests() -> Result<Der, Error> {
    extended_key_usage(&[SYSTEM, ATTESTATION_KEY])
}

/// How often the authority's key was renewed: never.
pub(crate) fn authority_version() -> Result<Der, Error> {
    extension("1.3.6.1.4.1.311.21.1", false, &integer(0)?)
}

/// Where the issuer's certificate would be published.
pub(crate) fn issuer_location(url: &str) -> Result<Der, Error> {
    let location = sequence(&[&object_identifier("1.3.6.1.5.5.7.48.2")?, &implicit(6, url.as_bytes())?])?;
    extension("1.3.6.1.5.5.7.1.1", false, &sequence(&[&location])?)
}
