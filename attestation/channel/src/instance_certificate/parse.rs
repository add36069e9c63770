//! Reading a certificate: strict DER, Ed25519 only, the signed bytes kept as received.

use strongroom_attestation::UnixTime;
use x509_cert::Certificate;
use x509_cert::Version;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{self, Decode, Encode, Reader, SliceReader};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, KeyUsage, SubjectAltName, SubjectKeyIdentifier};
use x509_cert::name::Name;

use super::{CertificateError, InstanceClaims};
use crate::cose::VerifyingKey;

/// The claims' extension, under the enterprise number for documentation (RFC 5612).
pub(super) const CLAIMS_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.5.2");
/// AlgorithmIdentifier of Ed25519 (RFC 8410 section 3), in DER.
pub(super) const ED25519: [u8; 7] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
/// The first second of the year 10000, which X.509 cannot write.
pub(super) const TIME_LIMIT: u64 = 253_402_300_800;
/// Longest certificate that is read.
const MAX_CERTIFICATE: usize = 16 * 1024;

/// A certificate that parsed; nothing in it is checked but its form.
pub(super) struct Parsed<'a> {
    what: &'static str,
    certificate: Certificate,
    /// The signed bytes, as received.
    pub(super) tbs: &'a [u8],
    pub(super) signature: [u8; 64],
    pub(super) key: VerifyingKey,
    not_before: UnixTime,
    pub(super) not_after: UnixTime,
}

impl<'a> Parsed<'a> {
    pub(super) fn read(what: &'static str, bytes: &'a [u8]) -> Result<Parsed<'a>, CertificateError> {
        if bytes.len() > MAX_CERTIFICATE {
            return Err(CertificateError::Malformed { what });
        }
        Parsed::parse(what, bytes).ok().flatten().ok_or(CertificateError::Malformed { what })
    }

    fn parse(what: &'static str, bytes: &'a [u8]) -> der::Result<Option<Parsed<'a>>> {
        let certificate = Certificate::from_der(bytes)?;
        let tbs = SliceReader::new(AnyRef::from_der(bytes)?.value())?.tlv_bytes()?;
        let inner = certificate.tbs_certificate();
        let key_info = inner.subject_public_key_info();
        let algorithms = [inner.signature(), certificate.signature_algorithm(), &key_info.algorithm];
        for algorithm in algorithms {
            if algorithm.to_der()? != ED25519 {
                return Ok(None);
            }
        }
        if inner.version() != Version::V3 {
            return Ok(None);
        }
        let key = key_info.subject_public_key.as_bytes().and_then(|bytes| bytes.try_into().ok());
        let key = key.and_then(|bytes: [u8; 32]| VerifyingKey::from_bytes(&bytes).ok());
        let signature = certificate.signature().as_bytes().and_then(|bytes| bytes.try_into().ok());
        let (Some(key), Some(signature)) = (key, signature) else { return Ok(None) };
        let validity = inner.validity();
        let not_before = UnixTime::from_secs(validity.not_before.to_unix_duration().as_secs());
        let not_after = UnixTime::from_secs(validity.not_after.to_unix_duration().as_secs());
        Ok(Some(Parsed { what, tbs, signature, key, not_before, not_after, certificate }))
    }

    pub(super) fn subject(&self) -> &Name {
        self.certificate.tbs_certificate().subject()
    }

    pub(super) fn issuer(&self) -> &Name {
        self.certificate.tbs_certificate().issuer()
    }

    /// RFC 5280 section 4.1.2.5: both ends belong to the time.
    pub(super) fn require_time(&self, now: UnixTime) -> Result<(), CertificateError> {
        if now < self.not_before {
            return Err(CertificateError::NotYetValid { what: self.what, from: self.not_before });
        }
        if now > self.not_after {
            return Err(CertificateError::Expired { what: self.what, at: self.not_after });
        }
        Ok(())
    }

    pub(super) fn require_ca(&self) -> Result<(), CertificateError> {
        let constraints = self.extension::<BasicConstraints>()?;
        let usage = self.extension::<KeyUsage>()?;
        let is_ca =
            constraints.is_some_and(|constraints| constraints.ca) && usage.is_some_and(|usage| usage.key_cert_sign());
        if is_ca { Ok(()) } else { Err(CertificateError::NotACa) }
    }

    pub(super) fn require_end_entity(&self) -> Result<(), CertificateError> {
        if self.extension::<BasicConstraints>()?.is_some_and(|constraints| constraints.ca) {
            return Err(CertificateError::Extensions { wanted: "an instance, not a CA" });
        }
        if !self.extension::<KeyUsage>()?.is_some_and(|usage| usage.digital_signature()) {
            return Err(CertificateError::Extensions { wanted: "key usage digitalSignature" });
        }
        let known = [
            BasicConstraints::OID,
            KeyUsage::OID,
            SubjectAltName::OID,
            SubjectKeyIdentifier::OID,
            AuthorityKeyIdentifier::OID,
            CLAIMS_OID,
        ];
        let mut extensions = self.certificate.tbs_certificate().extensions().into_iter().flatten();
        if extensions.any(|extension| extension.critical && !known.contains(&extension.extn_id)) {
            return Err(CertificateError::Extensions { wanted: "no unknown critical extension" });
        }
        Ok(())
    }

    pub(super) fn claims(&self) -> Result<InstanceClaims, CertificateError> {
        let extensions = self.certificate.tbs_certificate().extensions().into_iter().flatten();
        let found: Vec<_> = extensions.filter(|extension| extension.extn_id == CLAIMS_OID).collect();
        let [claims] = found.as_slice() else {
            return Err(CertificateError::Extensions { wanted: "the instance's claims, once" });
        };
        Ok(InstanceClaims::decode(claims.extn_value.as_bytes())?)
    }

    /// The extension of this type, which may be absent and may not be there twice.
    pub(super) fn extension<'b, T: Decode<'b, Error = der::Error> + AssociatedOid>(
        &'b self,
    ) -> Result<Option<T>, CertificateError> {
        let found = self.certificate.tbs_certificate().get_extension::<T>();
        let found =
            found.map_err(|_| CertificateError::Extensions { wanted: "each extension well-formed, and once" })?;
        Ok(found.map(|(_, value)| value))
    }
}
