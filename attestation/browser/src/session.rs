//! A server's answer to an attest request, against a trust file.

use serde_json::{Value, json};
use strongroom_attestation::UnixTime;
use strongroom_channel::ohttp::Suite;
use strongroom_channel::session::{SessionWanted, verify_session as verify_response};
use strongroom_channel::trust_file::{self, TrustFile, TrustFileError};

use crate::answer::{self, Failure};
use crate::request::{self, SessionRequest};

/// Verifies what a server answered to an attest request, as a client would before its first byte.
/// `request` is a JSON object (`trust_file`, `request_body` and `response` as base64, `trust_root`
/// in hexadecimal, `now` as RFC 3339 or seconds, `accept_simulated`); the answer is one line of
/// JSON, with `result`, or `error` with a stable code, and the numbered `checks` with both.
///
/// Nothing is remembered between calls: older trust files and forked instances are told by a
/// client with a memory, not here.
#[cfg_attr(all(target_family = "wasm", target_os = "unknown"), wasm_bindgen::prelude::wasm_bindgen(js_name = verifySession))]
#[must_use]
pub fn verify_session(request: &str) -> String {
    answer::text(request::read(request).and_then(|request| judge(&request)))
}

fn judge(request: &SessionRequest) -> Result<Value, Failure> {
    let now = request.now.read()?;
    let trust = trust(&request.trust_file, &request.trust_root, now)?;
    let request_body = request::bytes("request_body", &request.request_body)?;
    let wanted = SessionWanted {
        trust: &trust,
        request_body: &request_body,
        accept_simulated: request.accept_simulated,
        now,
        seen: None,
        suites: &Suite::ALL,
    };
    let appraisal = verify_response(wanted, &request::bytes("response", &request.response)?);
    let session = appraisal.result?;
    Ok(json!({
        "result": "accepted",
        "simulated": session.is_simulated(),
        "certified": session.is_certified(),
        "deployment": trust.deployment.to_string(),
        "epoch": session.statement().epoch,
        "valid_until": session.valid_until(),
        "checks": appraisal.checks,
    }))
}

/// The trust file in its texts, checked against its pinned root.
pub(crate) fn trust(file: &str, root: &str, now: UnixTime) -> Result<TrustFile, Failure> {
    let root = request::array("trust_root", root.strip_prefix("sha256:").unwrap_or(root))?;
    Ok(trust_file::verify(&request::bytes("trust_file", file)?, &root, 0, now)?)
}

impl From<TrustFileError> for Failure {
    fn from(error: TrustFileError) -> Failure {
        let exit = if matches!(error, TrustFileError::Malformed(_)) { 4 } else { 3 };
        Failure::new("TRUST_FILE", exit, error.to_string())
    }
}
