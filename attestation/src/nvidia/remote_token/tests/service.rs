//! A service of the tests' own: a key on P-384, and answers of the shape of NVIDIA's.

use std::rc::Rc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::crypto::sha256;
use crate::unix_time::UnixTime;

pub(super) const NOW: u64 = 1_760_000_000;
pub(super) const ISSUER: &str = "https://nras.attestation.nvidia.com";
pub(super) const NONCE: [u8; 32] = [0xA7; 32];
const KEY_ID: &str = "tests-1";

/// A service's answer to be.
#[derive(Clone)]
pub(super) struct Service {
    key: Rc<EcdsaKeyPair>,
    /// Who signs the devices' tokens; else the service.
    pub(super) device_key: Option<Rc<EcdsaKeyPair>>,
    pub(super) header: Value,
    pub(super) overall: Value,
    pub(super) devices: Vec<(&'static str, Value)>,
    /// Else the digests of the devices' tokens.
    pub(super) submodules: Option<Value>,
    /// Goes over the text of the answer.
    pub(super) edit: fn(String) -> String,
    pub(super) jwks: Value,
    pub(super) pins: Vec<[u8; 32]>,
    pub(super) nonce: Option<Vec<u8>>,
}

pub(super) fn new_key() -> Rc<EcdsaKeyPair> {
    Rc::new(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
}

/// The public key as a key set has it, and its pin as OpenSSL would compute it.
pub(super) fn published(key: &EcdsaKeyPair, key_id: &str) -> (Value, [u8; 32]) {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    let point = key.public_key().as_ref();
    let info: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = json!({
        "kty": "EC", "crv": "P-384", "kid": key_id, "x": encoded(&point[1..49]), "y": encoded(&point[49..]),
        "alg": "ES384", "use": "sig", "x5c": ["AA=="],
    });
    (key, sha256(info.as_ref()))
}

fn chain() -> Value {
    json!({
        "x-nvidia-cert-status": "valid",
        "x-nvidia-cert-ocsp-status": "good",
        "x-nvidia-cert-expiration-date": "2027-02-22T23:17:58Z",
        "x-nvidia-cert-revocation-reason": null,
    })
}

fn gpu(ueid: &str) -> Value {
    json!({
        "iss": ISSUER, "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 3590, "jti": ueid,
        "eat_nonce": hex::encode(NONCE), "ueid": ueid, "hwmodel": "GH100 A01 GSP BROM", "oemid": "5703",
        "measres": "success", "secboot": true, "dbgstat": "disabled",
        "x-nvidia-gpu-arch-check": true,
        "x-nvidia-gpu-driver-version": "550.90.07",
        "x-nvidia-gpu-vbios-version": "96.00.9F.00.01",
        "x-nvidia-gpu-attestation-report-parsed": true,
        "x-nvidia-gpu-attestation-report-nonce-match": true,
        "x-nvidia-gpu-attestation-report-signature-verified": true,
        "x-nvidia-gpu-attestation-report-cert-chain": chain(),
        "x-nvidia-gpu-driver-rim-fetched": true,
        "x-nvidia-gpu-vbios-rim-cert-chain": chain(),
        "x-nvidia-gpu-vbios-index-no-conflict": true,
        "x-nvidia-attestation-warning": null,
    })
}

fn switch(ueid: &str) -> Value {
    json!({
        "iss": ISSUER, "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 3000, "jti": ueid,
        "eat_nonce": hex::encode(NONCE), "ueid": ueid, "hwmodel": "LS_10 A01 FSP BROM", "oemid": null,
        "measres": "success", "secboot": true, "dbgstat": "disabled",
        "x-nvidia-device-type": "switch",
        "x-nvidia-switch-bios-version": "96.10.55.00.01",
        "x-nvidia-switch-bios-rim-cert-chain": chain(),
        "x-nvidia-switch-attestation-report-parsed": true,
    })
}

impl Service {
    pub(super) fn new() -> Service {
        let key = new_key();
        let (public, pin) = published(&key, KEY_ID);
        Service {
            key,
            device_key: None,
            header: json!({ "alg": "ES384", "kid": KEY_ID }),
            overall: json!({
                "sub": "NVIDIA-PLATFORM-ATTESTATION", "iss": ISSUER, "iat": NOW - 10, "nbf": NOW - 10,
                "exp": NOW + 3590, "jti": "0", "eat_nonce": hex::encode(NONCE), "x-nvidia-ver": "3.0",
                "x-nvidia-overall-att-result": true,
            }),
            devices: vec![("GPU-0", gpu("11")), ("GPU-1", gpu("12")), ("SWITCH-0", switch("13"))],
            submodules: None,
            edit: |text| text,
            jwks: json!({ "keys": [{ "kty": "RSA", "kid": KEY_ID, "n": "AA", "e": "AQAB" }, public] }),
            pins: vec![[9; 32], pin],
            nonce: Some(NONCE.to_vec()),
        }
    }

    /// The claims of a device.
    pub(super) fn device(&mut self, place: usize) -> &mut Value {
        &mut self.devices[place].1
    }

    fn token(&self, key: &EcdsaKeyPair, claims: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encoded(&self.header), encoded(claims));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    pub(super) fn answer(&self) -> String {
        let device_key = self.device_key.as_ref().unwrap_or(&self.key);
        let tokens: Vec<(&str, String)> =
            self.devices.iter().map(|(name, claims)| (*name, self.token(device_key, claims))).collect();
        let digests = || {
            let digest = |token: &str| json!(["DIGEST", ["SHA-256", hex::encode(sha256(token.as_bytes()))]]);
            Value::Object(tokens.iter().map(|(name, token)| ((*name).to_owned(), digest(token))).collect())
        };
        let mut overall = self.overall.clone();
        overall["submods"] = self.submodules.clone().unwrap_or_else(digests);
        let devices = tokens.iter().map(|(name, token)| ((*name).to_owned(), json!(token))).collect();
        let answer = json!([["JWT", self.token(&self.key, &overall)], Value::Object(devices)]);
        (self.edit)(answer.to_string())
    }

    /// What the answer, as it is or changed, is taken for.
    pub(super) fn judge(&self, answer: &[u8]) -> Result<RemoteClaims, (Code, String)> {
        let keys = ServiceKeys::parse(self.jwks.to_string().as_bytes()).unwrap();
        let rules = RemoteRules {
            pins: &self.pins,
            keys: &keys,
            issuer: ISSUER,
            nonce: self.nonce.as_deref(),
            now: UnixTime::from_secs(NOW),
        };
        judged(answer, &rules)
    }
}
