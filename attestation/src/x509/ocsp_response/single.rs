//! What an OCSP response says of one certificate (RFC 6960 4.2.1, SingleResponse).

use crate::crypto;
use crate::der::{DerError, Reader, tag};
use crate::unix_time::UnixTime;
use crate::x509::certificate::extensions;
use crate::x509::{Certificate, Extension, oid};

/// Tags of CertStatus, which are IMPLICIT.
const GOOD: u8 = tag::primitive_context(0);
const REVOKED: u8 = tag::context(1);
const UNKNOWN: u8 = tag::primitive_context(2);
/// Reasons of revocation by their number (RFC 5280 5.3.1); 7 is not used.
const REASONS: [&str; 11] = [
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "reason 7",
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
];
/// The reason that may be taken back.
const CERTIFICATE_HOLD: u8 = 6;
/// How long a status without an end is good: its responder has a newer one all the time (RFC 6960
/// 4.2.2.1), so that any time is a choice. NVIDIA's tools choose an hour.
const WITHOUT_END_SECS: u64 = 60 * 60;

/// The status of one certificate, and when it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SingleResponse {
    certificate: CertId,
    pub(crate) status: CertStatus,
    pub(crate) this_update: UnixTime,
    pub(crate) next_update: Option<UnixTime>,
}

/// RFC 6960 4.2.1, CertStatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertStatus {
    Good,
    Revoked {
        since: UnixTime,
        /// A number of CRLReason; absent is `unspecified`.
        reason: u8,
    },
    /// The responder does not know the certificate.
    Unknown,
}

/// Which certificate is meant (RFC 6960 4.1.1, CertID): its issuer by digests, and its serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CertId {
    hash: HashAlgorithm,
    issuer_name_hash: Vec<u8>,
    issuer_key_hash: Vec<u8>,
    serial: Vec<u8>,
}

/// Digests that name issuers. SHA-1 may, because what it names is signed as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HashAlgorithm {
    Sha1,
    Sha256,
    Sha384,
    /// Names nothing here.
    Other,
}

impl SingleResponse {
    /// Reads the inside of a SingleResponse; its extensions are the caller's to judge.
    pub(super) fn read(mut fields: Reader<'_>) -> Result<(SingleResponse, Vec<Extension>), DerError> {
        let certificate = CertId::read(fields.sequence()?)?;
        let status = CertStatus::read(&mut fields)?;
        let this_update = fields.generalized_time()?;
        let next_update = match fields.optional(tag::context(0))? {
            Some(element) => {
                let mut inside = element.reader();
                let time = inside.generalized_time()?;
                inside.finish()?;
                Some(time)
            }
            None => None,
        };
        let extensions = match fields.optional(tag::context(1))? {
            Some(element) => extensions(element.reader())?,
            None => Vec::new(),
        };
        fields.finish()?;
        Ok((SingleResponse { certificate, status, this_update, next_update }, extensions))
    }

    /// Whether this is about `certificate`, which `issuer` signed.
    pub(crate) fn is_about(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        self.certificate.names(certificate, issuer)
    }

    /// The serial number of the certificate that is meant.
    pub(crate) fn serial(&self) -> &[u8] {
        &self.certificate.serial
    }

    /// Its last moment (RFC 6960 4.2.2.1): nextUpdate, or an hour after it was known to be correct.
    pub(crate) fn end(&self) -> UnixTime {
        self.next_update.unwrap_or(self.this_update.saturating_add_secs(WITHOUT_END_SECS))
    }
}

impl CertStatus {
    /// Good and unknown are NULL, revoked is RevokedInfo.
    fn read(fields: &mut Reader<'_>) -> Result<CertStatus, DerError> {
        let element = fields.any()?;
        match (element.tag, element.value) {
            (GOOD, []) => Ok(CertStatus::Good),
            (UNKNOWN, []) => Ok(CertStatus::Unknown),
            (REVOKED, _) => {
                let mut revoked = element.reader();
                let since = revoked.generalized_time()?;
                let reason = match revoked.optional(tag::context(0))? {
                    Some(element) => {
                        let mut inside = element.reader();
                        let reason = inside.enumerated()?;
                        inside.finish()?;
                        reason
                    }
                    None => 0,
                };
                revoked.finish()?;
                Ok(CertStatus::Revoked { since, reason })
            }
            _ => Err(DerError::Value("OCSP certificate status")),
        }
    }

    /// Whether it is revoked for the reason that may be taken back.
    pub(crate) fn is_hold(self) -> bool {
        matches!(self, CertStatus::Revoked { reason: CERTIFICATE_HOLD, .. })
    }

    /// The status in words.
    pub(crate) fn shown(self) -> String {
        match self {
            CertStatus::Good => "good".to_owned(),
            CertStatus::Unknown => "unknown to the responder".to_owned(),
            CertStatus::Revoked { since, reason } => {
                let known = REASONS.get(usize::from(reason)).map(|name| (*name).to_owned());
                format!("revoked since {since}, {}", known.unwrap_or_else(|| format!("reason {reason}")))
            }
        }
    }
}

impl CertId {
    fn read(mut fields: Reader<'_>) -> Result<CertId, DerError> {
        let hash = HashAlgorithm::read(fields.sequence()?)?;
        let issuer_name_hash = fields.expect(tag::OCTET_STRING)?.value.to_vec();
        let issuer_key_hash = fields.expect(tag::OCTET_STRING)?.value.to_vec();
        let serial = fields.unsigned()?.to_vec();
        fields.finish()?;
        Ok(CertId { hash, issuer_name_hash, issuer_key_hash, serial })
    }

    fn names(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let Ok(issuer_name) = certificate.issuer_der() else { return false };
        let is = |hash: &[u8], of: &[u8]| self.hash.of(of).is_some_and(|digest| digest == hash);
        self.serial == certificate.serial
            && is(&self.issuer_name_hash, issuer_name)
            && is(&self.issuer_key_hash, issuer.public_key.bytes())
    }
}

impl HashAlgorithm {
    /// The parameters are absent or NULL (RFC 5754 2).
    fn read(mut fields: Reader<'_>) -> Result<HashAlgorithm, DerError> {
        let kind = match fields.oid()? {
            oid::SHA1 => HashAlgorithm::Sha1,
            oid::SHA256 => HashAlgorithm::Sha256,
            oid::SHA384 => HashAlgorithm::Sha384,
            _ => return Ok(HashAlgorithm::Other),
        };
        let null = fields.optional(tag::NULL)?;
        fields.finish()?;
        if null.is_none_or(|element| element.value.is_empty()) { Ok(kind) } else { Err(DerError::Value("NULL")) }
    }

    fn of(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            HashAlgorithm::Sha1 => Some(crypto::sha1(bytes).to_vec()),
            HashAlgorithm::Sha256 => Some(crypto::sha256(bytes).to_vec()),
            HashAlgorithm::Sha384 => Some(crypto::sha384(bytes).to_vec()),
            HashAlgorithm::Other => None,
        }
    }
}
