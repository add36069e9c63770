//! The revocation list of the ARK: it covers the authorities below it. Chips cannot be
//! revoked by it, since every VCEK has serial number 0.

use x509_cert::der::Error;

use crate::{
    certificate::{PssParameters, Validity, algorithm, encoding, name, signed},
    der::{Der, explicit, integer, sequence, time},
    error::SimulationError,
    extension::{authority_key_identifier, crl_number},
    keys::AuthorityKey,
};

/// Everything of a revocation list but its signature.
pub(crate) struct RevocationList<'a> {
    /// Common name of the ARK, without the development suffix.
    pub(crate) issuer: &'a str,
    /// From this update until the next.
    pub(crate) validity: Validity,
    /// Serial numbers of revoked authorities.
    pub(crate) revoked: Vec<u32>,
}

impl RevocationList<'_> {
    /// The signed list, DER.
    pub(crate) fn sign(&self, key: &AuthorityKey) -> Result<Der, SimulationError> {
        let to_be_signed = self.to_be_signed(key).map_err(encoding)?;
        signed(&to_be_signed, PssParameters::WithoutTrailerField, key)
    }

    fn to_be_signed(&self, key: &AuthorityKey) -> Result<Der, Error> {
        let mut entries = Vec::new();
        for serial in &self.revoked {
            let since = time(self.validity.not_before)?;
            entries.push(sequence(&[&integer(*serial)?, &since])?);
        }
        // An empty list is left out (RFC 5280 5.1.2.6).
        let revoked = if entries.is_empty() { Vec::new() } else { sequence(&[&entries.concat()])? };
        let extensions = sequence(&[&authority_key_identifier(&key.identifier())?, &crl_number(1)?])?;
        sequence(&[
            &integer(1)?, // version 2
            &algorithm(PssParameters::WithoutTrailerField)?,
            &name(self.issuer)?,
            &time(self.validity.not_before)?,
            &time(self.validity.not_after)?,
            &revoked,
            &explicit(0, &extensions)?,
        ])
    }
}
