//! Simulated GPUs and switches as a source of evidence (feature `simulated`).

use strongroom_attestation::{Architecture, DevelopmentAnchors};
use strongroom_simulated_platform::{NvidiaArchitecture, SimulatedGpuSet, SimulatedNvidia, SimulationError};

use super::nvidia::{DeviceReport, GpuError, GpuSource};

/// The devices of a simulated machine.
pub struct SimulatedGpus {
    set: SimulatedGpuSet,
}

impl SimulatedGpus {
    /// These devices.
    #[must_use]
    pub fn new(set: SimulatedGpuSet) -> Self {
        Self { set }
    }

    /// What their vendor says about them.
    ///
    /// # Errors
    /// As for evidence of the set.
    pub fn endorsements(&self) -> Result<Vec<Vec<u8>>, SimulationError> {
        let evidence = self.set.evidence(&[0; 32])?;
        let manifests = evidence.manifests.into_iter().map(|manifest| manifest.xml.into_bytes());
        Ok(manifests.chain(evidence.ocsp_responses).collect())
    }

    /// The roots of their vendor, for the appraisal of them here.
    ///
    /// # Errors
    /// The refusal of a root that is none of a simulated vendor.
    pub fn roots(vendor: &SimulatedNvidia) -> Result<DevelopmentAnchors, strongroom_attestation::Refusal> {
        DevelopmentAnchors::new(vendor.device_root_certificate_der())?.and(vendor.manifest_root_certificate_der())
    }
}

impl GpuSource for SimulatedGpus {
    fn collect(&self, nonce: &[u8; 32]) -> Result<Vec<DeviceReport>, GpuError> {
        let failed = |error: SimulationError| GpuError::Simulated { reason: error.to_string() };
        let devices = self.set.evidence(nonce).map_err(failed)?.devices;
        let report = |device: strongroom_simulated_platform::NvidiaDeviceEvidence| {
            Ok(DeviceReport {
                architecture: match device.architecture {
                    NvidiaArchitecture::Hopper => Architecture::Hopper,
                    NvidiaArchitecture::Blackwell => Architecture::Blackwell,
                    NvidiaArchitecture::Ls10 => Architecture::Ls10,
                },
                certificate_chain: device.certificate_chain_pem().map_err(failed)?.into_bytes(),
                uuid: device.uuid,
                report: device.report,
            })
        };
        devices.into_iter().map(report).collect()
    }

    /// Nothing computes on them, ready or not.
    fn set_ready(&self, _: bool) -> Result<(), GpuError> {
        Ok(())
    }
}
