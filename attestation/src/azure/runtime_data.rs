//! The paravisor's run-time data: the virtual TPM's keys and the machine's configuration, as JSON.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::der::rsa_public_key;
use crate::error::{Code, Refusal};

/// Keys that run-time data may name; genuine ones have one or two.
const MAX_KEYS: usize = 16;
/// The name of the attestation key.
const ATTESTATION_KEY: &str = "HCLAkPub";

/// Run-time data, read and not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeData {
    /// The vTPM's attestation key, a DER `RSAPublicKey`.
    pub(crate) attestation_key: Vec<u8>,
    /// The machine's configuration, as written.
    pub(crate) configuration: Map<String, Value>,
    /// What the guest had put there, hexadecimal as written.
    pub(crate) user_data: Option<String>,
}

/// Unknown fields are the paravisor's to add: all bytes are under the hardware's signature.
#[derive(Deserialize)]
struct Text {
    keys: Vec<Key>,
    #[serde(rename = "vm-configuration", default)]
    configuration: Map<String, Value>,
    #[serde(rename = "user-data")]
    user_data: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    kty: String,
    n: Option<String>,
    e: Option<String>,
}

impl RuntimeData {
    /// Reads the JSON; there must be exactly one attestation key, and it must be RSA's.
    pub(crate) fn read(bytes: &[u8]) -> Result<RuntimeData, Refusal> {
        let text: Text =
            serde_json::from_slice(bytes).map_err(|error| malformed(format!("cannot be read: {error}")))?;
        if text.keys.len() > MAX_KEYS {
            return Err(malformed(format!("name more than {MAX_KEYS} keys")));
        }
        let mut keys = text.keys.iter().filter(|key| key.kid == ATTESTATION_KEY);
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(malformed(format!("do not name exactly one key {ATTESTATION_KEY}")));
        };
        let number = |digits: &Option<String>| URL_SAFE_NO_PAD.decode(digits.as_deref().unwrap_or_default()).ok();
        let (Some(modulus), Some(exponent), "RSA") = (number(&key.n), number(&key.e), key.kty.as_str()) else {
            return Err(malformed(format!("have a key {ATTESTATION_KEY} that is no RSA key")));
        };
        Ok(RuntimeData {
            attestation_key: rsa_public_key(&modulus, &exponent),
            configuration: text.configuration,
            user_data: text.user_data,
        })
    }
}

fn malformed(detail: impl fmt::Display) -> Refusal {
    Refusal::new(Code::Parse, format!("HCL report: its run-time data {detail}"))
}
