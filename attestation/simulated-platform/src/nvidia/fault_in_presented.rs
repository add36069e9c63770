//! Faults that nobody has to sign: certificates, manifests, answers and devices that whoever
//! passes evidence on leaves out, repeats or changes.

use super::{
    architecture::NvidiaArchitecture, evidence::NvidiaEvidence, fault::NvidiaFault, fault_in_report::Place,
    ocsp::unauthorized,
};
use crate::{der::Der, error::SimulationError};

/// Where the signature of a manifest begins.
const SIGNATURE: &str = "<ds:Signature ";
const CERTIFICATE: &str = "<ds:X509Certificate>";
const END: &str = "</SoftwareIdentity>";

/// The chain of one device.
pub(crate) fn alter_chain(fault: Option<NvidiaFault>, place: Place, chain: &mut Vec<Der>) {
    if !place.is_first() || chain.len() < 5 {
        return;
    }
    match fault {
        Some(NvidiaFault::RootOnly) => {
            chain.drain(..4);
        }
        Some(NvidiaFault::MissingProvisioner) => {
            chain.remove(2);
        }
        Some(NvidiaFault::SwappedCertificates) => chain.swap(1, 2),
        Some(NvidiaFault::SixCertificates) => chain.extend(chain.last().cloned()),
        _ => {}
    }
}

/// Everything else.
pub(crate) fn alter_evidence(fault: Option<NvidiaFault>, evidence: &mut NvidiaEvidence) -> Result<(), SimulationError> {
    let Some(fault) = fault else { return Ok(()) };
    alter_devices(fault, evidence);
    if let Some(manifest) = evidence.manifests.first_mut() {
        alter_document(fault, &mut manifest.xml);
    }
    if fault == NvidiaFault::MissingManifest && !evidence.manifests.is_empty() {
        evidence.manifests.remove(0);
    }
    // The first answer is about the first device's boot ROM.
    match (fault, evidence.ocsp_responses.first_mut()) {
        (NvidiaFault::UnsuccessfulOcsp, Some(answer)) => *answer = unauthorized()?,
        (NvidiaFault::MissingOcsp, Some(_)) => {
            evidence.ocsp_responses.remove(0);
        }
        _ => {}
    }
    Ok(())
}

fn alter_devices(fault: NvidiaFault, evidence: &mut NvidiaEvidence) {
    let devices = &mut evidence.devices;
    let is_switch = |architecture: NvidiaArchitecture| architecture.is_switch();
    let gpus = devices.iter().take_while(|device| !is_switch(device.architecture)).count();
    match fault {
        NvidiaFault::RepeatedGpu => {
            if let Some(first) = devices.first().cloned() {
                devices.insert(gpus, first);
            }
        }
        NvidiaFault::MissingGpu if gpus > 1 => {
            devices.remove(0);
        }
        NvidiaFault::MissingSwitch => {
            devices.pop();
        }
        NvidiaFault::RepeatedSwitch => {
            let first = devices.get(gpus).cloned();
            if let (Some(first), Some(last)) = (first, devices.last_mut()) {
                *last = first;
            }
        }
        _ => {}
    }
}

/// A manifest after it was signed.
fn alter_document(fault: NvidiaFault, xml: &mut String) {
    let signature = || -> Option<(usize, usize)> { Some((xml.find(SIGNATURE)?, xml.rfind(END)?)) };
    match fault {
        NvidiaFault::EditedManifest => *xml = edited(xml),
        // Canonical XML leaves comments and the document type out, so the digest still fits.
        NvidiaFault::ManifestWithComment => {
            if let Some(place) = xml.find("    <ns0:Payload") {
                xml.insert_str(place + 4, "<!-- not signed -->");
            }
        }
        NvidiaFault::ManifestWithDoctype => xml.insert_str(0, "<!DOCTYPE SoftwareIdentity>\n"),
        // Nothing signs the certificates' places.
        NvidiaFault::ManifestWithoutCa => {
            let mut places = xml.match_indices(CERTIFICATE).map(|(place, _)| place).skip(2);
            if let (Some(from), Some(to)) = (places.next(), places.next()) {
                xml.replace_range(from..to, "");
            }
        }
        NvidiaFault::ManifestWithoutSignature => {
            if let Some((from, to)) = signature() {
                xml.replace_range(from..to, "");
            }
        }
        NvidiaFault::ManifestWithTwoSignatures => {
            if let Some((from, to)) = signature()
                && let Some(element) = xml.get(from..to).map(str::to_owned)
            {
                xml.insert_str(from, &element);
            }
        }
        _ => {}
    }
}

/// The last digit of the first golden value of an active measurement is another.
fn edited(xml: &str) -> String {
    let place = || -> Option<usize> {
        let active = xml.find("active=\"True\"")?;
        let value = xml.get(active..)?.find("Hash0=\"")? + active + "Hash0=\"".len();
        Some(value + 95)
    };
    let mut bytes = xml.as_bytes().to_vec();
    if let Some(digit) = place().and_then(|place| bytes.get_mut(place)) {
        *digit = if *digit == b'0' { b'1' } else { b'0' };
    }
    String::from_utf8(bytes).unwrap_or_default()
}
