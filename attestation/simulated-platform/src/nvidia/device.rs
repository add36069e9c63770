//! Simulated devices: GPUs and switches that answer a challenge. They hold their own keys and
//! none of the vendor's.

use sha2::{Digest, Sha256, Sha384};
use zeroize::Zeroizing;

use super::{
    architecture::NvidiaArchitecture,
    firmware::{BiosVersion, GpuFirmware, SWITCH_BIOS},
    identity::decimal,
    measurement::{self, Measurement},
    opaque::{self, GpuFacts, Mode, SwitchFacts},
    report::Report,
};
use crate::{
    error::SimulationError,
    keys::{
        Issuer,
        elliptic::{Curve, EllipticKey},
    },
};

const KEY_LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-attestation-key/v1\0";
const BROM_KEY_LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-brom-key/v1\0";
const IDENTITY_LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-identity/v1\0";
const RESPONDER_LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-responder-nonce/v1\0";
const FWID_LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-fwid/v1\0";

/// A development GPU of the Hopper or Blackwell line.
pub struct SimulatedGpu(pub(crate) Device);

/// A development NVSwitch, LS10.
pub struct SimulatedSwitch(pub(crate) Device);

/// What both are.
pub(crate) struct Device {
    pub(crate) architecture: NvidiaArchitecture,
    /// Signs reports; its certificate is the leaf.
    pub(crate) key: EllipticKey,
    /// Of the boot ROM, which issues the leaf.
    pub(crate) brom_key: EllipticKey,
    /// The "per-device identifier" by which devices of a board know each other.
    pub(crate) pdi: [u8; 8],
    /// In the leaf's alternative name.
    pub(crate) board_serial: [u8; 8],
    pub(crate) uuid: String,
    responder_seed: Zeroizing<[u8; 32]>,
    pub(crate) running: Running,
}

/// What differs between GPUs and switches.
pub(crate) enum Running {
    Gpu { firmware: GpuFirmware, decoder_enabled: bool, mode: Mode, switches: Vec<[u8; 8]> },
    Switch { bios: BiosVersion, position: u16, gpus: Vec<[u8; 8]> },
}

impl SimulatedGpu {
    /// A report for that challenge: request and signed response.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails; [`SimulationError::TooLong`]
    /// where the driver's version has some ten thousand letters.
    pub fn report(&self, nonce: &[u8; 32]) -> Result<Vec<u8>, SimulationError> {
        self.0.report(nonce).sign(&self.0.key)
    }

    /// As the driver names it: `GPU-` and a UUID.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.0.uuid
    }

    /// The serial number of the leaf certificate, decimal: NVIDIA's `ueid`.
    #[must_use]
    pub fn ueid(&self) -> String {
        self.0.ueid()
    }

    /// The identifier by which switches name it. It is the end of its BROM certificate's
    /// serial number.
    #[must_use]
    pub fn pdi(&self) -> [u8; 8] {
        self.0.pdi
    }
}

impl SimulatedSwitch {
    /// A report for that challenge: request and signed response.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails.
    pub fn report(&self, nonce: &[u8; 32]) -> Result<Vec<u8>, SimulationError> {
        self.0.report(nonce).sign(&self.0.key)
    }

    /// As the switches' driver names it: `SWX-` and a UUID.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.0.uuid
    }

    /// The serial number of the leaf certificate, decimal: NVIDIA's `ueid`.
    #[must_use]
    pub fn ueid(&self) -> String {
        self.0.ueid()
    }

    /// The identifier by which it and GPUs name it. It is the end of its BROM certificate's
    /// serial number.
    #[must_use]
    pub fn pdi(&self) -> [u8; 8] {
        self.0.pdi
    }
}

impl Device {
    /// The device that follows from a secret, always the same one.
    pub(crate) fn gpu(
        architecture: NvidiaArchitecture,
        secret: &[u8; 32],
        firmware: GpuFirmware,
        decoder_enabled: bool,
        mode: Mode,
    ) -> Result<Self, SimulationError> {
        let running = Running::Gpu { firmware, decoder_enabled, mode, switches: Vec::new() };
        Self::derive(architecture, secret, running)
    }

    /// The same of a switch.
    pub(crate) fn switch(secret: &[u8; 32], position: u16) -> Result<Self, SimulationError> {
        let running = Running::Switch { bios: SWITCH_BIOS, position, gpus: Vec::new() };
        Self::derive(NvidiaArchitecture::Ls10, secret, running)
    }

    /// The same device with those at its links.
    pub(crate) fn linked_to(mut self, others: &[[u8; 8]]) -> Self {
        match &mut self.running {
            Running::Gpu { switches, .. } => others.clone_into(switches),
            Running::Switch { gpus, .. } => others.clone_into(gpus),
        }
        self
    }

    /// What it answers, not yet signed. The responder's nonce follows from the challenge, so
    /// that a report differs from another of the same challenge in its signature only.
    pub(crate) fn report(&self, nonce: &[u8; 32]) -> Report {
        let responder_nonce: [u8; 32] = Sha256::new()
            .chain_update(RESPONDER_LABEL)
            .chain_update(*self.responder_seed)
            .chain_update(nonce)
            .finalize()
            .into();
        let (values, fields) = match &self.running {
            Running::Gpu { firmware, decoder_enabled, mode, switches } => {
                let facts = GpuFacts {
                    architecture: self.architecture,
                    firmware,
                    fwid: self.fwid(),
                    decoder_enabled: *decoder_enabled,
                    mode: *mode,
                    switches,
                };
                (measurement::of_gpu(self.architecture, firmware, *decoder_enabled), opaque::of_gpu(&facts))
            }
            Running::Switch { bios, position, gpus } => {
                let facts = SwitchFacts { bios: *bios, pdi: self.pdi, position: *position, gpus };
                (measurement::of_switch(*bios), opaque::of_switch(&facts))
            }
        };
        Report::new(nonce, responder_nonce, &values, fields)
    }

    /// The digest of the firmware that holds the attestation key, as the leaf and (on a GPU)
    /// the report have it.
    pub(crate) fn fwid(&self) -> Measurement {
        Sha384::new()
            .chain_update(FWID_LABEL)
            .chain_update(self.architecture.product())
            .chain_update(self.bios().to_string())
            .finalize()
            .into()
    }

    pub(crate) fn bios(&self) -> BiosVersion {
        match &self.running {
            Running::Gpu { firmware, .. } => firmware.vbios,
            Running::Switch { bios, .. } => *bios,
        }
    }

    /// The leaf's serial number, big-endian: the key's identifier, positive and of full length.
    pub(crate) fn leaf_serial(&self) -> Vec<u8> {
        let mut serial = self.key.identifier();
        if let Some(first) = serial.first_mut() {
            *first = (*first & 0x7f) | 0x40;
        }
        serial
    }

    /// The BROM certificate's serial number, big-endian.
    pub(crate) fn brom_serial(&self) -> Vec<u8> {
        [&[self.architecture.serial_prefix()], self.pdi.as_slice()].concat()
    }

    pub(crate) fn ueid(&self) -> String {
        decimal(&self.leaf_serial())
    }

    fn derive(architecture: NvidiaArchitecture, secret: &[u8; 32], running: Running) -> Result<Self, SimulationError> {
        let part = |name: &[u8]| -> Zeroizing<[u8; 32]> {
            let digest = Sha256::new().chain_update(IDENTITY_LABEL).chain_update(name).chain_update(secret);
            Zeroizing::new(digest.finalize().into())
        };
        let eight = |name: &[u8]| -> [u8; 8] {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&part(name)[..8]);
            bytes
        };
        Ok(Self {
            architecture,
            key: EllipticKey::derive(Curve::P384, KEY_LABEL, secret)?,
            brom_key: EllipticKey::derive(Curve::P384, BROM_KEY_LABEL, secret)?,
            pdi: eight(b"pdi"),
            board_serial: eight(b"board"),
            uuid: uuid(architecture, &part(b"uuid")),
            responder_seed: part(b"responder"),
            running,
        })
    }
}

/// As drivers write it: of GPUs in small letters, of switches in capitals.
fn uuid(architecture: NvidiaArchitecture, digest: &[u8; 32]) -> String {
    let digits = hex::encode(&digest[..16]);
    let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
    let uuid = format!("{a}-{b}-{c}-{d}-{e}");
    if architecture.is_switch() { format!("SWX-{}", uuid.to_uppercase()) } else { format!("GPU-{uuid}") }
}
