//! The attestation report as bytes: size, version and reserved ranges checked, nothing believed.
//!
//! Layout: AMD SEV-SNP ABI (56860) "ATTESTATION_REPORT"; the table is in docs/specs/evidence.md.

use std::fmt;

use crate::cursor::field;
use crate::error::{Code, Refusal};
use crate::snp::product::Cpuid;

/// Size of a report of versions 2 to 5.
pub(crate) const REPORT_LEN: usize = 0x4A0;
/// The signature covers the bytes before it.
pub(crate) const SIGNED_LEN: usize = 0x2A0;
/// Header of the firmware's raw answer (MSG_REPORT_RSP): status, size and 24 reserved bytes.
const RESPONSE_HEADER_LEN: usize = 0x20;
/// The status "success", and the size of a report.
const RESPONSE_START: [u8; 8] = [0, 0, 0, 0, 0xA0, 0x04, 0, 0];
const _: () = assert!(REPORT_LEN == 0x04A0);
/// The firmware's raw answer is padded with zeros at most to a page.
const RESPONSE_MAX_LEN: usize = 4096;
/// signature_algo: ECDSA on P-384 with SHA-384, the only one there is.
const ECDSA_P384_SHA384: u32 = 1;
/// Bits 63:26 of the guest policy have no meaning yet and must be zero.
const POLICY_RESERVED: u64 = !0u64 << 26;
/// Bit 17 of the guest policy must be one.
const POLICY_MUST_BE_ONE: u64 = 1 << 17;
/// Bits 31:5 of key_info must be zero.
const KEY_INFO_RESERVED: u32 = !0u32 << 5;

/// A report of version 2 to 5 whose reserved parts are as that version demands.
///
/// Its fields are what a stranger wrote until [`crate::verify`] has passed; they help to find the
/// certificates to fetch, and decide nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SnpReport {
    bytes: Box<[u8; REPORT_LEN]>,
}

/// Which key signed the report (key_info bits 4:2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningKey {
    /// The chip's own key.
    Vcek,
    /// The provider's key, loaded into the chip.
    Vlek,
    /// None, or a value without meaning.
    Other(u8),
}

impl SnpReport {
    /// Reads a report of exactly 1184 bytes, or the firmware's raw answer that holds one.
    pub fn parse(bytes: &[u8]) -> Result<SnpReport, Refusal> {
        let report = SnpReport { bytes: report_bytes(bytes)? };
        report.check_structure()?;
        Ok(report)
    }

    /// Whether `bytes` have the size and shape of a report, of the firmware's answer with one, or of a
    /// report with a certificate table behind it.
    pub(crate) fn looks_like(bytes: &[u8]) -> bool {
        let version = bytes.first_chunk::<4>().map(|version| u32::from_le_bytes(*version));
        let signed = bytes.get(0x34..0x38) == Some(ECDSA_P384_SHA384.to_le_bytes().as_slice());
        let extended = bytes.len() > REPORT_LEN && matches!(version, Some(2..=5)) && signed;
        bytes.len() == REPORT_LEN || extended || SnpReport::is_response(bytes)
    }

    /// Whether `bytes` are the firmware's answer: a status, a size, reserved bytes, the report.
    pub(crate) fn is_response(bytes: &[u8]) -> bool {
        bytes.len() >= RESPONSE_HEADER_LEN + REPORT_LEN && bytes.starts_with(&RESPONSE_START)
    }

    /// The 1184 bytes as received.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The bytes that the signature covers.
    pub(crate) fn signed_bytes(&self) -> &[u8] {
        const { assert!(SIGNED_LEN <= REPORT_LEN) };
        self.bytes.split_at(SIGNED_LEN).0
    }

    /// The signature as r and s, 48 big-endian bytes each (the report has them little-endian).
    pub(crate) fn signature(&self) -> [u8; 96] {
        let mut signature = [0; 96];
        let (r, s) = signature.split_at_mut(48);
        r.copy_from_slice(&self.at::<0x2A0, 48>());
        s.copy_from_slice(&self.at::<0x2E8, 48>());
        r.reverse();
        s.reverse();
        signature
    }

    /// Version of the layout, 2 to 5.
    pub fn version(&self) -> u32 {
        self.u32::<0x000>()
    }

    /// Which key signed this report, as it says itself.
    pub fn signing_key(&self) -> SigningKey {
        let [low, ..] = self.key_info().to_le_bytes();
        match (low >> 2) & 0b111 {
            0 => SigningKey::Vcek,
            1 => SigningKey::Vlek,
            other => SigningKey::Other(other),
        }
    }

    /// The processor; version 2 does not tell.
    pub fn cpuid(&self) -> Option<Cpuid> {
        let [family, model, stepping] = self.at::<0x188, 3>();
        (self.version() >= 3).then_some(Cpuid { family, model, stepping })
    }

    /// The CHIP_ID field: all zero when masked; on Turin 8 bytes, then zeros.
    pub fn chip_id(&self) -> [u8; 64] {
        self.at::<0x1A0, 64>()
    }

    /// The TCB version that the endorsement certificate must be for, as bytes.
    pub fn reported_tcb(&self) -> [u8; 8] {
        self.at::<0x180, 8>()
    }

    /// The 64 bytes that the guest had signed.
    pub fn report_data(&self) -> [u8; 64] {
        self.at::<0x050, 64>()
    }

    pub(crate) fn key_info(&self) -> u32 {
        self.u32::<0x048>()
    }

    pub(crate) fn policy(&self) -> u64 {
        self.u64::<0x008>()
    }

    /// The `N` bytes at offset `O`; that they lie inside the report is proved when compiling.
    pub(crate) fn at<const O: usize, const N: usize>(&self) -> [u8; N] {
        field::<O, N, REPORT_LEN>(&self.bytes)
    }

    pub(crate) fn u32<const O: usize>(&self) -> u32 {
        u32::from_le_bytes(self.at::<O, 4>())
    }

    pub(crate) fn u64<const O: usize>(&self) -> u64 {
        u64::from_le_bytes(self.at::<O, 8>())
    }

    fn check_structure(&self) -> Result<(), Refusal> {
        let version = self.version();
        let reserved = reserved_ranges(version)
            .ok_or_else(|| malformed(format!("SNP report version is {version}, wanted 2, 3, 4 or 5")))?;
        for (start, end) in reserved.iter().chain(RESERVED_ALWAYS) {
            let range = self.bytes.get(*start..*end).unwrap_or_default();
            if let Some(index) = range.iter().position(|byte| *byte != 0) {
                return Err(malformed(format!(
                    "byte {:#05x} of the version {version} SNP report is set, wanted zero \
                     ({start:#05x} to {end:#05x} is reserved)",
                    start.saturating_add(index)
                )));
            }
        }
        let algorithm = self.u32::<0x034>();
        if algorithm != ECDSA_P384_SHA384 {
            let wanted = "1, ECDSA P-384 with SHA-384";
            return Err(malformed(format!("signature_algo is {algorithm}, wanted {wanted}")));
        }
        if self.key_info() & KEY_INFO_RESERVED != 0 {
            let found = self.key_info();
            return Err(malformed(format!("key_info is {found:#x}, wanted bits 31:5 zero")));
        }
        if self.policy() & POLICY_MUST_BE_ONE == 0 || self.policy() & POLICY_RESERVED != 0 {
            let found = self.policy();
            let wanted = "bit 17 set and bits 63:26 zero";
            return Err(malformed(format!("the guest policy is {found:#x}, wanted {wanted}")));
        }
        Ok(())
    }
}

impl fmt::Debug for SnpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnpReport").field("version", &self.version()).finish_non_exhaustive()
    }
}

/// Ranges that every version reserves, the unused part of the signature included.
const RESERVED_ALWAYS: &[(usize, usize)] = &[
    (0x04C, 0x050),
    (0x1EB, 0x1EC),
    (0x1EF, 0x1F0),
    (0x208, 0x2A0),
    (0x2D0, 0x2E8), // r has 48 significant bytes of 72
    (0x318, 0x330), // and so has s
    (0x330, 0x4A0),
];

/// Ranges that only some versions reserve; `None` for a version that is not known.
fn reserved_ranges(version: u32) -> Option<&'static [(usize, usize)]> {
    match version {
        2 => Some(&[(0x188, 0x1A0), (0x1F8, 0x208)]),
        3 | 4 => Some(&[(0x18B, 0x1A0), (0x1F8, 0x208)]),
        5 => Some(&[(0x18B, 0x1A0)]),
        _ => None,
    }
}

/// The report in `bytes`: they are one, or the firmware's raw answer around one.
fn report_bytes(bytes: &[u8]) -> Result<Box<[u8; REPORT_LEN]>, Refusal> {
    if let Ok(exact) = <&[u8; REPORT_LEN]>::try_from(bytes) {
        return Ok(Box::new(*exact));
    }
    let wrong_size = || {
        let found = bytes.len();
        malformed(format!("an SNP report has {REPORT_LEN} bytes, found {found}"))
    };
    if bytes.len() > RESPONSE_MAX_LEN {
        return Err(wrong_size());
    }
    let (header, rest) = bytes.split_first_chunk::<RESPONSE_HEADER_LEN>().ok_or_else(wrong_size)?;
    let (report, padding) = rest.split_first_chunk::<REPORT_LEN>().ok_or_else(wrong_size)?;
    let reserved = header.strip_prefix(&RESPONSE_START).ok_or_else(wrong_size)?;
    if reserved.iter().chain(padding).any(|byte| *byte != 0) {
        return Err(wrong_size());
    }
    Ok(Box::new(*report))
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(Code::Parse, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal(version: u8) -> Vec<u8> {
        let mut bytes = vec![0; REPORT_LEN];
        bytes[0] = version;
        bytes[0x0A] = 0x03; // policy: SMT, and the bit that must be one
        bytes[0x34] = 1; // signature_algo
        bytes
    }

    #[test]
    fn only_versions_two_to_five_are_read() {
        for version in 0..=8 {
            let parsed = SnpReport::parse(&minimal(version));
            assert_eq!(parsed.is_ok(), (2..=5).contains(&version), "version {version}");
        }
        let mut high = minimal(3);
        high[3] = 1;
        assert_eq!(SnpReport::parse(&high).unwrap_err().code, Code::Parse);
    }

    #[test]
    fn each_reserved_byte_must_be_zero_in_its_version() {
        for version in 2..=5u8 {
            let ranges = reserved_ranges(u32::from(version)).unwrap();
            for (start, end) in ranges.iter().chain(RESERVED_ALWAYS) {
                for index in *start..*end {
                    let mut bytes = minimal(version);
                    bytes[index] = 1;
                    assert!(SnpReport::parse(&bytes).is_err(), "v{version} byte {index:#x}");
                }
            }
        }
        // The same bytes have a meaning in a later version.
        for (version, index) in [(3, 0x188), (4, 0x18A), (5, 0x1F8), (5, 0x207)] {
            let mut bytes = minimal(version);
            bytes[index] = 1;
            assert!(SnpReport::parse(&bytes).is_ok(), "v{version} byte {index:#x}");
        }
    }

    #[test]
    fn reserved_bits_and_another_algorithm_are_refused() {
        let policy = [(0x0A, 0x01), (0x0B, 0x04), (0x0F, 0x80)];
        let key_info = [(0x48, 0x20), (0x4B, 1)];
        let algorithm = [(0x34, 0), (0x34, 2), (0x37, 1)];
        for (index, value) in policy.into_iter().chain(key_info).chain(algorithm) {
            let mut bytes = minimal(3);
            bytes[index] = value;
            assert_eq!(SnpReport::parse(&bytes).unwrap_err().code, Code::Parse, "{index:#x}");
        }
    }

    #[test]
    fn a_wrong_size_is_refused_and_the_raw_answer_is_unwrapped() {
        let report = minimal(2);
        for len in [0, 1, 31, 32, 793, REPORT_LEN - 1] {
            assert!(SnpReport::parse(&report[..len]).is_err(), "{len}");
        }
        let mut padded = report.clone();
        padded.push(0);
        assert!(SnpReport::parse(&padded).is_err(), "a bare report is never padded");

        let mut answer = vec![0; 0x20];
        answer[4..8].copy_from_slice(&[0xA0, 0x04, 0, 0]);
        answer.extend_from_slice(&report);
        assert_eq!(SnpReport::parse(&answer).unwrap().bytes(), report);
        answer.resize(4000, 0);
        assert!(SnpReport::parse(&answer).is_ok());
        for (index, what) in [(0, "status"), (5, "size"), (9, "reserved"), (3999, "padding")] {
            let mut wrong = answer.clone();
            wrong[index] ^= 1;
            assert!(SnpReport::parse(&wrong).is_err(), "{what}");
        }
        answer.resize(RESPONSE_MAX_LEN + 1, 0);
        assert!(SnpReport::parse(&answer).is_err());
    }
}
