//! What an Azure confidential virtual machine hands over: the paravisor's report, the vTPM's quote with
//! its registers, and on TDX the TD quote over the paravisor's own report.

use crate::azure::hcl_report::{HardwareReport, HclReport};
use crate::azure::tpm_quote::{PcrValues, TpmQuote};
use crate::claims::Platform;
use crate::event_log::EventLog;
use crate::snp::SnpReport;
use crate::tdx::TdxQuote;

/// The parts, each read and not yet believed. [`crate::Artefacts`] puts them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureEvidence {
    pub(crate) hcl: HclReport,
    pub(crate) quote: Option<(TpmQuote, Box<PcrValues>)>,
    pub(crate) td_quote: Option<TdxQuote>,
    pub(crate) event_logs: Vec<EventLog>,
}

impl AzureEvidence {
    /// The kind of platform, as the paravisor's report says.
    pub fn platform(&self) -> Platform {
        match self.hcl.hardware() {
            HardwareReport::Snp(_) => Platform::AzureSnp,
            HardwareReport::Tdx(_) => Platform::AzureTdx,
        }
    }

    /// The paravisor's report.
    pub fn hcl_report(&self) -> &HclReport {
        &self.hcl
    }

    /// The hardware's report inside the paravisor's, on SEV-SNP.
    pub fn snp_report(&self) -> Option<&SnpReport> {
        match self.hcl.hardware() {
            HardwareReport::Snp(report) => Some(report),
            HardwareReport::Tdx(_) => None,
        }
    }

    /// The vTPM's quote, if there is one.
    pub fn tpm_quote(&self) -> Option<&TpmQuote> {
        self.quote.as_ref().map(|(quote, _)| quote)
    }

    /// The TD quote, if there is one.
    pub fn td_quote(&self) -> Option<&TdxQuote> {
        self.td_quote.as_ref()
    }
}
