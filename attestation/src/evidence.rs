//! What a machine says about itself, as bytes with limits. Nothing in here is believed yet.

use crate::error::Refusal;
use crate::snp::SnpReport;

/// Evidence of one platform, told apart by content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// An AMD SEV-SNP attestation report.
    Snp(SnpReport),
}

impl Evidence {
    /// Reads evidence: an SNP report of 1184 bytes, or the firmware's raw answer with one in it.
    /// Refuses with `PARSE` whatever else it is given, of any size.
    pub fn parse(bytes: &[u8]) -> Result<Evidence, Refusal> {
        SnpReport::parse(bytes).map(Evidence::Snp)
    }

    /// The evidence byte for byte, without any framing it came in.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Evidence::Snp(report) => report.bytes(),
        }
    }

    /// The media type under which the bytes travel.
    pub fn media_type(&self) -> &'static str {
        match self {
            Evidence::Snp(_) => "application/vnd.strongroom.snp-report",
        }
    }
}
