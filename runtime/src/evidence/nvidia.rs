//! Evidence of NVIDIA GPUs in confidential mode, through the driver's management library
//! (NVML), which is loaded when a GPU is there. Switches are not collected: they need
//! another library (NSCQ).
//!
//! ```text
//! PCI bus ─► survey: the driver's GPUs are the bus's, each fit ─► report for the nonce ─► DeviceReport
//!                                                        set_ready(true): after our own appraisal
//! ```
//!
//! Tested with a library that imitates the driver's; not yet run on a GPU in confidential mode.

mod error;
mod nvml;
mod pci;
mod survey;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use strongroom_attestation::Architecture;

pub use error::{CallFailure, Gpu, GpuError};
use nvml::Nvml;
pub use pci::Address;
use survey::survey;

/// What the dynamic linker looks for: the driver's library, as the guest's image has it.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// The kernel's list of PCI functions.
const PCI_DEVICES: &str = "/sys/bus/pci/devices";

/// What one device said for a nonce. Bytes only: what they mean is the verifier's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReport {
    /// The family, as the driver names it; the certificate chain must agree.
    pub architecture: Architecture,
    /// The driver's name for the device; it is in no signed data.
    pub uuid: String,
    /// Request and response, as the driver gave them.
    pub report: Vec<u8>,
    /// PEM, leaf first, up to the first NUL.
    pub certificate_chain: Vec<u8>,
}

/// Something that can make all GPUs of this machine speak.
///
/// Calls block until the devices have answered: callers keep them off the executor.
pub trait GpuSource: Send + Sync {
    /// One report for `nonce` of every device of this machine, in the driver's order; never a
    /// part of them.
    ///
    /// # Errors
    /// When the machine is not fit any more, or a device does not answer.
    fn collect(&self, nonce: &[u8; 32]) -> Result<Vec<DeviceReport>, GpuError>;

    /// Opens the GPUs for work, or closes them. The driver keeps them closed until told: say
    /// `true` only once every report passed this machine's own appraisal, and `false` as soon
    /// as one does not.
    ///
    /// # Errors
    /// When the driver refuses, or does not do what it said.
    fn set_ready(&self, ready: bool) -> Result<(), GpuError>;
}

/// The GPUs behind this machine's driver.
pub struct NvmlSource {
    nvml: Nvml,
    pci_devices: PathBuf,
}

/// What an operator may want to know of a machine that is fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Every GPU.
    pub gpus: Vec<Gpu>,
    /// Whether they are open for work.
    pub ready: bool,
}

impl NvmlSource {
    /// This machine's GPUs, closed for work; `None` where the PCI bus has no NVIDIA device.
    ///
    /// # Errors
    /// When a device is there and the machine is not fit: never a fallback to none.
    pub fn detect() -> Result<Option<Self>, GpuError> {
        Self::detect_at(Path::new(LIBRARY), Path::new(PCI_DEVICES))
    }

    /// The same rules, for a person: nothing is changed, so it may run beside a server.
    ///
    /// # Errors
    /// As [`detect`](Self::detect).
    pub fn inspect() -> Result<Option<Inventory>, GpuError> {
        Self::inspect_at(Path::new(LIBRARY), Path::new(PCI_DEVICES))
    }

    fn detect_at(library: &Path, pci_devices: &Path) -> Result<Option<Self>, GpuError> {
        let Some(source) = Self::open(library, pci_devices)? else { return Ok(None) };
        survey(&source.nvml, &source.pci_devices)?;
        // Whoever opened them before did so for an appraisal that was not ours.
        source.set_ready(false)?;
        Ok(Some(source))
    }

    fn inspect_at(library: &Path, pci_devices: &Path) -> Result<Option<Inventory>, GpuError> {
        let Some(source) = Self::open(library, pci_devices)? else { return Ok(None) };
        let gpus = survey(&source.nvml, &source.pci_devices)?.into_iter().map(|found| found.gpu).collect();
        Ok(Some(Inventory { gpus, ready: source.nvml.ready()? }))
    }

    fn open(library: &Path, pci_devices: &Path) -> Result<Option<Self>, GpuError> {
        if pci::scan(pci_devices)?.is_empty() {
            return Ok(None);
        }
        let nvml = Nvml::load(library)?;
        Ok(Some(Self { nvml, pci_devices: pci_devices.to_owned() }))
    }
}

impl GpuSource for NvmlSource {
    fn collect(&self, nonce: &[u8; 32]) -> Result<Vec<DeviceReport>, GpuError> {
        // Each time: a device may have come, gone or been reset since.
        let found = survey(&self.nvml, &self.pci_devices)?;
        found
            .into_iter()
            .map(|found| {
                let report = found.device.report(nonce).map_err(|failure| found.gpu.clone().failed(failure))?;
                Ok(DeviceReport {
                    architecture: found.architecture,
                    uuid: found.gpu.uuid,
                    report,
                    certificate_chain: found.certificate_chain,
                })
            })
            .collect()
    }

    fn set_ready(&self, ready: bool) -> Result<(), GpuError> {
        self.nvml.set_ready(ready)?;
        if self.nvml.ready()? != ready {
            return Err(GpuError::ReadyState { wanted: ready });
        }
        Ok(())
    }
}
