//! Authentic devices against NVIDIA's manifests and a policy: every requirement is answered.

use crate::error::{Check, Code};
use crate::nvidia::chip::Architecture;
use crate::nvidia::claims::DeviceClaims;
use crate::nvidia::fabric;
use crate::nvidia::policy::NvidiaPolicy;
use crate::nvidia::reference::Reference;
use crate::nvidia::report::DeviceMode;

/// Answers each requirement of `policy` on `devices`, whose manifests are `references`.
pub(super) fn appraise(devices: &[DeviceClaims], references: &[Reference<'_>], policy: &NvidiaPolicy) -> Vec<Check> {
    let (switches, gpus): (Vec<_>, Vec<_>) = devices.iter().partition(|device| device.is_switch());
    let mut checks = numbers(gpus.len(), switches.len(), policy).to_vec();
    checks.push(modes(devices, policy));
    checks.extend(fabric::appraise(devices, policy));
    for device in devices {
        checks.push(generation(device, policy));
        checks.push(one_of(device, "ueid", Some(&device.ueid), policy.ueids.as_deref()));
        if !device.is_switch() {
            let driver = device.driver_version.as_ref();
            checks.push(one_of(device, "driver version", driver, policy.driver_versions.as_deref()));
        }
        let firmware = Some(&device.vbios_version);
        checks.push(one_of(device, "firmware version", firmware, policy.vbios_versions.as_deref()));
        checks.extend(Reference::compare_all(references, device, policy));
    }
    checks
}

/// Whether there are as many devices as the policy names.
pub(crate) fn numbers(gpus: usize, switches: usize, policy: &NvidiaPolicy) -> [Check; 2] {
    let count = |title, found: usize, wanted: Option<u8>| match wanted {
        Some(wanted) => {
            let holds = found == usize::from(wanted);
            Check::when(holds, Code::PlatformNotAllowed, title, format!("exactly {wanted}"), found.to_string())
        }
        None => Check::skip(Code::PlatformNotAllowed, title, "nothing: the policy names none", found.to_string()),
    };
    [count("number of GPUs", gpus, policy.gpus), count("number of switches", switches, policy.switches)]
}

/// GPUs of one machine all work in one way.
fn modes(devices: &[DeviceClaims], policy: &NvidiaPolicy) -> Check {
    let title = "mode of the GPUs";
    let mut modes: Vec<Option<DeviceMode>> =
        devices.iter().filter(|device| !device.is_switch()).map(DeviceClaims::known_mode).collect();
    modes.sort_unstable();
    modes.dedup();
    // Firmware tells it in two ways, which are under one signature and mean one thing.
    let odd = devices.iter().find(|device| {
        let by_mode = device.mode.map(|mode| mode == DeviceMode::ProtectedPcie);
        by_mode.zip(device.protected_pcie).is_some_and(|(by_mode, by_status)| by_mode != by_status)
    });
    if let Some(device) = odd {
        let mode = device.mode.map_or("not told", DeviceMode::name);
        let status = if device.protected_pcie == Some(true) { "on" } else { "off" };
        let found = format!("{}: {mode}, and protected PCIe {status}", device.label);
        return Check::fail(Code::PlatformNotAllowed, title, "one mode, told alike", found);
    }
    let name = |mode: &Option<DeviceMode>| mode.map_or("not told", DeviceMode::name);
    let found = modes.iter().map(name).collect::<Vec<_>>().join(" and ");
    match (modes.as_slice(), &policy.modes) {
        ([], _) => Check::skip(Code::PlatformNotAllowed, title, "nothing: there is no GPU", "none"),
        ([_, _, ..], _) => Check::fail(Code::PlatformNotAllowed, title, "the same for all", found),
        (_, None) => Check::skip(Code::PlatformNotAllowed, title, "nothing: the policy names none", found),
        ([only], Some(allowed)) => {
            let wanted = allowed.iter().map(|mode| mode.name()).collect::<Vec<_>>().join(" or ");
            let holds = only.is_some_and(|mode| allowed.contains(&mode));
            Check::when(holds, Code::PlatformNotAllowed, title, wanted, found)
        }
    }
}

fn generation(device: &DeviceClaims, policy: &NvidiaPolicy) -> Check {
    let wanted = policy.architectures.iter().map(|known| Architecture::name(*known)).collect::<Vec<_>>().join(", ");
    let holds = policy.architectures.contains(&device.architecture);
    let title = format!("{}: allowed generation", device.label);
    Check::when(holds, Code::PlatformNotAllowed, title, format!("one of {wanted}"), device.architecture.name())
}

/// A text that must be one of a list, when there is a list.
fn one_of(device: &DeviceClaims, what: &str, value: Option<&String>, allowed: Option<&[String]>) -> Check {
    let title = format!("{}: {what}", device.label);
    let found = value.map_or("none", String::as_str);
    let Some(allowed) = allowed else {
        return Check::skip(Code::PlatformNotAllowed, title, "nothing: the policy names none", found);
    };
    let wanted = format!("one of the {} that the policy names", allowed.len());
    let holds = value.is_some_and(|value| allowed.contains(value));
    Check::when(holds, Code::PlatformNotAllowed, title, wanted, found)
}
