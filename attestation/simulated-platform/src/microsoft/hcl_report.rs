//! The report of the paravisor ("HCL"), as the virtual TPM keeps it: a hardware report, and
//! the runtime data whose digest that report is over.

use crate::error::SimulationError;

/// Bytes of the area of the hardware report.
pub(crate) const HARDWARE_AREA: usize = 1184;
const HARDWARE_OFFSET: usize = 0x20;
/// Fields before the runtime data, which its declared size includes.
const DATA_HEADER: u32 = 20;
/// Where the runtime data begins.
pub(crate) const RUNTIME_DATA: usize = HARDWARE_OFFSET + HARDWARE_AREA + 20;
/// Bytes of the TPM's storage that it is read from.
const STORAGE: usize = 2600;

/// The versions that hosts write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HclVersion {
    /// The first.
    V1,
    /// Its runtime data has the thumbprint of a root, and whether the TPM's state persists.
    V2,
}

impl HclVersion {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// The number in the report.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// What the report says around its two parts. A fault changes one field.
pub(crate) struct HclReport {
    pub(crate) magic: [u8; 4],
    pub(crate) version: u32,
    /// 2 SNP, 4 TDX.
    pub(crate) report_type: u32,
    /// 1 SHA-256.
    pub(crate) hash_type: u32,
    /// What to add to the three declared sizes: of the report, of the data with its header,
    /// of the runtime data.
    pub(crate) lies: [u32; 3],
}

impl HclReport {
    pub(crate) fn new(version: HclVersion, report_type: u32) -> Self {
        Self { magic: *b"HCLA", version: version.number(), report_type, hash_type: 1, lies: [0; 3] }
    }

    /// The whole storage, with zeros at its end.
    pub(crate) fn to_bytes(&self, hardware: &[u8], runtime: &[u8]) -> Result<Vec<u8>, SimulationError> {
        let too_long = || SimulationError::TooLong { what: "runtime data" };
        let runtime_size = u32::try_from(runtime.len()).map_err(|_| too_long())?;
        let data_size = DATA_HEADER + runtime_size;
        let report_size = u32::try_from(HARDWARE_OFFSET + HARDWARE_AREA).map_err(|_| too_long())? + data_size;
        let [report_lie, data_lie, runtime_lie] = self.lies;

        let mut report = self.magic.to_vec();
        for field in [self.version, report_size + report_lie, REQUEST_TYPE, 0, 0, 0, 0] {
            report.extend_from_slice(&field.to_le_bytes());
        }
        report.extend_from_slice(hardware);
        report.resize(HARDWARE_OFFSET + HARDWARE_AREA, 0);
        for field in [data_size + data_lie, 1, self.report_type, self.hash_type, runtime_size + runtime_lie] {
            report.extend_from_slice(&field.to_le_bytes());
        }
        report.extend_from_slice(runtime);
        report.resize(report.len().max(STORAGE), 0);
        Ok(report)
    }
}

/// In every genuine report.
const REQUEST_TYPE: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_a_genuine_report() {
        // A genuine report of version 1 on SNP with 1110 bytes of runtime data.
        let report = HclReport::new(HclVersion::V1, 2).to_bytes(&[7; HARDWARE_AREA], &[9; 1110]).unwrap();
        assert_eq!(hex::encode(&report[..16]), "48434c41010000002a09000002000000");
        assert_eq!(report[16..32], [0; 16]);
        let fields: Vec<u8> = [1130_u32, 1, 2, 1, 1110].into_iter().flat_map(u32::to_le_bytes).collect();
        assert_eq!(report[0x4c0..0x4d4], fields);
        assert_eq!(RUNTIME_DATA, 0x4d4);
        assert_eq!(report.len(), 2600);
    }
}
