//! The certificates of Intel's authorities: the root, the two that issue PCK certificates,
//! and the one that signs TCB info and enclave identities.

use x509_cert::der::Error;

use super::{name::name, pck::PckCa};
use crate::{
    certificate::{Certificate, Validity, encoding},
    der::Der,
    error::SimulationError,
    extension::{
        KeyUsage, authority, authority_key_identifier, crl_distribution_point, development, key_usage, no_authority,
        subject_key_identifier,
    },
    keys::{Issuer, elliptic::EllipticKey},
};

/// Where the root's revocation list would be published.
const ROOT_CRL_URL: &str = "https://certificates.simulated-intel.invalid/IntelSGXRootCA.der";

/// Which authority it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Root,
    PckCa(PckCa),
    TcbSigning,
}

impl Role {
    /// Common name without the development suffix.
    pub(crate) fn common_name(self) -> &'static str {
        match self {
            Self::Root => "Intel SGX Root CA",
            Self::PckCa(PckCa::Platform) => "Intel SGX PCK Platform CA",
            Self::PckCa(PckCa::Processor) => "Intel SGX PCK Processor CA",
            Self::TcbSigning => "Intel SGX TCB Signing",
        }
    }
}

/// What an authority's certificate says. A fault changes one field.
pub(crate) struct AuthorityCertificate<'a> {
    pub(crate) role: Role,
    pub(crate) key: &'a EllipticKey,
    pub(crate) validity: Validity,
    /// False only for the fault of an intermediate that is no authority.
    pub(crate) may_issue: bool,
}

impl AuthorityCertificate<'_> {
    /// The certificate, DER, signed by the root's key.
    pub(crate) fn sign(&self, root: &dyn Issuer) -> Result<Der, SimulationError> {
        Certificate {
            serial: self.key.identifier(), // as Intel numbers its authorities
            issuer: name(Role::Root.common_name()).map_err(encoding)?,
            subject: name(self.role.common_name()).map_err(encoding)?,
            validity: self.validity,
            public_key_info: self.key.public_key_info()?,
            extensions: self.extensions(root).map_err(encoding)?,
        }
        .sign(root)
    }

    fn extensions(&self, root: &dyn Issuer) -> Result<Vec<Der>, Error> {
        let (usage, constraint) = match self.role {
            Role::Root => (KeyUsage::CertificateAndCrlSign, authority(Some(1))?),
            Role::PckCa(_) if self.may_issue => (KeyUsage::CertificateAndCrlSign, authority(Some(0))?),
            Role::PckCa(_) => (KeyUsage::CertificateAndCrlSign, no_authority()?),
            Role::TcbSigning => (KeyUsage::SignatureAndNonRepudiation, no_authority()?),
        };
        Ok(vec![
            authority_key_identifier(&root.identifier())?,
            crl_distribution_point(ROOT_CRL_URL)?,
            subject_key_identifier(&self.key.identifier())?,
            key_usage(usage)?,
            constraint,
            development()?,
        ])
    }
}
