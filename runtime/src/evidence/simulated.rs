//! The simulated platform as a source of evidence (feature `simulated`). What it emits
//! has the genuine shape under a development root, and says so in what it proves.

use strongroom_channel::binding::Class;
use strongroom_simulated_platform::SimulatedDevice;

use super::{Collected, EvidenceError, EvidenceSource};

/// Evidence of a simulated device.
pub struct SimulatedSource {
    device: SimulatedDevice,
}

impl SimulatedSource {
    /// Evidence of `device`.
    #[must_use]
    pub fn new(device: SimulatedDevice) -> Self {
        Self { device }
    }
}

impl EvidenceSource for SimulatedSource {
    fn class(&self) -> Class {
        Class::Simulated
    }

    fn collect(&self, report_data: &[u8; 64]) -> Result<Collected, EvidenceError> {
        let evidence = self.device.report(report_data).map_err(|e| EvidenceError::Failed(e.to_string()))?;
        Ok(Collected { report: evidence.report, endorsements: evidence.endorsements })
    }
}
