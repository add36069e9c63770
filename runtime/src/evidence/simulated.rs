//! The simulated platforms as sources of evidence (feature `simulated`). What they emit
//! has the genuine shape under a development root, and says so in what it proves.

use strongroom_channel::binding::{self, Class};
use strongroom_simulated_platform::{EvidenceVersion, SimulatedAzureVm, SimulatedDevice, SimulatedTd, SimulationError};

use super::{Collected, EvidenceError, EvidenceSource, Form};

/// Evidence of a simulated machine.
pub struct SimulatedSource {
    machine: SimulatedMachine,
}

/// A machine of any kind.
pub enum SimulatedMachine {
    /// A chip with SEV-SNP, and its guest.
    Snp(Box<SimulatedDevice>),
    /// A trust domain.
    Tdx(Box<SimulatedTd>),
    /// A guest under Azure's paravisor, on either hardware.
    Azure(Box<SimulatedAzureVm>),
}

impl SimulatedSource {
    /// Evidence of `machine`.
    #[must_use]
    pub fn new(machine: impl Into<SimulatedMachine>) -> Self {
        Self { machine: machine.into() }
    }
}

impl EvidenceSource for SimulatedSource {
    fn class(&self) -> Class {
        Class::Simulated
    }

    fn form(&self) -> Form {
        match self.machine {
            SimulatedMachine::Snp(_) => Form::Snp,
            SimulatedMachine::Tdx(_) => Form::Tdx,
            SimulatedMachine::Azure(_) => Form::Azure,
        }
    }

    fn collect(&self, preimage: &[u8]) -> Result<Collected, EvidenceError> {
        match &self.machine {
            SimulatedMachine::Azure(vm) => azure(vm, &binding::nonce(preimage)).map_err(failed),
            _ => self.report(&binding::report_data(preimage)),
        }
    }

    fn report(&self, report_data: &[u8; 64]) -> Result<Collected, EvidenceError> {
        match &self.machine {
            SimulatedMachine::Snp(device) => {
                let evidence = device.report(report_data).map_err(failed)?;
                Ok(Collected { form: Form::Snp, report: evidence.report, endorsements: evidence.endorsements })
            }
            SimulatedMachine::Tdx(td) => {
                let evidence = td.evidence(report_data).map_err(failed)?;
                let endorsements = evidence.collateral.artefacts();
                Ok(Collected { form: Form::Tdx, report: evidence.quote, endorsements })
            }
            SimulatedMachine::Azure(_) => Err(EvidenceError::NoReportData),
        }
    }
}

/// What the virtual TPM quotes for `nonce`, and the report under it.
fn azure(vm: &SimulatedAzureVm, nonce: &[u8]) -> Result<Collected, SimulationError> {
    let evidence = vm.evidence(nonce, EvidenceVersion::V1)?;
    Ok(Collected {
        form: Form::Azure,
        report: evidence.to_json()?.into_bytes(),
        endorsements: [evidence.endorsements, evidence.ak_certificates].concat(),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: SimulationError) -> EvidenceError {
    EvidenceError::Failed(error.to_string())
}

impl From<SimulatedDevice> for SimulatedMachine {
    fn from(device: SimulatedDevice) -> Self {
        Self::Snp(Box::new(device))
    }
}

impl From<SimulatedTd> for SimulatedMachine {
    fn from(td: SimulatedTd) -> Self {
        Self::Tdx(Box::new(td))
    }
}

impl From<SimulatedAzureVm> for SimulatedMachine {
    fn from(vm: SimulatedAzureVm) -> Self {
        Self::Azure(Box::new(vm))
    }
}
