//! The paravisor's report, as the TPM's NV index 0x01400001 holds it: a header, the hardware's report,
//! and the run-time data that the report vouches for.
//!
//! Layout: Microsoft, "Guest attestation for confidential virtual machines" and azure-cvm-tooling;
//! the table is in docs/specs/evidence.md.

use std::fmt;

use crate::cursor::Cursor;
use crate::error::{Code, Refusal};
use crate::snp::{REPORT_LEN, SnpReport};

/// Largest report that is read, padding included; the NV index has 2,600 bytes.
const MAX_LEN: usize = 16 << 10;
const SIGNATURE: &[u8; 4] = b"HCLA";
/// Header and hardware area.
const RUNTIME_OFFSET: usize = 0x4D4;
/// The fields before the run-time data that its size counts.
const RUNTIME_HEADER_LEN: u32 = 20;
const TD_REPORT_LEN: usize = 1024;
const TD_REPORT_DATA: usize = 0x80;
/// TDINFO_STRUCT in a TDREPORT: attributes, XFAM, MRTD, MRCONFIGID, MROWNER, MROWNERCONFIG, RTMR 0 to 3.
const TD_INFO: (usize, usize) = (0x200, 16 + 8 * 48);

/// A paravisor's report, read and not yet believed.
#[derive(Clone, PartialEq, Eq)]
pub struct HclReport {
    version: u32,
    hardware: HardwareReport,
    hash: HashType,
    runtime_data: Vec<u8>,
}

/// The hardware's report inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HardwareReport {
    Snp(SnpReport),
    /// A TDREPORT: nothing that a stranger could check signs it. A TD quote over it does.
    Tdx(Box<TdReport>),
}

/// What of a TDREPORT a TD quote repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TdReport {
    pub(crate) report_data: [u8; 64],
    /// Attributes to RTMR 3, in the order of a quote's body.
    pub(crate) info: Vec<u8>,
}

/// The digest of the run-time data in the report data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashType {
    Sha256,
    Sha384,
    Sha512,
}

impl HclReport {
    /// Whether `bytes` begin like one.
    pub(crate) fn looks_like(bytes: &[u8]) -> bool {
        bytes.starts_with(SIGNATURE)
    }

    /// Reads a report with zero padding after it. Refuses with `PARSE` what has not this structure;
    /// no byte of it is passed over.
    pub fn parse(bytes: &[u8]) -> Result<HclReport, Refusal> {
        HclReport::read(bytes).map_err(|refusal| refusal.about("HCL report"))
    }

    /// Version of the layout, 1 or 2.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The run-time data: JSON, exactly as received.
    pub fn runtime_data(&self) -> &[u8] {
        &self.runtime_data
    }

    /// The kind of hardware report inside, for people.
    pub(crate) fn hardware_name(&self) -> &'static str {
        match self.hardware {
            HardwareReport::Snp(_) => "SEV-SNP report",
            HardwareReport::Tdx(_) => "TDREPORT",
        }
    }

    /// Whether the hardware is TDX, of which a TD quote is wanted besides.
    pub(crate) fn holds_td_report(&self) -> bool {
        matches!(self.hardware, HardwareReport::Tdx(_))
    }

    pub(crate) fn hardware(&self) -> &HardwareReport {
        &self.hardware
    }

    pub(crate) fn hash(&self) -> HashType {
        self.hash
    }

    fn read(bytes: &[u8]) -> Result<HclReport, Refusal> {
        if bytes.len() > MAX_LEN {
            return Err(malformed(format!("{} bytes, wanted at most {MAX_LEN}", bytes.len())));
        }
        let mut cursor = Cursor::new(bytes);
        let signature: [u8; 4] = cursor.array()?;
        let (version, size) = (cursor.u32_le()?, cursor.u32_le()?);
        let (request, status) = (cursor.u32_le()?, cursor.u32_le()?);
        let reserved: [u8; 12] = cursor.array()?;
        let area = cursor.slice(REPORT_LEN)?;
        let (data_size, data_version) = (cursor.u32_le()?, cursor.u32_le()?);
        let (kind, hash) = (cursor.u32_le()?, cursor.u32_le()?);
        let runtime_size = cursor.u32_le()?;
        let runtime_data = cursor.slice(usize::try_from(runtime_size).unwrap_or(usize::MAX))?;
        let padding = cursor.rest();

        let total = RUNTIME_OFFSET.saturating_add(runtime_data.len());
        let sizes =
            usize::try_from(size) == Ok(total) && runtime_size.checked_add(RUNTIME_HEADER_LEN) == Some(data_size);
        let objection = if signature != *SIGNATURE {
            Some("it does not begin with HCLA".to_owned())
        } else if !matches!(version, 1 | 2) {
            Some(format!("version {version}, wanted 1 or 2"))
        } else if (request, status, data_version) != (2, 0, 1) || reserved != [0; 12] {
            let found = format!("request {request}, status {status}, data version {data_version}");
            Some(format!("{found}; wanted 2, 0 and 1, and reserved bytes zero"))
        } else if !sizes {
            Some(format!("sizes {size} and {data_size} that do not agree with {runtime_size} bytes of run-time data"))
        } else if padding.iter().any(|byte| *byte != 0) {
            Some("bytes after the run-time data that are no padding".to_owned())
        } else {
            None
        };
        if let Some(objection) = objection {
            return Err(malformed(objection));
        }
        let hash = match hash {
            1 => HashType::Sha256,
            2 => HashType::Sha384,
            3 => HashType::Sha512,
            _ => return Err(malformed(format!("hash type {hash}, wanted 1, 2 or 3"))),
        };
        let hardware = match kind {
            2 => HardwareReport::Snp(SnpReport::parse(area)?),
            4 => HardwareReport::Tdx(Box::new(td_report(area)?)),
            _ => return Err(malformed(format!("a report of type {kind}, wanted 2 (SEV-SNP) or 4 (TDX)"))),
        };
        Ok(HclReport { version, hardware, hash, runtime_data: runtime_data.to_vec() })
    }
}

impl fmt::Debug for HclReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HclReport").field("version", &self.version).finish_non_exhaustive()
    }
}

impl HashType {
    /// The report data that run-time data of this hash type lead to: the digest, then zeros.
    pub(crate) fn report_data(self, runtime_data: &[u8]) -> [u8; 64] {
        let mut wanted = [0; 64];
        let digest = match self {
            HashType::Sha256 => crate::crypto::sha256(runtime_data).to_vec(),
            HashType::Sha384 => crate::crypto::sha384(runtime_data).to_vec(),
            HashType::Sha512 => crate::crypto::sha512(runtime_data).to_vec(),
        };
        for (slot, byte) in wanted.iter_mut().zip(digest) {
            *slot = byte;
        }
        wanted
    }
}

/// A TDREPORT of a TD, and zeros up to the end of the area.
fn td_report(area: &[u8]) -> Result<TdReport, Refusal> {
    let wrong = || malformed("the hardware area holds no TDREPORT followed by zeros".to_owned());
    let (report, padding) = area.split_at_checked(TD_REPORT_LEN).ok_or_else(wrong)?;
    let is_td = report.first_chunk::<4>() == Some(&[0x81, 0, 0, 0]);
    if !is_td || padding.iter().any(|byte| *byte != 0) {
        return Err(wrong());
    }
    let at = |start: usize, length: usize| report.get(start..start.saturating_add(length)).ok_or_else(wrong);
    let report_data = at(TD_REPORT_DATA, 64)?.try_into().map_err(|_| wrong())?;
    Ok(TdReport { report_data, info: at(TD_INFO.0, TD_INFO.1)?.to_vec() })
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(Code::Parse, detail)
}
