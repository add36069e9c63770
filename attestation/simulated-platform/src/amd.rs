//! A development vendor shaped like AMD: SEV-SNP reports, VCEK and VLEK certificates with
//! AMD's extensions, RSASSA-PSS chains, a revocation list.
//!
//! ```text
//!  SimulatedAmd ── ARK ── ASK  ── VCEK ─┐
//!   (the vendor)    │  └─ ASVK ── VLEK ─┴─ SimulatedDevice ── report(report_data)
//!                   └──── CRL               (a chip and what runs on it)
//! ```

pub(crate) mod device;
mod device_directory;
mod extension;
pub(crate) mod fault;
mod fault_in_endorsements;
mod fault_in_report;
mod issuance;
mod keys;
mod leaf;
mod name;
mod policy;
pub(crate) mod product;
pub(crate) mod report;
pub(crate) mod vendor;
mod vendor_directory;
