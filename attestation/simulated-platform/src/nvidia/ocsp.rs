//! Answers about revocation (RFC 6960), each signed by a responder that the certificate's own
//! issuer delegated.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA384, digest};
use x509_cert::der::Error;

use super::{
    authority::Authority,
    extension::{answers, authenticates_servers, no_authority_uncritical},
    name::{NameForm, name},
};
use crate::{
    certificate::{Certificate, Dates, HOUR, Validity, encoding, signed},
    der::{
        Der, enumerated, explicit, generalized_time, implicit, null, object_identifier, octet_string, sequence,
        unsigned_integer,
    },
    error::SimulationError,
    extension::{KeyUsage, authority_key_identifier, development, key_usage, subject_key_identifier},
    keys::{Issuer, elliptic::EllipticKey},
};

const BASIC_RESPONSE: &str = "1.3.6.1.5.5.7.48.1.1";

/// With which digest an answer names its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspDigest {
    /// As NVIDIA's older verifier asks.
    Sha384,
    /// As its newer one asks.
    Sha1,
}

/// Which certificate is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) issuer: Authority,
    pub(crate) serial: Vec<u8>,
}

/// What the answer is.
#[derive(Clone, Copy)]
pub(crate) enum Status {
    Good,
    /// With the reason's number (RFC 5280 5.3.1).
    Revoked(u8),
    Unknown,
}

/// The reasons "key compromise" and "certificate hold".
pub(crate) const KEY_COMPROMISE: u8 = 1;
pub(crate) const HOLD: u8 = 6;

/// From an hour ago until a day after that.
pub(crate) fn fresh(now: u64) -> Validity {
    Validity { not_before: now.saturating_sub(HOUR), not_after: now.saturating_add(23 * HOUR) }
}

/// Over for an hour.
pub(crate) fn stale(now: u64) -> Validity {
    Validity { not_before: now.saturating_sub(25 * HOUR), not_after: now.saturating_sub(HOUR) }
}

/// Begins in an hour.
pub(crate) fn early(now: u64) -> Validity {
    Validity { not_before: now.saturating_add(HOUR), not_after: now.saturating_add(25 * HOUR) }
}

/// An answer and who gives it. A fault changes one field.
pub(crate) struct Answer<'a> {
    pub(crate) question: Question,
    pub(crate) issuer_key: &'a EllipticKey,
    pub(crate) digest: OcspDigest,
    pub(crate) status: Status,
    /// From this update until the next.
    pub(crate) validity: Validity,
    pub(crate) responder: Responder<'a>,
    /// Another key than the responder's only for a fault.
    pub(crate) signer: &'a EllipticKey,
}

/// Who answers.
pub(crate) struct Responder<'a> {
    pub(crate) key: &'a EllipticKey,
    /// Who delegated it: the certificate's own issuer, but for a fault.
    pub(crate) delegate_of: Authority,
    /// Signs its certificate; another key than that authority's only for a fault.
    pub(crate) issuer: &'a dyn Issuer,
    pub(crate) validity: Validity,
    /// False only for the fault of one that is for other purposes.
    pub(crate) may_answer: bool,
    /// False only for the fault that leaves the extension out.
    pub(crate) says_development: bool,
}

impl Answer<'_> {
    /// The whole response, DER.
    pub(crate) fn sign(&self) -> Result<Der, SimulationError> {
        let certificate = self.responder.certificate()?;
        let to_be_signed = self.to_be_signed().map_err(encoding)?;
        // As certificates are signed, with the responder's certificate behind the signature.
        let signed = signed(&to_be_signed, self.signer)?;
        let assemble = || -> Result<Der, Error> {
            let parts = content(&signed)?;
            let basic = sequence(&[parts, &explicit(0, &sequence(&[&certificate])?)?])?;
            let bytes = sequence(&[&object_identifier(BASIC_RESPONSE)?, &octet_string(&basic)?])?;
            sequence(&[&enumerated(0)?, &explicit(0, &bytes)?])
        };
        assemble().map_err(encoding)
    }

    fn to_be_signed(&self) -> Result<Der, Error> {
        let (this_update, next_update) = (self.validity.not_before, self.validity.not_after);
        let status = match self.status {
            Status::Good => implicit(0, &[])?,
            Status::Revoked(reason) => {
                let info = [generalized_time(this_update)?, explicit(0, &enumerated(reason)?)?].concat();
                explicit(1, &info)?
            }
            Status::Unknown => implicit(2, &[])?,
        };
        let single = sequence(&[
            &self.certificate_id()?,
            &status,
            &generalized_time(this_update)?,
            &explicit(0, &generalized_time(next_update)?)?,
        ])?;
        // RFC 6960 wants SHA-1 of the key here, whatever its certificate has as its identifier.
        let responder = digest(&SHA1_FOR_LEGACY_USE_ONLY, &point(self.responder.key));
        sequence(&[
            &explicit(2, &octet_string(responder.as_ref())?)?,
            &generalized_time(this_update)?,
            &sequence(&[&single])?,
        ])
    }

    fn certificate_id(&self) -> Result<Der, Error> {
        let (oid, algorithm) = match self.digest {
            OcspDigest::Sha384 => ("2.16.840.1.101.3.4.2.2", &SHA384),
            OcspDigest::Sha1 => ("1.3.14.3.2.26", &SHA1_FOR_LEGACY_USE_ONLY),
        };
        let hashed = |content: &[u8]| octet_string(digest(algorithm, content).as_ref());
        let issuer_name = self.question.issuer.name().map_err(|_| Error::from(x509_cert::der::ErrorKind::Failed))?;
        sequence(&[
            &sequence(&[&object_identifier(oid)?, &null()?])?,
            &hashed(&issuer_name)?,
            &hashed(&point(self.issuer_key))?,
            &unsigned_integer(&self.question.serial)?,
        ])
    }
}

impl Responder<'_> {
    fn certificate(&self) -> Result<Der, SimulationError> {
        let issuer = self.delegate_of;
        let of_devices = issuer.is_of_devices();
        let extensions = || -> Result<Vec<Der>, Error> {
            let mut extensions = vec![
                no_authority_uncritical()?,
                key_usage(KeyUsage::Signature)?,
                if self.may_answer { answers(of_devices)? } else { authenticates_servers()? },
                subject_key_identifier(&self.key.identifier())?,
                authority_key_identifier(&self.issuer.identifier())?,
            ];
            if self.says_development {
                extensions.push(development()?);
            }
            Ok(extensions)
        };
        let certificate = Certificate {
            serial: self.key.identifier().into_iter().take(16).collect(),
            issuer: issuer.name()?,
            subject: name(NameForm::CommonNameFirst, &responder_name(issuer)).map_err(encoding)?,
            validity: self.validity,
            public_key_info: self.key.public_key_info()?,
            extensions: extensions().map_err(encoding)?,
        };
        certificate.sign_with(self.issuer, if of_devices { Dates::Profile } else { Dates::Generalized })
    }
}

/// What a responder says when it does not answer at all: status 6, "unauthorized".
pub(crate) fn unauthorized() -> Result<Der, SimulationError> {
    enumerated(6).and_then(|status| sequence(&[&status])).map_err(encoding)
}

/// The public key as its bit string has it: uncompressed.
fn point(key: &EllipticKey) -> Vec<u8> {
    [&[4], key.coordinates().as_slice()].concat()
}

/// Its issuer's name with a word before the rest.
fn responder_name(issuer: Authority) -> String {
    let name = issuer.common_name();
    format!("NVIDIA OCSP Responder {}", name.strip_prefix("NVIDIA ").unwrap_or(&name))
}

/// What is in a sequence.
fn content(der: &[u8]) -> Result<&[u8], Error> {
    use x509_cert::der::{Decode as _, asn1::AnyRef};
    Ok(AnyRef::from_der(der)?.value())
}
