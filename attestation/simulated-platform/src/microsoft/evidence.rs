//! What a machine hands out, and the JSON in which confidential containers pass it on.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use serde::Serialize;

use super::tpm_quote::TpmQuote;
use crate::error::SimulationError;

/// How the evidence's JSON is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceVersion {
    /// The nonce is in the TPM quote only.
    V1,
    /// It is in the runtime data's user data too.
    V2,
}

impl EvidenceVersion {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// The number in the JSON.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// Evidence of one machine, for one nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureEvidence {
    /// How its JSON is numbered.
    pub version: EvidenceVersion,
    /// The HCL report as the TPM's storage has it.
    pub hcl_report: Vec<u8>,
    /// The TPM's quote over the nonce.
    pub tpm_quote: TpmQuote,
    /// On TDX: the quote of the TD report.
    pub td_quote: Option<Vec<u8>>,
    /// What vouches for the hardware. On SNP, DER: VCEK, ASK, ARK, revocation list; on TDX
    /// what [`IntelCollateral::artefacts`](crate::IntelCollateral::artefacts) gives.
    pub endorsements: Vec<Vec<u8>>,
    /// DER: the attestation key's certificate, the intermediate's, the root's.
    pub ak_certificates: Vec<Vec<u8>>,
}

impl AzureEvidence {
    /// The JSON that an attester of confidential containers sends: TPM quote in hexadecimal,
    /// HCL report and VCEK or TD quote in base64url with padding. The attestation key's
    /// certificate has no place in it.
    ///
    /// # Errors
    /// [`SimulationError::Incomplete`] where a fault left the VCEK or TD quote out.
    pub fn to_json(&self) -> Result<String, SimulationError> {
        let vcek = match self.td_quote {
            None => Some(self.endorsements.first().ok_or(SimulationError::Incomplete { what: "the VCEK" })?),
            Some(_) => None,
        };
        let json = EvidenceJson {
            version: self.version.number(),
            tpm_quote: TpmQuoteJson {
                signature: hex::encode(&self.tpm_quote.signature),
                message: hex::encode(&self.tpm_quote.message),
                pcrs: self.tpm_quote.pcrs.iter().map(hex::encode).collect(),
            },
            hcl_report: URL_SAFE.encode(&self.hcl_report),
            vcek: vcek.map(|der| URL_SAFE.encode(der)),
            td_quote: self.td_quote.as_ref().map(|quote| URL_SAFE.encode(quote)),
        };
        serde_json::to_string(&json).map_err(|source| SimulationError::Json { what: "evidence", source })
    }
}

#[derive(Serialize)]
struct EvidenceJson {
    version: u32,
    tpm_quote: TpmQuoteJson,
    hcl_report: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vcek: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    td_quote: Option<String>,
}

#[derive(Serialize)]
struct TpmQuoteJson {
    signature: String,
    message: String,
    pcrs: Vec<String>,
}
