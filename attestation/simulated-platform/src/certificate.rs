//! X.509 certificates of the shape that AMD's have, signed by a development authority.

use x509_cert::der::Error;

use crate::{
    der::{
        Der, bit_string, explicit, integer, null, object_identifier, printable_string, sequence, set, time, utf8_string,
    },
    error::SimulationError,
    keys::AuthorityKey,
};

/// What each development common name ends in.
pub const DEVELOPMENT_NAME_SUFFIX: &str = " DEVELOPMENT - NOT A TEE";
/// No development certificate is valid for longer (protocol.md 5.3), so that a leaked or
/// forgotten root stops by itself.
pub const LONGEST_VALIDITY_SECONDS: u64 = 7 * DAY;

pub(crate) const HOUR: u64 = 3600;
pub(crate) const DAY: u64 = 24 * HOUR;
/// Valid from an hour before `now`, for clocks that are a little behind.
const BACKDATED_SECONDS: u64 = HOUR;
/// Valid until six days after `now`.
const LIFETIME_SECONDS: u64 = 6 * DAY;

/// From and until when, in seconds since the Unix epoch, both included.
#[derive(Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
}

impl Validity {
    /// What everything is issued with, unless a fault wants otherwise.
    pub(crate) fn around(now: u64) -> Self {
        Self { not_before: now.saturating_sub(BACKDATED_SECONDS), not_after: now.saturating_add(LIFETIME_SECONDS) }
    }

    /// Over for an hour.
    pub(crate) fn past(now: u64) -> Self {
        Self { not_before: now.saturating_sub(6 * DAY), not_after: now.saturating_sub(HOUR) }
    }

    /// Begins in an hour.
    pub(crate) fn future(now: u64) -> Self {
        Self { not_before: now.saturating_add(HOUR), not_after: now.saturating_add(6 * DAY) }
    }
}

/// Everything of a certificate but its signature.
pub(crate) struct Certificate<'a> {
    pub(crate) serial: u32,
    /// Common names, without the development suffix.
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) validity: Validity,
    /// SubjectPublicKeyInfo, DER.
    pub(crate) public_key_info: Vec<u8>,
    /// DER of each extension, in order.
    pub(crate) extensions: Vec<Der>,
    pub(crate) parameters: PssParameters,
}

/// AMD writes the default trailer field in the certificates of authorities, and leaves it
/// out in those of chips and in revocation lists. A verifier must accept both.
#[derive(Clone, Copy)]
pub(crate) enum PssParameters {
    WithTrailerField,
    WithoutTrailerField,
}

impl Certificate<'_> {
    /// The signed certificate, DER.
    pub(crate) fn sign(&self, key: &AuthorityKey) -> Result<Der, SimulationError> {
        let to_be_signed = self.to_be_signed().map_err(encoding)?;
        signed(&to_be_signed, self.parameters, key)
    }

    fn to_be_signed(&self) -> Result<Der, Error> {
        let validity = sequence(&[&time(self.validity.not_before)?, &time(self.validity.not_after)?])?;
        sequence(&[
            &explicit(0, &integer(2)?)?, // version 3
            &integer(self.serial)?,
            &algorithm(self.parameters)?,
            &name(self.issuer)?,
            &validity,
            &name(self.subject)?,
            &self.public_key_info,
            &explicit(3, &sequence(&[&self.extensions.concat()])?)?,
        ])
    }
}

/// `SEQUENCE { toBeSigned, algorithm, signature }`, as certificates and revocation lists are.
pub(crate) fn signed(
    to_be_signed: &[u8],
    parameters: PssParameters,
    key: &AuthorityKey,
) -> Result<Der, SimulationError> {
    let signature = key.sign(to_be_signed)?;
    let assemble = || sequence(&[to_be_signed, &algorithm(parameters)?, &bit_string(&signature)?]);
    assemble().map_err(encoding)
}

/// RSASSA-PSS with SHA-384, MGF1 with SHA-384, salt 48 (RFC 4055).
pub(crate) fn algorithm(parameters: PssParameters) -> Result<Der, Error> {
    let sha384 = sequence(&[&object_identifier("2.16.840.1.101.3.4.2.2")?, &null()?])?;
    let mgf1 = sequence(&[&object_identifier("1.2.840.113549.1.1.8")?, &sha384])?;
    let trailer = match parameters {
        PssParameters::WithTrailerField => explicit(3, &integer(1)?)?,
        PssParameters::WithoutTrailerField => Vec::new(),
    };
    let values = sequence(&[&explicit(0, &sha384)?, &explicit(1, &mgf1)?, &explicit(2, &integer(48)?)?, &trailer])?;
    sequence(&[&object_identifier("1.2.840.113549.1.1.10")?, &values])
}

/// AMD's attributes in AMD's order, with an organisation that is not AMD and a common name
/// that says so too.
pub(crate) fn name(common_name: &str) -> Result<Der, Error> {
    let attribute = |oid: &str, value: Der| set(&sequence(&[&object_identifier(oid)?, &value])?);
    let common_name = format!("{common_name}{DEVELOPMENT_NAME_SUFFIX}");
    sequence(&[
        &attribute("2.5.4.11", utf8_string("Engineering")?)?,
        &attribute("2.5.4.6", printable_string("US")?)?,
        &attribute("2.5.4.7", utf8_string("Santa Clara")?)?,
        &attribute("2.5.4.8", utf8_string("CA")?)?,
        &attribute("2.5.4.10", utf8_string("Simulated Micro Devices")?)?,
        &attribute("2.5.4.3", utf8_string(&common_name)?)?,
    ])
}

pub(crate) fn encoding(source: Error) -> SimulationError {
    SimulationError::Encoding { what: "a certificate or revocation list", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pss_parameters_are_byte_for_byte_those_of_amd() {
        // From the genuine Genoa ASK and from a genuine Genoa VCEK.
        let with = "304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a\
                    06092a864886f70d010108300d06096086480165030402020500a203020130a303020101";
        let without = "304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a\
                       06092a864886f70d010108300d06096086480165030402020500a203020130";
        assert_eq!(hex::encode(algorithm(PssParameters::WithTrailerField).unwrap()), with);
        assert_eq!(hex::encode(algorithm(PssParameters::WithoutTrailerField).unwrap()), without);
    }

    #[test]
    fn every_validity_is_within_the_longest() {
        let now = 1_800_000_000;
        for validity in [Validity::around(now), Validity::past(now), Validity::future(now)] {
            assert!(validity.not_before < validity.not_after);
            assert!(validity.not_after - validity.not_before <= LONGEST_VALIDITY_SECONDS);
        }
        assert!(Validity::past(now).not_after < now);
        assert!(Validity::future(now).not_before > now);
    }
}
