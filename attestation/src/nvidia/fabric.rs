//! Whether the devices are the whole of a protected-PCIe machine: eight GPUs and four switches that all
//! name each other (NVIDIA/nvtrust, `validate_topology.py`). The names of GPUs come from their
//! certificates, so that the switches' lists speak of these very GPUs.

use std::collections::BTreeSet;

use crate::error::{Check, Code};
use crate::nvidia::claims::DeviceClaims;
use crate::nvidia::policy::NvidiaPolicy;
use crate::nvidia::report::{DeviceMode, GPUS_OF_FABRIC, LinkedDevice, SWITCHES_OF_FABRIC};

const TITLE: &str = "fabric of the devices";

/// The check; nothing to check where no device belongs to such a machine.
pub(super) fn appraise(devices: &[DeviceClaims], policy: &NvidiaPolicy) -> Option<Check> {
    let protected = devices.iter().any(|device| device.known_mode() == Some(DeviceMode::ProtectedPcie));
    let (switches, gpus): (Vec<_>, Vec<_>) = devices.iter().partition(|device| device.is_switch());
    if !protected && switches.is_empty() {
        return None;
    }
    let wanted = format!("{GPUS_OF_FABRIC} GPUs and {SWITCHES_OF_FABRIC} switches that name each other");
    let counted = format!("{} GPUs, {} switches", gpus.len(), switches.len());
    if (gpus.len(), switches.len()) == (GPUS_OF_FABRIC, SWITCHES_OF_FABRIC) {
        let objection = objection(&gpus, &switches);
        let holds = objection.is_none();
        return Some(Check::when(holds, Code::PlatformNotAllowed, TITLE, wanted, objection.unwrap_or(counted)));
    }
    Some(match policy.require_complete_fabric {
        true => Check::fail(Code::PlatformNotAllowed, TITLE, wanted, counted),
        false => {
            let wanted = "nothing: the policy takes a part of a protected-PCIe machine";
            Check::skip(Code::PlatformNotAllowed, TITLE, wanted, counted)
        }
    })
}

/// What does not fit, if anything does not.
fn objection(gpus: &[&DeviceClaims], switches: &[&DeviceClaims]) -> Option<String> {
    let identities = |devices: &[&DeviceClaims]| -> BTreeSet<LinkedDevice> {
        devices.iter().filter_map(|device| device.fabric_identity).collect()
    };
    let (all_gpus, all_switches) = (identities(gpus), identities(switches));
    let names =
        |named: &[LinkedDevice], all: &BTreeSet<LinkedDevice>| named.iter().copied().collect::<BTreeSet<_>>() == *all;
    if let Some(gpu) = gpus.iter().find(|gpu| !names(&gpu.switches, &all_switches)) {
        return Some(format!(
            "{} is linked to {}, and the switches are {}",
            gpu.label,
            list(&gpu.switches),
            list(&all_switches)
        ));
    }
    if let Some(switch) = switches.iter().find(|switch| !names(&switch.gpus, &all_gpus)) {
        return Some(format!("{} connects {}, and the GPUs are {}", switch.label, list(&switch.gpus), list(&all_gpus)));
    }
    None
}

fn list<'a>(devices: impl IntoIterator<Item = &'a LinkedDevice>) -> String {
    let mut names: Vec<String> = devices.into_iter().map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
