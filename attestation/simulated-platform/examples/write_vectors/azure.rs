//! The vectors of Azure's virtual TPM, over both kinds of hardware.

use std::error::Error;

use strongroom_simulated_platform::{
    AzureEvidence, AzureFault, AzureHardware, AzurePlatform, EvidenceVersion, HclVersion, PckCa, Product, SimulatedAmd,
    SimulatedAzure, SimulatedAzureVm, SimulatedIntel, TdBody, VtpmKeys, launch_measurement,
};
use x509_cert::{Certificate, der::Decode as _};

use crate::{
    NOW,
    set::{File, Set},
    snp, tdx,
    vector::{Expected, OneOrMore},
};

const NONCE: &[u8] = b"The nonce that the verifier asked for";
const HOST_DATA: [u8; 32] = [0; 32];
/// Writes the set anew and says how many they are.
pub(crate) fn write() -> Result<u32, Box<dyn Error>> {
    let mut set = Set::empty("azure")?;
    let azure = SimulatedAzure::published(NOW)?;
    let amd = SimulatedAmd::published(Product::Milan, NOW)?;
    let intel = SimulatedIntel::published(NOW)?;
    set.share("anchors", "azure.der", azure.root_certificate_der())?;
    set.share("anchors", "milan.der", amd.root_certificate_der())?;
    set.share("anchors", "intel.der", intel.root_certificate_der())?;

    let device = amd.device(SimulatedAmd::PUBLISHED_CHIP_SECRET, launch_measurement(b"image"), HOST_DATA, NOW)?;
    let on_snp = azure.vm(device, VtpmKeys::published()?, NOW)?;
    let td = tdx::td(&intel, PckCa::Platform, &TdBody::healthy())?;
    let on_tdx = azure.vm(td, VtpmKeys::published()?, NOW)?;
    let mut sound = Vec::new();
    for machine in [on_snp, on_tdx] {
        sound.push(write_sound(&mut set, machine)?);
    }

    for fault in AzureFault::ALL.iter().copied() {
        // What is above the hardware is the same over either.
        for machine in &sound {
            let hardware = machine.platform().hardware();
            let other = AzureHardware::Tdx == hardware && fault.is_possible_on(AzureHardware::Snp);
            if !fault.is_possible_on(hardware) || (other && !is_of_hardware(fault)) {
                continue;
            }
            let evidence = azure.evidence_with_fault(machine, NONCE, EvidenceVersion::V1, fault, NOW)?;
            let name = format!("{}{}", fault.name(), if other { "-on-tdx" } else { "" });
            let refused = expected(machine, &name, fault.description(), fault.expected_code());
            set.write(refused, &parts(&evidence)?, &endorsements(machine, &evidence))?;
        }
    }
    Ok(set.number())
}

/// Both versions of the report and of its JSON; gives the machine back as it was.
fn write_sound(set: &mut Set, machine: SimulatedAzureVm) -> Result<SimulatedAzureVm, Box<dyn Error>> {
    let mut machine = machine;
    let hardware = hardware_name(machine.platform());
    set.share("shared", &format!("policy-{hardware}.toml"), machine.strict_policy().as_bytes())?;
    let evidence = machine.evidence(NONCE, EvidenceVersion::V1)?;
    for (name, content) in parts(&evidence)?.iter().filter(|(name, _)| *name == "pcrs.json") {
        set.share("shared", name, content)?;
    }
    for (name, content) in endorsements(&machine, &evidence) {
        set.share("shared", name, &content)?;
    }
    for (hcl, version) in [
        (HclVersion::V1, EvidenceVersion::V1),
        (HclVersion::V1, EvidenceVersion::V2),
        (HclVersion::V2, EvidenceVersion::V1),
        (HclVersion::V2, EvidenceVersion::V2),
    ] {
        machine = machine.with_hcl_version(hcl);
        let evidence = machine.evidence(NONCE, version)?;
        let name = format!("accepted-{hardware}-hcl{}-v{}", hcl.number(), version.number());
        let sound = expected(&machine, &name, "Sound evidence, in parts.", "accepted");
        set.write(sound, &parts(&evidence)?, &endorsements(&machine, &evidence))?;
    }
    let evidence = machine.evidence(NONCE, EvidenceVersion::V1)?;
    let description = "Sound evidence in the JSON of confidential containers.";
    let sound = expected(&machine, &format!("accepted-{hardware}-json"), description, "accepted");
    let json = ("evidence.json", evidence.to_json()?.into_bytes());
    set.write(sound, &[json], &endorsements(&machine, &evidence))?;
    Ok(machine)
}

/// Faults that the hardware makes, in its own way.
fn is_of_hardware(fault: AzureFault) -> bool {
    matches!(
        fault,
        AzureFault::FlippedHardwareSignature
            | AzureFault::FlippedHardwareMeasurement
            | AzureFault::HardwareReportDataTail
            | AzureFault::MissingHardwareEndorsement
            | AzureFault::DebugOn
            | AzureFault::Migratable
            | AzureFault::OldFirmware
            | AzureFault::OtherFirmware
            | AzureFault::HclOtherReportType
    )
}

fn parts(evidence: &AzureEvidence) -> Result<Vec<File>, Box<dyn Error>> {
    let pcrs: Vec<String> = evidence.tpm_quote.pcrs.iter().map(hex::encode).collect();
    let mut parts = vec![
        ("hcl-report.bin", evidence.hcl_report.clone()),
        ("tpm-message.bin", evidence.tpm_quote.message.clone()),
        ("tpm-signature.bin", evidence.tpm_quote.signature.clone()),
        ("pcrs.json", serde_json::to_vec(&pcrs)?),
    ];
    parts.extend(evidence.td_quote.iter().map(|quote| ("quote.bin", quote.clone())));
    Ok(parts)
}

fn endorsements(machine: &SimulatedAzureVm, evidence: &AzureEvidence) -> Vec<File> {
    let mut files = match machine.platform() {
        AzurePlatform::Snp(_) => evidence.endorsements.iter().map(|der| (snp::file_name(der), der.clone())).collect(),
        AzurePlatform::Tdx(td) => tdx::collateral(td.collateral()),
    };
    files.extend(evidence.ak_certificates.iter().map(|der| (ak_file_name(der), der.clone())));
    files
}

/// Named after the subject of the certificate.
fn ak_file_name(der: &[u8]) -> &'static str {
    let subject = Certificate::from_der(der).map(|certificate| certificate.tbs_certificate().subject().to_string());
    let subject = subject.unwrap_or_default();
    [("Root Certificate Authority", "ak-root.der"), ("Virtual TPM CA", "ak-ca.der")]
        .into_iter()
        .find(|(part, _)| subject.contains(part))
        .map_or("ak.der", |(_, name)| name)
}

fn expected(machine: &SimulatedAzureVm, name: &str, description: &str, expected: &str) -> Expected {
    let hardware = match machine.platform().hardware() {
        AzureHardware::Snp => "../anchors/milan.der",
        AzureHardware::Tdx => "../anchors/intel.der",
    };
    Expected {
        name: name.to_owned(),
        description: description.to_owned(),
        expected: expected.to_owned(),
        now: NOW,
        report_data: None,
        nonce: Some(hex::encode(NONCE)),
        anchor: OneOrMore::More(vec!["../anchors/azure.der".to_owned(), hardware.to_owned()]),
        evidence: None,
        endorsements: None,
        policy: Some(machine.strict_policy()),
        policy_file: None,
    }
}

fn hardware_name(platform: &AzurePlatform) -> &'static str {
    match platform.hardware() {
        AzureHardware::Snp => "snp",
        AzureHardware::Tdx => "tdx",
    }
}
