//! The release request as it travels: JSON around opaque bytes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use strongroom_channel::attest::{Collection, CollectionKind};

use super::MAX_REQUEST_BYTES;
use super::error::ReleaseError;
use super::reply_key::SealedReply;

/// What an instance posts to `/strongroom/v1/release` or `/strongroom/v1/renewal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRequest {
    /// The release body's bytes.
    pub body: Vec<u8>,
    /// The epoch statement's bytes.
    pub statement: Vec<u8>,
    /// COSE_Sign1 by the instance key over the preimage of the report data.
    pub instance_signature: Vec<u8>,
    /// Evidence by label; `cpu0` must be there.
    pub evidence: Collection,
    /// Endorsements by label; none of them is trusted for being here.
    pub endorsements: Collection,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestJson {
    v: u32,
    body: String,
    statement: String,
    instance_signature: String,
    evidence: Collection,
    endorsements: Collection,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyJson {
    v: u32,
    enc: String,
    sealed: String,
}

impl ReleaseRequest {
    /// The JSON to post.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let json = RequestJson {
            v: 1,
            body: URL_SAFE_NO_PAD.encode(&self.body),
            statement: URL_SAFE_NO_PAD.encode(&self.statement),
            instance_signature: URL_SAFE_NO_PAD.encode(&self.instance_signature),
            evidence: self.evidence.clone(),
            endorsements: self.endorsements.clone(),
        };
        serde_json::to_vec(&json).expect("text and numbers have a JSON form")
    }

    /// Reads a posted request.
    ///
    /// # Errors
    /// [`ReleaseError::MalformedJson`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReleaseError> {
        const NAME: &str = "release request";
        if bytes.len() > MAX_REQUEST_BYTES {
            return Err(malformed(NAME, "longer than the limit"));
        }
        let json: RequestJson = serde_json::from_slice(bytes).map_err(|error| {
            malformed(NAME, &format!("not the known fields, near line {}, column {}", error.line(), error.column()))
        })?;
        if json.v != 1 {
            return Err(malformed(NAME, "an unknown version"));
        }
        let kinds = (json.evidence.kind(), json.endorsements.kind());
        if kinds != (CollectionKind::Evidence, CollectionKind::Endorsements) {
            return Err(malformed(NAME, "a collection of the wrong kind"));
        }
        Ok(Self {
            body: decode(NAME, "body", &json.body)?,
            statement: decode(NAME, "statement", &json.statement)?,
            instance_signature: decode(NAME, "instance_signature", &json.instance_signature)?,
            evidence: json.evidence,
            endorsements: json.endorsements,
        })
    }
}

impl SealedReply {
    /// The JSON of a granted request.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!({
            "v": 1,
            "enc": URL_SAFE_NO_PAD.encode(&self.enc),
            "sealed": URL_SAFE_NO_PAD.encode(&self.sealed),
        })
        .to_string()
    }

    /// Reads the JSON of a granted request.
    ///
    /// # Errors
    /// [`ReleaseError::MalformedJson`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReleaseError> {
        const NAME: &str = "release answer";
        let json: ReplyJson = serde_json::from_slice(bytes).map_err(|_| malformed(NAME, "not the known fields"))?;
        if json.v != 1 {
            return Err(malformed(NAME, "an unknown version"));
        }
        Ok(Self { enc: decode(NAME, "enc", &json.enc)?, sealed: decode(NAME, "sealed", &json.sealed)? })
    }
}

fn decode(message: &'static str, field: &str, text: &str) -> Result<Vec<u8>, ReleaseError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed(message, &format!("{field} is not base64url without padding")))
}

fn malformed(message: &'static str, detail: &str) -> ReleaseError {
    ReleaseError::MalformedJson { message, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use strongroom_channel::attest::{Record, indicator};

    use super::*;

    fn collection(kind: CollectionKind, label: &str, value: &[u8], indicator: u8) -> Collection {
        let record = Record { media_type: "application/x".into(), value: value.to_vec(), indicator };
        let mut collection = Collection::new(kind);
        collection.insert(label, record).unwrap();
        collection
    }

    fn request() -> ReleaseRequest {
        let evidence = collection(CollectionKind::Evidence, "cpu0", b"report", indicator::EVIDENCE);
        let endorsements = collection(CollectionKind::Endorsements, "vcek", b"der", indicator::ENDORSEMENTS);
        ReleaseRequest { body: vec![1], statement: vec![2], instance_signature: vec![3], evidence, endorsements }
    }

    #[test]
    fn a_request_round_trips() {
        let json = request().to_json();
        assert_eq!(ReleaseRequest::from_json(&json), Ok(request()));
        let text = String::from_utf8(json).unwrap();
        assert!(text.contains(r#""cpu0":["application/x","cmVwb3J0",4]"#), "{text}");
    }

    #[test]
    fn a_request_with_another_tag_field_version_or_padding_is_refused() {
        let text = String::from_utf8(request().to_json()).unwrap();
        for (defect, changed) in [
            ("kind", text.replace("composite-v1", "endorsements-v1")),
            ("field", text.replace(r#""v":1"#, r#""v":1,"w":1"#)),
            ("version", text.replace(r#""v":1"#, r#""v":2"#)),
            ("padding", text.replace("cmVwb3J0", "cmVwb3J0=")),
            ("twice", text.replace(r#""v":1"#, r#""v":1,"v":1"#)),
        ] {
            let error = ReleaseRequest::from_json(changed.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "PARSE", "{defect}");
        }
    }

    #[test]
    fn a_reply_round_trips() {
        let reply = SealedReply { enc: vec![1, 2], sealed: vec![3] };
        assert_eq!(SealedReply::from_json(reply.to_json().as_bytes()), Ok(reply));
    }
}
