//! A device's own certificates: of its boot ROM, which an authority issues once, and of the key
//! that signs reports, which the boot ROM issues at each start.

use x509_cert::der::Error;

use super::{
    architecture::NvidiaArchitecture,
    authority::Authority,
    device::Device,
    extension::{device_alternative_name, firmware_identity, responder_location},
    measurement::Measurement,
    name::device_name,
};
use crate::{
    certificate::{Certificate, Validity, encoding},
    der::Der,
    error::SimulationError,
    extension::{
        KeyUsage, authority, authority_key_identifier, development, key_usage, no_authority, subject_key_identifier,
        unknown_critical,
    },
    keys::{Issuer, elliptic::EllipticKey},
};

/// What a boot ROM's certificate says. A fault changes one field.
pub(crate) struct BromCertificate<'a> {
    pub(crate) device: &'a Device,
    pub(crate) validity: Validity,
    /// False only for the fault of one that is no authority.
    pub(crate) may_issue: bool,
}

/// What a leaf says. A fault changes one field.
pub(crate) struct LeafCertificate<'a> {
    pub(crate) device: &'a Device,
    /// Another key than the device's only for a fault.
    pub(crate) key: &'a EllipticKey,
    pub(crate) validity: Validity,
    pub(crate) fwid: Measurement,
    /// True only for faults.
    pub(crate) may_issue: bool,
    pub(crate) unknown_critical_extension: bool,
    /// False only for faults that leave the extension out.
    pub(crate) says_development: bool,
    pub(crate) has_fwid: bool,
}

impl BromCertificate<'_> {
    /// The certificate, DER, signed by that key.
    pub(crate) fn sign(&self, issuer: &dyn Issuer) -> Result<Der, SimulationError> {
        let device = self.device;
        Certificate {
            serial: device.brom_serial(),
            issuer: Authority::Provisioner(device.architecture).name()?,
            subject: brom_name(device)?,
            validity: self.validity,
            public_key_info: device.brom_key.public_key_info()?,
            extensions: self.extensions(issuer).map_err(encoding)?,
        }
        .sign(issuer)
    }

    fn extensions(&self, issuer: &dyn Issuer) -> Result<Vec<Der>, Error> {
        let mut extensions = vec![
            if self.may_issue { authority(None)? } else { no_authority()? },
            key_usage(KeyUsage::OnlyCertificateSign)?,
        ];
        if self.device.architecture == NvidiaArchitecture::Blackwell {
            extensions.push(responder_location()?);
        }
        extensions.push(subject_key_identifier(&self.device.brom_key.identifier())?);
        extensions.push(authority_key_identifier(&issuer.identifier())?);
        extensions.push(development()?);
        Ok(extensions)
    }
}

impl<'a> LeafCertificate<'a> {
    /// A sound one.
    pub(crate) fn new(device: &'a Device, validity: Validity) -> Self {
        Self {
            device,
            key: &device.key,
            validity,
            fwid: device.fwid(),
            may_issue: false,
            unknown_critical_extension: false,
            says_development: true,
            has_fwid: true,
        }
    }

    /// The certificate, DER, signed by that key.
    pub(crate) fn sign(&self, issuer: &dyn Issuer) -> Result<Der, SimulationError> {
        let device = self.device;
        let serial = device.leaf_serial();
        let brom_key_info = device.brom_key.public_key_info()?;
        let common_name = format!("{} FMC LF", device.architecture.device_name());
        Certificate {
            issuer: brom_name(device)?,
            subject: device_name(&common_name, &serial).map_err(encoding)?,
            serial,
            validity: self.validity,
            public_key_info: self.key.public_key_info()?,
            extensions: self.extensions(issuer, &brom_key_info).map_err(encoding)?,
        }
        .sign(issuer)
    }

    fn extensions(&self, issuer: &dyn Issuer, brom_key_info: &[u8]) -> Result<Vec<Der>, Error> {
        let device = self.device;
        let mut extensions = Vec::new();
        if self.may_issue {
            extensions.push(authority(None)?);
        }
        extensions.push(key_usage(KeyUsage::Signature)?);
        extensions.push(subject_key_identifier(&self.key.identifier())?);
        extensions.push(authority_key_identifier(&issuer.identifier())?);
        extensions.push(device_alternative_name(device.architecture.chip(), device.board_serial)?);
        if self.has_fwid {
            extensions.push(firmware_identity(device.architecture, brom_key_info, &self.fwid)?);
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

fn brom_name(device: &Device) -> Result<Der, SimulationError> {
    let common_name = format!("{} BROM", device.architecture.device_name());
    device_name(&common_name, &device.brom_serial()).map_err(encoding)
}

/// A big-endian number in decimal digits.
pub(crate) fn decimal(big_endian: &[u8]) -> String {
    let mut digits = vec![0_u8]; // the last one first
    for byte in big_endian {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) * 256;
            *digit = u8::try_from(carry % 10).unwrap_or_default();
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or_default());
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_genuine_serial_number_is_its_ueid() {
        let serial = hex::decode("53C22BA15E5D68088282DA074ED9FB37AA585771").unwrap();
        assert_eq!(decimal(&serial), "478176379286082186618948445787393647364802107249");
        assert_eq!(decimal(&[]), "0");
        assert_eq!(decimal(&[0, 1, 0]), "256");
    }
}
