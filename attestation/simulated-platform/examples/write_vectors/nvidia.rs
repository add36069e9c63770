//! The vectors of NVIDIA's devices: one GPU where a fault can be shown on one, else the smallest machine that
//! can have it.

use std::error::Error;

use strongroom_simulated_platform::{GpuTopology, NvidiaEvidence, NvidiaFault, SimulatedGpuSet, SimulatedNvidia};

use crate::{
    NOW,
    set::{File, Set},
    vector::{Expected, OneOrMore},
};

const NONCE: [u8; 32] = *b"The challenge that was asked for";

/// From the smallest machine to the largest.
const TOPOLOGIES: [GpuTopology; 4] =
    [GpuTopology::Hopper(1), GpuTopology::Blackwell(1), GpuTopology::Hopper(2), GpuTopology::ProtectedPcie];
const MANIFESTS: [&str; 4] = ["manifest-0.xml", "manifest-1.xml", "manifest-2.xml", "manifest-3.xml"];

/// Writes the set anew and says how many they are.
pub(crate) fn write() -> Result<u32, Box<dyn Error>> {
    let mut set = Set::empty("nvidia")?;
    let vendor = SimulatedNvidia::published(NOW)?;
    set.share("anchors", "devices.der", vendor.device_root_certificate_der())?;
    set.share("anchors", "manifests.der", vendor.manifest_root_certificate_der())?;
    let mut machines = Vec::new();
    for topology in TOPOLOGIES {
        let machine = vendor.gpu_set(SimulatedNvidia::PUBLISHED_SET_SECRET, topology, NOW)?;
        let evidence = machine.evidence(&NONCE)?;
        let name = name(topology);
        for (file, content) in endorsements(&evidence) {
            set.share("shared", &format!("{name}-{file}"), &content)?;
        }
        set.share("shared", &format!("policy-{name}.toml"), machine.strict_policy().as_bytes())?;
        let sound = expected(&machine, &format!("accepted-{name}"), "Sound evidence of the whole machine.", "accepted");
        set.write(sound, &devices(&evidence)?, &endorsements(&evidence))?;
        machines.push(machine);
    }
    for fault in NvidiaFault::ALL.iter().copied() {
        let possible = machines.iter().find(|machine| fault.is_possible_on(machine.topology()));
        let Some(machine) = possible else { return Err(format!("{} has no machine", fault.name()).into()) };
        let evidence = vendor.evidence_with_fault(machine, &NONCE, fault, NOW)?;
        let refused = expected(machine, fault.name(), fault.description(), fault.expected_code());
        set.write(refused, &devices(&evidence)?, &endorsements(&evidence))?;
    }
    Ok(set.number())
}

fn name(topology: GpuTopology) -> &'static str {
    match topology {
        GpuTopology::Hopper(1) => "hopper",
        GpuTopology::Hopper(_) => "two-hopper",
        GpuTopology::Blackwell(_) => "blackwell",
        GpuTopology::MultiGpu => "multi-gpu",
        GpuTopology::ProtectedPcie => "protected-pcie",
    }
}

fn devices(evidence: &NvidiaEvidence) -> Result<Vec<File>, Box<dyn Error>> {
    Ok(vec![("devices.json", evidence.to_json()?.into_bytes())])
}

/// Manifests, and everything about revocation in one file: its parts are PEM, and tell themselves apart.
fn endorsements(evidence: &NvidiaEvidence) -> Vec<File> {
    let manifests = evidence.manifests.iter().map(|manifest| manifest.xml.clone().into_bytes());
    let mut files: Vec<File> = MANIFESTS.into_iter().zip(manifests).collect();
    let labelled = [("OCSP RESPONSE", &evidence.ocsp_responses), ("X509 CRL", &evidence.revocation_lists)];
    let text: String =
        labelled.into_iter().flat_map(|(label, all)| all.iter().map(move |der| pem(label, der))).collect();
    if !text.is_empty() {
        files.push(("revocation.pem", text.into_bytes()));
    }
    files
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let digits = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = digits.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn expected(machine: &SimulatedGpuSet, name: &str, description: &str, expected: &str) -> Expected {
    Expected {
        name: name.to_owned(),
        description: description.to_owned(),
        expected: expected.to_owned(),
        now: NOW,
        report_data: None,
        nonce: Some(hex::encode(NONCE)),
        anchor: OneOrMore::More(vec!["../anchors/devices.der".to_owned(), "../anchors/manifests.der".to_owned()]),
        evidence: None,
        endorsements: None,
        policy: Some(machine.strict_policy()),
        policy_file: None,
    }
}
