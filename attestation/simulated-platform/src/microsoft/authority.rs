//! The certificates above and of a virtual TPM's attestation key.

use x509_cert::der::Error;

use super::{
    extension::{attests, authority_version, certifies_tpm_keys, issuer_location},
    name::{plain_name, root_name},
};
use crate::{
    certificate::{Certificate, Validity, encoding},
    der::Der,
    error::SimulationError,
    extension::{
        KeyUsage, authority, authority_key_identifier, crl_distribution_point, development, key_usage, no_authority,
        subject_key_identifier, unknown_critical,
    },
    keys::{
        Issuer,
        rsa::{Algorithm, RsaKey},
    },
};

const INTERMEDIATE_NAME: &str = "Global Virtual TPM CA - 01";
const CRL_URL: &str = "http://simulated-azure.invalid/crl/Azure%20Virtual%20TPM%20Root.crl";
const ROOT_URL: &str = "http://simulated-azure.invalid/certs/Azure%20Virtual%20TPM%20Root.crt";

/// The self-signed certificate of the root: RSA-4096, SHA-384.
pub(crate) fn root_certificate(key: &RsaKey, validity: Validity) -> Result<Der, SimulationError> {
    let extensions = || -> Result<Vec<Der>, Error> {
        Ok(vec![
            key_usage(KeyUsage::SignatureCertificateAndCrlSign)?,
            authority(None)?,
            subject_key_identifier(&key.identifier())?,
            authority_version()?,
            development()?,
        ])
    };
    let name = root_name().map_err(encoding)?;
    Certificate {
        serial: key.identifier(),
        issuer: name.clone(),
        subject: name,
        validity,
        public_key_info: key.public_key_info()?,
        extensions: extensions().map_err(encoding)?,
    }
    .sign(&key.issuing(Algorithm::Pkcs1Sha384))
}

/// What the intermediate's certificate says. A fault changes one field.
pub(crate) struct Intermediate<'a> {
    pub(crate) key: &'a RsaKey,
    pub(crate) validity: Validity,
    /// False only for the fault of an intermediate that is no authority.
    pub(crate) may_issue: bool,
}

impl Intermediate<'_> {
    /// The certificate, DER, signed by the root.
    pub(crate) fn sign(&self, root: &dyn Issuer) -> Result<Der, SimulationError> {
        let extensions = || -> Result<Vec<Der>, Error> {
            Ok(vec![
                if self.may_issue { authority(Some(0))? } else { no_authority()? },
                key_usage(KeyUsage::OnlyCertificateSign)?,
                certifies_tpm_keys()?,
                subject_key_identifier(&self.key.identifier())?,
                authority_key_identifier(&root.identifier())?,
                crl_distribution_point(CRL_URL)?,
                issuer_location(ROOT_URL)?,
                development()?,
            ])
        };
        Certificate {
            serial: serial(&self.key.identifier()),
            issuer: root_name().map_err(encoding)?,
            subject: plain_name(INTERMEDIATE_NAME).map_err(encoding)?,
            validity: self.validity,
            public_key_info: self.key.public_key_info()?,
            extensions: extensions().map_err(encoding)?,
        }
        .sign(root)
    }
}

/// What the certificate of an attestation key says. A fault changes one field.
pub(crate) struct AkCertificate<'a> {
    pub(crate) key: &'a RsaKey,
    /// First part of the common name.
    pub(crate) vm: String,
    pub(crate) validity: Validity,
    /// False only for the fault that leaves the extension out.
    pub(crate) says_development: bool,
    /// True only for the fault of that name.
    pub(crate) unknown_critical_extension: bool,
}

impl AkCertificate<'_> {
    /// The certificate, DER, signed by the intermediate. It names no place where the
    /// issuer's could be had, like genuine ones of this authority.
    pub(crate) fn sign(&self, intermediate: &dyn Issuer) -> Result<Der, SimulationError> {
        let extensions = || -> Result<Vec<Der>, Error> {
            let mut extensions = vec![
                key_usage(KeyUsage::Signature)?,
                attests()?,
                subject_key_identifier(&self.key.identifier())?,
                authority_key_identifier(&intermediate.identifier())?,
            ];
            if self.says_development {
                extensions.push(development()?);
            }
            if self.unknown_critical_extension {
                extensions.push(unknown_critical()?);
            }
            Ok(extensions)
        };
        let subject = format!("{}.TrustedVM.Azure.windows.net", self.vm);
        Certificate {
            serial: serial(&self.key.identifier()),
            issuer: plain_name(INTERMEDIATE_NAME).map_err(encoding)?,
            subject: plain_name(&subject).map_err(encoding)?,
            validity: self.validity,
            public_key_info: self.key.public_key_info()?,
            extensions: extensions().map_err(encoding)?,
        }
        .sign(intermediate)
    }
}

/// 19 bytes that begin with 33, as Microsoft's authorities number.
fn serial(identifier: &[u8]) -> Vec<u8> {
    let rest = identifier.get(..18).unwrap_or(identifier);
    [&[0x33], rest].concat()
}
