//! A small verifier for tests, which knows what it should find: it collects everything that is
//! wrong with evidence, so that a fault is shown to be where it says, and nowhere before.

use std::collections::BTreeSet;

use aws_lc_rs::{
    digest::SHA384,
    signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha384};
use strongroom_simulated_platform::{
    DEVELOPMENT_EXTENSION_OID, LONGEST_VALIDITY_SECONDS, NvidiaDeviceEvidence, NvidiaEvidence,
};
use x509_cert::{Certificate, certificate::Rfc5280, crl::CertificateList, der::Decode as _};

use crate::{
    NOW, canonical,
    chains::{same_key, serial},
    manifests::{certificates, golden, mismatches},
    reader,
    report::{self, Report},
    revocation::{is_successful, without_good_answer},
};

/// The codes in the order of a verifier's checks.
pub(crate) const CODES: [&str; 9] = [
    "PARSE",
    "NONCE",
    "NO_ENDORSEMENT",
    "CHAIN",
    "SIGNATURE",
    "REVOKED",
    "COLLATERAL_EXPIRED",
    "PLATFORM_NOT_ALLOWED",
    "MEASUREMENT",
];

/// The code of the first check that fails, and those of all others that do. `sound` is the
/// evidence of the same set without a fault.
pub(crate) fn wrong(evidence: &NvidiaEvidence, sound: &NvidiaEvidence) -> Vec<&'static str> {
    let mut found = BTreeSet::new();
    let (device_root, manifest_root) =
        (sound.devices[0].certificates.last().unwrap(), &certificates(&sound.manifests[0].xml)[3]);
    for device in &evidence.devices {
        check_device(device, &evidence.nonce, device_root, &mut found);
    }
    for manifest in &evidence.manifests {
        check_manifest(&manifest.xml, manifest_root, &mut found);
    }
    if evidence.manifests.len() < sound.manifests.len() {
        found.insert("NO_ENDORSEMENT");
    }
    check_revocation(evidence, &mut found);
    if platform(evidence) != platform(sound) {
        found.insert("PLATFORM_NOT_ALLOWED");
    }
    if !mismatches(evidence).is_empty() || versions(evidence) != versions(sound) || overlap(evidence) {
        found.insert("MEASUREMENT");
    }
    CODES.into_iter().filter(|code| found.contains(code)).collect()
}

fn check_device(device: &NvidiaDeviceEvidence, nonce: &[u8; 32], root: &[u8], found: &mut BTreeSet<&'static str>) {
    let chain: Vec<Certificate> = device.certificates.iter().map(|der| reader::parse(der)).collect();
    if chain.len() == 1 {
        found.insert("NO_ENDORSEMENT");
        return;
    }
    let family = if device.architecture.product() == "GB100" { "GB100 Identity" } else { "GH100 Identity" };
    let of_family =
        chain.get(3).is_some_and(|identity| identity.tbs_certificate().subject().to_string().contains(family));
    if !of_family || !chain_holds(&device.certificates, 5, root) {
        found.insert("CHAIN");
    }
    check_dates(&chain, found);
    let Some(report) = Report::read(&device.report) else {
        found.insert("PARSE");
        return;
    };
    if report.nonce != nonce {
        found.insert("NONCE");
    }
    if !report::is_signed(&report, &device.certificates[0]) {
        found.insert("SIGNATURE");
    }
    // A switch names itself as its boot ROM's certificate does; a GPU may name its chip.
    let itself = device.architecture.product() != "LS10"
        || report.field(22) == Some(&chain.get(1).map(serial).unwrap_or_default()[1..]);
    if !itself || report.field(35).is_some_and(|chip| chip != b"GB100\0") {
        found.insert("CHAIN");
    }
    let fwid = report.field(20);
    let in_leaf = ["2.23.133.5.4.1", "2.23.133.5.4.1.1"].iter().find_map(|oid| reader::extension(&chain[0], oid));
    let matches = match (fwid, &in_leaf) {
        (Some(fwid), Some((_, value))) => value.windows(48).any(|window| window == fwid),
        (None, Some(_)) => device.architecture.product() == "LS10",
        _ => false,
    };
    if !matches {
        found.insert("CHAIN");
    }
}

fn chain_holds(chain: &[Vec<u8>], length: usize, root: &[u8]) -> bool {
    let certificates: Vec<Certificate> = chain.iter().map(|der| reader::parse(der)).collect();
    let links = chain.windows(2).zip(certificates.windows(2)).all(|(der, pair)| {
        pair[0].tbs_certificate().issuer() == pair[1].tbs_certificate().subject()
            && reader::is_signed_by(&der[0], &der[1])
            && is_authority(&pair[1])
    });
    let fit = certificates.iter().all(|certificate| {
        let known = ["2.5.29.15", "2.5.29.19", DEVELOPMENT_EXTENSION_OID];
        let extensions = certificate.tbs_certificate().extensions().unwrap();
        let validity = certificate.tbs_certificate().validity();
        let life = validity.not_after.to_unix_duration() - validity.not_before.to_unix_duration();
        reader::extension(certificate, DEVELOPMENT_EXTENSION_OID).is_some()
            && life.as_secs() <= LONGEST_VALIDITY_SECONDS
            && extensions
                .iter()
                .all(|extension| !extension.critical || known.contains(&extension.extn_id.to_string().as_str()))
    });
    chain.len() == length && links && fit && !is_authority(&certificates[0]) && same_key(chain.last().unwrap(), root)
}

fn is_authority(certificate: &Certificate) -> bool {
    reader::extension(certificate, "2.5.29.19").is_some_and(|(_, value)| value.get(2..5) == Some(&[1, 1, 0xff]))
}

fn check_dates(chain: &[Certificate], found: &mut BTreeSet<&'static str>) {
    for certificate in chain {
        let validity = certificate.tbs_certificate().validity();
        let [from, until] = [validity.not_before, validity.not_after].map(|date| date.to_unix_duration().as_secs());
        if NOW < from || until < NOW {
            found.insert("COLLATERAL_EXPIRED");
        }
    }
}

fn check_manifest(xml: &str, root: &[u8], found: &mut BTreeSet<&'static str>) {
    let signatures = xml.matches("<ds:Signature ").count();
    if xml.contains("<!") || signatures != 1 || !entries_are_sound(xml) {
        found.insert("PARSE");
        return;
    }
    let chain = certificates(xml);
    if !chain_holds(&chain, 4, root) {
        found.insert("CHAIN");
    }
    let parsed: Vec<Certificate> = chain.iter().map(|der| reader::parse(der)).collect();
    check_dates(&parsed, found);
    let between = |name: &str| xml.split(&format!("<{name}>")).nth(1).unwrap().split('<').next().unwrap();
    let digest = between("ds:DigestValue");
    let signature = STANDARD.decode(between("ds:SignatureValue")).unwrap();
    let key = reader::public_key(&parsed[0]);
    let signed = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key)
        .verify(canonical::signed_info(xml).as_bytes(), &signature)
        .is_ok();
    if STANDARD.encode(Sha384::digest(canonical::document(xml))) != digest || !signed {
        found.insert("SIGNATURE");
    }
}

/// Each index once, as many values as it says, each of 48 bytes.
fn entries_are_sound(xml: &str) -> bool {
    let mut indices = BTreeSet::new();
    xml.split("<ns0:Resource ").skip(1).all(|resource| {
        let value = |from: &str| resource.split(from).nth(1).unwrap().split('"').next().unwrap();
        let hashes = resource.split("ns2:Hash").skip(1).map(|part| part.split('"').nth(1).unwrap());
        let lengths: Vec<usize> = hashes.map(str::len).collect();
        indices.insert(value("index=\"").to_owned())
            && value("alternatives=\"").parse() == Ok(lengths.len())
            && lengths.iter().all(|length| *length == 96)
    })
}

fn check_revocation(evidence: &NvidiaEvidence, found: &mut BTreeSet<&'static str>) {
    if !evidence.ocsp_responses.iter().all(|der| is_successful(der)) {
        found.insert("PARSE");
    }
    let listed = evidence
        .revocation_lists
        .iter()
        .any(|der| CertificateList::<Rfc5280>::from_der(der).unwrap().tbs_cert_list.revoked_certificates.is_some());
    if listed || !without_good_answer(evidence, &SHA384, false).is_empty() {
        found.insert("REVOKED");
    } else if !without_good_answer(evidence, &SHA384, true).is_empty() {
        found.insert("COLLATERAL_EXPIRED");
    }
}

/// Of a report: protected PCIe, links, GPUs of a switch, mode.
type Fields = [Option<Vec<u8>>; 4];

/// Which devices there are, in which mode, and how they are linked: of each its identity and
/// what its report says of that, in order of the identities.
fn platform(evidence: &NvidiaEvidence) -> Vec<(Vec<u8>, Fields)> {
    let mut devices = Vec::new();
    for device in &evidence.devices {
        let Some(report) = Report::read(&device.report) else { continue };
        let fields = [21, 22, 26, 36].map(|kind| report.field(kind).map(<[u8]>::to_vec));
        devices.push((serial(&reader::parse(&device.certificates[0])), fields));
    }
    devices.sort();
    devices
}

/// Name, product and version of each manifest, one of each.
fn versions(evidence: &NvidiaEvidence) -> BTreeSet<(String, String)> {
    let meta =
        |xml: &str| xml.split("colloquialVersion=").nth(1).unwrap().split(" revision").next().unwrap().to_owned();
    let versions = evidence.manifests.iter().map(|manifest| (manifest.id.clone(), meta(&manifest.xml)));
    versions.collect()
}

/// Whether the first two manifests, of driver and VBIOS, share an active index.
fn overlap(evidence: &NvidiaEvidence) -> bool {
    match evidence.manifests.as_slice() {
        [driver, vbios, ..] => {
            let (driver, vbios) = (golden(&driver.xml), golden(&vbios.xml));
            driver.keys().any(|index| vbios.contains_key(index))
        }
        _ => false,
    }
}
