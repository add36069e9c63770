//! The protocol's messages, and the hash of what the evidence must cover.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_attestation::crypto;

/// The only version that is spoken.
pub(super) const VERSION: &str = "0.4.0";

/// `POST auth`
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Auth {
    pub(super) version: String,
    pub(super) tee: String,
}

/// `POST attest`; the naming is mixed in the protocol itself.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Attest {
    pub(super) init_data: Option<InitData>,
    pub(super) runtime_data: RuntimeData,
    pub(super) tee_evidence: TeeEvidence,
}

/// The configuration that the guest was started with, in the clear.
#[derive(Deserialize)]
pub(super) struct InitData {
    pub(super) format: String,
    pub(super) body: String,
}

/// What the evidence covers.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RuntimeData {
    pub(super) nonce: String,
    pub(super) tee_pubkey: TeeKey,
}

/// The evidence. `additional_evidence` is JSON in a string, empty when there is none.
#[derive(Deserialize)]
pub(super) struct TeeEvidence {
    pub(super) primary_evidence: Value,
    #[serde(default)]
    pub(super) additional_evidence: String,
}

/// The client's one-use key as a JSON Web Key. Unknown fields are refused, because they
/// would not be hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeeKey {
    kty: String,
    alg: String,
    crv: String,
    x: String,
    y: String,
}

impl TeeKey {
    /// The point on P-256, uncompressed, if this is a key that we wrap to.
    pub(super) fn p256_point(&self) -> Option<[u8; 65]> {
        if (self.kty.as_str(), self.crv.as_str(), self.alg.as_str()) != ("EC", "P-256", "ECDH-ES+A256KW") {
            return None;
        }
        let coordinate = |text: &str| -> Option<[u8; 32]> { URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok() };
        let mut point = [4; 65];
        let (_, rest) = point.split_first_mut()?;
        let (x, y) = rest.split_at_mut_checked(32)?;
        x.copy_from_slice(&coordinate(&self.x)?);
        y.copy_from_slice(&coordinate(&self.y)?);
        Some(point)
    }
}

impl Attest {
    /// The challenge of the devices in the additional evidence: the first 32 bytes of SHA-384 over the
    /// canonical JSON of nonce and key. They answer before the primary evidence is made, which covers
    /// what they answered.
    pub(super) fn device_nonce(&self) -> [u8; 32] {
        let canonical = canonical(&BTreeMap::from([
            ("nonce", text(&self.runtime_data.nonce)),
            ("tee-pubkey", self.runtime_data.tee_pubkey.canonical()),
        ]));
        let mut nonce = [0; 32];
        for (to, from) in nonce.iter_mut().zip(crypto::sha384(canonical.as_bytes())) {
            *to = from;
        }
        nonce
    }

    /// The report data of the primary evidence: SHA-384 over the canonical JSON (RFC 8785) of
    /// additional evidence, nonce and key, followed by 16 zero bytes.
    pub(super) fn report_data(&self) -> [u8; 64] {
        let canonical = canonical(&BTreeMap::from([
            ("additional-evidence", text(&self.tee_evidence.additional_evidence)),
            ("nonce", text(&self.runtime_data.nonce)),
            ("tee-pubkey", self.runtime_data.tee_pubkey.canonical()),
        ]));
        let mut report_data = [0; 64];
        for (to, from) in report_data.iter_mut().zip(crypto::sha384(canonical.as_bytes())) {
            *to = from;
        }
        report_data
    }
}

impl TeeKey {
    fn canonical(&self) -> String {
        canonical(&BTreeMap::from([
            ("alg", text(&self.alg)),
            ("crv", text(&self.crv)),
            ("kty", text(&self.kty)),
            ("x", text(&self.x)),
            ("y", text(&self.y)),
        ]))
    }
}

/// An object in canonical JSON: the names are ASCII, so their order is that of their bytes.
fn canonical(members: &BTreeMap<&str, String>) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", text(name))).collect();
    format!("{{{}}}", members.join(","))
}

/// A string in canonical JSON: the shortest escapes, which are also what this writer uses.
fn text(value: &str) -> String {
    Value::from(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attest(additional: &str) -> Attest {
        let json = serde_json::json!({
            "runtime-data": {
                "tee-pubkey": {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "eA", "y": "eQ"},
                "nonce": "bm9uY2U=",
            },
            "tee-evidence": {"primary_evidence": {}, "additional_evidence": additional},
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_report_data_is_sha384_of_the_canonical_json_and_zeros() {
        let canonical = concat!(
            r#"{"additional-evidence":"{\"a\":\"\u001f\\n\"}","nonce":"bm9uY2U=","tee-pubkey":"#,
            r#"{"alg":"ECDH-ES+A256KW","crv":"P-256","kty":"EC","x":"eA","y":"eQ"}}"#,
        );
        let report_data = attest("{\"a\":\"\u{1f}\\n\"}").report_data();
        assert_eq!(report_data[..48], crypto::sha384(canonical.as_bytes()));
        assert_eq!(report_data[48..], [0; 16]);
        assert_ne!(attest("").report_data(), report_data);
    }

    #[test]
    fn the_devices_challenge_is_over_nonce_and_key_alone() {
        let canonical = concat!(
            r#"{"nonce":"bm9uY2U=","tee-pubkey":"#,
            r#"{"alg":"ECDH-ES+A256KW","crv":"P-256","kty":"EC","x":"eA","y":"eQ"}}"#,
        );
        assert_eq!(attest("anything").device_nonce(), crypto::sha384(canonical.as_bytes())[..32]);
    }

    #[test]
    fn a_key_with_a_member_that_would_not_be_hashed_is_refused() {
        let json = r#"{"nonce":"a","tee-pubkey":{"kty":"EC","crv":"P-256","alg":"a","x":"a","y":"a","z":"a"}}"#;
        assert!(serde_json::from_str::<RuntimeData>(json).is_err());
        let json = r#"{"nonce":"a","extra":1,"tee-pubkey":{"kty":"EC","crv":"P-256","alg":"a","x":"a","y":"a"}}"#;
        assert!(serde_json::from_str::<RuntimeData>(json).is_err());
    }

    #[test]
    fn other_key_types_and_short_coordinates_are_no_point() {
        let key = attest("").runtime_data.tee_pubkey;
        assert_eq!(key.p256_point(), None);
        let full = TeeKey { x: URL_SAFE_NO_PAD.encode([1; 32]), y: URL_SAFE_NO_PAD.encode([2; 32]), ..key };
        let point = full.p256_point().unwrap();
        assert_eq!((point[0], point[1], point[64]), (4, 1, 2));
        assert_eq!(TeeKey { crv: "P-521".into(), ..full.clone() }.p256_point(), None);
        assert_eq!(TeeKey { alg: "RSA1_5".into(), ..full }.p256_point(), None);
    }
}
