//! One certificate of a signer or of an authority (RFC 5280), read strictly.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use strongroom_attestation::{HexBytes, UnixTime, crypto};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{self, Decode, Encode, Reader, SliceReader};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectAltName,
};
use x509_cert::name::Name;
use x509_cert::{Certificate as X509, Version};

use super::error::shown;
use super::limits::MAX_CERTIFICATE_BYTES;
use super::sigstore::without_extension;
use super::{EcPublicKey, ProvenanceError};

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const RSA_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");

/// Critical extensions that are kept to here, or that only say more. Policies are among them
/// because no policy is asked for (RFC 5280 6.1.1).
const KNOWN_CRITICAL: [ObjectIdentifier; 5] =
    [BasicConstraints::OID, KeyUsage::OID, ExtendedKeyUsage::OID, SubjectAltName::OID, CertificatePolicies::OID];

/// A certificate that parsed. Nothing of it is checked but its form.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    x509: X509,
    /// The signed bytes, as received.
    tbs: Vec<u8>,
    sha256: [u8; 32],
    not_before: UnixTime,
    not_after: UnixTime,
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    /// `TooLarge`; `Malformed` for what is no certificate of version 3, or has an extension twice.
    pub(super) fn read(der: &[u8]) -> Result<Self, ProvenanceError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(ProvenanceError::TooLarge { what: "a certificate", limit: MAX_CERTIFICATE_BYTES });
        }
        Self::parse(der).ok().flatten().ok_or(ProvenanceError::Malformed("a certificate"))
    }

    fn parse(der: &[u8]) -> der::Result<Option<Self>> {
        let x509 = X509::from_der(der)?;
        let tbs = SliceReader::new(AnyRef::from_der(der)?.value())?.tlv_bytes()?.to_vec();
        let inner = x509.tbs_certificate();
        let mut oids: Vec<_> = inner.extensions().into_iter().flatten().map(|extension| extension.extn_id).collect();
        oids.sort_unstable();
        let twice = oids.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
        if inner.version() != Version::V3 || inner.signature() != x509.signature_algorithm() || twice {
            return Ok(None);
        }
        let seconds = |time: x509_cert::time::Time| UnixTime::from_secs(time.to_unix_duration().as_secs());
        let (not_before, not_after) = (seconds(inner.validity().not_before), seconds(inner.validity().not_after));
        Ok(Some(Self { tbs, sha256: crypto::sha256(der), not_before, not_after, x509 }))
    }

    /// SHA-256 of the DER.
    pub(super) fn fingerprint(&self) -> HexBytes<32> {
        HexBytes(self.sha256)
    }

    pub(super) fn subject(&self) -> &Name {
        self.x509.tbs_certificate().subject()
    }

    pub(super) fn issuer(&self) -> &Name {
        self.x509.tbs_certificate().issuer()
    }

    /// The SubjectPublicKeyInfo in DER.
    pub(super) fn spki(&self) -> Result<Vec<u8>, ProvenanceError> {
        let info = self.x509.tbs_certificate().subject_public_key_info();
        info.to_der().map_err(|_| ProvenanceError::Malformed("a certificate"))
    }

    /// The key that the certificate is about, where it is one that signs models.
    pub(super) fn key(&self) -> Result<EcPublicKey, ProvenanceError> {
        EcPublicKey::from_spki(&self.spki()?)
    }

    /// Both ends belong to the time (RFC 5280 4.1.2.5).
    pub(super) fn valid_at(&self, at: UnixTime) -> Result<(), ProvenanceError> {
        if at < self.not_before || at > self.not_after {
            return Err(ProvenanceError::CertificateDates { from: self.not_before, until: self.not_after, at });
        }
        Ok(())
    }

    /// The names that the authority vouches for: e-mail addresses, URIs and host names; where there
    /// are none, the subject in the text form of RFC 4514.
    pub(super) fn identities(&self) -> Result<Vec<String>, ProvenanceError> {
        let names = self.alternative_names()?;
        Ok(if names.is_empty() { vec![self.subject().to_string()] } else { names })
    }

    /// The e-mail addresses, URIs and host names of the subject (RFC 5280 4.2.1.6).
    pub(super) fn alternative_names(&self) -> Result<Vec<String>, ProvenanceError> {
        let names = self.extension::<SubjectAltName>()?.map(|names| names.0).unwrap_or_default();
        let texts = names.iter().filter_map(|name| match name {
            GeneralName::Rfc822Name(text)
            | GeneralName::DnsName(text)
            | GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
            _ => None,
        });
        Ok(texts.collect())
    }

    /// What keeps the certificate from being a signer's of models.
    pub(super) fn unfit_to_sign(&self) -> Result<Option<&'static str>, ProvenanceError> {
        let ca = self.extension::<BasicConstraints>()?.is_some_and(|constraints| constraints.ca);
        let signs = self.extension::<KeyUsage>()?.map(|usage| usage.digital_signature());
        let code = self.extended_usage()?;
        Ok(match (self.unknown_critical(), ca, signs, code) {
            (true, ..) => Some("it has a critical extension that is not known here"),
            (_, true, ..) => Some("it is an authority's, not a signer's"),
            (_, _, Some(false), _) => Some("its key usage has no digitalSignature"),
            (_, _, _, Some(false)) => Some("its extended key usage has no codeSigning"),
            (_, _, None, None) => Some("it has neither key usage digitalSignature nor extended key usage codeSigning"),
            (_, _, _, _) => None,
        })
    }

    /// What keeps the certificate from vouching for another, with `below` authorities between it and
    /// the signer's.
    pub(super) fn unfit_to_issue(&self, below: usize) -> Result<Option<&'static str>, ProvenanceError> {
        let constraints = self.extension::<BasicConstraints>()?;
        let usage = self.extension::<KeyUsage>()?;
        let path_length = constraints.as_ref().and_then(|constraints| constraints.path_len_constraint);
        let named = self.extensions().any(|extension| extension.extn_id == NameConstraints::OID);
        Ok(if self.unknown_critical() || named {
            Some("an authority's has a critical extension or name constraints, which are not known here")
        } else if !constraints.is_some_and(|constraints| constraints.ca) {
            Some("an issuer is no authority")
        } else if usage.is_some_and(|usage| !usage.key_cert_sign()) {
            Some("an authority may not sign certificates")
        } else if self.extended_usage()? == Some(false) {
            Some("an authority is not for code signing")
        } else if path_length.is_some_and(|most| below > usize::from(most)) {
            Some("an authority may not have that many authorities below it")
        } else {
            None
        })
    }

    /// Whether the signature over the certificate is by `issuer`'s key.
    pub(super) fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let info = issuer.x509.tbs_certificate().subject_public_key_info();
        let curve = info.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        let kind = (self.x509.signature_algorithm().oid, info.algorithm.oid == RSA_KEY, curve);
        let algorithm: &'static dyn VerificationAlgorithm = match kind {
            (ECDSA_SHA256, false, Some(P256)) => &signature::ECDSA_P256_SHA256_ASN1,
            (ECDSA_SHA384, false, Some(P256)) => &signature::ECDSA_P256_SHA384_ASN1,
            (ECDSA_SHA256, false, Some(P384)) => &signature::ECDSA_P384_SHA256_ASN1,
            (ECDSA_SHA384, false, Some(P384)) => &signature::ECDSA_P384_SHA384_ASN1,
            (RSA_SHA256, true, _) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (RSA_SHA384, true, _) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (RSA_SHA512, true, _) => &signature::RSA_PKCS1_2048_8192_SHA512,
            _ => return false,
        };
        let (key, signature) = (info.subject_public_key.as_bytes(), self.x509.signature().as_bytes());
        let (Some(key), Some(signature)) = (key, signature) else { return false };
        UnparsedPublicKey::new(algorithm, key).verify(&self.tbs, signature).is_ok()
    }

    /// The inside of an extension that x509-cert has no type for.
    pub(super) fn raw_extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        self.extensions().find(|extension| extension.extn_id == oid).map(|extension| extension.extn_value.as_bytes())
    }

    /// What was signed, without the extension `oid` (RFC 6962 3.2).
    pub(super) fn tbs_without(&self, oid: ObjectIdentifier) -> Option<Vec<u8>> {
        without_extension(&self.tbs, oid)
    }

    fn extensions(&self) -> impl Iterator<Item = &x509_cert::ext::Extension> {
        self.x509.tbs_certificate().extensions().into_iter().flatten()
    }

    fn unknown_critical(&self) -> bool {
        self.extensions().any(|extension| extension.critical && !KNOWN_CRITICAL.contains(&extension.extn_id))
    }

    /// Whether the extended key usage has code signing; nothing where there is none.
    fn extended_usage(&self) -> Result<Option<bool>, ProvenanceError> {
        Ok(self.extension::<ExtendedKeyUsage>()?.map(|usages| usages.0.contains(&CODE_SIGNING)))
    }

    fn extension<'a, T: Decode<'a, Error = der::Error> + AssociatedOid>(
        &'a self,
    ) -> Result<Option<T>, ProvenanceError> {
        let found = self.x509.tbs_certificate().get_extension::<T>();
        found.map(|found| found.map(|(_, value)| value)).map_err(|_| ProvenanceError::Malformed("a certificate"))
    }
}

/// A name as it may stand in a message.
pub(super) fn shown_name(name: &Name) -> String {
    shown(&name.to_string())
}
