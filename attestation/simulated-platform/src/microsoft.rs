//! A development vendor shaped like Microsoft's cloud, for confidential virtual machines
//! with a virtual TPM: HCL reports around an SEV-SNP report or a TD report, TPM quotes, the
//! certificates of attestation keys, and the JSON in which all of it is passed on.
//!
//! ```text
//!  SimulatedAzure ── root ── Global Virtual TPM CA ── attestation key ─┐
//!   (the vendor)                                                       │
//!  SimulatedDevice or SimulatedTd ── SimulatedAzureVm ─────────────────┴─ quote(nonce)
//!     report data = digest of the runtime data, which names that key
//! ```

mod authority;
pub(crate) mod evidence;
mod extension;
pub(crate) mod fault;
mod fault_in_certificates;
mod fault_in_vm;
pub(crate) mod hcl_report;
mod name;
pub(crate) mod platform;
mod policy;
mod runtime_data;
pub(crate) mod tpm_quote;
pub(crate) mod vendor;
pub(crate) mod vm;
mod vm_directory;
pub(crate) mod vtpm_keys;
