//! How long a verdict is good: until the first of what it rests on ends, and not longer.

use strongroom_attestation::{AttestationResult, Policy, UnixTime};

use crate::captured::{Captured, Question, outcome};
use crate::derived::file_of;

const V5: &str = "tdx/003-v5-td15";
const TCB_INFO: &str = "tcb_TDX_90C06F000000_2026-03-16_2026-04-15_eval18.json";
const QE_IDENTITY: &str = "qe_TD_QE_2026-03-16_2026-04-15_eval18.json";
const ROOT_LIST: &str = "root_ca_crl_2026-02-26_2027-02-26.der";
const PCK_LIST: &str = "pck_platform_crl_2026-03-16_2026-04-15.der";
const DAY: u64 = 24 * 60 * 60;

/// The vector without these artefacts.
fn without(path: &str, policy: Policy, names: &[&str]) -> AttestationResult {
    let vector = Captured::named(path);
    let away: Vec<usize> = names.iter().map(|name| vector.index(name)).collect();
    let artefacts = vector.artefacts.iter().enumerate().filter(|(index, _)| !away.contains(index));
    let artefacts: Vec<Vec<u8>> = artefacts.map(|(_, bytes)| bytes.clone()).collect();
    vector.question(policy).about(&artefacts)
}

fn valid_until(result: &AttestationResult) -> String {
    result.claims.as_ref().unwrap().valid_until().to_string()
}

fn expiry(result: &AttestationResult, what: &str) -> String {
    let found: Vec<String> =
        result.expiries.iter().filter(|expiry| expiry.what == what).map(|expiry| expiry.until.to_string()).collect();
    assert_eq!(found.len(), 1, "{what} in {:?}", result.expiries);
    found[0].clone()
}

fn at(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

#[test]
fn a_verdict_ends_with_the_first_thing_that_it_rests_on() {
    for vector in Captured::all() {
        for policy in [Policy::authentic(), Policy::strict()] {
            let result = vector.examine(policy);
            let Some(claims) = &result.claims else { continue };
            let first = result.expiries.iter().map(|expiry| expiry.until).min();
            assert_eq!(first, Some(claims.valid_until()), "{}: {:?}", vector.description.name, result.expiries);
            assert!(claims.valid_until() >= result.at, "{}", vector.description.name);
        }
    }
}

#[test]
fn each_piece_of_collateral_shortens_the_verdict() {
    for (away, wanted) in [
        (&[][..], "2026-04-15T22:06:09Z"),
        (&[TCB_INFO], "2026-04-15T22:16:03Z"),
        (&[TCB_INFO, QE_IDENTITY], "2026-04-15T22:34:05Z"),
        (&[TCB_INFO, QE_IDENTITY, PCK_LIST], "2027-02-26T13:04:00Z"),
        (&[TCB_INFO, QE_IDENTITY, PCK_LIST, ROOT_LIST], "2033-01-27T14:36:27Z"),
    ] {
        let result = without(V5, Policy::authentic(), away);
        assert_eq!(
            (outcome(&result).as_str(), valid_until(&result).as_str()),
            ("accepted", wanted),
            "without {away:?}"
        );
    }
    let result = without("azure/204-tdx-out-of-date", Policy::authentic(), &[]);
    assert_eq!(valid_until(&result), "2025-11-12T10:46:47Z", "under a paravisor too");
}

#[test]
fn every_thing_that_was_used_is_named_with_its_end() {
    let result = Captured::named(V5).examine(Policy::strict());
    for (what, until) in [
        ("TCB info", "2026-04-15T22:06:09Z"),
        ("QE identity", "2026-04-15T22:16:03Z"),
        ("revocation of the PCK", "2026-04-15T22:34:05Z"),
        ("revocation of the PCK authority", "2027-02-26T13:04:00Z"),
        ("PCK certificate dates", "2033-01-27T14:36:27Z"),
    ] {
        assert_eq!(expiry(&result, what), until, "{what}");
    }
}

#[test]
fn the_last_second_is_inside_and_the_next_is_not() {
    let vector = Captured::named(V5);
    let mut question: Question = vector.question(Policy::strict());
    question.now = at("2026-04-15T22:06:09Z");
    assert_eq!(outcome(&question.about(&vector.artefacts)), "accepted");
    question.now = at("2026-04-15T22:06:10Z");
    assert_eq!(outcome(&question.about(&vector.artefacts)), "COLLATERAL_EXPIRED");
}

#[test]
fn of_several_the_end_is_that_of_the_one_that_is_used() {
    let older = file_of("tdx/004-v5-td15-tcb-info-only", "tcbinfo.json");
    let newer = file_of("tdx/203-v5-no-level-matches", "collateral.json");
    let vector = Captured::named(V5);
    let mut question = vector.question(Policy::strict());
    question.now = at("2026-03-01T00:00:00Z");
    for artefacts in [[older.clone(), newer.clone()], [newer, older]] {
        let quote = vector.artefacts[vector.index("quote.bin")].clone();
        let result = question.about(&[vec![quote], artefacts.to_vec()].concat());
        assert_eq!(outcome(&result), "accepted");
        assert_eq!(expiry(&result, "TCB info"), "2026-03-20T10:58:51Z");
    }
}

#[test]
fn what_ends_soon_is_told_in_time() {
    let vector = Captured::named(V5);
    let mut question = vector.question(Policy::strict());
    let ending = |question: &Question, days: u64| -> Vec<String> {
        let question = Question { warn_within: days * DAY, ..question.clone() };
        let result = question.about(&vector.artefacts);
        assert_eq!(outcome(&result), "accepted");
        result.warnings.iter().map(|expiry| expiry.what.clone()).collect()
    };
    assert!(ending(&question, 26).is_empty(), "26 days before the first end");
    assert_eq!(ending(&question, 27), ["TCB info", "QE identity", "revocation of the PCK"]);
    // To the second, and the end itself is inside.
    question.now = at("2026-04-14T22:06:09Z");
    assert_eq!(ending(&question, 1), ["TCB info"]);
    question.now = at("2026-04-14T22:06:08Z");
    assert!(ending(&question, 1).is_empty());
    assert_eq!(
        ending(&question, 365),
        [
            "TCB info",
            "QE identity",
            "revocation of the PCK",
            "revocation of the PCK authority",
            "revocation of the QE identity signer",
            "revocation of the TCB info signer"
        ]
    );
}
