//! The attestation token: an EAR (draft-ietf-rats-ear) as a JWT signed with ES256, with the
//! claims at the places where Trustee's relying parties look for them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use strongroom_attestation::{Class, DeviceSetClaims, UnixTime, Verdict};
use zeroize::Zeroizing;

use super::session::SESSION_SECONDS;
use crate::error::BrokerError;

const PROFILE: &str = "tag:github.com,2024:confidential-containers/Trustee";

/// The largest token that is looked at.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The key that signs tokens. Not printable.
pub(crate) struct TokenKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: EcdsaKeyPair,
}

impl TokenKey {
    pub(crate) fn generate() -> Result<Self, BrokerError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| BrokerError::Randomness)?;
        Self::from_pkcs8(Zeroizing::new(document.as_ref().to_vec())).ok_or(BrokerError::Randomness)
    }

    pub(crate) fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).ok()?;
        Some(Self { pkcs8, pair })
    }

    /// The private key for the store.
    pub(crate) fn expose_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// A token for the session `id`.
    pub(super) fn issue<K: Class>(&self, id: &str, about: &About<'_, K>, now: UnixTime) -> Option<String> {
        let header = json!({ "alg": "ES256", "typ": "JWT", "jwk": self.jwk()? });
        let signed = format!("{}.{}", encode(&header), encode(&about.claims(id, now)));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }

    /// The session of a token of ours that is still good.
    pub(super) fn verify(&self, token: &str, now: UnixTime) -> Option<String> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref());
        key.verify(signed.as_bytes(), &signature).ok()?;
        // Our key signs nothing but ES256 tokens; the header says so or the token is not ours.
        (decode(header)?["alg"] == "ES256").then_some(())?;
        let claims = decode(claims)?;
        let expires = UnixTime::from_secs(claims["exp"].as_u64()?);
        (now < expires).then(|| claims["jti"].as_str().map(str::to_owned)).flatten()
    }

    fn jwk(&self) -> Option<Value> {
        let point = self.pair.public_key().as_ref();
        let (x, y) = point.get(1..)?.split_at_checked(32)?;
        Some(json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }))
    }
}

/// What a token says.
pub(super) struct About<'a, K> {
    pub(super) verdict: &'a Verdict<K>,
    pub(super) devices: Option<&'a DeviceSetClaims>,
    pub(super) policy: [u8; 32],
    pub(super) nonce: &'a str,
    pub(super) key: &'a strongroom_enclave_loader::kbs::TeeKey,
}

impl<K: Class> About<'_, K> {
    fn claims(&self, id: &str, now: UnixTime) -> Value {
        let claims = self.verdict.claims();
        let verdict = self.verdict.to_json();
        // AR4SI: 2 affirms, 97 says that the hardware is not genuine.
        let hardware = if K::NAME == "hw" { 2 } else { 97 };
        let mut submods = json!({ "cpu0": {
            "ear.status": verdict["status"],
            "ear.trustworthiness-vector": { "hardware": hardware, "executables": 3, "configuration": 2 },
            "ear.appraisal-policy-id": hex::encode(self.policy),
            "ear.veraison.annotated-evidence": {
                "snp": verdict["snp"],
                "report_data": hex::encode(claims.report_data()),
                "init_data": hex::encode(claims.host_data()),
                "runtime_data_claims": { "nonce": self.nonce, "tee-pubkey": self.key },
            },
        } });
        let devices = self.devices.map(|set| set.devices.as_slice()).unwrap_or_default();
        for (number, device) in devices.iter().enumerate() {
            submods[format!("gpu{number}")] = json!({
                "ear.status": verdict["status"],
                "ear.trustworthiness-vector": { "hardware": hardware, "configuration": 2 },
                "ear.appraisal-policy-id": hex::encode(self.policy),
                "ear.veraison.annotated-evidence": { "nvidia": device },
            });
        }
        json!({
            "eat_profile": PROFILE,
            "iat": now.as_secs(),
            "exp": now.saturating_add_secs(SESSION_SECONDS).as_secs(),
            "jti": id,
            "ear.verifier-id": { "developer": "strongroom", "build": env!("CARGO_PKG_VERSION") },
            "submods": submods,
        })
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
