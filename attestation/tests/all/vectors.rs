//! Every vector gives the outcome that it says.

use strongroom_attestation::{Code, State};

use crate::vector::Vector;

#[test]
fn every_vector_gives_its_expected_outcome() {
    let vectors = Vector::all();
    assert!(vectors.len() > 80, "{} vectors", vectors.len());
    let mut wrong = Vec::new();
    for vector in vectors {
        assert!(vector.folder.ends_with(&vector.name), "{}", vector.name);
        let found = match vector.verdict() {
            Ok(_) => "accepted".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        if found.split(':').next() != Some(vector.expected.as_str()) {
            wrong.push(format!("{}: {found}, wanted {}", vector.name, vector.expected));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_authentication_of_an_accepted_vector_skips_no_signature_and_no_chain() {
    for vector in Vector::all().iter().filter(|vector| vector.expected == "accepted") {
        let verdict = vector.verdict().unwrap();
        for code in [Code::Parse, Code::NoEndorsement, Code::Chain, Code::Signature] {
            let of_code = || verdict.checks().iter().filter(|check| check.code == code);
            assert!(of_code().count() >= 1, "{}: no check of {code}", vector.name);
            let passed = of_code().all(|check| check.state == State::Pass);
            assert!(passed, "{}: {code} is not passed", vector.name);
        }
    }
}

#[test]
fn a_refusal_carries_the_checks_up_to_its_reason_and_the_whole_appraisal() {
    // The signature fails: nothing after it is claimed.
    let refusal = Vector::named("401-signature-bit").verdict().unwrap_err();
    assert_eq!(refusal.checks.last().unwrap().state, State::Fail);
    assert!(refusal.checks.iter().filter(|check| check.state == State::Pass).count() >= 8);

    // The policy fails in two places: both are answered, and the first in order is the reason.
    let mut vector = Vector::named("012-genoa-v5");
    vector.policy.measurements = Some(vec![]);
    vector.policy.snp.vmpl = vec![3];
    let refusal = vector.verdict().unwrap_err();
    let failed: Vec<Code> =
        refusal.checks.iter().filter(|check| check.state == State::Fail).map(|check| check.code).collect();
    assert_eq!(failed, [Code::Vmpl, Code::Measurement]);
    assert_eq!(refusal.code, Code::Vmpl);
}

#[test]
fn a_vlek_is_accepted_where_the_policy_names_its_provider() {
    let mut vector = Vector::named("505-vlek-without-identity");
    vector.policy.require_platform_identity = false;
    let verdict = vector.verdict().unwrap();
    assert_eq!(verdict.claims().platform_identity(), None);
}

#[test]
fn the_certificate_is_for_the_reported_tcb_and_not_the_current_one() {
    let verdict = Vector::named("002-milan-v2-current-tcb-newer").verdict().unwrap();
    let snp = verdict.claims().snp().unwrap();
    assert_eq!((snp.reported_tcb.microcode, snp.current_tcb.microcode), (0x73, 0xCE));
}

#[test]
fn a_verdict_ends_with_the_first_certificate_or_list() {
    let until = |name: &str| Vector::named(name).verdict().unwrap().claims().valid_until();
    assert_eq!(until("010-milan-v3-vlek").to_string(), "2025-12-10T22:14:21Z");
    assert_eq!(until("021-genoa-revocation-list").to_string(), "2025-11-03T01:00:00Z");
    assert_eq!(until("012-genoa-v5").to_string().get(..4), Some("2032"));

    // The last second is inside.
    let mut vector = Vector::named("010-milan-v3-vlek");
    vector.now = until("010-milan-v3-vlek");
    assert!(vector.verdict().is_ok());
}
