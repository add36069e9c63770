//! What devices measure and what manifests say they should: both follow from the versions, so
//! that they agree for one version and differ for two.

use sha2::{Digest, Sha384};

use super::{
    architecture::NvidiaArchitecture,
    firmware::{BiosVersion, GpuFirmware},
    layout::{Layout, MANIFEST_ENTRIES, ManifestKind},
};

/// SHA-384.
pub(crate) type Measurement = [u8; 48];
/// What was never extended.
pub(crate) const ZERO: Measurement = [0; 48];

const LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-measurement/v1\0";
const DECOY_LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-alternative/v1\0";

/// What one index must measure.
pub(crate) struct Golden {
    pub(crate) index: u8,
    pub(crate) active: bool,
    /// One at least; the device measures any of them.
    pub(crate) alternatives: Vec<Measurement>,
    pub(crate) name: String,
}

/// All measurements of a GPU, in the order of their indices.
pub(crate) fn of_gpu(architecture: NvidiaArchitecture, firmware: &GpuFirmware, decoder: bool) -> Vec<Measurement> {
    let layout = Layout::of(architecture);
    let measure = |index| {
        let (kind, version) = if layout.is_active(ManifestKind::Driver, index) {
            (ManifestKind::Driver, firmware.driver.clone())
        } else {
            (ManifestKind::Bios, firmware.vbios.to_string())
        };
        match architecture {
            // The manifest knows only the value of an enabled decoder: the index is then skipped.
            NvidiaArchitecture::Hopper if layout.decoder == Some(index) && !decoder => {
                digest(DECOY_LABEL, architecture, kind, &version, &[index])
            }
            // Not extended, and zero is among the manifest's values.
            NvidiaArchitecture::Blackwell if layout.decoder == Some(index) && !decoder => ZERO,
            _ => measured(architecture, kind, &version, index),
        }
    };
    (0..layout.blocks).map(measure).collect()
}

/// All measurements of a switch.
pub(crate) fn of_switch(bios: BiosVersion) -> Vec<Measurement> {
    let architecture = NvidiaArchitecture::Ls10;
    let version = bios.to_string();
    let measure = |index| measured(architecture, ManifestKind::Bios, &version, index);
    (0..Layout::of(architecture).blocks).map(measure).collect()
}

/// How often each measurement was extended, as a report says it.
pub(crate) fn counts(architecture: NvidiaArchitecture, decoder: bool) -> Vec<u32> {
    let layout = Layout::of(architecture);
    let mut counts = layout.counts.to_vec();
    if architecture == NvidiaArchitecture::Blackwell
        && !decoder
        && let Some(count) = layout.decoder.and_then(|index| counts.get_mut(usize::from(index)))
    {
        *count = 0;
    }
    counts
}

/// What a manifest of that version says, all 64 indices.
pub(crate) fn golden(architecture: NvidiaArchitecture, kind: ManifestKind, version: &str) -> Vec<Golden> {
    (0..MANIFEST_ENTRIES).map(|index| golden_entry(architecture, kind, version, index)).collect()
}

fn golden_entry(architecture: NvidiaArchitecture, kind: ManifestKind, version: &str, index: u8) -> Golden {
    let layout = Layout::of(architecture);
    if !layout.is_active(kind, index) {
        return Golden { index, active: false, alternatives: vec![ZERO], name: format!("Measurement_{index}") };
    }
    let number = layout.alternatives(index);
    let alternative = |place| {
        if place == index % number {
            measured(architecture, kind, version, index)
        } else if layout.decoder == Some(index) && architecture == NvidiaArchitecture::Blackwell {
            ZERO
        } else {
            digest(DECOY_LABEL, architecture, kind, version, &[index, place, 1])
        }
    };
    Golden { index, active: true, alternatives: (0..number).map(alternative).collect(), name: layout.name(index) }
}

/// What a device with that version and an enabled decoder measures.
pub(crate) fn measured(architecture: NvidiaArchitecture, kind: ManifestKind, version: &str, index: u8) -> Measurement {
    if Layout::of(architecture).count(index) == 0 {
        return ZERO;
    }
    digest(LABEL, architecture, kind, version, &[index])
}

fn digest(
    label: &[u8],
    architecture: NvidiaArchitecture,
    kind: ManifestKind,
    version: &str,
    what: &[u8],
) -> Measurement {
    let kind: &[u8] = match kind {
        ManifestKind::Driver => b"\0driver\0",
        ManifestKind::Bios => b"\0bios\0",
    };
    Sha384::new()
        .chain_update(label)
        .chain_update(architecture.product())
        .chain_update(kind)
        .chain_update(version)
        .chain_update([0])
        .chain_update(what)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The active indices at which the device measures nothing that the manifests name.
    fn mismatches(architecture: NvidiaArchitecture, firmware: &GpuFirmware, decoder: bool) -> Vec<u8> {
        let device = of_gpu(architecture, firmware, decoder);
        let mut golden_values = golden(architecture, ManifestKind::Driver, &firmware.driver);
        golden_values.extend(golden(architecture, ManifestKind::Bios, &firmware.vbios.to_string()));
        golden_values
            .iter()
            .filter(|golden| golden.active && !golden.alternatives.contains(&device[usize::from(golden.index)]))
            .map(|golden| golden.index)
            .collect()
    }

    #[test]
    fn devices_and_manifests_agree() {
        for architecture in [NvidiaArchitecture::Hopper, NvidiaArchitecture::Blackwell] {
            let firmware = GpuFirmware::current(architecture);
            assert!(mismatches(architecture, &firmware, true).is_empty());
        }
        let hopper = GpuFirmware::current(NvidiaArchitecture::Hopper);
        assert_eq!(mismatches(NvidiaArchitecture::Hopper, &hopper, false), [35]);
        let blackwell = GpuFirmware::current(NvidiaArchitecture::Blackwell);
        assert!(mismatches(NvidiaArchitecture::Blackwell, &blackwell, false).is_empty());

        let bios = BiosVersion([1, 2, 3, 4, 5]);
        for (value, golden) in
            of_switch(bios).iter().zip(golden(NvidiaArchitecture::Ls10, ManifestKind::Bios, &bios.to_string()))
        {
            assert!(golden.active && golden.alternatives.contains(value), "{}", golden.index);
        }
    }

    #[test]
    fn two_versions_differ_wherever_something_is_measured() {
        let architecture = NvidiaArchitecture::Hopper;
        let one = GpuFirmware::current(architecture);
        let other = GpuFirmware { driver: "900.10.02".to_owned(), ..one.clone() };
        let (one, other) = (of_gpu(architecture, &one, true), of_gpu(architecture, &other, true));
        for index in 0..64 {
            let of_driver = Layout::of(architecture).is_active(ManifestKind::Driver, index);
            let differs = one[usize::from(index)] != other[usize::from(index)];
            assert_eq!(differs, of_driver && one[usize::from(index)] != ZERO, "{index}");
        }
    }
}
