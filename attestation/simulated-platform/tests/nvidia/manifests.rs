//! Manifests: the same text as genuine ones but for the values, and what they say agrees with
//! what devices measure.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use strongroom_simulated_platform::{GpuTopology, NvidiaEvidence};

use crate::{NOW, TOPOLOGIES, chains, evidence, genuine, reader, report::Report, vendor};

#[test]
fn the_text_is_that_of_genuine_manifests_but_for_values() {
    for (topology, number, captured) in genuine::MANIFESTS {
        let simulated = evidence(topology).manifests[number].xml.clone();
        let (ours, theirs) = (skeleton(&simulated), skeleton(captured.trim_end()));
        let differs = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
        assert_eq!(differs, None);
        assert_eq!(ours.lines().count(), theirs.lines().count());
        for (simulated, captured) in certificates(&simulated).iter().zip(certificates(captured)) {
            chains::compare(simulated, &captured);
        }
    }
}

/// The text with every value that may differ replaced: digests, versions, tags, base64, and how
/// many alternatives there are, which differs from one version to the next.
fn skeleton(xml: &str) -> String {
    let mut text = String::new();
    for line in xml.lines() {
        let line = match line.split_once(" alternatives=\"") {
            Some((before, rest)) => format!("{before} … name={}", rest.split_once(" name=").unwrap().1),
            None => line.to_owned(),
        };
        text += &replace_attribute(&replace_attribute(&line, "tagId"), "colloquialVersion");
        text.push('\n');
    }
    let mut blanked = String::new();
    let mut rest = text.as_str();
    for name in ["ds:DigestValue", "ds:SignatureValue"] {
        let (before, after) = rest.split_once(&format!("<{name}>")).unwrap();
        blanked += &format!("{before}<{name}>…");
        rest = &after[after.find('<').unwrap()..];
    }
    for part in rest.split_inclusive("<ds:X509Certificate>") {
        // Lines of base64 are counted neither: certificates differ in length.
        blanked += part.find('<').map_or(part, |place| &part[place..]);
    }
    blanked
}

fn replace_attribute(line: &str, name: &str) -> String {
    match line.split_once(&format!("{name}=\"")) {
        Some((before, rest)) => format!("{before}{name}=…{}", rest.split_once('"').unwrap().1),
        None => line.to_owned(),
    }
}

#[test]
fn each_is_signed_by_a_chain_to_the_root_of_manifests() {
    for topology in TOPOLOGIES {
        for manifest in evidence(topology).manifests {
            let chain = certificates(&manifest.xml);
            assert_eq!(chain.len(), 4);
            for pair in chain.windows(2) {
                assert!(reader::is_signed_by(&pair[0], &pair[1]), "{}", manifest.id);
            }
            assert!(chains::same_key(&chain[3], vendor().manifest_root_certificate_der()));
            for certificate in &chain {
                reader::assert_says_development(certificate, NOW);
            }
        }
    }
}

#[test]
fn names_are_those_under_which_nvidia_s_service_has_them() {
    let ids =
        |topology| -> Vec<String> { evidence(topology).manifests.into_iter().map(|manifest| manifest.id).collect() };
    assert_eq!(
        ids(GpuTopology::ProtectedPcie),
        [
            "NV_GPU_DRIVER_GH100_900.10.01",
            "NV_GPU_VBIOS_G520_0200_885_9600F50001",
            "NV_SWITCH_BIOS_5612_0002_890_9610F30001"
        ]
    );
    assert_eq!(
        ids(GpuTopology::MultiGpu),
        ["NV_GPU_CC_DRIVER_GB100_900.10.01", "NV_GPU_VBIOS_G525_0220_886_9700F50001"]
    );
}

#[test]
fn devices_measure_what_the_manifests_say() {
    for topology in TOPOLOGIES {
        assert_eq!(mismatches(&evidence(topology)), Vec::<String>::new(), "{topology:?}");
    }
}

/// The active indices, with the device's number, at which a device measures something else.
/// Index 35 of a Hopper GPU does not count while its decoder is disabled.
pub(crate) fn mismatches(evidence: &NvidiaEvidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, device) in evidence.devices.iter().enumerate() {
        let Some(report) = Report::read(&device.report) else { continue };
        for manifest in &evidence.manifests {
            if !manifest.xml.contains(&format!("product=\"{}\"", device.architecture.product())) {
                continue;
            }
            for (index, golden) in golden(&manifest.xml) {
                let skipped =
                    index == 35 && device.architecture.product() == "GH100" && report.field(11) == Some(&[0x55]);
                let measured = report.measurements.get(&index).map(hex::encode);
                if !skipped && !measured.is_some_and(|measured| golden.contains(&measured)) {
                    wrong.push(format!("{number}: {index}"));
                }
            }
        }
    }
    wrong
}

/// The golden values of active measurements.
pub(crate) fn golden(xml: &str) -> BTreeMap<u8, Vec<String>> {
    let resources = xml.split("<ns0:Resource ").skip(1).filter(|resource| resource.contains("active=\"True\""));
    resources
        .map(|resource| {
            let value = |from: &str| resource.split(from).nth(1).unwrap().split('"').next().unwrap().to_owned();
            let hashes = resource.split("ns2:Hash").skip(1).map(|part| part.split('"').nth(1).unwrap().to_owned());
            (value("index=\"").parse().unwrap(), hashes.collect())
        })
        .collect()
}

pub(crate) fn certificates(xml: &str) -> Vec<Vec<u8>> {
    let parts = xml.split("<ds:X509Certificate>").skip(1);
    parts.map(|part| STANDARD.decode(part.split('<').next().unwrap().replace('\n', "")).unwrap()).collect()
}
