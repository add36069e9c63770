//! One device's chain: leaf, boot ROM, provisioning, identity, root. Everything is set out
//! before anything is signed, so that a fault can change one thing.

use super::{
    authority::{Authority, AuthorityCertificate},
    device::Device,
    identity::{BromCertificate, LeafCertificate},
    ocsp::Question,
};
use crate::{
    certificate::Validity,
    der::Der,
    error::SimulationError,
    keys::{Issuer, elliptic::EllipticKey},
};

/// The authorities' keys above a device.
pub(crate) struct DeviceAuthorities {
    pub(crate) root: EllipticKey,
    pub(crate) identity: EllipticKey,
    pub(crate) provisioner: EllipticKey,
}

impl DeviceAuthorities {
    pub(crate) fn above(device: &Device, seed: &[u8; 32]) -> Result<Self, SimulationError> {
        let provisioner = Authority::Provisioner(device.architecture);
        Ok(Self {
            root: Authority::DeviceRoot.key(seed)?,
            identity: provisioner.issuer().key(seed)?,
            provisioner: provisioner.key(seed)?,
        })
    }
}

/// What is about to be issued, and with which keys.
pub(crate) struct DeviceIssuance<'a> {
    pub(crate) root: Der,
    pub(crate) identity: AuthorityCertificate<'a>,
    pub(crate) identity_issuer: &'a dyn Issuer,
    pub(crate) provisioner: AuthorityCertificate<'a>,
    pub(crate) provisioner_issuer: &'a dyn Issuer,
    pub(crate) brom: BromCertificate<'a>,
    pub(crate) brom_issuer: &'a dyn Issuer,
    pub(crate) leaf: LeafCertificate<'a>,
    pub(crate) leaf_issuer: &'a dyn Issuer,
}

impl<'a> DeviceIssuance<'a> {
    /// With nothing wrong in it.
    pub(crate) fn sound(device: &'a Device, keys: &'a DeviceAuthorities, root: Der, validity: Validity) -> Self {
        let provisioner = Authority::Provisioner(device.architecture);
        Self {
            root,
            identity: AuthorityCertificate::new(provisioner.issuer(), &keys.identity, validity),
            identity_issuer: &keys.root,
            provisioner: AuthorityCertificate::new(provisioner, &keys.provisioner, validity),
            provisioner_issuer: &keys.identity,
            brom: BromCertificate { device, validity, may_issue: true },
            brom_issuer: &keys.provisioner,
            leaf: LeafCertificate::new(device, validity),
            leaf_issuer: &device.brom_key,
        }
    }

    /// DER, the leaf first.
    pub(crate) fn issue(&self) -> Result<Vec<Der>, SimulationError> {
        Ok(vec![
            self.leaf.sign(self.leaf_issuer)?,
            self.brom.sign(self.brom_issuer)?,
            self.provisioner.sign(self.provisioner_issuer)?,
            self.identity.sign(self.identity_issuer)?,
            self.root.clone(),
        ])
    }

    /// What a verifier asks about revocation: of all but the leaf and the root.
    pub(crate) fn questions(&self) -> Vec<Question> {
        let authority = |certificate: &AuthorityCertificate<'_>| Question {
            issuer: certificate.issuer,
            serial: certificate.authority.serial(certificate.key),
        };
        let device = self.brom.device;
        vec![
            Question { issuer: Authority::Provisioner(device.architecture), serial: device.brom_serial() },
            authority(&self.provisioner),
            authority(&self.identity),
        ]
    }
}

/// The self-signed certificate of a root.
pub(crate) fn root_certificate(root: Authority, key: &EllipticKey, validity: Validity) -> Result<Der, SimulationError> {
    AuthorityCertificate::new(root, key, validity).sign(key)
}
