//! The SEV-SNP attestation report: its fields, its 1184 bytes, its signature (AMD SEV-SNP
//! ABI 56860, ATTESTATION_REPORT).

use crate::{
    error::SimulationError,
    keys::elliptic::{Curve, EllipticKey},
};

/// Bytes of a report, of every version.
pub const REPORT_LENGTH: usize = 1184;
/// The device signs the bytes before its signature.
pub(crate) const SIGNED_LENGTH: usize = 0x2a0;
/// Where `r` and `s` lie; each has 72 bytes, little-endian, of which 48 count.
pub(crate) const SIGNATURE_R: usize = SIGNED_LENGTH;
pub(crate) const SIGNATURE_S: usize = SIGNED_LENGTH + 72;
/// First byte after the signature; zero until the end.
pub(crate) const AFTER_SIGNATURE: usize = 0x330;
pub(crate) const MEASUREMENT: usize = 0x090;
/// Reserved bytes within the signed part.
pub(crate) const RESERVED_WORD: usize = 0x04c;
pub(crate) const RESERVED_TAIL: usize = 0x208;

/// Guest policy: SMT allowed, and bit 17 which must be one.
pub(crate) const GUEST_POLICY: u64 = 0x3_0000;
/// Platform info: SMT on, ECC on, alias check complete.
const PLATFORM_INFO: u64 = 0x25;
/// Build, minor, major of the firmware's ABI: 1.55, build 43.
const FIRMWARE_VERSION: [u8; 3] = [43, 55, 1];
/// ECDSA P-384 with SHA-384.
const SIGNATURE_ALGORITHM: u32 = 1;

/// The report versions that current firmware writes. They have the same layout here, but
/// for the mitigation vectors of version 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportVersion {
    /// Adds the processor's family, model and stepping.
    V3,
    /// Adds policy and platform bits.
    V4,
    /// Adds the mitigation vectors.
    V5,
}

impl ReportVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 3] = [Self::V3, Self::V4, Self::V5];

    /// The number in the report.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
            Self::V5 => 5,
        }
    }

    /// The version of that number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.number() == number)
    }
}

/// Which key signs, in `key_info` bits 4:2.
#[derive(Clone, Copy)]
pub(crate) enum SigningKey {
    Vcek = 0,
    Vlek = 1,
    None = 7,
}

impl SigningKey {
    pub(crate) fn key_info(self) -> u32 {
        (self as u32) << 2
    }
}

/// What a report says. A fault changes one field before the device signs.
pub(crate) struct ReportFields {
    pub(crate) version: u32,
    pub(crate) policy: u64,
    pub(crate) vmpl: u32,
    pub(crate) signature_algorithm: u32,
    pub(crate) platform_info: u64,
    pub(crate) key_info: u32,
    pub(crate) report_data: [u8; 64],
    pub(crate) measurement: [u8; 48],
    pub(crate) host_data: [u8; 32],
    pub(crate) report_id: [u8; 32],
    pub(crate) migration_agent: [u8; 32],
    pub(crate) current_tcb: [u8; 8],
    pub(crate) reported_tcb: [u8; 8],
    pub(crate) committed_tcb: [u8; 8],
    pub(crate) launch_tcb: [u8; 8],
    pub(crate) cpuid: [u8; 3],
    pub(crate) chip_id: [u8; 64],
    /// Launch and current mitigation vector; only version 5 has them.
    pub(crate) mitigations: Option<[u64; 2]>,
    /// A reserved byte that must be zero, by its offset, for the faults that set one.
    pub(crate) reserved_byte_set: Option<usize>,
}

impl ReportFields {
    /// A report of a healthy guest at VMPL 0, with everything else still zero.
    pub(crate) fn healthy(version: ReportVersion, tcb: [u8; 8]) -> Self {
        Self {
            version: version.number(),
            policy: GUEST_POLICY,
            vmpl: 0,
            signature_algorithm: SIGNATURE_ALGORITHM,
            platform_info: PLATFORM_INFO,
            key_info: SigningKey::Vcek.key_info(),
            report_data: [0; 64],
            measurement: [0; 48],
            host_data: [0; 32],
            report_id: [0; 32],
            migration_agent: [0xff; 32], // none
            current_tcb: tcb,
            reported_tcb: tcb,
            committed_tcb: tcb,
            launch_tcb: tcb,
            cpuid: [0; 3],
            chip_id: [0; 64],
            mitigations: (version == ReportVersion::V5).then_some([1, 1]),
            reserved_byte_set: None,
        }
    }

    /// The signed report.
    pub(crate) fn sign(&self, key: &EllipticKey) -> Result<Vec<u8>, SimulationError> {
        let mut report = self.unsigned();
        let signature = key.sign_fixed(&report[..SIGNED_LENGTH])?;
        let (r, s) = signature.split_at(Curve::P384.scalar_length());
        for (offset, scalar) in [(SIGNATURE_R, r), (SIGNATURE_S, s)] {
            let little_endian: Vec<u8> = scalar.iter().rev().copied().collect();
            put(&mut report, offset, &little_endian);
        }
        Ok(report.to_vec())
    }

    fn unsigned(&self) -> [u8; REPORT_LENGTH] {
        let mut report = [0; REPORT_LENGTH];
        put(&mut report, 0x000, &self.version.to_le_bytes());
        put(&mut report, 0x008, &self.policy.to_le_bytes());
        put(&mut report, 0x030, &self.vmpl.to_le_bytes());
        put(&mut report, 0x034, &self.signature_algorithm.to_le_bytes());
        put(&mut report, 0x038, &self.current_tcb);
        put(&mut report, 0x040, &self.platform_info.to_le_bytes());
        put(&mut report, 0x048, &self.key_info.to_le_bytes());
        put(&mut report, 0x050, &self.report_data);
        put(&mut report, MEASUREMENT, &self.measurement);
        put(&mut report, 0x0c0, &self.host_data);
        put(&mut report, 0x140, &self.report_id);
        put(&mut report, 0x160, &self.migration_agent);
        put(&mut report, 0x180, &self.reported_tcb);
        put(&mut report, 0x188, &self.cpuid);
        put(&mut report, 0x1a0, &self.chip_id);
        put(&mut report, 0x1e0, &self.committed_tcb);
        put(&mut report, 0x1e8, &FIRMWARE_VERSION);
        put(&mut report, 0x1ec, &FIRMWARE_VERSION);
        put(&mut report, 0x1f0, &self.launch_tcb);
        if let Some([launch, current]) = self.mitigations {
            put(&mut report, 0x1f8, &launch.to_le_bytes());
            put(&mut report, 0x200, &current.to_le_bytes());
        }
        if let Some(offset) = self.reserved_byte_set {
            put(&mut report, offset, &[1]);
        }
        report
    }
}

/// Writes a field. Offsets and lengths are the constants of this crate, never input.
fn put(report: &mut [u8; REPORT_LENGTH], offset: usize, value: &[u8]) {
    report[offset..offset + value.len()].copy_from_slice(value);
}
