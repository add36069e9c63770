//! The catalogue of NVIDIA devices against the verifier: every sound set is accepted as simulated, every
//! fault is refused with its own code, and nothing is ever accepted as hardware.

use strongroom_attestation::{AttestationResult, Examination, Policy, Status, UnixTime, examine};
use strongroom_simulated_platform::{GpuTopology, NvidiaEvidence, NvidiaFault, SimulatedGpuSet, SimulatedNvidia};

const NOW: u64 = 1_800_000_000;
const NONCE: [u8; 32] = [0x5a; 32];
const TOPOLOGIES: [GpuTopology; 4] =
    [GpuTopology::Hopper(1), GpuTopology::Blackwell(2), GpuTopology::MultiGpu, GpuTopology::ProtectedPcie];

struct Vendor {
    nvidia: SimulatedNvidia,
    roots: Vec<Vec<u8>>,
}

impl Vendor {
    fn new() -> Vendor {
        let nvidia = SimulatedNvidia::published(NOW).unwrap();
        let roots =
            vec![nvidia.device_root_certificate_der().to_vec(), nvidia.manifest_root_certificate_der().to_vec()];
        Vendor { nvidia, roots }
    }

    fn set(&self, topology: GpuTopology) -> SimulatedGpuSet {
        self.nvidia.gpu_set(SimulatedNvidia::PUBLISHED_SET_SECRET, topology, NOW).unwrap()
    }

    fn examine(&self, evidence: &NvidiaEvidence, policy: &str, roots: &[Vec<u8>]) -> AttestationResult {
        examine(&Examination {
            artefacts: &evidence.artefacts().unwrap(),
            report_data: None,
            nonce: Some(&NONCE),
            policy: &Policy::from_toml(policy).unwrap(),
            now: UnixTime::from_secs(NOW),
            development_roots: roots,
            warn_within: 0,
        })
    }
}

fn outcome(result: &AttestationResult) -> String {
    let detail = result.detail.clone().unwrap_or_default();
    result.code.map_or_else(|| result.status.as_str().to_owned(), |code| format!("{code}: {detail}"))
}

#[test]
fn every_sound_set_is_accepted_as_simulated_and_never_as_hardware() {
    let vendor = Vendor::new();
    for topology in TOPOLOGIES {
        let set = vendor.set(topology);
        let evidence = set.evidence(&NONCE).unwrap();
        let result = vendor.examine(&evidence, &set.strict_policy(), &vendor.roots);
        assert_eq!(outcome(&result), "accepted", "{topology:?}");
        assert!(result.simulated && result.bound, "{topology:?}");
        let devices = &result.devices.unwrap().devices;
        assert_eq!(devices.len(), set.gpus().len() + set.switches().len(), "{topology:?}");

        let refused = vendor.examine(&evidence, &set.strict_policy(), &[]);
        assert_eq!((refused.status, refused.simulated), (Status::Refused, true), "{topology:?}");
        assert!(outcome(&refused).starts_with("SIMULATED"), "{topology:?}: {}", outcome(&refused));
    }
}

#[test]
fn every_fault_is_refused_with_its_code() {
    let vendor = Vendor::new();
    let mut wrong = Vec::new();
    for topology in TOPOLOGIES {
        let set = vendor.set(topology);
        for fault in NvidiaFault::ALL.iter().copied().filter(|fault| fault.is_possible_on(topology)) {
            let evidence = vendor.nvidia.evidence_with_fault(&set, &NONCE, fault, NOW).unwrap();
            let result = vendor.examine(&evidence, &set.strict_policy(), &vendor.roots);
            let found = outcome(&result);
            if found.split(':').next() != Some(fault.expected_code()) {
                wrong.push(format!(
                    "{} on {topology:?}: wanted {}, found {found}",
                    fault.name(),
                    fault.expected_code()
                ));
            }
            let as_hardware = vendor.examine(&evidence, &set.strict_policy(), &[]);
            assert_ne!(as_hardware.status, Status::Accepted, "{} on {topology:?}", fault.name());
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_remote_services_answer_is_believed_under_pinned_keys_and_as_simulated_only() {
    let vendor = Vendor::new();
    let set = vendor.set(GpuTopology::ProtectedPcie);
    let token = vendor.nvidia.attestation_token(&set, &NONCE, NOW).unwrap().into_bytes();
    let keys = vendor.nvidia.attestation_service_keys().unwrap().into_bytes();
    let digest = hex::encode(vendor.nvidia.attestation_service_key_digest().unwrap());
    let pinned = |key: &str, gpus: u8| {
        let issuer = SimulatedNvidia::ATTESTATION_SERVICE;
        format!("[nvidia]\ngpus = {gpus}\n[nvidia.remote_service]\nissuer = \"{issuer}\"\nkeys = [\"{key}\"]\n")
    };
    let code = |policy: &str, nonce: [u8; 32], roots: &[Vec<u8>]| {
        let result = examine(&Examination {
            artefacts: &[token.clone(), keys.clone()],
            report_data: None,
            nonce: Some(&nonce),
            policy: &Policy::from_toml(policy).unwrap(),
            now: UnixTime::from_secs(NOW),
            development_roots: roots,
            warn_within: 0,
        });
        result.code.map_or_else(|| format!("{} {}", result.status.as_str(), result.simulated), |code| code.to_string())
    };
    assert_eq!(code(&pinned(&digest, 8), NONCE, &vendor.roots), "accepted true");
    assert_eq!(code(&pinned(&digest, 8), NONCE, &[]), "SIMULATED");
    assert_eq!(code(&pinned(&digest, 7), NONCE, &vendor.roots), "PLATFORM_NOT_ALLOWED");
    assert_eq!(code(&pinned(&digest, 8), [1; 32], &vendor.roots), "NONCE");
    assert_eq!(code(&pinned(&"00".repeat(32), 8), NONCE, &vendor.roots), "NO_ENDORSEMENT");
    assert_eq!(code("", NONCE, &vendor.roots), "NO_ENDORSEMENT");
}
