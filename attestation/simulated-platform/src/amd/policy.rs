//! The policy that accepts one device and nothing else.

use super::device::{KeyKind, SimulatedDevice, hardware_id};

impl SimulatedDevice {
    /// A policy, as TOML text of `strongroom_attestation::Policy`, that accepts this device
    /// in this state and nothing else: its product, chip, measurement, host data and firmware
    /// are pinned, and an in-date revocation list is required. The catalogue's codes hold
    /// under it; a loaded key is accepted only by its provider's name.
    #[must_use]
    pub fn strict_policy(&self) -> String {
        let product = self.product.name();
        format!("name = \"simulated {product}\"\n{}", self.requirements())
    }

    /// All of it but the name: first what every platform has, then the part of SNP.
    pub(crate) fn requirements(&self) -> String {
        let product = self.product.name();
        let tcb = self.tcb;
        let mut text = format!(
            "measurements = [\"{}\"]\n\
             host_data = [\"{}\"]\n\
             require_revocation = true\n",
            hex::encode(self.measurement),
            hex::encode(self.host_data),
        );
        let (identity, provider) = match &self.key_kind {
            KeyKind::Vcek => {
                let id = hex::encode(hardware_id(self.product, &self.chip_id));
                (format!("platform_identities = [\"{id}\"]\n"), String::new())
            }
            KeyKind::Vlek { csp_id } => (
                "require_platform_identity = false\n".to_owned(),
                format!("vlek_csp_ids = [{}]\n", toml::Value::from(csp_id.as_str())),
            ),
        };
        text += &identity;
        text += "\n[snp]\n";
        text += &format!("products = [\"{product}\"]\n");
        text += &provider;
        text += &format!("\n[snp.minimum_tcb.{product}]\n");
        if let Some(fmc) = tcb.fmc {
            text += &format!("fmc = {fmc}\n");
        }
        text += &format!(
            "bootloader = {}\ntee = {}\nsnp = {}\nmicrocode = {}\n",
            tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode
        );
        text
    }
}
