//! Evidence from files, against a policy.

use serde_json::{Value, json};
use strongroom_attestation::{
    Class, DevelopmentAnchors, Endorsements, Evidence, Expected, Hardware, HardwareAnchors, Policy, Simulated,
    verify as verify_evidence,
};

use crate::answer::{self, Failure};
use crate::request::{self, EvidenceRequest};

/// Verifies evidence. `request` is a JSON object (`evidence` and `endorsements` as lists of base64
/// texts, `report_data` in hexadecimal, `at` as RFC 3339 or seconds, `policy` as `strict`,
/// `authentic` or TOML, `development_root` as base64); the answer is one line of JSON, with
/// `result` and the verdict, or `error` with a stable code, and the numbered `checks` with both.
#[cfg_attr(all(target_family = "wasm", target_os = "unknown"), wasm_bindgen::prelude::wasm_bindgen)]
#[must_use]
pub fn verify(request: &str) -> String {
    answer::text(request::read(request).and_then(|request| judge(&request)))
}

fn judge(request: &EvidenceRequest) -> Result<Value, Failure> {
    match &request.development_root {
        None => judge_as::<Hardware>(request, &HardwareAnchors::compiled_in()),
        Some(root) => {
            let anchors = DevelopmentAnchors::new(&request::bytes("development_root", root)?)?;
            judge_as::<Simulated>(request, &anchors)
        }
    }
}

/// The one place that puts the core's pieces together.
fn judge_as<K: Class>(request: &EvidenceRequest, anchors: &K::Anchors) -> Result<Value, Failure> {
    if request.nonce.is_some() {
        return Err(Failure::usage("an SNP report has no nonce: say what it is bound to with report_data"));
    }
    let [evidence] = request.evidence.as_slice() else {
        return Err(Failure::usage("one piece of evidence is wanted: an SNP report"));
    };
    let now = request.at.read()?;
    let policy = match request.policy.as_str() {
        "strict" => Policy::strict(),
        "authentic" => Policy::authentic(),
        text => Policy::from_toml(text).map_err(|error| Failure::usage(format!("the policy: {error}")))?,
    };
    let expected = match &request.report_data {
        Some(digits) => Expected::report_data(request::array("report_data", digits)?),
        None => Expected::unbound_for_inspection(),
    };
    let evidence = Evidence::parse(&request::bytes("evidence", evidence)?)?;
    let mut endorsements = Endorsements::default();
    for text in &request.endorsements {
        endorsements.add(&request::bytes("an endorsement", text)?)?;
    }
    let verdict =
        verify_evidence::<K>(&evidence, &endorsements, anchors, &policy, &expected, now).into_verdict()?.to_json();
    Ok(with_result(verdict))
}

fn with_result(mut verdict: Value) -> Value {
    if let Value::Object(fields) = &mut verdict {
        fields.insert("result".to_owned(), json!("accepted"));
    }
    verdict
}
