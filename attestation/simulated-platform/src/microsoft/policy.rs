//! The policy that accepts one machine and nothing else.

use super::{platform::AzurePlatform, vm::SimulatedAzureVm};

impl SimulatedAzureVm {
    /// A policy, as TOML text of `strongroom_attestation::Policy`, that accepts this machine
    /// in this state and nothing else: what the strict policy of its hardware pins, all
    /// registers of its TPM, secure boot, and a certificate of the attestation key. The
    /// catalogue's codes hold under it.
    #[must_use]
    pub fn strict_policy(&self) -> String {
        let hardware = match &self.platform {
            AzurePlatform::Snp(device) => device.requirements(),
            AzurePlatform::Tdx(td) => td.requirements(),
        };
        let mut text = format!(
            "name = \"simulated Azure\"\n{hardware}\n\
             [azure]\n\
             require_ak_certificate = true\n\
             \n[azure.pcrs]\n"
        );
        for (register, value) in self.pcrs().iter().enumerate() {
            text += &format!("{register} = [\"{}\"]\n", hex::encode(value));
        }
        text
    }
}
