//! X.509 certificates, signed by a development authority of any vendor, and the limits that
//! all of them keep.

use x509_cert::der::{
    Error,
    pem::{LineEnding, encode_string},
};

use crate::{
    der::{
        Der, bit_string, explicit, generalized_time, integer, object_identifier, sequence, set, time, unsigned_integer,
    },
    error::SimulationError,
    keys::Issuer,
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
pub(crate) struct Certificate {
    /// Big-endian; leading zeros do not count.
    pub(crate) serial: Vec<u8>,
    /// Names, DER.
    pub(crate) issuer: Der,
    pub(crate) subject: Der,
    pub(crate) validity: Validity,
    /// SubjectPublicKeyInfo, DER.
    pub(crate) public_key_info: Vec<u8>,
    /// DER of each extension, in order.
    pub(crate) extensions: Vec<Der>,
}

/// How a certificate writes its dates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dates {
    /// As RFC 5280 wants them.
    Profile,
    /// GeneralizedTime whatever the year, as some of NVIDIA's authorities have them.
    Generalized,
}

impl Certificate {
    /// The signed certificate, DER.
    pub(crate) fn sign(&self, issuer: &dyn Issuer) -> Result<Der, SimulationError> {
        self.sign_with(issuer, Dates::Profile)
    }

    /// The signed certificate, DER, with its dates written in that way.
    pub(crate) fn sign_with(&self, issuer: &dyn Issuer, dates: Dates) -> Result<Der, SimulationError> {
        let to_be_signed = self.to_be_signed(issuer, dates).map_err(encoding)?;
        signed(&to_be_signed, issuer)
    }

    fn to_be_signed(&self, issuer: &dyn Issuer, dates: Dates) -> Result<Der, Error> {
        let date = match dates {
            Dates::Profile => time,
            Dates::Generalized => generalized_time,
        };
        let validity = sequence(&[&date(self.validity.not_before)?, &date(self.validity.not_after)?])?;
        sequence(&[
            &explicit(0, &integer(2)?)?, // version 3
            &unsigned_integer(&self.serial)?,
            &issuer.algorithm()?,
            &self.issuer,
            &validity,
            &self.subject,
            &self.public_key_info,
            &explicit(3, &sequence(&[&self.extensions.concat()])?)?,
        ])
    }
}

/// `SEQUENCE { toBeSigned, algorithm, signature }`, as certificates and revocation lists are.
pub(crate) fn signed(to_be_signed: &[u8], issuer: &dyn Issuer) -> Result<Der, SimulationError> {
    let signature = issuer.sign(to_be_signed)?;
    let assemble = || sequence(&[to_be_signed, &issuer.algorithm()?, &bit_string(&signature)?]);
    assemble().map_err(encoding)
}

/// PEM of certificates, each ending in a line break, as in genuine chains.
pub(crate) fn pem_chain(certificates: &[&[u8]]) -> Result<String, SimulationError> {
    let mut text = String::new();
    for der in certificates {
        text += &encode_string("CERTIFICATE", LineEnding::LF, der).map_err(|_| SimulationError::Pem)?;
    }
    Ok(text)
}

/// One attribute of a name, in a set of its own.
pub(crate) fn attribute(oid: &str, value: &Der) -> Result<Der, Error> {
    set(&sequence(&[&object_identifier(oid)?, value])?)
}

/// A common name that says what it is.
pub(crate) fn development_name(common_name: &str) -> String {
    format!("{common_name}{DEVELOPMENT_NAME_SUFFIX}")
}

pub(crate) fn encoding(source: Error) -> SimulationError {
    SimulationError::Encoding { what: "a certificate or revocation list", source }
}

#[cfg(test)]
mod tests {
    use super::*;

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
