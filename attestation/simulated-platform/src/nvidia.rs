//! A development vendor shaped like NVIDIA, for GPUs in confidential mode and the switches
//! between them: measurement reports, chains of devices, manifests of what they should measure,
//! and answers about revocation.
//!
//! ```text
//!  SimulatedNvidia ── device root ── identity ── provisioning ── boot ROM ── leaf ── report(nonce)
//!   (the vendor)  │       └── a responder for each issuer, revocation lists
//!                 └── manifest root ── CA ── L3 ── signer ── manifests of drivers, VBIOSes, switches
//!                                       └── a responder for each issuer
//! ```

pub(crate) mod architecture;
mod authority;
mod canonical;
pub(crate) mod device;
mod device_issuance;
pub(crate) mod evidence;
mod extension;
pub(crate) mod fault;
mod fault_in_device_certificates;
mod fault_in_manifests;
mod fault_in_presented;
mod fault_in_report;
mod fault_in_revocation;
pub(crate) mod firmware;
mod identity;
mod issuance;
mod layout;
pub(crate) mod manifest;
mod manifest_issuance;
mod measurement;
mod name;
pub(crate) mod ocsp;
mod opaque;
mod policy;
mod present;
mod report;
pub(crate) mod set;
mod set_directory;
mod token;
pub(crate) mod vendor;
