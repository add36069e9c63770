//! The vectors of SEV-SNP.

use std::{error::Error, fs, path::Path};

use strongroom_simulated_platform::{
    Fault, Product, ReportVersion, SimulatedAmd, SimulatedDevice, SimulatedEvidence, launch_measurement,
};
use x509_cert::{Certificate, der::Decode as _};

use crate::{
    NOW, REPORT_DATA,
    vector::{self, Expected, OneOrMore},
};

const HOST_DATA: [u8; 32] = *b"digest of the configuration.....";
/// Faults are those of this product line.
const FAULTY: Product = Product::Genoa;

/// Writes the set anew and says how many they are.
pub(crate) fn write() -> Result<u32, Box<dyn Error>> {
    let folder = vector::folder("snp");
    for entry in fs::read_dir(&folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    let anchors = folder.join("anchors");
    fs::create_dir_all(&anchors)?;

    let mut number = 0;
    for product in Product::ALL {
        let vendor = SimulatedAmd::published(product, NOW)?;
        let anchor = format!("{}.der", product.name().to_lowercase());
        fs::write(anchors.join(&anchor), vendor.root_certificate_der())?;
        for version in ReportVersion::ALL {
            let device = chip(&vendor)?.with_report_version(version);
            number += 1;
            let name = format!("accepted-{}-v{}", product.name().to_lowercase(), version.number());
            let description = "Sound evidence with the key of a chip.";
            let evidence = device.report(&REPORT_DATA)?;
            let expected = expected(&device, &name, description, "accepted");
            write_one(&folder, number, &expected, &evidence)?;
        }
    }

    let vendor = SimulatedAmd::published(FAULTY, NOW)?;
    let loaded = vendor.device_with_loaded_key(
        SimulatedAmd::PUBLISHED_CHIP_SECRET,
        "CN=development-csp.invalid",
        launch_measurement(b"image"),
        HOST_DATA,
        NOW,
    )?;
    number += 1;
    let description = "Sound evidence with a loaded key (VLEK) that the policy allows.";
    let name = "accepted-loaded-key";
    let sound = expected(&loaded, name, description, "accepted");
    write_one(&folder, number, &sound, &loaded.report(&REPORT_DATA)?)?;

    let device = chip(&vendor)?;
    for fault in Fault::ALL.iter().copied() {
        number += 1;
        let evidence = vendor.report_with_fault(&device, &REPORT_DATA, fault, NOW)?;
        let (name, description) = (fault.name(), fault.description());
        let refused = expected(&device, name, description, fault.expected_code());
        write_one(&folder, number, &refused, &evidence)?;
    }
    Ok(number)
}

fn chip(vendor: &SimulatedAmd) -> Result<SimulatedDevice, Box<dyn Error>> {
    let measurement = launch_measurement(b"image");
    let secret = SimulatedAmd::PUBLISHED_CHIP_SECRET;
    Ok(vendor.device(secret, measurement, HOST_DATA, NOW)?)
}

fn expected(device: &SimulatedDevice, name: &str, description: &str, expected: &str) -> Expected {
    Expected {
        name: name.to_owned(),
        description: description.to_owned(),
        expected: expected.to_owned(),
        now: NOW,
        report_data: Some(hex::encode(REPORT_DATA)),
        nonce: None,
        anchor: OneOrMore::One(format!("../anchors/{}.der", device.product().name().to_lowercase())),
        evidence: None,
        endorsements: None,
        policy: Some(device.strict_policy()),
        policy_file: None,
    }
}

fn write_one(
    folder: &Path,
    number: u32,
    expected: &Expected,
    evidence: &SimulatedEvidence,
) -> Result<(), Box<dyn Error>> {
    let folder = folder.join(format!("{number:03}-{}", expected.name));
    fs::create_dir(&folder)?;
    fs::write(folder.join("report.bin"), &evidence.report)?;
    for der in &evidence.endorsements {
        fs::write(folder.join(file_name(der)), der)?;
    }
    let json = serde_json::to_string_pretty(expected)? + "\n";
    fs::write(folder.join("expected.json"), json)?;
    Ok(())
}

/// Named after the subject of the certificate; what is no certificate is the list.
pub(crate) fn file_name(der: &[u8]) -> &'static str {
    let Ok(certificate) = Certificate::from_der(der) else {
        return "crl.der";
    };
    let subject = certificate.tbs_certificate().subject().to_string();
    [("CN=SEV-VCEK", "vcek.der"), ("CN=SEV-VLEK DEV", "vlek.der"), ("CN=SEV-VLEK-", "asvk.der"), ("CN=ARK-", "ark.der")]
        .into_iter()
        .find(|(start, _)| subject.contains(start))
        .map_or("ask.der", |(_, name)| name)
}
