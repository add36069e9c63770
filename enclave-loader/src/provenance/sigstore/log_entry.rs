//! An entry of the transparency log (Rekor, first generation): when a signature was there, and that
//! it is public.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use strongroom_attestation::{UnixTime, crypto};

use super::TrustedRoot;
use super::proof;
use crate::provenance::certificate::Certificate;
use crate::provenance::dsse::{Envelope, base64};
use crate::provenance::limits::MAX_BUNDLE_BYTES;
use crate::provenance::{ProvenanceError, json, pem};

/// An entry that nobody has verified.
pub(super) struct LogEntry {
    log_id: Vec<u8>,
    index: u64,
    integrated: u64,
    body: Vec<u8>,
    promise: Vec<u8>,
    proof: proof::Inclusion,
}

impl LogEntry {
    /// # Errors
    /// `Malformed`; `Unsupported` for other kinds of entries; `Log` without promise or proof.
    pub(super) fn read(entry: &Value) -> Result<Self, ProvenanceError> {
        let text: EntryText = json::typed(entry.clone(), "an entry of the transparency log")?;
        let kind = format!("{} {}", text.kind_version.kind, text.kind_version.version);
        if kind != "dsse 0.0.1" {
            return Err(ProvenanceError::unsupported("an entry of the kind", &kind));
        }
        // The promise is what signs the time; a proof alone has none.
        let promise = text.inclusion_promise.ok_or(ProvenanceError::Log("there is no signed time"))?;
        let proof = text.inclusion_proof.ok_or(ProvenanceError::Log("there is no proof of inclusion"))?;
        Ok(Self {
            log_id: base64(&text.log_id.key_id)?,
            index: text.log_index.0,
            integrated: text.integrated_time.0,
            body: base64(&text.canonicalized_body)?,
            promise: base64(&promise.signed_entry_timestamp)?,
            proof: proof::Inclusion::read(&proof)?,
        })
    }

    /// Verifies that the log promised the entry and proves to have it; when it was taken in.
    ///
    /// # Errors
    /// `Log`.
    pub(super) fn verify(&self, root: &TrustedRoot) -> Result<UnixTime, ProvenanceError> {
        let at = UnixTime::from_secs(self.integrated);
        let log = root.transparency_log(&self.log_id, at);
        let log = log.ok_or(ProvenanceError::Log("the trusted root knows no such log at that time"))?;
        log.key
            .verify(self.promised().as_bytes(), &self.promise)
            .map_err(|_| ProvenanceError::Log("the signed time does not verify"))?;
        self.proof.verify(&self.body, &self.log_id, &log.key)?;
        Ok(at)
    }

    /// Compares what was logged with what is here: without this, an entry of another signature
    /// would lend this one its time.
    ///
    /// # Errors
    /// `Log`, `Malformed`.
    pub(super) fn require_about(
        &self,
        certificate: &Certificate,
        envelope: &Envelope,
        payload: &[u8],
    ) -> Result<(), ProvenanceError> {
        let body: BodyText = json::read(&self.body, MAX_BUNDLE_BYTES, "the body of an entry")?;
        let hash = &body.spec.payload_hash;
        let [signature] = body.spec.signatures.as_slice() else {
            return Err(ProvenanceError::Log("its entry has not one signature"));
        };
        if body.kind != "dsse" || body.api_version != "0.0.1" {
            return Err(ProvenanceError::Log("its entry is of another kind than it says"));
        }
        if hash.algorithm != "sha256" || hash.value != hex::encode(crypto::sha256(payload)) {
            return Err(ProvenanceError::Log("its entry is of another statement"));
        }
        if base64(&signature.signature)? != envelope.signature() {
            return Err(ProvenanceError::Log("its entry is of another signature"));
        }
        let verifier = base64(&signature.verifier)?;
        let text = std::str::from_utf8(&verifier).map_err(|_| ProvenanceError::Malformed("the body of an entry"))?;
        let logged = Certificate::read(&pem::only(text, pem::CERTIFICATE, "an entry has a certificate")?)?;
        if logged.fingerprint() != certificate.fingerprint() {
            return Err(ProvenanceError::Log("its entry is of another certificate"));
        }
        Ok(())
    }

    /// What the log signed when it took the entry in: these members as canonical JSON (RFC 8785).
    fn promised(&self) -> String {
        let (body, log) = (STANDARD.encode(&self.body), hex::encode(&self.log_id));
        format!(r#"{{"body":"{body}","integratedTime":{},"logID":"{log}","logIndex":{}}}"#, self.integrated, self.index)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct EntryText {
    log_index: Number,
    log_id: LogIdText,
    kind_version: KindText,
    integrated_time: Number,
    inclusion_promise: Option<PromiseText>,
    inclusion_proof: Option<proof::InclusionText>,
    canonicalized_body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LogIdText {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KindText {
    kind: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PromiseText {
    signed_entry_timestamp: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BodyText {
    api_version: String,
    kind: String,
    spec: SpecText,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecText {
    payload_hash: HashText,
    signatures: Vec<LoggedSignatureText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashText {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoggedSignatureText {
    signature: String,
    verifier: String,
}

/// A 64-bit number as protobuf's JSON has it: text, or a number.
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = match Value::deserialize(deserializer)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        number.map(Number).ok_or_else(|| de::Error::custom("a number of 64 bits"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Edit = fn(&mut Value);

    fn read(path: &str) -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/model-signing/");
        std::fs::read_to_string(format!("{folder}{path}")).expect("a vector")
    }

    /// The log signs the body, so from outside another body is refused before it is looked at: here
    /// it is as if the log had signed it.
    #[test]
    fn an_entry_of_something_else_lends_no_time() {
        let bundle: Value = serde_json::from_str(&read("sigstore/model.sig")).expect("JSON");
        let envelope = serde_json::from_value(bundle["dsseEnvelope"].clone()).expect("an envelope");
        let envelope = Envelope::read(&envelope).expect("an envelope");
        let payload = base64(bundle["dsseEnvelope"]["payload"].as_str().expect("text")).expect("base64");
        let material = &bundle["verificationMaterial"];
        let der = base64(material["certificate"]["rawBytes"].as_str().expect("text")).expect("base64");
        let certificate = Certificate::read(&der).expect("a certificate");
        let rows: &[(&str, &str, Edit)] = &[
            ("nothing", "accepted", |_| ()),
            ("another kind", "PROVENANCE_LOG", |body| body["kind"] = json!("intoto")),
            ("another version", "PROVENANCE_LOG", |body| body["apiVersion"] = json!("0.0.2")),
            ("another statement", "PROVENANCE_LOG", |body| body["spec"]["payloadHash"]["value"] = json!("00")),
            ("another hash", "PROVENANCE_LOG", |body| body["spec"]["payloadHash"]["algorithm"] = json!("sha512")),
            ("another signature", "PROVENANCE_LOG", |body| body["spec"]["signatures"][0]["signature"] = json!("AAAA")),
            ("no signature", "PROVENANCE_LOG", |body| body["spec"]["signatures"] = json!([])),
            ("another certificate", "PROVENANCE_LOG", |body| {
                body["spec"]["signatures"][0]["verifier"] = json!(STANDARD.encode(read("certificate/other-root.pem")));
            }),
            ("a key instead of a certificate", "PROVENANCE_KEY", |body| {
                body["spec"]["signatures"][0]["verifier"] = json!(STANDARD.encode(read("key/secp256r1.pub")));
            }),
        ];
        for (defect, wanted, edit) in rows {
            let mut entry = LogEntry::read(&material["tlogEntries"][0]).expect("an entry");
            let mut body = serde_json::from_slice(&entry.body).expect("JSON");
            edit(&mut body);
            entry.body = body.to_string().into_bytes();
            let found = entry.require_about(&certificate, &envelope, &payload);
            assert_eq!(found.as_ref().err().map_or("accepted", ProvenanceError::code), *wanted, "{defect}");
        }
    }
}
