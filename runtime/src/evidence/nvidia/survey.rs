//! What must hold of a machine before its GPUs are believed, asked of the driver and of the
//! PCI bus. The driver is measured; what it says about the host's choices is what counts here.

use std::path::Path;

use super::Architecture;
use super::error::{CallFailure, Gpu, GpuError};
use super::nvml::{Device, NOT_SUPPORTED, Nvml};
use super::pci::{self, Address};

/// NVML's numbers.
const HOPPER: u32 = 9;
const BLACKWELL: u32 = 10;
const FEATURE_ENABLED: u32 = 1;
const DEVELOPER_TOOLS_OFF: u32 = 0;
const PRODUCTION: u32 = 2;
const MULTI_GPU_NONE: u32 = 0;
const MULTI_GPU_PROTECTED_PCIE: u32 = 1;
/// NVLink encryption: the switches see ciphertext and prove nothing.
const MULTI_GPU_NVLE: u32 = 2;

/// A GPU that is fit.
pub(super) struct Found<'a> {
    pub(super) gpu: Gpu,
    pub(super) architecture: Architecture,
    pub(super) device: Device<'a>,
    pub(super) certificate_chain: Vec<u8>,
}

/// Every GPU of the machine, in the driver's order; or the first rule that does not hold:
///
/// 1. The PCI bus has GPUs, and the driver has as many.
/// 2. Each of the driver's is on the bus, once, and has a name of its own.
/// 3. Each is of a family that can prove itself.
/// 4. Confidential mode is on, in production, without developer tools.
/// 5. No switch takes part that would have to prove itself.
/// 6. Each has its certificate chain, which it has in confidential mode only.
pub(super) fn survey<'a>(nvml: &'a Nvml, pci_devices: &Path) -> Result<Vec<Found<'a>>, GpuError> {
    // 1
    let bus = pci::scan(pci_devices)?;
    if bus.gpus.is_empty() {
        return Err(GpuError::NoGpu { devices: bus.len() });
    }
    let count = nvml.count()?;
    if usize::try_from(count).ok() != Some(bus.gpus.len()) {
        return Err(GpuError::Count { driver: count, bus: bus.gpus });
    }
    // 2
    let mut named = Vec::new();
    let mut free = bus.gpus;
    for index in 0..count {
        let (device, gpu) = name(nvml, index).map_err(|failure| GpuError::Unnamed { index, failure })?;
        let Some(slot) = free.iter().position(|address| address.same_slot(&gpu.address)) else {
            return Err(GpuError::NotOnBus { gpu });
        };
        free.swap_remove(slot);
        if let Some((_, first)) = named.iter().find(|(_, other): &&(Device, Gpu)| other.uuid == gpu.uuid) {
            return Err(GpuError::RepeatedUuid { gpus: vec![first.clone(), gpu] });
        }
        named.push((device, gpu));
    }
    // 3
    let mut families = Vec::new();
    for (device, gpu) in &named {
        families.push(family(device, gpu)?);
    }
    // 4
    confidential(nvml, named.iter().map(|(_, gpu)| gpu))?;
    // 5
    switches(nvml, bus.switches)?;
    // 6
    let found = named.into_iter().zip(families).map(|((device, gpu), architecture)| {
        let certificate_chain = match device.certificate_chain() {
            Ok(chain) => chain,
            Err(failure) if unsupported(&failure) => return Err(GpuError::NotConfidential { gpus: vec![gpu] }),
            Err(failure) => return Err(gpu.failed(failure)),
        };
        Ok(Found { gpu, architecture, device, certificate_chain })
    });
    found.collect()
}

fn name(nvml: &Nvml, index: u32) -> Result<(Device<'_>, Gpu), CallFailure> {
    let device = nvml.device(index)?;
    let gpu = Gpu { index, name: device.name()?, address: device.address()?, uuid: device.uuid()? };
    Ok((device, gpu))
}

fn family(device: &Device<'_>, gpu: &Gpu) -> Result<Architecture, GpuError> {
    match device.architecture().map_err(|failure| gpu.clone().failed(failure))? {
        HOPPER => Ok(Architecture::Hopper),
        BLACKWELL => Ok(Architecture::Blackwell),
        architecture => Err(GpuError::Architecture { gpu: gpu.clone(), architecture }),
    }
}

fn confidential<'a>(nvml: &Nvml, gpus: impl Iterator<Item = &'a Gpu>) -> Result<(), GpuError> {
    let gpus: Vec<Gpu> = gpus.cloned().collect();
    let state = match nvml.state() {
        Ok(state) => state,
        Err(failure) if unsupported(&failure) => return Err(GpuError::NotConfidential { gpus }),
        Err(failure) => return Err(failure.into()),
    };
    if state.feature != FEATURE_ENABLED {
        return Err(GpuError::NotConfidential { gpus });
    }
    if state.developer_tools != DEVELOPER_TOOLS_OFF {
        return Err(GpuError::DeveloperTools { gpus });
    }
    if state.environment != PRODUCTION {
        return Err(GpuError::NotProduction { gpus, environment: state.environment });
    }
    Ok(())
}

fn switches(nvml: &Nvml, switches: Vec<Address>) -> Result<(), GpuError> {
    match nvml.multi_gpu_mode()? {
        Some(MULTI_GPU_NONE | MULTI_GPU_NVLE) => Ok(()),
        // Also where no switch is seen: a GPU's report then names switches all the same.
        Some(MULTI_GPU_PROTECTED_PCIE) => Err(GpuError::SwitchEvidence { switches }),
        // Older drivers do not know the question; nor do machines without switches need it.
        None if switches.is_empty() => Ok(()),
        mode => Err(GpuError::MultiGpuMode { mode, switches }),
    }
}

fn unsupported(failure: &CallFailure) -> bool {
    matches!(failure, CallFailure::Code { code: NOT_SUPPORTED, .. })
}
