//! A device's folder: its own private key, its certificates, and what its guest is. No key
//! of the vendor is in it, so whoever runs the server cannot make other devices.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    device::{KeyKind, SimulatedDevice},
    keys::device_key_from_pkcs8,
    product::{Product, Tcb},
    report::ReportVersion,
};
use crate::{
    directory::{
        Access, FORMAT, create, problem, read, read_toml, require_certificate_of, require_format, write, write_toml,
    },
    error::SimulationError,
};

const DESCRIPTION: &str = "device.toml";
const KEY: &str = "device-key.der";
/// In the order of [`SimulatedDevice::endorsements`].
const ENDORSEMENTS: [&str; 4] = ["device.der", "issuer.der", "root.der", "crl.der"];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    product: String,
    report_version: u32,
    /// The provider, where the key is a loaded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    csp_id: Option<String>,
    #[serde(with = "hex::serde")]
    chip_id: [u8; 64],
    #[serde(with = "hex::serde")]
    measurement: [u8; 48],
    #[serde(with = "hex::serde")]
    host_data: [u8; 32],
    tcb: TcbDescription,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TcbDescription {
    #[serde(skip_serializing_if = "Option::is_none")]
    fmc: Option<u8>,
    bootloader: u8,
    tee: u8,
    snp: u8,
    microcode: u8,
}

impl SimulatedDevice {
    /// Writes the device to a folder, which is made where there is none: `device.toml`,
    /// `device-key.der` (PKCS#8, mode 0600 on Unix), `device.der`, `issuer.der`, `root.der`
    /// and `crl.der`.
    ///
    /// # Errors
    /// [`SimulationError::Io`], also where one of the files exists already.
    pub fn to_directory(&self, directory: &Path) -> Result<(), SimulationError> {
        create(directory)?;
        write(directory, KEY, &self.key.to_pkcs8()?, Access::OwnerOnly)?;
        for (name, content) in ENDORSEMENTS.iter().zip(&self.endorsements) {
            write(directory, name, content, Access::Public)?;
        }
        write_toml(directory, DESCRIPTION, &self.description())
    }

    /// Reads a device that [`to_directory`](Self::to_directory) wrote.
    ///
    /// # Errors
    /// [`SimulationError::Io`], [`SimulationError::Key`] or [`SimulationError::Directory`],
    /// the last also where the certificate is not for the key beside it.
    pub fn from_directory(directory: &Path) -> Result<Self, SimulationError> {
        let description: Description = read_toml(directory, DESCRIPTION)?;
        require_format(directory, DESCRIPTION, description.format)?;
        let product = Product::from_name(&description.product)
            .ok_or_else(|| problem(directory, DESCRIPTION, "names no known product"))?;
        let report_version = ReportVersion::from_number(description.report_version)
            .ok_or_else(|| problem(directory, DESCRIPTION, "names no known report version"))?;
        let tcb = Tcb::from(description.tcb);
        if tcb.fmc.is_some() != product.current_tcb().fmc.is_some() {
            let found = "has a TCB of another product's layout";
            return Err(problem(directory, DESCRIPTION, found));
        }
        let key = device_key_from_pkcs8(&read(directory, KEY)?)?;
        let mut endorsements = Vec::new();
        for name in ENDORSEMENTS {
            endorsements.push(read(directory, name)?.to_vec());
        }
        if let ([name, ..], [certificate, ..]) = (&ENDORSEMENTS, endorsements.as_slice()) {
            require_certificate_of(directory, name, certificate, &key.public_key_info()?)?;
        }
        Ok(Self {
            product,
            report_version,
            key,
            key_kind: match description.csp_id {
                None => KeyKind::Vcek,
                Some(csp_id) => KeyKind::Vlek { csp_id },
            },
            chip_id: description.chip_id,
            tcb,
            measurement: description.measurement,
            host_data: description.host_data,
            endorsements,
        })
    }

    fn description(&self) -> Description {
        Description {
            format: FORMAT,
            product: self.product.name().to_owned(),
            report_version: self.report_version.number(),
            csp_id: match &self.key_kind {
                KeyKind::Vcek => None,
                KeyKind::Vlek { csp_id } => Some(csp_id.clone()),
            },
            chip_id: self.chip_id,
            measurement: self.measurement,
            host_data: self.host_data,
            tcb: self.tcb.into(),
        }
    }
}

impl From<Tcb> for TcbDescription {
    fn from(tcb: Tcb) -> Self {
        let Tcb { fmc, bootloader, tee, snp, microcode } = tcb;
        Self { fmc, bootloader, tee, snp, microcode }
    }
}

impl From<TcbDescription> for Tcb {
    fn from(tcb: TcbDescription) -> Self {
        let TcbDescription { fmc, bootloader, tee, snp, microcode } = tcb;
        Self { fmc, bootloader, tee, snp, microcode }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::amd::vendor::SimulatedAmd;

    const NOW: u64 = 1_800_000_000;

    fn device(product: Product, secret: u8) -> SimulatedDevice {
        SimulatedAmd::published(product, NOW).unwrap().device([secret; 32], [1; 48], [2; 32], NOW).unwrap()
    }

    #[test]
    fn a_device_survives_its_folder() {
        for product in Product::ALL {
            let folder = tempfile::tempdir().unwrap();
            let device = device(product, 7).with_report_version(ReportVersion::V3);
            device.to_directory(folder.path()).unwrap();
            let read = SimulatedDevice::from_directory(folder.path()).unwrap();
            let data = [9; 64];
            let (before, after) = (device.report(&data).unwrap(), read.report(&data).unwrap());
            assert_eq!(before.endorsements, after.endorsements);
            // All but the signature, which is randomised.
            assert_eq!(before.report[..0x2a0], after.report[..0x2a0]);
        }
    }

    #[test]
    fn a_device_with_a_loaded_key_survives_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let device = SimulatedAmd::published(Product::Milan, NOW)
            .unwrap()
            .device_with_loaded_key([7; 32], "CN=csp.invalid", [1; 48], [2; 32], NOW)
            .unwrap();
        device.to_directory(folder.path()).unwrap();
        let read = SimulatedDevice::from_directory(folder.path()).unwrap();
        assert_eq!(read.key_kind, device.key_kind);
        assert_eq!(read.chip_id(), &[0; 64]);
    }

    #[test]
    fn the_folder_holds_no_key_but_the_device_s() {
        let folder = tempfile::tempdir().unwrap();
        device(Product::Turin, 7).to_directory(folder.path()).unwrap();
        let names: BTreeSet<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let expected = ["crl.der", "device-key.der", "device.der", "device.toml"];
        let expected = expected.into_iter().chain(["issuer.der", "root.der"]);
        assert_eq!(names, expected.map(str::to_owned).collect());
    }

    #[cfg(unix)]
    #[test]
    fn the_private_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        device(Product::Turin, 7).to_directory(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn another_device_s_key_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        device(Product::Genoa, 7).to_directory(one.path()).unwrap();
        device(Product::Genoa, 8).to_directory(two.path()).unwrap();
        fs::copy(one.path().join(KEY), two.path().join(KEY)).unwrap();
        assert!(matches!(
            SimulatedDevice::from_directory(two.path()),
            Err(SimulationError::Directory { path, .. }) if path.ends_with("device.der")
        ));
    }

    #[test]
    fn a_short_measurement_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        device(Product::Genoa, 7).to_directory(folder.path()).unwrap();
        let path = folder.path().join(DESCRIPTION);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(&"01".repeat(48), &"01".repeat(47))).unwrap();
        assert!(matches!(SimulatedDevice::from_directory(folder.path()), Err(SimulationError::Directory { .. })));
    }
}
