//! Which measurement is of what: the numbers that genuine reports and manifests of each line
//! have, index by index. A golden index is a block's index less one.

use std::ops::RangeInclusive;

use super::architecture::NvidiaArchitecture;

/// What a manifest is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ManifestKind {
    /// A GPU's driver.
    Driver,
    /// A GPU's VBIOS or a switch's BIOS.
    Bios,
}

/// The measurements of one line of devices.
pub(crate) struct Layout {
    /// How often each was extended; one that never was is zero. Beyond the list: zero times.
    pub(crate) counts: &'static [u32],
    /// Blocks in a report.
    pub(crate) blocks: u8,
    bios: &'static [RangeInclusive<u8>],
    driver: &'static [RangeInclusive<u8>],
    /// Indices with more than one golden value, and how many.
    alternatives: &'static [(RangeInclusive<u8>, u8)],
    /// Where manifests call a measurement anything but `Measurement_<index>`.
    names: &'static [(RangeInclusive<u8>, &'static str, &'static str)],
    /// Where it shows whether the video decoder is enabled.
    pub(crate) decoder: Option<u8>,
}

/// Entries of every manifest, however many the device reports.
pub(crate) const MANIFEST_ENTRIES: u8 = 64;

const HOPPER: Layout = Layout {
    counts: &[
        0, 1, 5, 1, 1, 1, 1, 1, 0, 1, 0, 131, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 2, 1,
        1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
    blocks: 64,
    bios: &[0..=6, 8..=12],
    driver: &[7..=7, 21..=40],
    alternatives: &[(12..=12, 4), (23..=24, 2), (32..=32, 2), (34..=34, 2), (35..=35, 4), (36..=36, 2)],
    names: &[
        (1..=6, "HashedMeasurement", "_FSP"),
        (21..=27, "MixedMeasurement", ""),
        (29..=31, "MixedMeasurement", ""),
        (32..=33, "HashedMeasurement", "_GSP"),
        (34..=34, "MixedHashedMeasurement", ""),
        (36..=38, "HashedMeasurement", "_GSP"),
        (39..=40, "MixedMeasurement", ""),
    ],
    decoder: Some(35),
};

/// The VBIOS's names are a guess: no manifest of one was seen.
const BLACKWELL: Layout = Layout {
    counts: &[
        0, 3, 1, 8, 1, 0, 1, 0, 16, 0, 0, 3, 1, 1, 1, 0, 0, 1, 118, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1,
    ],
    blocks: 64,
    bios: &[0..=13, 16..=20],
    driver: &[14..=14, 40..=41, 45..=50, 52..=56, 58..=61, 63..=63],
    alternatives: &[(49..=49, 2), (52..=52, 4), (53..=53, 2), (61..=61, 2)],
    names: &[
        (40..=46, "MixedMeasurement", ""),
        (47..=53, "HashedMeasurement", "_GSP"),
        (54..=63, "MixedMeasurement", ""),
    ],
    decoder: Some(61),
};

const LS10: Layout = Layout {
    counts: &[1, 5, 1, 1, 1, 1, 1, 0, 110, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    blocks: 31,
    bios: &[0..=30],
    driver: &[],
    alternatives: &[(9..=25, 4)],
    names: &[(0..=3, "HashedMeasurement", "_FSP"), (27..=27, "HashedMeasurement", "_FSP")],
    decoder: None,
};

impl Layout {
    pub(crate) fn of(architecture: NvidiaArchitecture) -> &'static Self {
        match architecture {
            NvidiaArchitecture::Hopper => &HOPPER,
            NvidiaArchitecture::Blackwell => &BLACKWELL,
            NvidiaArchitecture::Ls10 => &LS10,
        }
    }

    /// Whether a manifest of that kind says what the measurement must be.
    pub(crate) fn is_active(&self, kind: ManifestKind, index: u8) -> bool {
        let ranges = match kind {
            ManifestKind::Driver => self.driver,
            ManifestKind::Bios => self.bios,
        };
        ranges.iter().any(|range| range.contains(&index))
    }

    /// How often the measurement was extended.
    pub(crate) fn count(&self, index: u8) -> u32 {
        self.counts.get(usize::from(index)).copied().unwrap_or(0)
    }

    /// How many golden values a manifest has for it.
    pub(crate) fn alternatives(&self, index: u8) -> u8 {
        self.alternatives.iter().find(|(range, _)| range.contains(&index)).map_or(1, |(_, number)| *number)
    }

    /// What a manifest in which it is active calls it.
    pub(crate) fn name(&self, index: u8) -> String {
        let found = self.names.iter().find(|(range, _, _)| range.contains(&index));
        let (before, after) = found.map_or(("Measurement", ""), |(_, before, after)| (before, after));
        format!("{before}_{index}{after}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_and_bios_share_no_active_index() {
        for architecture in NvidiaArchitecture::ALL {
            let layout = Layout::of(architecture);
            for index in 0..MANIFEST_ENTRIES {
                let both = layout.is_active(ManifestKind::Driver, index) && layout.is_active(ManifestKind::Bios, index);
                assert!(!both, "{architecture:?} {index}");
            }
            let active = |kind| (0..MANIFEST_ENTRIES).filter(|index| layout.is_active(kind, *index)).count();
            let numbers = [active(ManifestKind::Bios), active(ManifestKind::Driver)];
            let wanted = match architecture {
                NvidiaArchitecture::Hopper => [12, 21],
                NvidiaArchitecture::Blackwell => [19, 19],
                NvidiaArchitecture::Ls10 => [31, 0],
            };
            assert_eq!(numbers, wanted);
        }
    }
}
