//! The instance's side of one handshake, as a pure state machine.
//!
//! challenge → [`KbsSession::begin`] → what to quote ([`RuntimeData`]) → [`KbsSession::attestation`]
//! → resources → [`KbsSession::model_keys`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom_attestation::Endorsements;
use zeroize::Zeroizing;

use super::VERSION;
use super::jwe::TeeKeyPair;
use super::messages::{Attest, Auth, Challenge, RuntimeData, TeeEvidence};
use super::snp_evidence::SnpEvidence;
use crate::ArtifactKey;
use crate::release::{AnsweredModel, ReleaseError, ReleasedModel, WantedModel};

/// The only digest that this client covers its runtime data with; it is also the protocol's usual one.
const HASH: &str = "sha384";

/// The longest nonce that is proven: a server's 32 bytes in base64, with room.
const MAX_NONCE: usize = 256;

/// One handshake under way. It holds the one-use key that resources are encrypted to.
pub struct KbsSession {
    key: TeeKeyPair,
    runtime_data: RuntimeData,
}

/// The CPU's evidence over [`RuntimeData::report_data`].
#[derive(Debug, Clone)]
pub enum PrimaryEvidence {
    /// An SEV-SNP report of version 3 or later, and what AMD says about its key.
    Snp {
        /// The report's 1184 bytes.
        report: Vec<u8>,
        /// Certificates and revocation lists; a server fetches what is missing, or refuses.
        endorsements: Endorsements,
    },
    /// A TDX quote; its collateral is the server's to get.
    Tdx {
        /// The quote's bytes.
        quote: Vec<u8>,
    },
}

impl PrimaryEvidence {
    fn to_json(&self) -> Result<Value, ReleaseError> {
        match self {
            Self::Snp { report, endorsements } => {
                let evidence = SnpEvidence::of(report, endorsements).ok_or_else(|| {
                    ReleaseError::Evidence(
                        "a KBS takes SNP reports of version 3 or later; update the host's SEV firmware".into(),
                    )
                })?;
                serde_json::to_value(evidence).map_err(|_| ReleaseError::Evidence("the report has no JSON".into()))
            }
            Self::Tdx { quote } => Ok(json!({ "cc_eventlog": null, "quote": STANDARD.encode(quote) })),
        }
    }
}

impl KbsSession {
    /// The body of `POST auth`, for evidence of the kind `tee` ("snp", "tdx").
    #[must_use]
    pub fn auth(tee: &str) -> Vec<u8> {
        let extra_params = json!({ "supported-hash-algorithms": [HASH] });
        let auth = Auth { version: VERSION.to_owned(), tee: tee.to_owned(), extra_params };
        // Strings only: they always have a JSON form.
        serde_json::to_vec(&auth).unwrap_or_default()
    }

    /// Begins an attempt in answer to a challenge, under a new one-use key.
    ///
    /// # Errors
    /// [`ReleaseError::MalformedJson`] for what is no challenge or wants another digest,
    /// [`ReleaseError::Misuse`] when the system gives no randomness.
    pub fn begin(challenge: &[u8]) -> Result<Self, ReleaseError> {
        let malformed = |detail: &str| ReleaseError::MalformedJson { message: "challenge", detail: detail.to_owned() };
        let challenge: Challenge =
            serde_json::from_slice(challenge).map_err(|_| malformed("no JSON object with a nonce"))?;
        let printable = challenge.nonce.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=MAX_NONCE).contains(&challenge.nonce.len()) || !printable {
            return Err(malformed("the nonce is empty, too long or not of printable characters"));
        }
        let selected = challenge.extra_params.get("selected-hash-algorithm");
        if selected.is_some_and(|selected| selected != HASH) {
            return Err(malformed("it wants another digest than SHA-384"));
        }
        let key = TeeKeyPair::generate().ok_or(ReleaseError::Misuse("the system gives no randomness"))?;
        let runtime_data = RuntimeData { nonce: challenge.nonce, tee_pubkey: key.public().clone() };
        Ok(Self { key, runtime_data })
    }

    /// What the evidence must cover.
    #[must_use]
    pub fn runtime_data(&self) -> &RuntimeData {
        &self.runtime_data
    }

    /// The body of `POST attest`. `additional_evidence` is the devices', or empty
    /// ([`super::NvidiaDevice::additional_evidence`]), exactly as the primary evidence covers it.
    ///
    /// # Errors
    /// [`ReleaseError::Evidence`] for a report that a KBS does not take.
    pub fn attestation(
        &self,
        primary_evidence: &PrimaryEvidence,
        additional_evidence: String,
    ) -> Result<Vec<u8>, ReleaseError> {
        let attest = Attest {
            init_data: None,
            runtime_data: self.runtime_data.clone(),
            tee_evidence: TeeEvidence { primary_evidence: primary_evidence.to_json()?, additional_evidence },
        };
        Ok(serde_json::to_vec(&attest).unwrap_or_default())
    }

    /// The content of a resource: the plaintext of a JWE to this session's key. Nobody signed it.
    ///
    /// # Errors
    /// [`ReleaseError::Authentication`], with no word on what does not hold.
    pub fn open(&self, jwe: &[u8]) -> Result<Zeroizing<Vec<u8>>, ReleaseError> {
        self.key.open(jwe).ok_or(ReleaseError::Authentication("the resource's encryption"))
    }

    /// A model's keys. Whether they are the model's shows when they open its signed manifest.
    ///
    /// # Errors
    /// As for [`open`](Self::open); [`ReleaseError::Malformed`] for a resource that holds no keys,
    /// [`ReleaseError::Mismatch`] for those of another model.
    pub fn model_keys(&self, jwe: &[u8], wanted: &WantedModel) -> Result<ReleasedModel, ReleaseError> {
        let AnsweredModel { model_id, artifact_id, version, keys } = AnsweredModel::from_bytes(&self.open(jwe)?)?;
        if model_id != wanted.model_id || version != wanted.version || keys.is_empty() {
            return Err(ReleaseError::Mismatch("the resource's model"));
        }
        let keys = keys.into_iter().map(ArtifactKey::from_bytes).collect();
        Ok(ReleasedModel { model_id, artifact_id, version, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::super::jwe::encrypt;
    use super::*;

    fn session() -> KbsSession {
        KbsSession::begin(br#"{"nonce":"bm9uY2U=","extra-params":""}"#).unwrap()
    }

    fn resource(session: &KbsSession, version: u64, keys: usize) -> String {
        let keys = vec![Zeroizing::new([5; 32]); keys];
        let model = AnsweredModel { model_id: [1; 32], artifact_id: [2; 16], version, keys };
        encrypt(session.key.public(), &model.to_bytes()).unwrap()
    }

    #[test]
    fn the_first_message_names_version_platform_and_digest() {
        let auth: Value = serde_json::from_slice(&KbsSession::auth("snp")).unwrap();
        let extra = json!({ "supported-hash-algorithms": ["sha384"] });
        assert_eq!(auth, json!({ "version": "0.4.0", "tee": "snp", "extra-params": extra }));
    }

    #[test]
    fn each_attempt_has_a_key_of_its_own() {
        assert_ne!(session().runtime_data().tee_pubkey, session().runtime_data().tee_pubkey);
    }

    #[test]
    fn a_challenge_that_cannot_be_proven_is_refused() {
        let long = format!(r#"{{"nonce":"{}"}}"#, "A".repeat(MAX_NONCE + 1));
        for challenge in [
            "",
            "[]",
            r#"{"extra-params":""}"#,
            r#"{"nonce":""}"#,
            r#"{"nonce":"a b"}"#,
            &long,
            r#"{"nonce":"a","extra-params":{"selected-hash-algorithm":"sha256"}}"#,
        ] {
            let error = KbsSession::begin(challenge.as_bytes()).err().unwrap();
            assert_eq!(error.code(), "PARSE", "{challenge}");
        }
        assert!(KbsSession::begin(br#"{"nonce":"a","extra-params":{"selected-hash-algorithm":"sha384"}}"#).is_ok());
    }

    #[test]
    fn a_quote_travels_in_base64_without_its_event_log() {
        let attest = session().attestation(&PrimaryEvidence::Tdx { quote: vec![1, 2, 3] }, String::new()).unwrap();
        let attest: Value = serde_json::from_slice(&attest).unwrap();
        let evidence = &attest["tee-evidence"];
        assert_eq!(evidence["primary_evidence"], json!({ "cc_eventlog": null, "quote": "AQID" }));
        assert_eq!(evidence["additional_evidence"], "");
        assert_eq!(attest["init-data"], Value::Null);
    }

    #[test]
    fn keys_of_another_model_or_version_none_or_other_content_are_refused() {
        let session = session();
        let wanted = WantedModel { model_id: [1; 32], version: 3 };
        let keys = session.model_keys(resource(&session, 3, 2).as_bytes(), &wanted).unwrap();
        assert_eq!((keys.version, keys.keys.len()), (3, 2));
        let code = |jwe: String, wanted: &WantedModel| {
            session.model_keys(jwe.as_bytes(), wanted).err().unwrap().code().to_owned()
        };
        assert_eq!(code(resource(&session, 2, 1), &wanted), "BROKER_MISMATCH");
        assert_eq!(code(resource(&session, 3, 1), &WantedModel { model_id: [9; 32], version: 3 }), "BROKER_MISMATCH");
        assert_eq!(code(resource(&session, 3, 0), &wanted), "BROKER_MISMATCH");
        assert_eq!(code(encrypt(session.key.public(), b"a secret").unwrap(), &wanted), "PARSE");
        assert_eq!(code("{}".into(), &wanted), "BROKER_SIGNATURE");
        let other = self::session();
        assert_eq!(code(resource(&other, 3, 1), &wanted), "BROKER_SIGNATURE");
    }
}
