//! Revocation lists of a development authority.

use x509_cert::der::Error;

use crate::{
    certificate::{Validity, encoding, signed},
    der::{Der, enumerated, explicit, integer, object_identifier, octet_string, sequence, time, unsigned_integer},
    error::SimulationError,
    extension::{authority_key_identifier, crl_number},
    keys::Issuer,
};

/// Everything of a revocation list but its signature.
pub(crate) struct RevocationList {
    /// Name of the issuer, DER.
    pub(crate) issuer: Der,
    /// From this update until the next.
    pub(crate) validity: Validity,
    /// Serial numbers, big-endian, of revoked certificates.
    pub(crate) revoked: Vec<Vec<u8>>,
    /// Whether each entry gives "key compromise" as its reason, as Intel's do and AMD's do not.
    pub(crate) gives_reasons: bool,
    pub(crate) order: ExtensionOrder,
}

/// AMD writes the authority's key identifier before the list's number, Intel after it.
#[derive(Clone, Copy)]
pub(crate) enum ExtensionOrder {
    AuthorityFirst,
    NumberFirst,
}

impl RevocationList {
    /// The signed list, DER.
    pub(crate) fn sign(&self, issuer: &dyn Issuer) -> Result<Der, SimulationError> {
        let to_be_signed = self.to_be_signed(issuer).map_err(encoding)?;
        signed(&to_be_signed, issuer)
    }

    fn to_be_signed(&self, issuer: &dyn Issuer) -> Result<Der, Error> {
        let reasons = if self.gives_reasons { sequence(&[&key_compromise()?])? } else { Vec::new() };
        let mut entries = Vec::new();
        for serial in &self.revoked {
            let since = time(self.validity.not_before)?;
            entries.push(sequence(&[&unsigned_integer(serial)?, &since, &reasons])?);
        }
        // An empty list is left out (RFC 5280 5.1.2.6).
        let revoked = if entries.is_empty() { Vec::new() } else { sequence(&[&entries.concat()])? };
        let (authority, number) = (authority_key_identifier(&issuer.identifier())?, crl_number(1)?);
        let extensions = match self.order {
            ExtensionOrder::AuthorityFirst => sequence(&[&authority, &number])?,
            ExtensionOrder::NumberFirst => sequence(&[&number, &authority])?,
        };
        sequence(&[
            &integer(1)?, // version 2
            &issuer.algorithm()?,
            &self.issuer,
            &time(self.validity.not_before)?,
            &time(self.validity.not_after)?,
            &revoked,
            &explicit(0, &extensions)?,
        ])
    }
}

/// The entry extension "reason code" with the value 1.
fn key_compromise() -> Result<Der, Error> {
    sequence(&[&object_identifier("2.5.29.21")?, &octet_string(&enumerated(1)?)?])
}
