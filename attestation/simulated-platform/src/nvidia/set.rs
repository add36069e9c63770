//! GPUs of one machine, with the switches between them: what a verifier appraises together.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    architecture::NvidiaArchitecture,
    device::{Device, SimulatedGpu, SimulatedSwitch},
    evidence::NvidiaEvidence,
    fault::NvidiaFault,
    firmware::GpuFirmware,
    issuance::Issued,
    ocsp::OcspDigest,
    opaque::Mode,
    present::present,
};
use crate::error::SimulationError;

const MEMBER_LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-member/v1\0";
/// GPUs and switches of a board.
const BOARD_GPUS: u8 = 8;
const BOARD_SWITCHES: u8 = 4;
/// At which place of a switch the board has it, in order.
const POSITIONS: [u16; 4] = [0, 1, 3, 2];

/// How many devices of what kind, and how they belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GpuTopology {
    /// So many Hopper GPUs, each by itself ("single pass-through").
    Hopper(u8),
    /// So many Blackwell GPUs, each by itself.
    Blackwell(u8),
    /// Eight Blackwell GPUs of one board over protected links ("multi-GPU").
    MultiGpu,
    /// Eight Hopper GPUs and four switches of one board ("protected PCIe").
    ProtectedPcie,
}

impl GpuTopology {
    /// The line of its GPUs.
    #[must_use]
    pub fn architecture(self) -> NvidiaArchitecture {
        match self {
            Self::Hopper(_) | Self::ProtectedPcie => NvidiaArchitecture::Hopper,
            Self::Blackwell(_) | Self::MultiGpu => NvidiaArchitecture::Blackwell,
        }
    }

    /// How many GPUs it has.
    #[must_use]
    pub fn gpu_count(self) -> u8 {
        match self {
            Self::Hopper(count) | Self::Blackwell(count) => count,
            Self::MultiGpu | Self::ProtectedPcie => BOARD_GPUS,
        }
    }

    /// How many switches it has.
    #[must_use]
    pub fn switch_count(self) -> u8 {
        if self == Self::ProtectedPcie { BOARD_SWITCHES } else { 0 }
    }

    pub(crate) fn mode(self) -> Mode {
        match self {
            Self::Hopper(_) | Self::Blackwell(_) => Mode::Single,
            Self::MultiGpu => Mode::Multi,
            Self::ProtectedPcie => Mode::ProtectedPcie,
        }
    }
}

/// What else can be chosen about a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuSetOptions {
    /// Driver and VBIOS of all GPUs.
    pub firmware: GpuFirmware,
    /// Whether the video decoder is enabled. On Hopper, measurement 35 is compared only then.
    pub decoder_enabled: bool,
    /// How answers about revocation name their certificates.
    pub ocsp_digest: OcspDigest,
}

impl GpuSetOptions {
    /// What most machines have: current firmware, no decoder, SHA-384.
    #[must_use]
    pub fn of(topology: GpuTopology) -> Self {
        Self {
            firmware: GpuFirmware::current(topology.architecture()),
            decoder_enabled: false,
            ocsp_digest: OcspDigest::Sha384,
        }
    }
}

/// A development machine's GPUs and switches, with the endorsements that their vendor issued.
pub struct SimulatedGpuSet {
    pub(crate) topology: GpuTopology,
    pub(crate) options: GpuSetOptions,
    gpus: Vec<SimulatedGpu>,
    switches: Vec<SimulatedSwitch>,
    issued: Issued,
}

impl SimulatedGpuSet {
    /// How the devices belong together.
    #[must_use]
    pub fn topology(&self) -> GpuTopology {
        self.topology
    }

    /// The GPUs.
    #[must_use]
    pub fn gpus(&self) -> &[SimulatedGpu] {
        &self.gpus
    }

    /// The switches; none but in protected PCIe.
    #[must_use]
    pub fn switches(&self) -> &[SimulatedSwitch] {
        &self.switches
    }

    /// What all of them run, and how their endorsements were made.
    #[must_use]
    pub fn options(&self) -> &GpuSetOptions {
        &self.options
    }

    /// Evidence of all devices for that nonce, with no fault in it.
    ///
    /// # Errors
    /// As [`SimulatedGpu::report`].
    pub fn evidence(&self, nonce: &[u8; 32]) -> Result<NvidiaEvidence, SimulationError> {
        present(&self.members(), &self.issued, nonce, None)
    }

    /// Evidence with a fault for which nothing has to be signed by the vendor.
    ///
    /// # Errors
    /// As [`evidence`](Self::evidence); [`SimulationError::NeedsVendor`] where the vendor must
    /// sign something for it, which
    /// [`SimulatedNvidia::evidence_with_fault`](crate::SimulatedNvidia::evidence_with_fault)
    /// does; [`SimulationError::OtherHardware`] where this topology cannot have it.
    pub fn evidence_with_fault(&self, nonce: &[u8; 32], fault: NvidiaFault) -> Result<NvidiaEvidence, SimulationError> {
        if !fault.is_possible_on(self.topology) {
            return Err(SimulationError::OtherHardware { fault: fault.name() });
        }
        if fault.needs_vendor() {
            return Err(SimulationError::NeedsVendor { fault: fault.name() });
        }
        present(&self.members(), &self.issued, nonce, Some(fault))
    }

    pub(crate) fn new(topology: GpuTopology, options: GpuSetOptions, devices: Devices, issued: Issued) -> Self {
        let gpus = devices.gpus.into_iter().map(SimulatedGpu).collect();
        let switches = devices.switches.into_iter().map(SimulatedSwitch).collect();
        Self { topology, options, gpus, switches, issued }
    }

    /// GPUs, then switches.
    pub(crate) fn members(&self) -> Vec<&Device> {
        let gpus = self.gpus.iter().map(|gpu| &gpu.0);
        gpus.chain(self.switches.iter().map(|switch| &switch.0)).collect()
    }
}

/// The devices of a set before anything is issued for them.
pub(crate) struct Devices {
    pub(crate) gpus: Vec<Device>,
    pub(crate) switches: Vec<Device>,
}

impl Devices {
    /// Those that follow from a secret, linked to each other.
    pub(crate) fn derive(
        topology: GpuTopology,
        options: &GpuSetOptions,
        secret: &[u8; 32],
    ) -> Result<Self, SimulationError> {
        let mut gpus = Vec::new();
        for number in 0..topology.gpu_count() {
            gpus.push(gpu(topology, options, &member_secret(secret, b"gpu", number))?);
        }
        let mut switches = Vec::new();
        for (number, position) in (0..topology.switch_count()).zip(POSITIONS) {
            switches.push(Device::switch(&member_secret(secret, b"switch", number), position)?);
        }
        let pdis = |devices: &[Device]| -> Vec<[u8; 8]> { devices.iter().map(|device| device.pdi).collect() };
        let (gpu_pdis, switch_pdis) = (pdis(&gpus), pdis(&switches));
        Ok(Self {
            gpus: gpus.into_iter().map(|gpu| gpu.linked_to(&switch_pdis)).collect(),
            switches: switches.into_iter().map(|switch| switch.linked_to(&gpu_pdis)).collect(),
        })
    }

    pub(crate) fn members(&self) -> Vec<&Device> {
        self.gpus.iter().chain(&self.switches).collect()
    }
}

/// One GPU of that topology, linked to nothing.
pub(crate) fn gpu(
    topology: GpuTopology,
    options: &GpuSetOptions,
    secret: &[u8; 32],
) -> Result<Device, SimulationError> {
    let GpuSetOptions { firmware, decoder_enabled, .. } = options;
    Device::gpu(topology.architecture(), secret, firmware.clone(), *decoder_enabled, topology.mode())
}

fn member_secret(secret: &[u8; 32], kind: &[u8], number: u8) -> Zeroizing<[u8; 32]> {
    let digest = Sha256::new().chain_update(MEMBER_LABEL).chain_update(kind).chain_update([number]);
    Zeroizing::new(digest.chain_update(secret).finalize().into())
}
