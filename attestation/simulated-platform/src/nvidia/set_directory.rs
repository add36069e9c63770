//! A machine's devices on disk: what they follow from, and the certificates of the two roots, which a
//! verifier knows byte for byte. Everything between is issued anew when the folder is read.

use std::path::Path;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    authority::Authority,
    set::{GpuTopology, SimulatedGpuSet},
    vendor::SimulatedNvidia,
};
use crate::{
    directory::{
        Access, FORMAT, create, problem, read, read_toml, require_certificate_of, require_format, write, write_toml,
    },
    error::SimulationError,
};

const DESCRIPTION: &str = "gpus.toml";
const SEED: &str = "vendor-seed.bin";
const SECRET: &str = "set-secret.bin";
const DEVICE_ROOT: &str = "device-root.der";
const MANIFEST_ROOT: &str = "manifest-root.der";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    topology: GpuTopology,
}

impl SimulatedNvidia {
    /// Writes the vendor and the devices of one machine of its make to a folder, which is made where there
    /// is none: `gpus.toml`, `vendor-seed.bin` and `set-secret.bin` (mode 0600 on Unix), and the roots
    /// `device-root.der` and `manifest-root.der`.
    ///
    /// # Errors
    /// [`SimulationError::Io`], also where one of the files exists already.
    pub fn to_directory(
        &self,
        directory: &Path,
        secret: &[u8; 32],
        topology: GpuTopology,
    ) -> Result<(), SimulationError> {
        create(directory)?;
        write(directory, SEED, self.seed.as_slice(), Access::OwnerOnly)?;
        write(directory, SECRET, secret, Access::OwnerOnly)?;
        write(directory, DEVICE_ROOT, self.device_root_certificate_der(), Access::Public)?;
        write(directory, MANIFEST_ROOT, self.manifest_root_certificate_der(), Access::Public)?;
        write_toml(directory, DESCRIPTION, &Description { format: FORMAT, topology })
    }

    /// Reads what [`to_directory`](Self::to_directory) wrote: the vendor with its roots of then, and the
    /// machine's devices with endorsements issued at `now` (Unix seconds).
    ///
    /// # Errors
    /// [`SimulationError::Io`] or [`SimulationError::Directory`], the last also where a root is not for the
    /// vendor's key; else as [`gpu_set`](Self::gpu_set).
    pub fn from_directory(directory: &Path, now: u64) -> Result<(Self, SimulatedGpuSet), SimulationError> {
        let description: Description = read_toml(directory, DESCRIPTION)?;
        require_format(directory, DESCRIPTION, description.format)?;
        let seed = Zeroizing::new(thirty_two(directory, SEED)?);
        let secret = Zeroizing::new(thirty_two(directory, SECRET)?);
        let mut roots = Vec::new();
        for (name, root) in [(DEVICE_ROOT, Authority::DeviceRoot), (MANIFEST_ROOT, Authority::ManifestRoot)] {
            let certificate = read(directory, name)?.to_vec();
            require_certificate_of(directory, name, &certificate, &root.key(&seed)?.public_key_info()?)?;
            roots.push(certificate);
        }
        let [device_root, manifest_root] =
            <[Vec<u8>; 2]>::try_from(roots).map_err(|_| problem(directory, DEVICE_ROOT, "lacks a root"))?;
        let vendor = Self::with_roots(seed, device_root, manifest_root);
        let set = vendor.gpu_set(*secret, description.topology, now)?;
        Ok((vendor, set))
    }
}

fn thirty_two(directory: &Path, name: &str) -> Result<[u8; 32], SimulationError> {
    let bytes = read(directory, name)?;
    bytes.as_slice().try_into().map_err(|_| problem(directory, name, "has not 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_machine_survives_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let vendor = SimulatedNvidia::generate(NOW).unwrap();
        vendor.to_directory(folder.path(), &[7; 32], GpuTopology::Hopper(2)).unwrap();
        assert!(vendor.to_directory(folder.path(), &[8; 32], GpuTopology::MultiGpu).is_err(), "never overwritten");

        let written = vendor.gpu_set([7; 32], GpuTopology::Hopper(2), NOW).unwrap();
        let (read, set) = SimulatedNvidia::from_directory(folder.path(), NOW + 60).unwrap();
        assert_eq!(read.device_root_certificate_der(), vendor.device_root_certificate_der());
        assert_eq!(read.manifest_root_certificate_der(), vendor.manifest_root_certificate_der());
        assert_eq!(set.requirements(), written.requirements(), "the same devices");
    }

    #[test]
    fn a_root_of_another_vendor_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        SimulatedNvidia::generate(NOW).unwrap().to_directory(folder.path(), &[7; 32], GpuTopology::Hopper(1)).unwrap();
        let other = SimulatedNvidia::generate(NOW).unwrap();
        std::fs::write(folder.path().join(DEVICE_ROOT), other.device_root_certificate_der()).unwrap();
        let error = SimulatedNvidia::from_directory(folder.path(), NOW).err().unwrap().to_string();
        assert!(error.contains("another key"), "{error}");
    }
}
