//! A machine's folder: its virtual TPM's keys and certificates, what it booted, and in
//! `hardware/` the folder of what it runs on. No key of a vendor is in it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    hcl_report::HclVersion,
    platform::{AzureHardware, AzurePlatform},
    tpm_quote::PCR_COUNT,
    vm::SimulatedAzureVm,
    vtpm_keys::VtpmKeys,
};
use crate::{
    amd::device::SimulatedDevice,
    directory::{
        Access, FORMAT, create, problem, read, read_toml, require_certificate_of, require_format, write, write_toml,
    },
    error::SimulationError,
    intel::td::SimulatedTd,
    keys::rsa::{RsaKey, Size},
};

const DESCRIPTION: &str = "vm.toml";
const ATTESTATION_KEY: &str = "ak-key.der";
const ENDORSEMENT_KEY: &str = "ek-key.der";
/// In the order of [`SimulatedAzureVm::ak_certificates`].
const CERTIFICATES: [&str; 3] = ["ak.der", "ak-ca.der", "ak-root.der"];
const HARDWARE: &str = "hardware";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    /// "snp" or "tdx".
    hardware: String,
    hcl_version: u32,
    secure_boot: bool,
    #[serde(with = "hex::serde")]
    user_data: [u8; 64],
    /// Register 0 first, hexadecimal.
    pcrs: Vec<String>,
}

impl SimulatedAzureVm {
    /// Writes the machine to a folder, which is made where there is none: `vm.toml`,
    /// `ak-key.der` and `ek-key.der` (PKCS#8, mode 0600 on Unix), `ak.der`, `ak-ca.der`,
    /// `ak-root.der`, and the hardware's folder `hardware/`.
    ///
    /// # Errors
    /// [`SimulationError::Io`], also where one of the files exists already.
    pub fn to_directory(&self, directory: &Path) -> Result<(), SimulationError> {
        create(directory)?;
        write(directory, ATTESTATION_KEY, &self.keys.attestation.to_pkcs8()?, Access::OwnerOnly)?;
        write(directory, ENDORSEMENT_KEY, &self.keys.endorsement.to_pkcs8()?, Access::OwnerOnly)?;
        for (name, content) in CERTIFICATES.iter().zip(self.ak_certificates()) {
            write(directory, name, content, Access::Public)?;
        }
        let hardware = directory.join(HARDWARE);
        match &self.platform {
            AzurePlatform::Snp(device) => device.to_directory(&hardware)?,
            AzurePlatform::Tdx(td) => td.to_directory(&hardware)?,
        }
        let description = Description {
            format: FORMAT,
            hardware: self.platform.hardware().name().to_owned(),
            hcl_version: self.hcl_version.number(),
            secure_boot: self.secure_boot,
            user_data: self.user_data,
            pcrs: self.pcrs().iter().map(hex::encode).collect(),
        };
        write_toml(directory, DESCRIPTION, &description)
    }

    /// Reads a machine that [`to_directory`](Self::to_directory) wrote.
    ///
    /// # Errors
    /// [`SimulationError::Io`], [`SimulationError::Key`] or [`SimulationError::Directory`],
    /// the last also where a certificate is not for the key beside it.
    pub fn from_directory(directory: &Path) -> Result<Self, SimulationError> {
        let description: Description = read_toml(directory, DESCRIPTION)?;
        require_format(directory, DESCRIPTION, description.format)?;
        let wrong = |what: &str| problem(directory, DESCRIPTION, what);
        let hardware =
            AzureHardware::from_name(&description.hardware).ok_or_else(|| wrong("names no known hardware"))?;
        let hcl_version = HclVersion::ALL.into_iter().find(|version| version.number() == description.hcl_version);
        let hcl_version = hcl_version.ok_or_else(|| wrong("names no known version of the HCL report"))?;
        let pcrs = registers(&description.pcrs).ok_or_else(|| wrong("does not have 24 registers of 32 bytes"))?;
        let key = |name, what| RsaKey::from_pkcs8(Size::Rsa2048, &read(directory, name)?, what);
        let keys = VtpmKeys {
            attestation: key(ATTESTATION_KEY, "the virtual TPM's attestation key")?,
            endorsement: key(ENDORSEMENT_KEY, "the virtual TPM's endorsement key")?,
        };
        let mut certificates = Vec::new();
        for name in CERTIFICATES {
            certificates.push(read(directory, name)?.to_vec());
        }
        if let ([name, ..], [certificate, ..]) = (&CERTIFICATES, certificates.as_slice()) {
            require_certificate_of(directory, name, certificate, &keys.attestation.public_key_info()?)?;
        }
        let below = directory.join(HARDWARE);
        let platform = match hardware {
            AzureHardware::Snp => SimulatedDevice::from_directory(&below)?.into(),
            AzureHardware::Tdx => SimulatedTd::from_directory(&below)?.into(),
        };
        Ok(Self::new(platform, keys, certificates)
            .with_hcl_version(hcl_version)
            .with_secure_boot(description.secure_boot)
            .with_user_data(description.user_data)
            .with_pcrs(pcrs))
    }
}

fn registers(digits: &[String]) -> Option<[[u8; 32]; PCR_COUNT]> {
    let mut pcrs = [[0; 32]; PCR_COUNT];
    if digits.len() != PCR_COUNT {
        return None;
    }
    for (register, digits) in pcrs.iter_mut().zip(digits) {
        hex::decode_to_slice(digits, register).ok()?;
    }
    Some(pcrs)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        amd::{product::Product, vendor::SimulatedAmd},
        intel::{pck::PckCa, td_body::TdBody, vendor::SimulatedIntel},
        microsoft::{evidence::EvidenceVersion, vendor::SimulatedAzure},
    };

    const NOW: u64 = 1_800_000_000;

    fn vm(hardware: AzureHardware) -> SimulatedAzureVm {
        let platform: AzurePlatform = match hardware {
            AzureHardware::Snp => {
                let vendor = SimulatedAmd::published(Product::Milan, NOW).unwrap();
                vendor.device([7; 32], [1; 48], [2; 32], NOW).unwrap().into()
            }
            AzureHardware::Tdx => {
                let vendor = SimulatedIntel::published(NOW).unwrap();
                vendor.td([7; 32], PckCa::Platform, TdBody::healthy(), NOW).unwrap().into()
            }
        };
        SimulatedAzure::published(NOW).unwrap().vm(platform, VtpmKeys::published().unwrap(), NOW).unwrap()
    }

    #[test]
    fn a_machine_survives_its_folder() {
        for hardware in [AzureHardware::Snp, AzureHardware::Tdx] {
            let folder = tempfile::tempdir().unwrap();
            let vm = vm(hardware).with_hcl_version(HclVersion::V1).with_measured(11, [5; 32]);
            vm.to_directory(folder.path()).unwrap();
            let read = SimulatedAzureVm::from_directory(folder.path()).unwrap();
            let [before, after] = [&vm, &read].map(|vm| vm.evidence(b"nonce", EvidenceVersion::V1).unwrap());
            assert_eq!(before.tpm_quote, after.tpm_quote);
            assert_eq!((before.ak_certificates, before.endorsements), (after.ak_certificates, after.endorsements));
            assert_eq!(vm.strict_policy(), read.strict_policy());
        }
    }

    #[test]
    fn what_is_not_a_machine_s_folder_is_refused_by_file() {
        let folder = tempfile::tempdir().unwrap();
        vm(AzureHardware::Snp).to_directory(folder.path()).unwrap();
        let refused = |file: &str| {
            let error = SimulatedAzureVm::from_directory(folder.path()).err().unwrap();
            assert!(error.to_string().contains(file), "{error}");
        };
        let text = fs::read_to_string(folder.path().join(DESCRIPTION)).unwrap();
        fs::write(folder.path().join(DESCRIPTION), text.replace("hardware = \"snp\"", "hardware = \"sgx\"")).unwrap();
        refused(DESCRIPTION);
        fs::write(folder.path().join(DESCRIPTION), &text).unwrap();
        fs::copy(folder.path().join(ENDORSEMENT_KEY), folder.path().join(ATTESTATION_KEY)).unwrap();
        refused("ak.der");
    }
}
