//! The names under which NVIDIA publishes the manifests of a device (NVIDIA/attestation-sdk,
//! `get_driver_rim_id` and `get_vbios_rim_id`): what to fetch, and what a local store calls it.

use crate::nvidia::chip::{Architecture, Chip};
use crate::nvidia::report::SpdmReport;

/// Project, SKU and chip of every switch's firmware.
const SWITCH_FIRMWARE: &str = "NV_SWITCH_BIOS_5612_0002_890_";

impl SpdmReport {
    /// The manifest of the driver; `None` for a switch.
    pub(crate) fn driver_manifest_id(&self, chip: Chip) -> Option<String> {
        let version = self.opaque.driver_version.as_ref()?;
        match chip.architecture {
            Architecture::Hopper => Some(format!("NV_GPU_DRIVER_{}_{version}", chip.product)),
            Architecture::Blackwell => {
                let named = self.opaque.chip_info.as_deref().unwrap_or(chip.product);
                Some(format!("NV_GPU_CC_DRIVER_{named}_{version}"))
            }
            Architecture::Ls10 => None,
        }
    }

    /// The manifest of the device's firmware; `None` where the report does not name the board.
    pub(crate) fn vbios_manifest_id(&self, chip: Chip) -> Option<String> {
        let version = self.opaque.vbios_version.replace('.', "").to_uppercase();
        if chip.architecture.is_switch() {
            return Some(format!("{SWITCH_FIRMWARE}{version}"));
        }
        let opaque = &self.opaque;
        let [project, sku, chip_sku] = [&opaque.project, &opaque.project_sku, &opaque.chip_sku].map(Option::as_deref);
        Some(format!("NV_GPU_VBIOS_{}_{}_{}_{version}", project?, sku?, chip_sku?).to_uppercase())
    }
}
