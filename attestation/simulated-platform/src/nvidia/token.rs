//! What NVIDIA's remote attestation service answers, from a development service: a detached EAT
//! (RFC 9711), one token for each device and one over all, signed with ES384. Its key belongs to
//! no chain, as with the genuine service, whose root is not published.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use x509_cert::der::DateTime;

use super::{
    device::{Device, Running},
    set::SimulatedGpuSet,
    vendor::SimulatedNvidia,
};
use crate::{
    certificate::{HOUR, Validity, encoding},
    error::SimulationError,
    keys::elliptic::{Curve, EllipticKey},
};

const KEY_LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-attestation-service/v1\0";
const KEY_ID: &str = "simulated-nv-eat-kid-1";

impl SimulatedNvidia {
    /// Whom the development service's tokens name as their issuer.
    pub const ATTESTATION_SERVICE: &str = "https://nras.simulated-nvidia.invalid";

    /// What the service says of sound evidence of that set for that nonce: JSON, valid for an
    /// hour from `now`.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails; [`SimulationError::Encoding`]
    /// where `now` lies beyond the year 9999.
    pub fn attestation_token(
        &self,
        set: &SimulatedGpuSet,
        nonce: &[u8; 32],
        now: u64,
    ) -> Result<String, SimulationError> {
        let key = self.service_key()?;
        let (mut tokens, mut submodules) = (Map::new(), Map::new());
        let mut numbers = [0_u32; 2];
        for device in set.members() {
            let switch = device.architecture.is_switch();
            let number = &mut numbers[usize::from(switch)];
            let name = format!("{}-{number}", if switch { "SWITCH" } else { "GPU" });
            *number += 1;
            let token = sign(&key, &device_claims(device, nonce, now)?)?;
            let digest = hex::encode(Sha256::digest(&token));
            submodules.insert(name.clone(), json!(["DIGEST", ["SHA-256", digest]]));
            tokens.insert(name, Value::String(token));
        }
        let mut overall = common_claims(nonce, now, "overall");
        overall.insert("sub".to_owned(), json!("NVIDIA-PLATFORM-ATTESTATION"));
        overall.insert("x-nvidia-ver".to_owned(), json!("3.0"));
        overall.insert("x-nvidia-overall-att-result".to_owned(), json!(true));
        overall.insert("submods".to_owned(), Value::Object(submodules));
        let overall = sign(&key, &overall)?;
        Ok(json!([["JWT", overall], tokens]).to_string())
    }

    /// The service's key set (RFC 7517), JSON.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails.
    pub fn attestation_service_keys(&self) -> Result<String, SimulationError> {
        let coordinates = self.service_key()?.coordinates();
        let (x, y) = coordinates.split_at(Curve::P384.scalar_length());
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        let key = json!({
            "kty": "EC", "use": "sig", "crv": "P-384", "kid": KEY_ID, "alg": "ES384", "x": x, "y": y
        });
        Ok(json!({ "keys": [key] }).to_string())
    }

    /// SHA-256 of the SubjectPublicKeyInfo of the service's key: what a policy pins.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails.
    pub fn attestation_service_key_digest(&self) -> Result<[u8; 32], SimulationError> {
        Ok(Sha256::digest(self.service_key()?.public_key_info()?).into())
    }

    fn service_key(&self) -> Result<EllipticKey, SimulationError> {
        EllipticKey::derive(Curve::P384, KEY_LABEL, &self.seed)
    }
}

/// What is said of one device, in version 3 of the claims: nothing but good.
fn device_claims(device: &Device, nonce: &[u8; 32], now: u64) -> Result<Map<String, Value>, SimulationError> {
    let prefix = if device.architecture.is_switch() { "x-nvidia-switch" } else { "x-nvidia-gpu" };
    let manifests: &[&str] = match device.running {
        Running::Gpu { .. } => &["driver-rim", "vbios-rim"],
        Running::Switch { .. } => &["bios-rim"],
    };
    let until = Duration::from_secs(Validity::around(now).not_after);
    let until = DateTime::from_unix_duration(until).map_err(encoding)?.to_string();
    let chain = json!({
        "x-nvidia-cert-status": "valid",
        "x-nvidia-cert-ocsp-status": "good",
        "x-nvidia-cert-expiration-date": until,
        "x-nvidia-cert-revocation-reason": null,
    });

    let mut claims = common_claims(nonce, now, &device.uuid);
    let mut say = |name: String, value: Value| claims.insert(name, value);
    say("measres".to_owned(), json!("success"));
    say("secboot".to_owned(), json!(true));
    say("dbgstat".to_owned(), json!("disabled"));
    say("hwmodel".to_owned(), json!(format!("{} BROM", device.architecture.device_name())));
    say("ueid".to_owned(), json!(device.ueid()));
    say("oemid".to_owned(), json!("5703"));
    say("x-nvidia-attestation-warning".to_owned(), Value::Null);
    say(format!("{prefix}-arch-check"), json!(true));
    for what in ["parsed", "nonce-match", "signature-verified", "cert-chain-fwid-match"] {
        say(format!("{prefix}-attestation-report-{what}"), json!(true));
    }
    say(format!("{prefix}-attestation-report-cert-chain"), chain.clone());
    for manifest in manifests {
        for what in ["fetched", "schema-validated", "signature-verified", "version-match", "measurements-available"] {
            say(format!("{prefix}-{manifest}-{what}"), json!(true));
        }
        say(format!("{prefix}-{manifest}-cert-chain"), chain.clone());
    }
    match &device.running {
        Running::Gpu { firmware, .. } => {
            say(format!("{prefix}-driver-version"), json!(firmware.driver));
            say(format!("{prefix}-vbios-version"), json!(firmware.vbios.to_string()));
            say(format!("{prefix}-vbios-index-no-conflict"), json!(true));
        }
        Running::Switch { bios, .. } => {
            say(format!("{prefix}-bios-version"), json!(bios.to_string()));
        }
    }
    Ok(claims)
}

/// What every token has. The token's own identifier follows from what it is about and when.
fn common_claims(nonce: &[u8; 32], now: u64, about: &str) -> Map<String, Value> {
    let id = Sha256::new().chain_update(about).chain_update(nonce).chain_update(now.to_be_bytes()).finalize();
    let id = hex::encode(&id[..16]);
    let (a, b, c, d, e) = (&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
    [
        ("iss", json!(SimulatedNvidia::ATTESTATION_SERVICE)),
        ("iat", json!(now)),
        ("nbf", json!(now)),
        ("exp", json!(now.saturating_add(HOUR))),
        ("jti", json!(format!("{a}-{b}-{c}-{d}-{e}"))),
        ("eat_nonce", json!(hex::encode(nonce))),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// A compact JWS (RFC 7515).
fn sign(key: &EllipticKey, claims: &Map<String, Value>) -> Result<String, SimulationError> {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({ "kid": KEY_ID, "alg": "ES384" }));
    let signed = format!("{header}.{}", part(&Value::Object(claims.clone())));
    let signature = URL_SAFE_NO_PAD.encode(key.sign_fixed(signed.as_bytes())?);
    Ok(format!("{signed}.{signature}"))
}
