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

    fn collect(&self, preimage: &[u8]) -> Result<Collected, EvidenceError> {
        self.machine.collect(preimage).map_err(|error| EvidenceError::Failed(error.to_string()))
    }
}

impl SimulatedMachine {
    fn collect(&self, preimage: &[u8]) -> Result<Collected, SimulationError> {
        Ok(match self {
            Self::Snp(device) => {
                let evidence = device.report(&binding::report_data(preimage))?;
                Collected { form: Form::Snp, report: evidence.report, endorsements: evidence.endorsements }
            }
            Self::Tdx(td) => {
                let evidence = td.evidence(&binding::report_data(preimage))?;
                Collected { form: Form::Tdx, report: evidence.quote, endorsements: evidence.collateral.artefacts() }
            }
            Self::Azure(vm) => {
                let evidence = vm.evidence(&binding::nonce(preimage), EvidenceVersion::V1)?;
                Collected {
                    form: Form::Azure,
                    report: evidence.to_json()?.into_bytes(),
                    endorsements: [evidence.endorsements, evidence.ak_certificates].concat(),
                }
            }
        })
    }
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
