//! Evidence from files, against a policy.

use serde_json::Value;
use strongroom_attestation::{Examination, Policy, examine};

use crate::answer::{self, Failure};
use crate::request::{self, EvidenceRequest};

/// Verifies evidence. `request` is a JSON object (`evidence` and `endorsements` as lists of base64
/// texts, `report_data` and `nonce` in hexadecimal, `at` as RFC 3339 or seconds, `policy` as
/// `strict`, `authentic` or TOML, `development_roots` as a list of base64 texts, `warn_days`); the
/// answer is one line of JSON: what the command `strongroom verify --evidence … --json` prints, byte
/// for byte, or `error` with the code `USAGE` when the request is none.
#[cfg_attr(all(target_family = "wasm", target_os = "unknown"), wasm_bindgen::prelude::wasm_bindgen)]
#[must_use]
pub fn verify(request: &str) -> String {
    answer::text(request::read(request).and_then(|request| judge(&request)))
}

fn judge(request: &EvidenceRequest) -> Result<Value, Failure> {
    let all = |what: &str, texts: &[String]| {
        texts.iter().map(|text| request::bytes(what, text)).collect::<Result<Vec<_>, _>>()
    };
    let evidence = all("evidence", &request.evidence)?;
    let endorsements = all("an endorsement", &request.endorsements)?;
    let development_roots = all("a development root", &request.development_roots)?;
    if evidence.is_empty() {
        return Err(Failure::usage("no evidence: at least one file is wanted"));
    }
    let policy = match request.policy.as_str() {
        "strict" => Policy::strict(),
        "authentic" => Policy::authentic(),
        text => Policy::from_toml(text).map_err(|error| Failure::usage(format!("the policy: {error}")))?,
    };
    let report_data = request.report_data.as_ref().map(|digits| request::array("report_data", digits)).transpose()?;
    let nonce = request.nonce.as_ref().map(|digits| request::digits("nonce", digits)).transpose()?;
    let examination = Examination {
        artefacts: &[evidence, endorsements].concat(),
        report_data,
        nonce: nonce.as_deref(),
        policy: &policy,
        now: request.at.read()?,
        development_roots: &development_roots,
        warn_within: u64::from(request.warn_days) * 24 * 60 * 60,
    };
    Ok(examine(&examination).to_json())
}
