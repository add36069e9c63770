//! The policy that accepts one set of devices and nothing else.

use super::{
    device::{SimulatedGpu, SimulatedSwitch},
    firmware::SWITCH_BIOS,
    opaque::Mode,
    set::SimulatedGpuSet,
};

impl SimulatedGpuSet {
    /// A policy, as TOML text of `strongroom_attestation::Policy`, that accepts these devices
    /// and nothing else: their number, mode, `ueid`s and versions. The catalogue's codes hold
    /// under it.
    #[must_use]
    pub fn strict_policy(&self) -> String {
        format!("name = \"simulated NVIDIA\"\n{}", self.requirements())
    }

    /// The part of it that is about NVIDIA, which goes with any policy for the machine.
    #[must_use]
    pub fn requirements(&self) -> String {
        let quoted = |texts: Vec<String>| -> String {
            texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ")
        };
        let mut architectures = vec![self.topology.architecture().name().to_lowercase()];
        let mut versions = vec![self.options.firmware.vbios.to_string()];
        if !self.switches().is_empty() {
            architectures.push("ls10".to_owned());
            versions.push(SWITCH_BIOS.to_string());
        }
        let gpus = self.gpus().iter().map(SimulatedGpu::ueid);
        let ueids = gpus.chain(self.switches().iter().map(SimulatedSwitch::ueid)).collect();
        let mode = match self.topology.mode() {
            Mode::Single => "single-pass-through",
            Mode::Multi => "multiple-pass-through",
            Mode::ProtectedPcie => "protected-pcie",
        };
        format!(
            "\n[nvidia]\n\
             gpus = {}\n\
             switches = {}\n\
             architectures = [{}]\n\
             modes = [\"{mode}\"]\n\
             ueids = [{}]\n\
             driver_versions = [\"{}\"]\n\
             vbios_versions = [{}]\n",
            self.gpus().len(),
            self.switches().len(),
            quoted(architectures),
            quoted(ueids),
            self.options.firmware.driver,
            quoted(versions),
        )
    }
}
