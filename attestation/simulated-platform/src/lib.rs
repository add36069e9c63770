//! A development vendor and its devices, shaped like AMD: SEV-SNP evidence that is
//! structurally genuine (1184-byte reports, VCEK and VLEK certificates with AMD's
//! extensions, RSASSA-PSS chains, a revocation list) and that cannot pass for real.
//!
//! ```text
//!  SimulatedAmd ── ARK ── ASK  ── VCEK ─┐
//!   (the vendor)    │  └─ ASVK ── VLEK ─┴─ SimulatedDevice ── report(report_data)
//!                   └──── CRL               (a chip and what runs on it)
//!                                                 │
//!  Fault (catalogue) ─────────────────────────────┴─► evidence broken in one named way
//! ```
//!
//! What keeps it from passing for real (protocol.md A18 and 5.3): every certificate has a
//! **critical** extension ([`DEVELOPMENT_EXTENSION_OID`]) which a verifier of hardware does
//! not know, a common name ending in [`DEVELOPMENT_NAME_SUFFIX`], and at most
//! [`LONGEST_VALIDITY_SECONDS`] to live; and no verifier has this vendor's root among its
//! compiled-in anchors.
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
