//! Development vendors and their devices: SEV-SNP as AMD's, TDX as Intel's, the virtual TPM of
//! Microsoft's cloud over either, and GPUs and switches as NVIDIA's. Their evidence is
//! structurally genuine, byte for byte where that can be compared, and cannot pass for real.
//!
//! ```text
//!  SimulatedAmd ───► SimulatedDevice ── report(report_data) ──────────┐
//!  SimulatedIntel ─► SimulatedTd ────── evidence(report_data) ────────┤
//!  SimulatedAzure ─► SimulatedAzureVm ─ evidence(nonce) ──────────────┤
//!  SimulatedNvidia ► SimulatedGpuSet ── evidence(nonce) ──────────────┤
//!   (vendors)         (devices)                                       │
//!  Fault, TdxFault, AzureFault, NvidiaFault (catalogues) ─────────────┴─► broken in one named way
//! ```
//!
//! What keeps it from passing for real (protocol.md A18 and 5.3): every certificate has a
//! **critical** extension ([`DEVELOPMENT_EXTENSION_OID`]) which a verifier of hardware does
//! not know, a common name ending in [`DEVELOPMENT_NAME_SUFFIX`], and at most
//! [`LONGEST_VALIDITY_SECONDS`] to live; and no verifier has a development vendor's root among
//! its compiled-in anchors.
//!
//! The crate reads no clock: `now` is always an argument, in seconds since the Unix epoch.

mod amd;
mod certificate;
mod crl;
mod der;
mod directory;
mod error;
mod extension;
mod fault_catalogue;
mod intel;
mod keys;
mod microsoft;
mod nvidia;

pub use amd::{
    device::{SimulatedDevice, SimulatedEvidence, launch_measurement},
    fault::Fault,
    product::{Product, Tcb},
    report::{REPORT_LENGTH, ReportVersion},
    vendor::SimulatedAmd,
};
pub use certificate::{DEVELOPMENT_NAME_SUFFIX, LONGEST_VALIDITY_SECONDS};
pub use error::SimulationError;
pub use extension::DEVELOPMENT_EXTENSION_OID;
pub use intel::{
    collateral::IntelCollateral,
    event_log::{Event, EventLog},
    fault::TdxFault,
    pck::PckCa,
    quote::QuoteFormat,
    td::{SimulatedTd, TdEvidence},
    td_body::TdBody,
    vendor::SimulatedIntel,
};
pub use microsoft::{
    evidence::{AzureEvidence, EvidenceVersion},
    fault::AzureFault,
    hcl_report::HclVersion,
    platform::{AzureHardware, AzurePlatform},
    tpm_quote::TpmQuote,
    vendor::SimulatedAzure,
    vm::SimulatedAzureVm,
    vtpm_keys::VtpmKeys,
};
pub use nvidia::{
    architecture::NvidiaArchitecture,
    device::{SimulatedGpu, SimulatedSwitch},
    evidence::{NvidiaDeviceEvidence, NvidiaEvidence},
    fault::NvidiaFault,
    firmware::{BiosVersion, GpuFirmware},
    manifest::NvidiaManifest,
    ocsp::OcspDigest,
    set::{GpuSetOptions, GpuTopology, SimulatedGpuSet},
    vendor::SimulatedNvidia,
};
