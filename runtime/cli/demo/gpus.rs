//! The GPUs of the demo's machine: simulated ones in confidential mode, whose vendor the broker believes in as it
//! does in the CPU's.

use std::path::Path;

use strongroom_simulated_platform::{GpuTopology, SimulatedGpuSet, SimulatedNvidia};

use super::stage::{simulation, write};
use crate::output::Failure;
use crate::serve::GPUS;

/// The roots of the GPUs' vendor, as the tenant gets them.
pub(super) const ROOTS: [&str; 2] = ["gpu-root.der", "gpu-manifest-root.der"];
/// GPUs of a protected-PCIe board.
const BOARD: u8 = 8;

/// All of one machine.
pub(super) struct Gpus {
    vendor: SimulatedNvidia,
    set: SimulatedGpuSet,
}

impl Gpus {
    /// So many of a new vendor's, in the folder of a machine.
    pub(super) fn make(machine: &Path, count: u8, now: u64) -> Result<Self, Failure> {
        let vendor = SimulatedNvidia::generate(now).map_err(|e| simulation(&e))?;
        let topology = if count == BOARD { GpuTopology::ProtectedPcie } else { GpuTopology::Hopper(count) };
        let set = devices(&vendor, machine, topology, now)?;
        Ok(Self { vendor, set })
    }

    /// As many of the same vendor's that are not the tenant's, in the folder of a machine.
    pub(super) fn foreign(&self, machine: &Path, now: u64) -> Result<(), Failure> {
        devices(&self.vendor, machine, self.set.topology(), now).map(drop)
    }

    /// Under the names in [`ROOTS`].
    pub(super) fn write_roots(&self, folder: &Path) -> Result<(), Failure> {
        let roots = [self.vendor.device_root_certificate_der(), self.vendor.manifest_root_certificate_der()];
        ROOTS.iter().zip(roots).try_for_each(|(name, root)| write(&folder.join(name), root))
    }

    /// Of the server.
    pub(super) fn configuration(&self) -> String {
        let (gpus, switches) = (self.set.gpus().len(), self.set.switches().len());
        format!("\n[gpus]\ncount = {gpus}\nswitches = {switches}\nrequire_manifests = true\n")
    }

    /// Of the tenant: these devices and no others.
    pub(super) fn policy(&self) -> String {
        self.set.requirements().replace("[nvidia]", "[attestation.nvidia]")
    }
}

fn devices(
    vendor: &SimulatedNvidia,
    machine: &Path,
    topology: GpuTopology,
    now: u64,
) -> Result<SimulatedGpuSet, Failure> {
    let secret = SimulatedNvidia::new_set_secret().map_err(|e| simulation(&e))?;
    vendor.to_directory(&machine.join(GPUS), &secret, topology).map_err(|e| simulation(&e))?;
    vendor.gpu_set(secret, topology, now).map_err(|e| simulation(&e))
}
