//! The runtime data of an HCL report: JSON that names the virtual TPM's keys and how the
//! machine is configured. The hardware report is over the digest of its exact bytes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::error::SimulationError;

/// Name of the attestation key in it.
pub(crate) const ATTESTATION_KEY: &str = "HCLAkPub";
const ENDORSEMENT_KEY: &str = "HCLEkPub";
/// 65537.
const EXPONENT: &str = "AQAB";
const ROOT_THUMBPRINT: &[u8; 32] = b"simulated root cert thumbprint..";

/// What it says. A fault changes one field.
#[derive(Serialize)]
pub(crate) struct RuntimeData {
    pub(crate) keys: Vec<Jwk>,
    #[serde(rename = "vm-configuration")]
    pub(crate) configuration: VmConfiguration,
    /// 64 bytes, hexadecimal in capitals.
    #[serde(rename = "user-data")]
    pub(crate) user_data: String,
}

/// A public key (RFC 7517).
#[derive(Clone, Serialize)]
pub(crate) struct Jwk {
    pub(crate) kid: &'static str,
    pub(crate) key_ops: [&'static str; 1],
    pub(crate) kty: &'static str,
    pub(crate) e: &'static str,
    pub(crate) n: String,
}

/// How the machine was set up.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct VmConfiguration {
    pub(crate) console_enabled: bool,
    /// From version 2 of the report on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) root_cert_thumbprint: Option<String>,
    pub(crate) secure_boot: bool,
    pub(crate) tpm_enabled: bool,
    /// From version 2 of the report on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tpm_persisted: Option<bool>,
    #[serde(rename = "vmUniqueId")]
    pub(crate) vm_unique_id: String,
}

impl RuntimeData {
    /// Of keys with those moduli.
    pub(crate) fn new(
        attestation: &[u8],
        endorsement: &[u8],
        configuration: VmConfiguration,
        user_data: &[u8; 64],
    ) -> Self {
        Self {
            keys: vec![
                Jwk::new(ATTESTATION_KEY, "sign", attestation),
                Jwk::new(ENDORSEMENT_KEY, "encrypt", endorsement),
            ],
            configuration,
            user_data: hex::encode_upper(user_data),
        }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, SimulationError> {
        serde_json::to_vec(self).map_err(|source| SimulationError::Json { what: "runtime data", source })
    }
}

impl Jwk {
    pub(crate) fn new(kid: &'static str, operation: &'static str, modulus: &[u8]) -> Self {
        Self { kid, key_ops: [operation], kty: "RSA", e: EXPONENT, n: URL_SAFE_NO_PAD.encode(modulus) }
    }
}

/// In place of the digest of a root certificate that the host would set.
pub(crate) fn root_thumbprint() -> String {
    URL_SAFE_NO_PAD.encode(ROOT_THUMBPRINT)
}
