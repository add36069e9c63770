//! Why there is no evidence of GPUs. Each error names the device, and says what to do next.

use std::fmt;
use std::path::PathBuf;

use super::pci::Address;

/// A GPU, by all the names under which a person can find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// The driver's number for it.
    pub index: u32,
    /// The product's name.
    pub name: String,
    /// Where it is on the PCI bus.
    pub address: Address,
    /// The driver's lasting name for it.
    pub uuid: String,
}

/// Why this machine's GPUs do not speak, or are not let to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// The kernel does not list its PCI devices.
    #[error("cannot tell which GPUs are there: {}: {reason}; mount sysfs at /sys", .path.display())]
    Pci {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// NVIDIA devices, and no GPU among them.
    #[error("the PCI bus has {devices} NVIDIA devices and no GPU: pass a GPU to the VM, or none of them")]
    NoGpu {
        /// How many.
        devices: usize,
    },
    /// A GPU without its driver's library.
    #[error(
        "an NVIDIA GPU is on the PCI bus and `{}` cannot be loaded: {reason}; the guest's image needs NVIDIA's \
         driver with its management library",
        .path.display()
    )]
    Library {
        /// What was to be loaded.
        path: PathBuf,
        /// What the dynamic linker said.
        reason: String,
    },
    /// The driver has more, or fewer, GPUs than the bus.
    #[error(
        "the driver has {driver} GPUs and the PCI bus has {}: {}; the kernel's log says which the driver left out",
        .bus.len(),
        listed(.bus)
    )]
    Count {
        /// The driver's.
        driver: u32,
        /// The bus's.
        bus: Vec<Address>,
    },
    /// The driver's GPUs are not the bus's.
    #[error("the driver has {gpu}, which is not on the PCI bus, or has it twice; start the VM again")]
    NotOnBus {
        /// Which.
        gpu: Gpu,
    },
    /// Simulated devices that do not work.
    #[error("the simulated devices gave no evidence: {reason}")]
    Simulated {
        /// Why.
        reason: String,
    },
    /// Two devices under one name.
    #[error("{}: the same UUID twice; take one out and report it to NVIDIA", listed(.gpus))]
    RepeatedUuid {
        /// Both.
        gpus: Vec<Gpu>,
    },
    /// A GPU that has no confidential mode.
    #[error(
        "{gpu} is neither Hopper nor Blackwell (architecture {architecture}), and cannot prove itself: take it out"
    )]
    Architecture {
        /// Which.
        gpu: Gpu,
        /// NVML's number.
        architecture: u32,
    },
    /// Confidential mode is off.
    #[error("{}: not in confidential mode; set it with the host's tool before the VM starts", listed(.gpus))]
    NotConfidential {
        /// Which.
        gpus: Vec<Gpu>,
    },
    /// What runs on the GPU can be looked into.
    #[error(
        "{}: developer tools mode is on, which opens the GPU to debuggers; set confidential mode without it, \
         with the host's tool, before the VM starts",
        listed(.gpus)
    )]
    DeveloperTools {
        /// Which.
        gpus: Vec<Gpu>,
    },
    /// Confidential mode is a simulation, or cannot be had.
    #[error(
        "{}: the driver's confidential environment is {environment}, not 2 (production); use a production board \
         and driver",
        listed(.gpus)
    )]
    NotProduction {
        /// Which.
        gpus: Vec<Gpu>,
        /// NVML's number: 0 unavailable, 1 simulation.
        environment: u32,
    },
    /// Protected PCIe: the switches must prove themselves too, and cannot here.
    #[error(
        "multi-GPU protected PCIe mode is on (switches on the PCI bus: {}), and evidence of NVSwitches needs NVIDIA's \
         NSCQ library, which is not supported: set single-GPU confidential mode with the host's tool",
        listed(.switches)
    )]
    SwitchEvidence {
        /// Those on the PCI bus.
        switches: Vec<Address>,
    },
    /// How GPUs and switches protect what goes between them is not known.
    #[error(
        "the driver's multi-GPU mode is {} (switches on the PCI bus: {}); known are 0, 1 and 2: use another driver \
         version",
        .mode.map_or_else(|| "not told".to_owned(), |mode| mode.to_string()),
        listed(.switches)
    )]
    MultiGpuMode {
        /// NVML's number.
        mode: Option<u32>,
        /// Those on the PCI bus.
        switches: Vec<Address>,
    },
    /// The driver said that it did, and did not.
    #[error(
        "the driver did not {} the GPUs for work though it said so; start the VM again",
        if *.wanted { "open" } else { "close" }
    )]
    ReadyState {
        /// What was asked for.
        wanted: bool,
    },
    /// A call about the whole machine failed.
    #[error("the NVIDIA driver: {0}")]
    Driver(#[from] CallFailure),
    /// A call about a GPU failed before its names were known.
    #[error("GPU {index}: {failure}")]
    Unnamed {
        /// The driver's number for it.
        index: u32,
        /// What failed.
        failure: CallFailure,
    },
    /// A call about a GPU failed.
    #[error("{gpu}: {failure}")]
    Device {
        /// Which.
        gpu: Gpu,
        /// What failed.
        failure: CallFailure,
    },
}

/// Why one call of the driver's library gave nothing to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallFailure {
    /// The library is older than the call.
    #[error("its library has no `{call}`: use a newer driver")]
    Missing {
        /// The function's name.
        call: &'static str,
    },
    /// The library said no.
    #[error("`{call}` failed with code {code}, {}", meaning(*.code))]
    Code {
        /// The function's name.
        call: &'static str,
        /// NVML's number.
        code: u32,
    },
    /// A size that cannot be.
    #[error("the {what} has {size} bytes by the driver's own word, and 1 to {most} fit: use another driver version")]
    Size {
        /// Of what.
        what: &'static str,
        /// The driver's word.
        size: u32,
        /// The buffer's.
        most: usize,
    },
    /// A name that is not one.
    #[error("the {what} is no printable text: use another driver version")]
    Text {
        /// Of what.
        what: &'static str,
    },
}

impl Gpu {
    pub(super) fn failed(self, failure: CallFailure) -> GpuError {
        GpuError::Device { gpu: self, failure }
    }
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, name, address, uuid } = self;
        write!(f, "GPU {index} ({name}, {address}, {uuid})")
    }
}

fn listed<T: fmt::Display>(things: &[T]) -> String {
    if things.is_empty() {
        return "none".to_owned();
    }
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What NVML's code means for the person who reads it.
fn meaning(code: u32) -> &'static str {
    match code {
        3 => "not supported: confidential mode is off, or the driver too old for this GPU",
        4 => "no permission: run as root",
        9 => "no driver loaded: load the kernel module `nvidia`",
        10 => "timeout: try again, then start the VM again",
        15 => "GPU lost: start the VM again",
        16 => "GPU needs a reset: start the VM again",
        17 => "blocked by the operating system: allow this process the /dev/nvidia* devices",
        18 => "kernel module and library differ in version: use an image with one driver version",
        20 => "out of memory",
        27 => "not ready: try again",
        _ => "see NVIDIA's nvmlReturn_t: try again, then start the VM again",
    }
}
