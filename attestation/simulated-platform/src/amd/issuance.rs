//! The certificates of the vendor's authorities: ARK over ASK (for chips) and ASVK (for
//! loaded keys), one set a product line.

use x509_cert::der::Error;

use super::{keys::AuthorityKey, name::name, product::Product};
use crate::{
    certificate::{Certificate, Validity, encoding},
    der::Der,
    error::SimulationError,
    extension::{
        KeyUsage, authority, authority_key_identifier, crl_distribution_point, development, key_usage, no_authority,
        subject_key_identifier,
    },
};

/// An authority between the root and the devices.
#[derive(Clone, Copy)]
pub(crate) enum Intermediate {
    /// Signs VCEKs.
    Ask,
    /// Signs VLEKs.
    Asvk,
    /// An ASK whose certificate does not make it an authority, for the fault of that name.
    AskWithoutAuthority,
}

/// The self-signed certificate of the root.
pub(crate) fn root_certificate(
    product: Product,
    root: &AuthorityKey,
    validity: Validity,
) -> Result<Der, SimulationError> {
    let extensions = || {
        Ok(vec![
            key_usage(KeyUsage::CertificateAndCrlSign)?,
            subject_key_identifier(&root.identifier())?,
            authority(None)?,
            crl_distribution_point(&crl_url("vcek", product.name()))?,
            development()?,
        ])
    };
    let [serial, ..] = product.authority_serials();
    let name = name(&root_name(product)).map_err(encoding)?;
    Certificate {
        serial: serial.to_be_bytes().to_vec(),
        issuer: name.clone(),
        subject: name,
        validity,
        public_key_info: root.public_key_info()?,
        extensions: extensions().map_err(encoding)?,
    }
    .sign(&root.issuing_authorities())
}

/// The certificate of an authority below the root.
pub(crate) fn intermediate_certificate(
    product: Product,
    kind: Intermediate,
    key: &AuthorityKey,
    root: &AuthorityKey,
    validity: Validity,
) -> Result<Der, SimulationError> {
    let [_, ask_serial, asvk_serial] = product.authority_serials();
    let line = product.name();
    let (serial, subject, service) = match kind {
        Intermediate::Ask | Intermediate::AskWithoutAuthority => (ask_serial, format!("SEV-{line}"), "vcek"),
        Intermediate::Asvk => (asvk_serial, format!("SEV-VLEK-{line}"), "vlek"),
    };
    let extensions = || -> Result<Vec<Der>, Error> {
        Ok(vec![
            subject_key_identifier(&key.identifier())?,
            authority_key_identifier(&root.identifier())?,
            match kind {
                Intermediate::Ask | Intermediate::Asvk => authority(Some(0))?,
                Intermediate::AskWithoutAuthority => no_authority()?,
            },
            key_usage(KeyUsage::CertificateSign)?,
            crl_distribution_point(&crl_url(service, line))?,
            development()?,
        ])
    };
    Certificate {
        serial: serial.to_be_bytes().to_vec(),
        issuer: name(&root_name(product)).map_err(encoding)?,
        subject: name(&subject).map_err(encoding)?,
        validity,
        public_key_info: key.public_key_info()?,
        extensions: extensions().map_err(encoding)?,
    }
    .sign(&root.issuing_authorities())
}

/// Common name of the root, without the development suffix.
pub(crate) fn root_name(product: Product) -> String {
    format!("ARK-{}", product.name())
}

/// Where the list would be published.
fn crl_url(kind: &str, product: &str) -> String {
    format!("https://simulated-amd.invalid/{kind}/v1/{product}/crl")
}
