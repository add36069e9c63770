//! One token: JSON Web Signature in its compact form (RFC 7515 3.1), ES384 (RFC 7518 3.4) and no other
//! algorithm.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{MAX_TOKEN, malformed, shown};
use crate::crypto;
use crate::error::{Code, Refusal};
use crate::unique_json;

/// Members of a header that are known. Others could ask for something (`crit`) or bring the key along
/// (`jwk`, `jku`, `x5c`), which is never how a key is chosen here.
const HEADER: [&str; 3] = ["alg", "kid", "typ"];

/// A token as received and as it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jws {
    text: String,
    /// Bytes at the front of the text that are signed: header, dot, payload.
    signed: usize,
    pub(super) key_id: Option<String>,
    claims: Map<String, Value>,
    signature: [u8; 96],
}

impl Jws {
    /// Reads a token; `what` it is goes into a refusal.
    pub(super) fn parse(what: &str, text: &str) -> Result<Jws, Refusal> {
        let wrong = |detail: &str| malformed(format!("{what} {detail}"));
        if text.len() > MAX_TOKEN {
            return Err(wrong(&format!("is larger than {MAX_TOKEN} bytes")));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("has not three parts"));
        };
        let object = |part: &str, name: &str| {
            let bytes =
                URL_SAFE_NO_PAD.decode(part).map_err(|_| wrong(&format!("has a {name} that is not base64url")))?;
            match unique_json::read(&bytes) {
                Ok(Value::Object(members)) => Ok(members),
                Ok(_) => Err(wrong(&format!("has a {name} that is no object"))),
                Err(error) => Err(wrong(&format!("has a {name} that cannot be read: {error}"))),
            }
        };
        let header = object(header, "header")?;
        match header.get("alg") {
            Some(Value::String(algorithm)) if algorithm == "ES384" => {}
            Some(Value::String(other)) => {
                let detail = format!("{what} is of algorithm \"{}\"; only ES384 is taken", shown(other));
                return Err(Refusal::new(Code::Signature, detail));
            }
            _ => return Err(wrong("names no algorithm")),
        }
        if header.keys().any(|name| !HEADER.contains(&name.as_str())) {
            return Err(wrong("has a header with more than alg, kid and typ"));
        }
        if header.get("typ").is_some_and(|kind| kind != "JWT") {
            return Err(wrong("is of another type than JWT"));
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(key_id)) => Some(key_id.clone()),
            Some(_) => return Err(wrong("has a kid that is no text")),
        };
        let claims = object(payload, "payload")?;
        let signed = text.len().saturating_sub(signature.len()).saturating_sub(1);
        let signature = URL_SAFE_NO_PAD.decode(signature).ok().and_then(|bytes| bytes.try_into().ok());
        let signature = signature.ok_or_else(|| wrong("has a signature that is not 96 bytes"))?;
        Ok(Jws { text: text.to_owned(), signed, key_id, claims, signature })
    }

    /// Whether the key with this uncompressed point made the signature.
    pub(super) fn is_signed_by(&self, point: &[u8]) -> bool {
        let message = self.text.as_bytes().get(..self.signed).unwrap_or_default();
        crypto::verify_ecdsa_p384_sha384(point, message, &self.signature).is_ok()
    }

    /// SHA-256 of the token's text, by which another token names it.
    pub(super) fn digest(&self) -> [u8; 32] {
        crypto::sha256(self.text.as_bytes())
    }

    /// All claims.
    pub(super) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// A claim that is text; empty where there is none.
    pub(super) fn text(&self, claim: &str) -> &str {
        self.claims.get(claim).and_then(Value::as_str).unwrap_or_default()
    }

    /// A claim that is a time (RFC 7519 2, NumericDate), in whole seconds.
    pub(super) fn time(&self, claim: &str) -> Option<u64> {
        self.claims.get(claim).and_then(Value::as_u64)
    }
}
