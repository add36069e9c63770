//! A development vendor shaped like Intel, for TDX: quotes of versions 4 and 5, PCK
//! certificates with Intel's extension, TCB info, the quoting enclave's identity, revocation
//! lists, event logs.
//!
//! ```text
//!  SimulatedIntel ── root ── PCK Platform / Processor CA ── PCK ── SimulatedTd ── quote(report_data)
//!   (the vendor)      │  │             └── CRL                      │  └─ event log, TD report
//!                     │  └── TCB Signing ── TCB info, QE identity ──┴─ collateral
//!                     └───── CRL
//! ```

mod authority;
pub(crate) mod collateral;
pub(crate) mod event_log;
pub(crate) mod fault;
mod fault_in_endorsements;
mod fault_in_quote;
mod issuance;
mod json;
mod name;
pub(crate) mod pck;
mod platform;
mod policy;
mod qe_identity;
mod qe_report;
pub(crate) mod quote;
mod tcb_info;
pub(crate) mod td;
pub(crate) mod td_body;
mod td_directory;
pub(crate) mod td_report;
pub(crate) mod vendor;
