//! What a machine says about itself, as bytes with limits. Nothing in here is believed yet.

use crate::artefacts::Artefacts;
use crate::azure::AzureEvidence;
use crate::error::Refusal;
use crate::event_log::EventLog;
use crate::snp::SnpReport;
use crate::tdx::TdxQuote;

/// Evidence of one platform, told apart by content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// An AMD SEV-SNP attestation report.
    Snp(SnpReport),
    /// An Intel TDX quote.
    Tdx(Box<TdxEvidence>),
    /// A paravisor's report and its virtual TPM's quote.
    Azure(Box<AzureEvidence>),
}

/// A quote and the event logs that are to replay to its registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdxEvidence {
    pub(crate) quote: TdxQuote,
    pub(crate) event_logs: Vec<EventLog>,
}

impl TdxEvidence {
    /// The quote.
    pub fn quote(&self) -> &TdxQuote {
        &self.quote
    }
}

impl Evidence {
    /// Reads evidence that is one artefact: an SNP report of 1184 bytes, or the firmware's raw
    /// answer with one in it; a TDX quote; a paravisor's report; or the JSON that Azure's guests
    /// send. Refuses with `PARSE` whatever else it is given, of any size; and what holds
    /// endorsements besides, because those are another argument of [`crate::verify`]. Where
    /// evidence comes in several files, [`Artefacts`] puts them together.
    pub fn parse(bytes: &[u8]) -> Result<Evidence, Refusal> {
        let mut artefacts = Artefacts::default();
        artefacts.add(bytes)?;
        artefacts.into_evidence().map(|(evidence, _endorsements)| evidence)
    }

    /// The SNP report in it: the evidence itself, or the one inside a paravisor's report.
    pub fn snp_report(&self) -> Option<&SnpReport> {
        match self {
            Evidence::Snp(report) => Some(report),
            Evidence::Tdx(_) => None,
            Evidence::Azure(azure) => azure.snp_report(),
        }
    }

    /// The TD quote in it: the evidence itself, or the one beside a paravisor's report.
    pub fn td_quote(&self) -> Option<&TdxQuote> {
        match self {
            Evidence::Snp(_) => None,
            Evidence::Tdx(tdx) => Some(&tdx.quote),
            Evidence::Azure(azure) => azure.td_quote(),
        }
    }

    /// The media type under which the bytes travel.
    pub fn media_type(&self) -> &'static str {
        match self {
            Evidence::Snp(_) => "application/vnd.strongroom.snp-report",
            Evidence::Tdx(_) => "application/vnd.strongroom.tdx-quote",
            Evidence::Azure(_) => "application/vnd.strongroom.azure-vtpm+json",
        }
    }
}
