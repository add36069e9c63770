//! AMD SEV-SNP: reports of version 2 to 5 of Milan, Genoa (with Bergamo and Siena) and Turin,
//! signed by a VCEK or a VLEK.

mod appraise;
mod authenticate;
mod chain;
mod claims;
mod endorsement_key;
mod policy;
mod product;
mod report;
mod revocation;
mod tcb;

pub(crate) use appraise::appraise;
pub(crate) use authenticate::{Given, authenticate};
pub use claims::{EndorsementKey, FirmwareVersion, GuestPolicy, PlatformInfo, SnpClaims};
pub use endorsement_key::SnpCertificateKind;
pub use policy::{AbiVersion, MinimumTcb, SnpPolicy};
pub(crate) use policy::{HIGHEST_VMPL, NO_MIGRATION_AGENT};
pub use product::{Cpuid, Product};
pub(crate) use report::REPORT_LEN;
pub use report::{SigningKey, SnpReport};
pub use tcb::Tcb;
