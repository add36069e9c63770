//! The catalogues of TDX and of Azure's virtual TPM against the verifier: every sound variant
//! is accepted as simulated, every fault is refused with its own code, and nothing is ever
//! accepted as hardware.

use strongroom_attestation::{
    Artefacts, Class, Code, DevelopmentAnchors, Expected, Hardware, HardwareAnchors, Policy, Refusal, Simulated,
    UnixTime, Verdict, verify,
};
use strongroom_simulated_platform::{
    AzureEvidence, AzureFault, AzureHardware, EventLog, EvidenceVersion, HclVersion, PckCa, Product, QuoteFormat,
    SimulatedAmd, SimulatedAzure, SimulatedAzureVm, SimulatedIntel, SimulatedTd, TdBody, TdEvidence, TdxFault,
    VtpmKeys,
};

const NOW: u64 = 1_800_000_000;
const REPORT_DATA: [u8; 64] = [0x5a; 64];
const NONCE: &[u8] = b"the nonce that was asked for";

fn intel() -> SimulatedIntel {
    SimulatedIntel::published(NOW).unwrap()
}

fn td(intel: &SimulatedIntel, ca: PckCa) -> SimulatedTd {
    let body = TdBody {
        mr_td: [0xab; 48],
        mr_config_id: [0xcd; 48],
        mr_owner: [0xef; 48],
        mr_owner_config: [0x12; 48],
        ..TdBody::healthy()
    };
    intel.td([3; 32], ca, body, NOW).unwrap().with_event_log(EventLog::of_boot(b"kernel", "quiet"))
}

/// A machine on either hardware, and the root of that hardware.
fn vm(azure: &SimulatedAzure, hardware: AzureHardware) -> (SimulatedAzureVm, Vec<u8>) {
    let keys = VtpmKeys::published().unwrap();
    match hardware {
        AzureHardware::Snp => {
            let amd = SimulatedAmd::published(Product::Milan, NOW).unwrap();
            let device = amd.device([3; 32], [0xab; 48], [0xcd; 32], NOW).unwrap();
            (azure.vm(device, keys, NOW).unwrap(), amd.root_certificate_der().to_vec())
        }
        AzureHardware::Tdx => {
            let intel = intel();
            (azure.vm(td(&intel, PckCa::Platform), keys, NOW).unwrap(), intel.root_certificate_der().to_vec())
        }
    }
}

fn appraise<K: Class>(
    artefacts: &[Vec<u8>],
    anchors: &K::Anchors,
    policy: &str,
    expected: &Expected,
    now: u64,
) -> Result<Verdict<K>, Refusal> {
    let mut sorted = Artefacts::default();
    for artefact in artefacts {
        sorted.add(artefact)?;
    }
    let (evidence, endorsements) = sorted.into_evidence()?;
    let policy = Policy::from_toml(policy).unwrap();
    verify::<K>(&evidence, &endorsements, anchors, &policy, expected, UnixTime::from_secs(now)).into_verdict()
}

fn of_td(evidence: &TdEvidence) -> Vec<Vec<u8>> {
    let mut artefacts = vec![evidence.quote.clone(), evidence.event_log.to_ccel(4096).unwrap()];
    artefacts.extend(evidence.collateral.artefacts());
    artefacts
}

fn of_vm(evidence: &AzureEvidence) -> Vec<Vec<u8>> {
    let pcrs: Vec<String> = evidence.tpm_quote.pcrs.iter().map(hex::encode).collect();
    let mut artefacts = vec![
        evidence.hcl_report.clone(),
        evidence.tpm_quote.message.clone(),
        evidence.tpm_quote.signature.clone(),
        serde_json::to_vec(&pcrs).unwrap(),
    ];
    artefacts.extend(evidence.td_quote.clone());
    artefacts.extend(evidence.endorsements.iter().chain(&evidence.ak_certificates).cloned());
    artefacts
}

fn tdx_verdict(intel: &SimulatedIntel, evidence: &TdEvidence, policy: &str) -> Result<Verdict<Simulated>, Refusal> {
    let anchors = DevelopmentAnchors::new(intel.root_certificate_der()).unwrap();
    appraise::<Simulated>(&of_td(evidence), &anchors, policy, &Expected::report_data(REPORT_DATA), NOW)
}

fn nonce() -> Expected {
    Expected::unbound_for_inspection().and_nonce(NONCE).unwrap()
}

fn azure_verdict(
    azure: &SimulatedAzure,
    hardware_root: &[u8],
    evidence: &AzureEvidence,
    policy: &str,
) -> Result<Verdict<Simulated>, Refusal> {
    let anchors = DevelopmentAnchors::new(azure.root_certificate_der()).unwrap().and(hardware_root).unwrap();
    appraise::<Simulated>(&of_vm(evidence), &anchors, policy, &nonce(), NOW)
}

/// "accepted", or the refusal with its code in front.
fn outcome<K: Class>(result: Result<Verdict<K>, Refusal>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(refusal) => refusal.to_string(),
    }
}

fn note(wrong: &mut Vec<String>, (name, wanted): (&str, &str), found: &str) {
    if found.split(':').next() != Some(wanted) {
        wrong.push(format!("{name}: wanted {wanted}, found {found}"));
    }
}

#[test]
fn every_sound_td_is_accepted_as_simulated() {
    let intel = intel();
    for ca in PckCa::ALL {
        for format in QuoteFormat::ALL {
            let td = td(&intel, ca).with_format(format).with_padding(70);
            let evidence = td.evidence(&REPORT_DATA).unwrap();
            let found = outcome(tdx_verdict(&intel, &evidence, &td.strict_policy()));
            assert_eq!(found, "accepted", "{ca:?} {format:?}");

            // The same as one collateral file, and with the other form of the log.
            let artefacts = [
                evidence.quote.clone(),
                evidence.event_log.to_dstack_json(false).unwrap().into_bytes(),
                evidence.collateral.to_collateral_json().unwrap().into_bytes(),
            ];
            let anchors = DevelopmentAnchors::new(intel.root_certificate_der()).unwrap();
            let expected = Expected::report_data(REPORT_DATA);
            let found = appraise::<Simulated>(&artefacts, &anchors, &td.strict_policy(), &expected, NOW);
            assert_eq!(outcome(found), "accepted", "{ca:?} {format:?}");
        }
    }
}

#[test]
fn the_first_tdx_module_is_accepted_too() {
    let intel = intel();
    let mut tee_tcb_svn = [0; 16];
    tee_tcb_svn[..3].copy_from_slice(&[5, 0, 3]);
    let td = intel.td([3; 32], PckCa::Platform, TdBody { tee_tcb_svn, ..TdBody::healthy() }, NOW).unwrap();
    let td = td.with_event_log(EventLog::of_boot(b"kernel", "quiet"));
    let evidence = td.evidence(&REPORT_DATA).unwrap();
    assert_eq!(outcome(tdx_verdict(&intel, &evidence, &td.strict_policy())), "accepted");
}

#[test]
fn every_tdx_fault_is_refused_with_its_own_code() {
    let intel = intel();
    let mut wrong = Vec::new();
    for ca in PckCa::ALL {
        for format in QuoteFormat::ALL {
            let td = td(&intel, ca).with_format(format);
            for fault in TdxFault::ALL.iter().copied() {
                let evidence = intel.evidence_with_fault(&td, &REPORT_DATA, fault, NOW).unwrap();
                let found = outcome(tdx_verdict(&intel, &evidence, &td.strict_policy()));
                note(&mut wrong, (fault.name(), fault.expected_code()), &format!("{found} ({ca:?} {format:?})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_sound_machine_is_accepted_as_simulated() {
    let azure = SimulatedAzure::published(NOW).unwrap();
    for hardware in [AzureHardware::Snp, AzureHardware::Tdx] {
        for hcl_version in HclVersion::ALL {
            let (vm, root) = vm(&azure, hardware);
            let vm = vm.with_hcl_version(hcl_version);
            for version in EvidenceVersion::ALL {
                let evidence = vm.evidence(NONCE, version).unwrap();
                let found = outcome(azure_verdict(&azure, &root, &evidence, &vm.strict_policy()));
                assert_eq!(found, "accepted", "{hardware:?} {hcl_version:?} {version:?}");

                // The same in the JSON of confidential containers.
                let mut artefacts = vec![evidence.to_json().unwrap().into_bytes(), vm.stored_ak_certificate()];
                artefacts.extend(evidence.endorsements.iter().chain(&evidence.ak_certificates).cloned());
                let anchors = DevelopmentAnchors::new(azure.root_certificate_der()).unwrap().and(&root).unwrap();
                let found = appraise::<Simulated>(&artefacts, &anchors, &vm.strict_policy(), &nonce(), NOW);
                assert_eq!(outcome(found), "accepted", "{hardware:?} {hcl_version:?} {version:?}");
            }
        }
    }
}

#[test]
fn every_azure_fault_is_refused_with_its_own_code() {
    let azure = SimulatedAzure::published(NOW).unwrap();
    let mut wrong = Vec::new();
    for hardware in [AzureHardware::Snp, AzureHardware::Tdx] {
        for hcl_version in HclVersion::ALL {
            let (vm, root) = vm(&azure, hardware);
            let vm = vm.with_hcl_version(hcl_version);
            for fault in AzureFault::ALL.iter().copied().filter(|fault| fault.is_possible_on(hardware)) {
                let evidence = azure.evidence_with_fault(&vm, NONCE, EvidenceVersion::V1, fault, NOW).unwrap();
                let found = outcome(azure_verdict(&azure, &root, &evidence, &vm.strict_policy()));
                let found = format!("{found} ({hardware:?} {hcl_version:?})");
                note(&mut wrong, (fault.name(), fault.expected_code()), &found);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_ever_accepted_as_hardware() {
    let anchors = HardwareAnchors::compiled_in();
    let refused = |artefacts: &[Vec<u8>], policy: &str, expected: &Expected, fault: Option<(&str, &str)>| {
        let refusal = appraise::<Hardware>(artefacts, &anchors, policy, expected, NOW).err().unwrap();
        // Some are refused before anybody looks at the chain.
        let early = fault.is_some_and(|(_, code)| code == refusal.code.as_str());
        assert!(matches!(refusal.code, Code::Simulated | Code::Chain) || early, "{fault:?}: {refusal}");
    };
    let intel = intel();
    let td = td(&intel, PckCa::Platform);
    let (policy, expected) = (td.strict_policy(), Expected::report_data(REPORT_DATA));
    refused(&of_td(&td.evidence(&REPORT_DATA).unwrap()), &policy, &expected, None);
    for fault in TdxFault::ALL.iter().copied() {
        let evidence = intel.evidence_with_fault(&td, &REPORT_DATA, fault, NOW).unwrap();
        refused(&of_td(&evidence), &policy, &expected, Some((fault.name(), fault.expected_code())));
    }
    let azure = SimulatedAzure::published(NOW).unwrap();
    for hardware in [AzureHardware::Snp, AzureHardware::Tdx] {
        let (vm, _) = vm(&azure, hardware);
        let policy = vm.strict_policy();
        refused(&of_vm(&vm.evidence(NONCE, EvidenceVersion::V1).unwrap()), &policy, &nonce(), None);
        for fault in AzureFault::ALL.iter().copied().filter(|fault| fault.is_possible_on(hardware)) {
            let evidence = azure.evidence_with_fault(&vm, NONCE, EvidenceVersion::V1, fault, NOW).unwrap();
            refused(&of_vm(&evidence), &policy, &nonce(), Some((fault.name(), fault.expected_code())));
        }
    }
}

#[test]
fn another_vendor_s_anchor_does_not_do() {
    let intel = intel();
    let td = td(&intel, PckCa::Platform);
    let evidence = td.evidence(&REPORT_DATA).unwrap();
    let stranger = SimulatedIntel::generate(NOW).unwrap();
    let refusal = tdx_verdict(&stranger, &evidence, &td.strict_policy()).err().unwrap();
    assert_eq!(refusal.code, Code::Chain, "{refusal}");
}

#[test]
fn a_forgotten_vendor_stops_by_itself() {
    let intel = intel();
    let td = td(&intel, PckCa::Platform);
    let artefacts = of_td(&td.evidence(&REPORT_DATA).unwrap());
    let anchors = DevelopmentAnchors::new(intel.root_certificate_der()).unwrap();
    let (expected, week) = (Expected::report_data(REPORT_DATA), 7 * 24 * 3600);
    let refusal =
        appraise::<Simulated>(&artefacts, &anchors, &td.strict_policy(), &expected, NOW + week).err().unwrap();
    assert_eq!(refusal.code, Code::CollateralExpired, "{refusal}");
}
