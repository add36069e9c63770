//! Azure confidential virtual machines: a paravisor at the highest privilege holds the hardware's
//! report and a virtual TPM. The report vouches for the TPM's attestation key, which signs the
//! guest's nonce and boot measurements. Over SEV-SNP or TDX, told by the report.

mod ak_certificate;
mod appraise;
mod authenticate;
mod claims;
mod evidence;
mod hcl_report;
mod policy;
mod runtime_data;
mod tpm_quote;

pub(crate) use appraise::appraise;
pub(crate) use authenticate::{Given, authenticate};
pub use claims::{AzureClaims, HardwareClaims, TpmQuoteClaims};
pub use evidence::AzureEvidence;
pub use hcl_report::HclReport;
pub use policy::AzurePolicy;
pub use tpm_quote::{PcrValues, TpmQuote};
