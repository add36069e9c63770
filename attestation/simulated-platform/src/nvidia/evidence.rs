//! Evidence of a set of devices, in the forms in which it is passed on.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{architecture::NvidiaArchitecture, manifest::NvidiaManifest};
use crate::{certificate::pem_chain, der::Der, error::SimulationError};

/// What a set of devices says, and what vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvidiaEvidence {
    /// The nonce that was asked for; with a fault, reports may answer another.
    pub nonce: [u8; 32],
    /// GPUs, then switches.
    pub devices: Vec<NvidiaDeviceEvidence>,
    /// What the devices should measure: of each line of GPUs the driver's manifest and the
    /// VBIOS's, then the switches'.
    pub manifests: Vec<NvidiaManifest>,
    /// Answers about revocation, DER: of all certificates of devices and manifests but leaves
    /// of devices and roots.
    pub ocsp_responses: Vec<Vec<u8>>,
    /// Revocation lists, DER, of the authorities that issue them.
    pub revocation_lists: Vec<Vec<u8>>,
}

/// What one device says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvidiaDeviceEvidence {
    /// Its line.
    pub architecture: NvidiaArchitecture,
    /// As its driver names it.
    pub uuid: String,
    /// Request and signed response.
    pub report: Vec<u8>,
    /// DER, the leaf first.
    pub certificates: Vec<Vec<u8>>,
}

impl NvidiaEvidence {
    /// The list of NVIDIA's tools and attestation service: a device each with its line, the
    /// nonce in hexadecimal, the report and the PEM chain in base64.
    ///
    /// # Errors
    /// [`SimulationError::Pem`] and [`SimulationError::Json`], which do not happen.
    pub fn to_json(&self) -> Result<String, SimulationError> {
        let nonce = hex::encode(self.nonce);
        let mut list = Vec::new();
        for device in &self.devices {
            list.push(DeviceJson {
                arch: device.architecture.name(),
                nonce: &nonce,
                evidence: STANDARD.encode(&device.report),
                certificate: STANDARD.encode(device.certificate_chain_pem()?),
            });
        }
        serde_json::to_string(&list).map_err(|source| SimulationError::Json { what: "evidence", source })
    }

    /// Everything as separate files: the list as JSON, the manifests, the answers and lists.
    ///
    /// # Errors
    /// As [`to_json`](Self::to_json).
    pub fn artefacts(&self) -> Result<Vec<Vec<u8>>, SimulationError> {
        let mut artefacts = vec![self.to_json()?.into_bytes()];
        artefacts.extend(self.manifests.iter().map(|manifest| manifest.xml.clone().into_bytes()));
        artefacts.extend(self.ocsp_responses.iter().chain(&self.revocation_lists).cloned());
        Ok(artefacts)
    }
}

impl NvidiaDeviceEvidence {
    /// The chain as drivers hand it out.
    ///
    /// # Errors
    /// [`SimulationError::Pem`], which does not happen.
    pub fn certificate_chain_pem(&self) -> Result<String, SimulationError> {
        let certificates: Vec<&[u8]> = self.certificates.iter().map(Der::as_slice).collect();
        pem_chain(&certificates)
    }
}

#[derive(Serialize)]
struct DeviceJson<'a> {
    arch: &'static str,
    nonce: &'a str,
    evidence: String,
    certificate: String,
}
