//! The instance certificate (protocol.md A2): the tenant's broker says that this key lives in
//! this instance, on this platform, with this measurement. Without it, genuine evidence of
//! the same software on somebody else's opened machine would do (diversion).
//!
//! Ed25519 X.509 (RFC 5280, RFC 8410) with a SPIFFE id as SAN URI and the claims in an
//! extension of our own. The certificate is checked against the one CA in the trust file;
//! there is no path building.

mod claims;
mod issue;
mod parse;

use strongroom_attestation::UnixTime;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::cbor::CborError;
use crate::cose::VerifyingKey;

pub use claims::InstanceClaims;
pub use issue::{issue, make_ca};

use parse::Parsed;

/// What a certificate that holds says. Only [`verify`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceCertificate {
    claims: InstanceClaims,
    key: VerifyingKey,
    not_after: UnixTime,
}

impl InstanceCertificate {
    /// Which instance this is.
    #[must_use]
    pub fn claims(&self) -> &InstanceClaims {
        &self.claims
    }

    /// The instance's key: field 10 of its statements.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The end of the certificate, or of its CA if that comes first.
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.not_after
    }
}

/// Why a certificate is refused, or cannot be issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not DER, not X.509 version 3, not Ed25519, or too long.
    #[error("{what} is not an Ed25519 X.509 certificate of the form used here")]
    Malformed {
        /// Which certificate.
        what: &'static str,
    },
    /// The CA's certificate may not sign certificates.
    #[error("the instance CA's certificate does not say that it is a CA")]
    NotACa,
    /// Issued by another CA.
    #[error("the instance certificate was issued by another CA than the trust file's")]
    WrongIssuer,
    /// The CA's signature does not hold.
    #[error("the instance certificate's signature is not the CA's")]
    Signature,
    /// Before its time.
    #[error("{what} is valid from {from} only")]
    NotYetValid {
        /// Which certificate.
        what: &'static str,
        /// Its first second.
        from: UnixTime,
    },
    /// After its time.
    #[error("{what} ended at {at}; the instance's broker renews it with the heartbeat")]
    Expired {
        /// Which certificate.
        what: &'static str,
        /// Its last second.
        at: UnixTime,
    },
    /// An extension is missing, unknown and critical, or says something else.
    #[error("the instance certificate's extensions: {wanted}")]
    Extensions {
        /// What was wanted.
        wanted: &'static str,
    },
    /// The claims are not the deterministic CBOR of their fields.
    #[error("the instance certificate's claims: {0}")]
    Claims(#[from] CborError),
    /// The claims, the tenant's name or the dates cannot stand in a certificate.
    #[error("cannot issue: {wanted}")]
    Issue {
        /// What was wanted.
        wanted: &'static str,
    },
}

/// Checks an instance certificate against the trust file's CA.
///
/// 1. both parse strictly, and use Ed25519;
/// 2. the CA may sign certificates, and `now` is in its time;
/// 3. the CA issued and signed the certificate;
/// 4. `now` is in the certificate's time;
/// 5. it is no CA, may sign, and has no unknown critical extension;
/// 6. the claims are there, and the SPIFFE id names the same deployment and instance.
///
/// The CA's own signature is not checked: the trust file vouches for it.
pub fn verify(leaf_der: &[u8], ca_der: &[u8], now: UnixTime) -> Result<InstanceCertificate, CertificateError> {
    let ca = Parsed::read("the instance CA's certificate", ca_der)?;
    let leaf = Parsed::read("the instance certificate", leaf_der)?;
    ca.require_ca()?;
    ca.require_time(now)?;
    if leaf.issuer() != ca.subject() {
        return Err(CertificateError::WrongIssuer);
    }
    ca.key.verify_raw(leaf.tbs, &leaf.signature).map_err(|_| CertificateError::Signature)?;
    leaf.require_time(now)?;
    leaf.require_end_entity()?;
    let claims = leaf.claims()?;
    require_spiffe_id(&leaf, &claims)?;
    Ok(InstanceCertificate { claims, not_after: leaf.not_after.min(ca.not_after), key: leaf.key })
}

fn require_spiffe_id(leaf: &Parsed<'_>, claims: &InstanceClaims) -> Result<(), CertificateError> {
    let wanted =
        CertificateError::Extensions { wanted: "one SAN URI, spiffe://<tenant>/strongroom/<deployment>/<instance>" };
    let Some(SubjectAltName(names)) = leaf.extension::<SubjectAltName>()? else { return Err(wanted) };
    let [GeneralName::UniformResourceIdentifier(uri)] = names.as_slice() else { return Err(wanted) };
    let path = spiffe_path(claims);
    let tenant = uri.as_str().strip_prefix("spiffe://").and_then(|rest| rest.strip_suffix(path.as_str()));
    if tenant.is_some_and(is_tenant) { Ok(()) } else { Err(wanted) }
}

fn spiffe_path(claims: &InstanceClaims) -> String {
    format!("/strongroom/{}/{}", claims.deployment, hex::encode(claims.instance_id))
}

/// A SPIFFE trust domain: 1 to 63 here of `a-z`, `0-9`, `.`, `-` and `_` (the X.520 limit of
/// an organisation's name, where it stands too, is 64).
fn is_tenant(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte))
}

#[cfg(test)]
mod tests;
