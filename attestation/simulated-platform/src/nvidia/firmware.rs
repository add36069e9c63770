//! What runs on a device: the versions that its report names and that manifests are for.

use std::fmt;

use super::architecture::NvidiaArchitecture;

/// The version of a VBIOS or of a switch's BIOS: five numbers, which text joins with dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BiosVersion(pub [u8; 5]);

impl BiosVersion {
    /// As a GPU's report has it: the first four numbers as a little-endian word, then the last.
    pub(crate) fn in_report(self) -> [u8; 8] {
        let [a, b, c, d, e] = self.0;
        [d, c, b, a, e, 0, 0, 0]
    }

    /// As names of manifests have it.
    pub(crate) fn without_dots(self) -> String {
        hex::encode_upper(self.0)
    }
}

impl fmt::Display for BiosVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e] = self.0;
        write!(f, "{a:02X}.{b:02X}.{c:02X}.{d:02X}.{e:02X}")
    }
}

/// Driver and VBIOS of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuFirmware {
    /// The driver's version, such as `900.10.01`.
    pub driver: String,
    /// The VBIOS's version.
    pub vbios: BiosVersion,
}

impl GpuFirmware {
    /// What a healthy GPU of that line runs. These versions exist nowhere.
    #[must_use]
    pub fn current(architecture: NvidiaArchitecture) -> Self {
        let first = match architecture {
            NvidiaArchitecture::Hopper | NvidiaArchitecture::Ls10 => 0x96,
            NvidiaArchitecture::Blackwell => 0x97,
        };
        Self { driver: "900.10.01".to_owned(), vbios: BiosVersion([first, 0x00, 0xf5, 0x00, 0x01]) }
    }
}

/// What a healthy switch runs.
pub(crate) const SWITCH_BIOS: BiosVersion = BiosVersion([0x96, 0x10, 0xf3, 0x00, 0x01]);

/// The fields of the board that name its VBIOS's manifest.
pub(crate) struct Board {
    pub(crate) id: [u8; 4],
    pub(crate) chip_sku: &'static str,
    pub(crate) project: &'static str,
    pub(crate) project_sku: &'static str,
    /// Two bytes: a letter or digit where there is one, then zeros.
    pub(crate) project_sku_modifier: [u8; 2],
}

impl Board {
    pub(crate) fn of(architecture: NvidiaArchitecture) -> Self {
        match architecture {
            NvidiaArchitecture::Hopper => Self {
                id: [0x37, 0x04, 0, 0],
                chip_sku: "885",
                project: "G520",
                project_sku: "0200",
                project_sku_modifier: [0; 2],
            },
            NvidiaArchitecture::Blackwell => Self {
                id: [0x6f, 0x06, 0, 0],
                chip_sku: "886",
                project: "G525",
                project_sku: "0220",
                project_sku_modifier: *b"0\0",
            },
            // Not in a switch's report: its manifests are named with constants.
            NvidiaArchitecture::Ls10 => {
                Self { id: [0; 4], chip_sku: "890", project: "5612", project_sku: "0002", project_sku_modifier: [0; 2] }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_written_as_in_a_genuine_report() {
        let version = BiosVersion([0x96, 0x00, 0x9f, 0x00, 0x01]);
        assert_eq!(version.to_string(), "96.00.9F.00.01");
        assert_eq!(version.without_dots(), "96009F0001");
        assert_eq!(version.in_report(), [0x00, 0x9f, 0x00, 0x96, 0x01, 0, 0, 0]);
    }
}
