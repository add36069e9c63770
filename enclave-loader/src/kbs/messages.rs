//! The protocol's messages, and the hashes of what the evidence must cover.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom_attestation::{Architecture, crypto};

/// How a key is wrapped to the client: the one way that is spoken.
pub(super) const KEY_WRAPPING: &str = "ECDH-ES+A256KW";

/// `POST auth`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Auth {
    /// The protocol's version.
    pub version: String,
    /// The kind of evidence that will follow: "snp", "tdx" and others.
    pub tee: String,
    /// What the client can do besides, for example `supported-hash-algorithms`.
    #[serde(default)]
    pub extra_params: Value,
}

/// The answer to `POST auth`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Challenge {
    /// Opaque to the client, which proves it as it stands.
    pub nonce: String,
    /// Empty, but for platforms that this client does not speak for.
    #[serde(default)]
    pub extra_params: Value,
}

/// `POST attest`; the naming is mixed in the protocol itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Attest {
    /// The configuration that the guest was started with, where the client shows it.
    pub init_data: Option<InitData>,
    /// What the evidence covers.
    pub runtime_data: RuntimeData,
    /// The evidence.
    pub tee_evidence: TeeEvidence,
}

/// The answer to `POST attest`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// An EAR as JWT; a session that keeps its cookie needs it for nothing.
    pub token: String,
}

/// The configuration that the guest was started with, in the clear.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InitData {
    /// "toml".
    pub format: String,
    /// The text whose digest is the host data.
    pub body: String,
}

/// What the evidence covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RuntimeData {
    /// The session's nonce, in the form in which it was sent.
    pub nonce: String,
    /// The key that resources are wrapped to.
    pub tee_pubkey: TeeKey,
}

/// The evidence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TeeEvidence {
    /// The CPU's, in the form of its platform.
    pub primary_evidence: Value,
    /// The devices': JSON in a string, empty when there are none.
    #[serde(default)]
    pub additional_evidence: String,
}

/// One of NVIDIA's devices in the additional evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NvidiaDevice {
    arch: &'static str,
    certificate: String,
    evidence: String,
    uuid: String,
}

/// The client's one-use key as a JSON Web Key. Unknown fields are refused, because they
/// would not be hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeeKey {
    pub(super) kty: String,
    pub(super) alg: String,
    pub(super) crv: String,
    pub(super) x: String,
    pub(super) y: String,
}

impl TeeKey {
    /// The key at `point` on P-256, uncompressed (SEC 1); `None` for another form.
    #[must_use]
    pub fn p256(point: &[u8]) -> Option<Self> {
        let (tag, coordinates) = point.split_first()?;
        let (x, y) = coordinates.split_at_checked(32)?;
        (*tag == 4 && y.len() == 32).then(|| Self {
            kty: "EC".to_owned(),
            alg: KEY_WRAPPING.to_owned(),
            crv: "P-256".to_owned(),
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// The point on P-256, uncompressed, if this is a key that we wrap to. Whether it lies on the
    /// curve shows when it is used.
    #[must_use]
    pub fn p256_point(&self) -> Option<[u8; 65]> {
        if (self.kty.as_str(), self.crv.as_str(), self.alg.as_str()) != ("EC", "P-256", KEY_WRAPPING) {
            return None;
        }
        point(&self.x, &self.y)
    }

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

/// Coordinates in base64url as an uncompressed point.
pub(super) fn point(x: &str, y: &str) -> Option<[u8; 65]> {
    let coordinate = |text: &str| -> Option<[u8; 32]> { URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok() };
    let mut point = [4; 65];
    let (_, rest) = point.split_first_mut()?;
    let (to_x, to_y) = rest.split_at_mut_checked(32)?;
    to_x.copy_from_slice(&coordinate(x)?);
    to_y.copy_from_slice(&coordinate(y)?);
    Some(point)
}

impl RuntimeData {
    /// The challenge of the devices in the additional evidence: the first 32 bytes of SHA-384 over the
    /// canonical JSON of nonce and key. They answer before the primary evidence is made, which covers
    /// what they answered.
    #[must_use]
    pub fn device_nonce(&self) -> [u8; 32] {
        hashed(&self.members())
    }

    /// The report data of the primary evidence: SHA-384 over the canonical JSON (RFC 8785) of
    /// additional evidence, nonce and key, followed by 16 zero bytes.
    #[must_use]
    pub fn report_data(&self, additional_evidence: &str) -> [u8; 64] {
        let mut members = self.members();
        members.insert("additional-evidence", text(additional_evidence));
        hashed(&members)
    }

    fn members(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("nonce", text(&self.nonce)), ("tee-pubkey", self.tee_pubkey.canonical())])
    }
}

impl NvidiaDevice {
    /// A device that answered [`RuntimeData::device_nonce`]: `uuid` as the driver names it, the SPDM
    /// request and response, and the chain of its certificates (PEM, its own first).
    #[must_use]
    pub fn new(architecture: Architecture, uuid: String, report: &[u8], certificates: &[u8]) -> Self {
        Self {
            arch: spelling(architecture),
            uuid,
            evidence: STANDARD.encode(report),
            certificate: STANDARD.encode(certificates),
        }
    }

    /// The additional evidence of these devices; empty for none.
    #[must_use]
    pub fn additional_evidence(devices: &[Self]) -> String {
        match devices {
            [] => String::new(),
            devices => json!({ "nvidia": { "device_evidence_list": devices } }).to_string(),
        }
    }
}

/// As stock clients write it; servers before 2026 read no other spelling.
fn spelling(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Hopper => "Hopper",
        Architecture::Blackwell => "Blackwell",
        other => other.name(),
    }
}

/// SHA-384 of the object in canonical JSON, cut or followed by zeros.
fn hashed<const N: usize>(members: &BTreeMap<&str, String>) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(crypto::sha384(canonical(members).as_bytes())) {
        *to = from;
    }
    out
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

    fn runtime_data() -> RuntimeData {
        let json = json!({
            "tee-pubkey": {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "eA", "y": "eQ"},
            "nonce": "bm9uY2U=",
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_report_data_is_sha384_of_the_canonical_json_and_zeros() {
        let canonical = concat!(
            r#"{"additional-evidence":"{\"a\":\"\u001f\\n\"}","nonce":"bm9uY2U=","tee-pubkey":"#,
            r#"{"alg":"ECDH-ES+A256KW","crv":"P-256","kty":"EC","x":"eA","y":"eQ"}}"#,
        );
        let report_data = runtime_data().report_data("{\"a\":\"\u{1f}\\n\"}");
        assert_eq!(report_data[..48], crypto::sha384(canonical.as_bytes()));
        assert_eq!(report_data[48..], [0; 16]);
        assert_ne!(runtime_data().report_data(""), report_data);
    }

    #[test]
    fn the_devices_challenge_is_over_nonce_and_key_alone() {
        let canonical = concat!(
            r#"{"nonce":"bm9uY2U=","tee-pubkey":"#,
            r#"{"alg":"ECDH-ES+A256KW","crv":"P-256","kty":"EC","x":"eA","y":"eQ"}}"#,
        );
        assert_eq!(runtime_data().device_nonce(), crypto::sha384(canonical.as_bytes())[..32]);
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
        assert_eq!(runtime_data().tee_pubkey.p256_point(), None);
        let point = [vec![4], vec![1; 32], vec![2; 32]].concat();
        let full = TeeKey::p256(&point).unwrap();
        assert_eq!(full.p256_point().unwrap().as_slice(), point);
        assert_eq!(TeeKey { crv: "P-521".into(), ..full.clone() }.p256_point(), None);
        assert_eq!(TeeKey { alg: "RSA1_5".into(), ..full }.p256_point(), None);
        assert_eq!(TeeKey::p256(&point[..64]), None);
        assert_eq!(TeeKey::p256(&[3; 65]), None);
    }

    #[test]
    fn devices_are_listed_under_their_vendor_and_none_are_the_empty_string() {
        assert_eq!(NvidiaDevice::additional_evidence(&[]), "");
        let device = NvidiaDevice::new(Architecture::Hopper, "GPU-1".into(), &[1, 2, 3], b"PEM");
        assert_eq!(
            NvidiaDevice::additional_evidence(&[device]),
            r#"{"nvidia":{"device_evidence_list":[{"arch":"Hopper","certificate":"UEVN","evidence":"AQID","uuid":"GPU-1"}]}}"#
        );
    }
}
