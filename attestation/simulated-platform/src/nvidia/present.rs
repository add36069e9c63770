//! Evidence put together from devices and what was issued for them, with a fault on the way.

use super::{
    device::Device,
    evidence::{NvidiaDeviceEvidence, NvidiaEvidence},
    fault::NvidiaFault,
    fault_in_presented::{alter_chain, alter_evidence},
    fault_in_report::{Place, alter_report, alter_report_bytes, challenge},
    issuance::Issued,
};
use crate::error::SimulationError;

/// Each member's report and chain, and the endorsements of all.
pub(crate) fn present(
    members: &[&Device],
    issued: &Issued,
    nonce: &[u8; 32],
    fault: Option<NvidiaFault>,
) -> Result<NvidiaEvidence, SimulationError> {
    let first_switch = members.iter().position(|device| device.architecture.is_switch());
    let mut devices = Vec::new();
    for (number, (device, chain)) in members.iter().zip(&issued.chains).enumerate() {
        let place = Place { number, first_switch };
        let mut report = device.report(&challenge(fault, number, nonce));
        alter_report(fault, place, &mut report);
        let mut report = report.sign(&device.key)?;
        alter_report_bytes(fault, place, &mut report);
        let mut certificates = chain.clone();
        alter_chain(fault, place, &mut certificates);
        devices.push(NvidiaDeviceEvidence {
            architecture: device.architecture,
            uuid: device.uuid.clone(),
            report,
            certificates,
        });
    }
    let mut evidence = NvidiaEvidence {
        nonce: *nonce,
        devices,
        manifests: issued.manifests.clone(),
        ocsp_responses: issued.ocsp_responses.clone(),
        revocation_lists: issued.revocation_lists.clone(),
    };
    alter_evidence(fault, &mut evidence)?;
    Ok(evidence)
}
