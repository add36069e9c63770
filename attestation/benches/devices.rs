//! How long NVIDIA devices take: `cargo bench -p strongroom-attestation --bench devices`. Medians in
//! milliseconds of processor time, on one core, from bytes to checks.
//!
//! A captured GPU with the two manifests that fit it and the status of its certificates; and a whole simulated
//! protected-PCIe machine, of which alone everything is at hand: eight GPUs, four switches, three manifests, an OCSP
//! response for each certificate. "Remembered" is with the signatures on certificates, manifests and responses
//! verified before. NVIDIA's own verifier is timed on the same GPU by `.ci/nvidia-bench.sh`.

use std::fs;
use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};
use strongroom_attestation::{
    Artefacts, Class, DevelopmentAnchors, Hardware, HardwareAnchors, Policy, Remembered, Simulated, Submission,
    UnixTime, verify_devices_remembering,
};
use strongroom_simulated_platform::{GpuTopology, SimulatedNvidia};

const ROUNDS: usize = 41;
const SIMULATED_NOW: u64 = 1_800_000_000;
/// Signatures of a whole machine.
const MEMORY: usize = 512;

fn main() {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors");
    let read = |path: &str| fs::read(format!("{vectors}/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"));
    let captured: Vec<Vec<u8>> = [
        "nvidia/001-h100/report.bin",
        "nvidia/001-h100/chain.pem",
        "nvidia-manifests/NV_GPU_DRIVER_GH100_550.90.07.xml",
        "nvidia-manifests/NV_GPU_VBIOS_1010_0200_882_96009F0001.xml",
        "nvidia-ocsp/device_l4_brom.ocsp.der",
        "nvidia-ocsp/device_l3_provisioner_ica.ocsp.der",
        "nvidia-ocsp/device_l2_identity.ocsp.der",
    ]
    .map(read)
    .into();
    let now = UnixTime::parse_rfc3339("2025-08-21T12:00:00Z").expect("a time");
    case::<Hardware>("one GPU, two manifests, OCSP of the device", &captured, &HardwareAnchors::compiled_in(), now);
    case::<Hardware>("one GPU and its certificates", &captured[..2], &HardwareAnchors::compiled_in(), now);

    let vendor = SimulatedNvidia::published(SIMULATED_NOW).expect("a vendor");
    let roots = DevelopmentAnchors::new(vendor.device_root_certificate_der())
        .and_then(|roots| roots.and(vendor.manifest_root_certificate_der()))
        .expect("its roots");
    let now = UnixTime::from_secs(SIMULATED_NOW);
    for (name, topology) in [
        ("one GPU, two manifests, OCSP of everything (simulated)", GpuTopology::Hopper(1)),
        ("eight GPUs, four switches, OCSP of everything (simulated)", GpuTopology::ProtectedPcie),
    ] {
        let set = vendor.gpu_set([7; 32], topology, SIMULATED_NOW).expect("devices");
        let evidence = set.evidence(&[9; 32]).expect("evidence");
        case::<Simulated>(name, &evidence.artefacts().expect("files"), &roots, now);
    }
}

fn case<K: Class>(name: &str, files: &[Vec<u8>], anchors: &K::Anchors, now: UnixTime) {
    let fresh = median(|| {
        let submission = sorted(files);
        assert!(holds::<K>(&submission, anchors, now, &Remembered::new(MEMORY)));
    });
    let (submission, remembered) = (sorted(files), Remembered::new(MEMORY));
    let again = median(|| assert!(holds::<K>(black_box(&submission), anchors, now, &remembered)));
    println!("{fresh:9.2} ms cold {again:9.2} ms remembered  {name}");
}

fn sorted(files: &[Vec<u8>]) -> Submission {
    let mut artefacts = Artefacts::default();
    for file in files {
        artefacts.add(file).expect("an artefact");
    }
    artefacts.into_submission().expect("evidence")
}

fn holds<K: Class>(submission: &Submission, anchors: &K::Anchors, now: UnixTime, remembered: &Remembered) -> bool {
    let (devices, bag, policy) = (&submission.devices, &submission.endorsements, Policy::authentic());
    verify_devices_remembering::<K>(devices, bag, anchors, &policy, None, now, remembered).into_verdict().is_ok()
}

/// Milliseconds of processor time of one run, the median over the rounds.
fn median(run: impl Fn()) -> f64 {
    let cpu = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
    };
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = cpu();
            run();
            cpu() - start
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}
