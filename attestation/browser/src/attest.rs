//! The question to a server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom_channel::attest::{AttestRequest, PATH};

use crate::answer::{self, Failure};
use crate::request::{self, QuestionRequest};
use crate::session;

/// Makes an attest request with a fresh nonce. `request` is a JSON object (`trust_file` as base64,
/// `trust_root` in hexadecimal, `now` as RFC 3339 or seconds); the answer is one line of JSON, with
/// the `path` to post to and the `body` as base64, or `error` with a stable code.
///
/// The body is sent byte for byte, and kept for [`crate::verify_session`].
#[cfg_attr(all(target_family = "wasm", target_os = "unknown"), wasm_bindgen::prelude::wasm_bindgen(js_name = attestRequest))]
#[must_use]
pub fn attest_request(request: &str) -> String {
    answer::text(request::read(request).and_then(|request| question(&request)))
}

fn question(request: &QuestionRequest) -> Result<Value, Failure> {
    let trust = session::trust(&request.trust_file, &request.trust_root, request.now.read()?)?;
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|_| Failure::new("IO", 1, "no randomness from the browser; try again"))?;
    let body = AttestRequest::new(nonce, trust.deployment).to_bytes();
    Ok(json!({ "path": PATH, "body": STANDARD.encode(body) }))
}
