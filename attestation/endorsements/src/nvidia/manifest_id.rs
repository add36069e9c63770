//! The names under which NVIDIA publishes manifests.

use std::fmt;

use crate::error::WantError;

/// Longer than any known; the longest has 45 characters.
const MAX_LEN: usize = 96;

/// The name of a manifest, such as `NV_GPU_DRIVER_GH100_550.90.07`: letters, digits, `.` and `_`, at most 96 of them,
/// a letter first. It can so be a part of a path and a file's name, and leads nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestId(String);

impl ManifestId {
    /// The name, if it is one.
    ///
    /// # Errors
    /// [`WantError::Text`] for any other text.
    pub fn new(text: &str) -> Result<ManifestId, WantError> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
        let begins = text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
        if begins && text.len() <= MAX_LEN && text.bytes().all(is_part) {
            return Ok(ManifestId(text.to_owned()));
        }
        Err(WantError::text(text))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a driver's manifest; else it names a firmware's.
    pub(crate) fn is_of_driver(&self) -> bool {
        self.0.to_ascii_uppercase().contains("DRIVER_")
    }

    /// Whether a document about this product and version can be what the name says: drivers' names end with both,
    /// firmwares' with the version without its dots. The board, which is in those too, is in no document.
    pub(crate) fn fits(&self, product: &str, version: &str) -> bool {
        let ending = match self.is_of_driver() {
            true => format!("_{product}_{version}"),
            false => format!("_{}", version.replace('.', "")),
        };
        self.0.to_ascii_uppercase().ends_with(&ending.to_ascii_uppercase())
    }
}

impl fmt::Display for ManifestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_part_of_a_path_and_no_more() {
        for good in ["NV_GPU_DRIVER_GH100_550.90.07", "a", &"N".repeat(96)] {
            assert_eq!(ManifestId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "_", "N/..", "N V", "N%2e", "Nä", "N\0", &"N".repeat(97)] {
            assert!(ManifestId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_document_fits_its_name() {
        let fits = |id: &str, product: &str, version: &str| ManifestId::new(id).unwrap().fits(product, version);
        assert!(fits("NV_GPU_DRIVER_GH100_550.90.07", "GH100", "550.90.07"));
        assert!(!fits("NV_GPU_DRIVER_GH100_550.90.07", "GH100", "550.90.0"));
        assert!(!fits("NV_GPU_DRIVER_GH100_550.90.07", "GB100", "550.90.07"));
        assert!(fits("NV_GPU_CC_DRIVER_GB100_595.91.07", "GB100", "595.91.07"));
        assert!(fits("NV_GPU_VBIOS_1010_0200_882_96009F0001", "GH100", "96.00.9f.00.01"));
        assert!(!fits("NV_GPU_VBIOS_1010_0200_882_96009F0001", "GH100", "96.00.5E.00.01"));
        assert!(fits("NV_SWITCH_BIOS_5612_0002_890_9610550001", "LS10", "96.10.55.00.01"));
    }
}
