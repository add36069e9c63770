//! What paravisor and vTPM say, typed.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::hex_bytes::HexBytes;
use crate::snp::SnpClaims;
use crate::tdx::TdxClaims;

/// What an Azure confidential virtual machine says, under the hardware's signature. Made only by
/// verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AzureClaims {
    /// Version of the paravisor's report.
    pub hcl_version: u32,
    /// The machine's configuration, as the paravisor writes it.
    pub vm_configuration: Map<String, Value>,
    /// What the guest had put into the paravisor's report (hexadecimal).
    pub user_data: Option<String>,
    /// SHA-256 of the attestation key (DER `RSAPublicKey`).
    pub attestation_key_sha256: HexBytes<32>,
    /// Whether a certificate leads from that key to Microsoft's root.
    pub attestation_key_certified: bool,
    /// The vTPM's quote, if one was supplied.
    pub tpm_quote: Option<TpmQuoteClaims>,
    /// The report of the hardware.
    #[serde(flatten)]
    pub hardware: HardwareClaims,
}

impl AzureClaims {
    /// The report data of the hardware's report, which are the paravisor's.
    pub(crate) fn report_data(&self) -> [u8; 64] {
        match &self.hardware {
            HardwareClaims::Snp(snp) => snp.report_data,
            HardwareClaims::Tdx(tdx) => tdx.report_data.0,
        }
    }
}

/// What the vTPM signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TpmQuoteClaims {
    /// The guest's nonce.
    #[serde(with = "hex::serde")]
    pub extra_data: Vec<u8>,
    /// The SHA-256 bank, registers 0 to 23.
    pub pcrs: Vec<HexBytes<32>>,
    /// The TPM's clock in milliseconds.
    pub clock_milliseconds: u64,
    /// Resets of the TPM, which are boots of the machine.
    pub reset_count: u32,
    /// Restarts since the last reset.
    pub restart_count: u32,
    /// Whether the clock cannot have gone back.
    pub clock_is_safe: bool,
    /// Version of the TPM's firmware.
    #[serde(serialize_with = "hexadecimal")]
    pub firmware_version: u64,
}

/// The hardware below the paravisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HardwareClaims {
    /// AMD SEV-SNP.
    Snp(Box<SnpClaims>),
    /// Intel TDX.
    Tdx(Box<TdxClaims>),
}

fn hexadecimal<S: serde::Serializer>(word: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{word:#018x}"))
}
