//! NVIDIA's three services: manifests in JSON, OCSP answers, revocation lists.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use strongroom_attestation::{Artefacts, Submission};
use strongroom_endorsements::{Want, device_wants};

use crate::vendor::vector;

pub(crate) const DRIVER: &str = "nvidia/rim/NV_GPU_DRIVER_GH100_550.90.07";
pub(crate) const FIRMWARE: &str = "nvidia/rim/NV_GPU_VBIOS_1010_0200_882_96009F0001";
/// An hour at which the captured answers about a device's certificates are in force.
pub(crate) const AUGUST: &str = "2025-08-21T08:00:00Z";

/// What is under `path`, written out by hand: the addresses are NVIDIA's, not the program's.
pub(crate) fn published(path: &str) -> Option<Vec<u8>> {
    if let Some(id) = path.strip_prefix("/v1/rim/") {
        let known = ["NV_GPU_DRIVER_GH100_550.90.07", "NV_GPU_VBIOS_1010_0200_882_96009F0001"];
        return known.contains(&id).then(|| answer(id, &manifest(id)));
    }
    let issuer = match path {
        "/crl/l1-root.crl" => "NVIDIA Device Identity CA",
        "/crl/l2-gh100.crl" => "NVIDIA GH100 Identity",
        "/crl/l2-gb100.crl" => "NVIDIA GB100 Identity",
        "/crl-corim/l1-corim.crl" => "NVIDIA CoRIM signing Root CA",
        "/crl-corim/l2-gb100.crl" => "NVIDIA Reference Value GB1XX CA 001",
        request => return status(request),
    };
    Some(list(issuer))
}

/// RFC 6960 A.1: the request in the path. It ends with the serial number.
fn status(path: &str) -> Option<Vec<u8>> {
    // A whole request, without a slash of its own.
    let request = path.strip_prefix('/').filter(|request| request.starts_with('M') && !request.contains('/'))?;
    let base64 = request.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    let request = STANDARD.decode(base64).ok()?;
    let is_about = |serial: &str| request.ends_with(&hex::decode(serial).unwrap());
    Some(match () {
        () if is_about("41431d480fe5e87274") => ocsp("device_l4_brom"),
        () if is_about("6afe7184f92232c8df7b242261776e56") => ocsp("device_l3_provisioner_ica"),
        () if is_about("4c255ede3bd001bf3f4a3b605fca898a") => ocsp("device_l2_identity"),
        // As it answers about what it does not know. (That of a manifest's signer was captured in another month.)
        () => ocsp("unauthorized"),
    })
}

/// The service's answer with a manifest.
pub(crate) fn answer(id: &str, document: &[u8]) -> Vec<u8> {
    let digest = hex::encode(Sha256::digest(document));
    answer_with(id, document, &digest)
}

pub(crate) fn answer_with(id: &str, document: &[u8], sha256: &str) -> Vec<u8> {
    let answer = json!({
        "id": id, "rim": STANDARD.encode(document), "sha256": sha256,
        "last_updated": "2025-03-14T15:09:03.011000", "rim_format": "TCG",
        "request_id": "ca80a80a-054c-476e-bdd2-7be7e3047fe5",
    });
    serde_json::to_vec(&answer).unwrap()
}

pub(crate) fn manifest(name: &str) -> Vec<u8> {
    vector(&format!("nvidia-manifests/{name}.xml"))
}

pub(crate) fn ocsp(name: &str) -> Vec<u8> {
    vector(&format!("nvidia-ocsp/{name}.ocsp.der"))
}

/// A revocation list of this issuer that nobody signed, for 2025-01-01 to 2026-12-31. None of NVIDIA's was captured.
pub(crate) fn list(issuer: &str) -> Vec<u8> {
    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        match value.len() {
            length @ 0..0x80 => [&[tag, length as u8], value.as_slice()].concat(),
            length => [&[tag, 0x81, length as u8], value.as_slice()].concat(),
        }
    }
    // ecdsa-with-SHA384
    let algorithm = element(0x30, &[&[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 3]]);
    let name = element(0x30, &[&[6, 3, 0x55, 4, 3], &element(0x0C, &[issuer.as_bytes()])]);
    let name = element(0x30, &[&element(0x31, &[&name])]);
    let [from, until] = [b"250101000000Z", b"261231000000Z"].map(|time| element(0x17, &[time]));
    let fields = element(0x30, &[&[2, 1, 1], &algorithm, &name, &from, &until]);
    element(0x30, &[&fields, &algorithm, &[3, 2, 0, 0]])
}

/// The captured H100: its report and its certificates.
pub(crate) fn device() -> [Vec<u8>; 2] {
    [vector("nvidia/001-h100/report.bin"), vector("nvidia/001-h100/chain.pem")]
}

pub(crate) fn submission(files: &[Vec<u8>]) -> Submission {
    let mut artefacts = Artefacts::default();
    for file in files {
        artefacts.add(file).unwrap();
    }
    artefacts.into_submission().unwrap()
}

/// The wants for the status of the H100's certificates: the chip, its provisioner, its family.
pub(crate) fn statuses() -> Vec<Want> {
    let Submission { devices, endorsements, .. } = submission(&device());
    device_wants(&devices, &endorsements).statuses.into_iter().map(|status| status.answer).collect()
}

pub(crate) fn status_of_chip() -> String {
    statuses()[0].to_string()
}
