//! The targets. Where an input has several parts they stand between [`SEPARATOR`]s, which the fuzzer
//! can move, copy and delete without breaking a length.

use std::hint::black_box;

use strongroom_attestation::measure::{KernelHashes, SnpLaunch, TdVmm, Vmm, firmware_digest, mrtd};
use strongroom_attestation::{
    Artefacts, Endorsements, EventLog, Examination, HardwareAnchors, HclReport, Policy, SnpReport, SpdmReport,
    TdxQuote, TpmQuote, UnixTime, authenticate_manifest, describe, examine,
};

use crate::Target;
use crate::encoder::ENCODER;
use crate::provenance::{MODEL_SIGNATURE, MODEL_STATEMENT};
use crate::sealed::{SEALED_CHUNKS, SEALED_MANIFEST, SEALED_PRIVATE};
use crate::weights::{GGUF_HEADER, ONNX, SAFETENSORS_HEADER};

/// Stands between the parts of an input.
pub const SEPARATOR: &[u8] = b"\xF1||\xF2";

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Every target.
pub const ALL: [Target; 22] = [
    SNP_REPORT,
    TDX_QUOTE,
    HCL_REPORT,
    TPM_QUOTE,
    EVENT_LOG,
    ENDORSEMENTS,
    OCSP,
    SPDM_REPORT,
    SIGNED_JSON,
    MANIFEST,
    ARTEFACTS,
    POLICY,
    OVMF,
    SEALED_MANIFEST,
    SEALED_PRIVATE,
    SEALED_CHUNKS,
    MODEL_SIGNATURE,
    MODEL_STATEMENT,
    GGUF_HEADER,
    SAFETENSORS_HEADER,
    ENCODER,
    ONNX,
];

/// AMD's report.
pub const SNP_REPORT: Target = Target {
    name: "snp_report",
    body: |input| {
        if let Ok(report) = SnpReport::parse(input) {
            black_box((report.version(), report.signing_key(), report.cpuid()));
        }
    },
    constant: 8 * KIB,
    factor: 2,
};

/// Intel's quote.
pub const TDX_QUOTE: Target = Target {
    name: "tdx_quote",
    body: |input| {
        if let Ok(quote) = TdxQuote::parse(input) {
            black_box((quote.version(), quote.body(), quote.trailing(), quote.report_data()));
        }
    },
    constant: 32 * KIB,
    factor: 16,
};

/// The paravisor's report.
pub const HCL_REPORT: Target = Target {
    name: "hcl_report",
    body: |input| {
        if let Ok(report) = HclReport::parse(input) {
            black_box((report.version(), report.runtime_data()));
        }
    },
    constant: 16 * KIB,
    factor: 4,
};

/// A TPM's message and signature.
pub const TPM_QUOTE: Target = Target {
    name: "tpm_quote",
    body: |input| {
        let mut parts = parts(input);
        let (message, signature) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if let Ok(quote) = TpmQuote::parse(message, signature) {
            black_box((quote.message(), quote.extra_data()));
        }
    },
    constant: 16 * KIB,
    factor: 4,
};

/// The report of an NVIDIA device.
pub const SPDM_REPORT: Target = Target {
    name: "spdm_report",
    body: |input| {
        if let Ok(report) = SpdmReport::parse(input) {
            black_box((report.nonce(), report.measurement(0)));
        }
    },
    constant: 16 * KIB,
    factor: 4,
};

/// An event log of either form.
pub const EVENT_LOG: Target = Target {
    name: "event_log",
    body: |input| {
        if let Ok(log) = EventLog::parse(input) {
            log.described().for_each(|event| drop(black_box(event)));
        }
    },
    constant: 64 * KIB,
    factor: 64,
};

/// Certificates, lists, tables, PEM, JSON: into one bag, part by part.
pub const ENDORSEMENTS: Target = Target {
    name: "endorsements",
    body: |input| {
        let mut bag = Endorsements::default();
        for part in parts(input) {
            let _ = black_box(bag.add(part));
        }
    },
    constant: 64 * KIB,
    factor: 64,
};

/// One OCSP response, kept as it came and shown.
pub const OCSP: Target = Target {
    name: "ocsp",
    body: |input| {
        let mut bag = Endorsements::default();
        if bag.add(input).is_ok() {
            for object in bag.objects() {
                black_box(object);
            }
            let _ = black_box(describe(input).map(|account| account.to_string()));
        }
    },
    constant: 64 * KIB,
    factor: 64,
};

/// The inner object of Intel's collateral, in each of the wrappings that it comes in.
pub const SIGNED_JSON: Target = Target {
    name: "signed_json",
    body: |input| {
        let Ok(inner) = std::str::from_utf8(input) else { return };
        let signature = "00".repeat(64);
        let mut bag = Endorsements::default();
        for (inner_name, signature_name) in
            [("tcb_info", "tcb_info_signature"), ("qe_identity", "qe_identity_signature")]
        {
            let file = serde_json::json!({ inner_name: inner, signature_name: &signature });
            let _ = black_box(bag.add(file.to_string().as_bytes()));
        }
        for name in ["tcbInfo", "enclaveIdentity"] {
            let answer = format!("{{\"{name}\":{inner},\"signature\":\"{signature}\"}}");
            let _ = black_box(bag.add(answer.as_bytes()));
        }
    },
    constant: 64 * KIB,
    factor: 192,
};

/// NVIDIA's reference integrity manifest: XML, its canonical form, its signature and certificates.
pub const MANIFEST: Target = Target {
    name: "manifest",
    body: |input| {
        let now = UnixTime::from_secs(1_760_000_000);
        let _ = black_box(authenticate_manifest(input, &HardwareAnchors::compiled_in(), now));
    },
    // The tree has room for as many nodes and attributes as there are signs that may begin one.
    constant: 512 * KIB,
    factor: 16,
};

/// Raw artefacts: sorted, described, examined under the policy that refuses least.
pub const ARTEFACTS: Target = Target {
    name: "artefacts",
    body: |input| {
        let artefacts: Vec<Vec<u8>> = parts(input).map(<[u8]>::to_vec).collect();
        let mut sorted = Artefacts::default();
        for artefact in &artefacts {
            let _ = black_box(describe(artefact).map(|account| account.to_string()));
            let _ = black_box(sorted.add(artefact));
        }
        let _ = black_box(sorted.into_evidence());
        let policy = Policy::authentic();
        let examination = Examination {
            artefacts: &artefacts,
            report_data: None,
            nonce: None,
            policy: &policy,
            now: UnixTime::from_secs(1_760_000_000),
            warn_within: 30 * 24 * 60 * 60,
            development_roots: artefacts.get(..1).unwrap_or_default(),
        };
        black_box(examine(&examination).to_json().to_string());
    },
    constant: MIB,
    factor: 256,
};

/// A policy's text. One that can be read can be written, and reads back as the same.
pub const POLICY: Target = Target {
    name: "policy",
    body: |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        if let Ok(policy) = Policy::from_toml(text) {
            let again = Policy::from_toml(&policy.to_toml());
            assert_eq!(again.as_ref(), Ok(&policy), "a policy does not survive its text");
        }
    },
    constant: 64 * KIB,
    // TOML's reader: dots in a row cost a thousand bytes each. A policy's text has a limit of its own.
    factor: 2048,
};

/// A firmware image, measured for every platform. It is grown to whole pages at the front, where the
/// fuzzer's bytes do not matter: the tables are at the end.
pub const OVMF: Target = Target {
    name: "ovmf",
    body: |input| {
        let missing = input.len().next_multiple_of(4096).max(4096) - input.len();
        let firmware = [vec![0; missing].as_slice(), input].concat();
        for vmm in [TdVmm::Qemu, TdVmm::QemuTwoPass, TdVmm::Gce] {
            let _ = black_box(mrtd(&firmware, vmm));
        }
        let digest = firmware_digest(&firmware).ok();
        for vmm in [Vmm::Qemu { vcpu_signature: 0x00a0_0f11 }, Vmm::Ec2, Vmm::Gce] {
            for kernel in [None, Some(KernelHashes::new(b"kernel", None, "quiet"))] {
                let launch = SnpLaunch {
                    firmware: &firmware,
                    firmware_digest: digest,
                    vcpus: 2,
                    guest_features: 1,
                    kernel,
                    vmm,
                };
                let _ = black_box(launch.digest());
            }
        }
    },
    constant: 64 * KIB,
    factor: 8,
};

/// An error of the engine passes on little of what a file says.
pub(crate) fn check_error(error: &dyn std::error::Error) {
    let said = error.to_string();
    assert!(said.len() < 16 * KIB, "an error of {} bytes", said.len());
    black_box(said);
}

/// The parts between separators.
pub(crate) fn parts(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let at = bytes.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
        let (part, after) = match at {
            Some(at) => (&bytes[..at], Some(&bytes[at + SEPARATOR.len()..])),
            None => (bytes, None),
        };
        rest = after;
        Some(part)
    })
}
