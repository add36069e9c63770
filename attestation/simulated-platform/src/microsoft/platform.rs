//! The hardware below a paravisor: an SEV-SNP chip or a TDX platform, simulated likewise.

use super::{fault::AzureFault, hcl_report::HARDWARE_AREA};
use crate::{
    amd::{device::SimulatedDevice, fault::Fault},
    error::SimulationError,
    intel::{fault::TdxFault, td::SimulatedTd},
};

/// What the machine runs on.
pub enum AzurePlatform {
    /// The paravisor runs at VMPL 0 and keeps a report of the chip.
    Snp(Box<SimulatedDevice>),
    /// The paravisor keeps a TD report; the platform's quote service makes a quote of it.
    Tdx(Box<SimulatedTd>),
}

/// Which kind of hardware, without the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AzureHardware {
    /// SEV-SNP.
    Snp,
    /// TDX.
    Tdx,
}

/// What the hardware says, and what vouches for it.
pub(crate) struct HardwareEvidence {
    /// For the HCL report's area.
    pub(crate) report: Vec<u8>,
    pub(crate) td_quote: Option<Vec<u8>>,
    pub(crate) endorsements: Vec<Vec<u8>>,
}

impl From<SimulatedDevice> for AzurePlatform {
    fn from(device: SimulatedDevice) -> Self {
        Self::Snp(Box::new(device))
    }
}

impl From<SimulatedTd> for AzurePlatform {
    fn from(td: SimulatedTd) -> Self {
        Self::Tdx(Box::new(td))
    }
}

impl AzurePlatform {
    /// Which kind it is.
    #[must_use]
    pub fn hardware(&self) -> AzureHardware {
        match self {
            Self::Snp(_) => AzureHardware::Snp,
            Self::Tdx(_) => AzureHardware::Tdx,
        }
    }

    /// Evidence over that report data, with a fault of the hardware where that is what the
    /// given one is.
    pub(crate) fn evidence(
        &self,
        report_data: &[u8; 64],
        fault: Option<AzureFault>,
    ) -> Result<HardwareEvidence, SimulationError> {
        match self {
            Self::Snp(device) => {
                let evidence = match fault.and_then(in_snp) {
                    None => device.report(report_data)?,
                    Some(fault) => device.report_with_fault(report_data, fault)?,
                };
                Ok(HardwareEvidence { report: evidence.report, td_quote: None, endorsements: evidence.endorsements })
            }
            Self::Tdx(td) => {
                let (evidence, mut report) = match fault.and_then(in_tdx) {
                    None => (td.evidence(report_data)?, td.td_report(report_data)),
                    Some(fault) => {
                        (td.evidence_with_fault(report_data, fault)?, td.td_report_with_fault(report_data, fault))
                    }
                };
                report.resize(HARDWARE_AREA, 0);
                Ok(HardwareEvidence {
                    report,
                    td_quote: Some(evidence.quote),
                    endorsements: evidence.collateral.artefacts(),
                })
            }
        }
    }
}

impl AzureHardware {
    /// Its name in files: "snp" or "tdx".
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Snp => "snp",
            Self::Tdx => "tdx",
        }
    }

    /// The hardware of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Snp, Self::Tdx].into_iter().find(|hardware| hardware.name() == name)
    }

    /// The number in an HCL report.
    pub(crate) fn report_type(self) -> u32 {
        match self {
            Self::Snp => 2,
            Self::Tdx => 4,
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Snp => Self::Tdx,
            Self::Tdx => Self::Snp,
        }
    }
}

/// The fault of a chip's report that this one is.
fn in_snp(fault: AzureFault) -> Option<Fault> {
    match fault {
        AzureFault::FlippedHardwareSignature => Some(Fault::FlippedSignature),
        AzureFault::FlippedHardwareMeasurement => Some(Fault::FlippedMeasurement),
        AzureFault::DebugOn => Some(Fault::DebugOn),
        AzureFault::Migratable => Some(Fault::Migratable),
        AzureFault::ReportAtVmpl1 => Some(Fault::Vmpl1),
        AzureFault::OldFirmware => Some(Fault::OldCommittedTcb),
        AzureFault::OtherFirmware => Some(Fault::OtherMeasurement),
        _ => None,
    }
}

/// The fault of a quote that this one is.
fn in_tdx(fault: AzureFault) -> Option<TdxFault> {
    match fault {
        AzureFault::FlippedHardwareSignature => Some(TdxFault::FlippedQuoteSignature),
        AzureFault::FlippedHardwareMeasurement => Some(TdxFault::FlippedMrTd),
        AzureFault::DebugOn => Some(TdxFault::DebugOn),
        AzureFault::Migratable => Some(TdxFault::Migratable),
        AzureFault::OldFirmware => Some(TdxFault::ModuleOutOfDate),
        AzureFault::OtherFirmware => Some(TdxFault::OtherMrTd),
        AzureFault::MissingHardwareEndorsement => Some(TdxFault::EmptyChain),
        _ => None,
    }
}
