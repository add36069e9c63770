//! The certificate of a device's key: a VCEK (of the chip) or a VLEK (loaded by a cloud
//! provider), with AMD's extensions and the development one.

use x509_cert::der::Error;

use super::{
    extension::{csp_id, hardware_id, product_name, security_patch_levels, structure_version},
    keys::AuthorityKey,
    name::name,
    product::{Product, Tcb},
};
use crate::{
    certificate::{Certificate, Validity, encoding},
    der::Der,
    error::SimulationError,
    extension::{development, unknown_critical},
};

/// What a VCEK or VLEK certifies. A fault changes one field.
pub(crate) struct Leaf {
    /// The line whose ASK or ASVK issues it.
    pub(crate) issuing_product: Product,
    pub(crate) subject: Subject,
    pub(crate) product_name: String,
    pub(crate) tcb: Tcb,
    pub(crate) public_key_info: Vec<u8>,
    pub(crate) validity: Validity,
    /// False only for the fault that leaves the development extension out.
    pub(crate) says_development: bool,
    /// True only for the fault of that name.
    pub(crate) unknown_critical_extension: bool,
}

/// Whose key it is.
pub(crate) enum Subject {
    /// The chip with this hardware id (none only for a fault).
    Vcek { hardware_id: Option<Vec<u8>> },
    /// A cloud provider's.
    Vlek { csp_id: String },
}

impl Leaf {
    /// The signed certificate, DER.
    pub(crate) fn sign(&self, key: &AuthorityKey) -> Result<Der, SimulationError> {
        let product = self.issuing_product.name();
        let (issuer, subject) = match self.subject {
            Subject::Vcek { .. } => (format!("SEV-{product}"), "SEV-VCEK"),
            Subject::Vlek { .. } => (format!("SEV-VLEK-{product}"), "SEV-VLEK"),
        };
        Certificate {
            serial: vec![0], // as in every genuine one
            issuer: name(&issuer).map_err(encoding)?,
            subject: name(subject).map_err(encoding)?,
            validity: self.validity,
            public_key_info: self.public_key_info.clone(),
            extensions: self.extensions().map_err(encoding)?,
        }
        .sign(&key.issuing())
    }

    fn extensions(&self) -> Result<Vec<Der>, Error> {
        let structure = u32::from(self.tcb.fmc.is_some());
        let mut extensions = vec![structure_version(structure)?, product_name(&self.product_name)?];
        extensions.append(&mut security_patch_levels(self.tcb)?);
        match &self.subject {
            Subject::Vcek { hardware_id: None } => {}
            Subject::Vcek { hardware_id: Some(id) } => extensions.push(hardware_id(id)?),
            Subject::Vlek { csp_id: id } => extensions.push(csp_id(id)?),
        }
        if self.says_development {
            extensions.push(development()?);
        }
        if self.unknown_critical_extension {
            extensions.push(unknown_critical()?);
        }
        Ok(extensions)
    }
}
