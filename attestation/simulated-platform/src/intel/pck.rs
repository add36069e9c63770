//! The PCK certificate: of the key with which a platform's provisioning enclave certifies
//! quoting enclaves, with Intel's extension that says which platform and firmware it is for.

use x509_cert::der::Error;

use super::{
    authority::Role,
    name::name,
    platform::{Component, Platform},
};
use crate::{
    certificate::{Certificate, Validity, encoding},
    der::{Der, boolean, enumerated, integer, object_identifier, octet_string, sequence},
    error::SimulationError,
    extension::{
        KeyUsage, authority_key_identifier, crl_distribution_point, development, extension, key_usage, no_authority,
        subject_key_identifier, unknown_critical,
    },
    keys::{Issuer, elliptic::EllipticKey},
};

/// Intel's SGX extension, and the arc of everything in it.
const SGX: &str = "1.2.840.113741.1.13.1";

/// Which authority issues PCK certificates to a platform, and its revocation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PckCa {
    /// For platforms of several packages, which all TDX servers may be.
    Platform,
    /// For single processors; its certificates name no platform instance.
    Processor,
}

impl PckCa {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Platform, Self::Processor];

    /// As the provisioning service spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Processor => "processor",
        }
    }

    /// The other one, for the fault that mixes them up.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Platform => Self::Processor,
            Self::Processor => Self::Platform,
        }
    }
}

/// What a PCK certificate certifies. A fault changes one field.
pub(crate) struct Pck<'a> {
    pub(crate) issuer: PckCa,
    pub(crate) platform: Platform,
    pub(crate) key: &'a EllipticKey,
    pub(crate) validity: Validity,
    /// False only for faults that leave the extension out.
    pub(crate) says_development: bool,
    pub(crate) has_sgx_extension: bool,
    /// True only for the fault of that name.
    pub(crate) unknown_critical_extension: bool,
}

impl Pck<'_> {
    /// The signed certificate, DER.
    pub(crate) fn sign(&self, issuer: &dyn Issuer) -> Result<Der, SimulationError> {
        Certificate {
            serial: self.serial(),
            issuer: name(Role::PckCa(self.issuer).common_name()).map_err(encoding)?,
            subject: name("Intel SGX PCK Certificate").map_err(encoding)?,
            validity: self.validity,
            public_key_info: self.key.public_key_info()?,
            extensions: self.extensions(issuer).map_err(encoding)?,
        }
        .sign(issuer)
    }

    /// Big-endian; what a revocation list would name.
    pub(crate) fn serial(&self) -> Vec<u8> {
        self.key.identifier()
    }

    fn extensions(&self, issuer: &dyn Issuer) -> Result<Vec<Der>, Error> {
        let ca = self.issuer.name();
        let url = format!("https://simulated-intel.invalid/sgx/certification/v4/pckcrl?ca={ca}&encoding=der");
        let mut extensions = vec![
            authority_key_identifier(&issuer.identifier())?,
            crl_distribution_point(&url)?,
            subject_key_identifier(&self.key.identifier())?,
            key_usage(KeyUsage::SignatureAndNonRepudiation)?,
            no_authority()?,
        ];
        if self.has_sgx_extension {
            extensions.push(extension(SGX, false, &self.sgx_values()?)?);
        }
        if self.says_development {
            extensions.push(development()?);
        }
        if self.unknown_critical_extension {
            extensions.push(unknown_critical()?);
        }
        Ok(extensions)
    }

    fn sgx_values(&self) -> Result<Der, Error> {
        let platform = &self.platform;
        let sgx_type = match self.issuer {
            PckCa::Platform => 1,  // scalable
            PckCa::Processor => 0, // standard
        };
        let mut values = vec![
            value("1", &octet_string(&platform.ppid)?)?,
            value("2", &tcb(platform)?)?,
            value("3", &octet_string(&platform.pceid)?)?,
            value("4", &octet_string(&platform.fmspc)?)?,
            value("5", &enumerated(sgx_type)?)?,
        ];
        if self.issuer == PckCa::Platform {
            values.push(value("6", &octet_string(&platform.instance)?)?);
            // Dynamic platform, cached keys, simultaneous multithreading.
            let flags = ["7.1", "7.2", "7.3"].map(|suffix| boolean(true).and_then(|flag| value(suffix, &flag)));
            let flags: Vec<Der> = flags.into_iter().collect::<Result<_, _>>()?;
            values.push(value("7", &sequence(&[&flags.concat()])?)?);
        }
        sequence(&[&values.concat()])
    }
}

fn tcb(platform: &Platform) -> Result<Der, Error> {
    let mut values = Vec::new();
    for (number, Component(svn)) in (1_u8..).zip(platform.sgx_components()) {
        values.push(value(&format!("2.{number}"), &integer(u32::from(svn))?)?);
    }
    values.push(value("2.17", &integer(u32::from(platform.pcesvn))?)?);
    values.push(value("2.18", &octet_string(&platform.cpusvn)?)?);
    sequence(&[&values.concat()])
}

/// A name below Intel's arc and its value.
fn value(suffix: &str, content: &[u8]) -> Result<Der, Error> {
    sequence(&[&object_identifier(&format!("{SGX}.{suffix}"))?, content])
}
