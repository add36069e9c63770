//! The signed envelope (DSSE 1.0.2) around an in-toto statement (in-toto Attestation Framework 1.0).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits::{MAX_NAME_BYTES, MAX_STATEMENT_BYTES};
use super::{EcPublicKey, EcSigningKey, ProvenanceError, json};

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// The envelope as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EnvelopeText {
    payload: String,
    payload_type: String,
    signatures: Vec<SignatureText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureText {
    sig: String,
    // An unauthenticated hint, which nothing here follows.
    #[serde(default)]
    keyid: Option<String>,
}

/// An envelope with one signature that nobody has verified.
#[derive(Debug)]
pub(super) struct Envelope {
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Envelope {
    /// Takes the envelope apart.
    ///
    /// # Errors
    /// `Unsupported` for another payload than an in-toto statement, `Malformed` unless there is one
    /// signature and standard base64, `TooLarge`.
    pub(super) fn read(text: &EnvelopeText) -> Result<Self, ProvenanceError> {
        if text.payload_type != PAYLOAD_TYPE {
            return Err(ProvenanceError::unsupported("payload type", &text.payload_type));
        }
        let [signature] = text.signatures.as_slice() else {
            return Err(ProvenanceError::Malformed("an envelope has one signature"));
        };
        let payload = base64(&text.payload)?;
        if payload.len() > MAX_STATEMENT_BYTES {
            return Err(ProvenanceError::TooLarge { what: "the statement", limit: MAX_STATEMENT_BYTES });
        }
        Ok(Self { payload, signature: base64(&signature.sig)? })
    }

    /// Hands out the payload once the signature over it verifies: nothing reads it before.
    ///
    /// # Errors
    /// `Signature`.
    pub(super) fn verified(&self, key: &EcPublicKey) -> Result<&[u8], ProvenanceError> {
        key.verify(&pre_authentication_encoding(&self.payload), &self.signature)?;
        Ok(&self.payload)
    }

    /// The signature, for comparing with what a log has.
    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Signs a statement. `keyid` is how the signature hints at its key.
    ///
    /// # Errors
    /// `Crypto`.
    pub(super) fn sign<P: Serialize>(
        statement: &Statement<P>,
        key: &EcSigningKey,
        keyid: &str,
    ) -> Result<EnvelopeText, ProvenanceError> {
        let payload =
            serde_json::to_vec(statement).map_err(|_| ProvenanceError::Crypto { what: "writing a statement" })?;
        let signature = key.sign(&pre_authentication_encoding(&payload))?;
        Ok(EnvelopeText {
            payload: STANDARD.encode(&payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![SignatureText { sig: STANDARD.encode(signature), keyid: Some(keyid.to_owned()) }],
        })
    }
}

/// What is signed: PAE of DSSE, protocol.md. Lengths and type are under the signature, so that no
/// payload of one type passes for one of another.
pub(super) fn pre_authentication_encoding(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// An in-toto statement about something.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Statement<P> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<SubjectText>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: P,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectText {
    name: String,
    digest: BTreeMap<String, String>,
}

/// What a statement is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) sha256: [u8; 32],
}

impl<P> Statement<P> {
    pub(super) fn about(subject: &Subject, predicate_type: &str, predicate: P) -> Self {
        let digest = BTreeMap::from([("sha256".to_owned(), hex::encode(subject.sha256))]);
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![SubjectText { name: subject.name.clone(), digest }],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }
}

/// Reads a statement whose signature holds: what it is about, and its predicate.
///
/// # Errors
/// `Unsupported` for another statement or predicate, `Malformed` unless it has one subject with one
/// SHA-256, `TooLarge`.
pub(super) fn read_statement(payload: &[u8], predicate_type: &str) -> Result<(Subject, Value), ProvenanceError> {
    let statement: Statement<Value> = json::read(payload, MAX_STATEMENT_BYTES, "the in-toto statement")?;
    if statement.kind != STATEMENT_TYPE {
        return Err(ProvenanceError::unsupported("statement type", &statement.kind));
    }
    if statement.predicate_type != predicate_type {
        return Err(ProvenanceError::unsupported("predicate type", &statement.predicate_type));
    }
    let mut subjects = statement.subject.into_iter();
    let (Some(subject), None) = (subjects.next(), subjects.next()) else {
        return Err(ProvenanceError::Malformed("a statement has one subject"));
    };
    if subject.name.len() > MAX_NAME_BYTES {
        return Err(ProvenanceError::TooLarge { what: "the subject's name", limit: MAX_NAME_BYTES });
    }
    if subject.name.chars().any(char::is_control) {
        return Err(ProvenanceError::Malformed("a subject's name has no control characters"));
    }
    let sha256 = match (subject.digest.len(), subject.digest.get("sha256")) {
        (1, Some(text)) => digest(text)?,
        _ => return Err(ProvenanceError::Malformed("a subject has one digest, sha256")),
    };
    Ok((Subject { name: subject.name, sha256 }, statement.predicate))
}

/// A SHA-256 in the one form in which it is written: 64 lower-case digits.
pub(super) fn digest(text: &str) -> Result<[u8; 32], ProvenanceError> {
    let malformed = ProvenanceError::Malformed("a SHA-256 is 64 lower-case hexadecimal digits");
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(malformed);
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| malformed)?;
    Ok(bytes)
}

pub(super) fn base64(text: &str) -> Result<Vec<u8>, ProvenanceError> {
    STANDARD.decode(text).map_err(|_| ProvenanceError::Malformed("base64"))
}
