//! Deny lists on captured SNP evidence, and on simulated TDX and Azure evidence: each kind of entry,
//! and what a list asks that the evidence does not tell.

use strongroom_attestation::{
    Artefacts, Check, Code, Denied, DeniedSubject, DenyList, DevelopmentAnchors, Expected, Hardware, HexBytes,
    PlatformIdentity, Policy, Refusal, Simulated, State, UnixTime, Verdict, crypto, verify,
};
use strongroom_simulated_platform::{
    EvidenceVersion, PckCa, SimulatedAzure, SimulatedIntel, TdBody, TdEvidence, VtpmKeys,
};

use crate::vector::Vector;

const NOW: u64 = 1_800_000_000;
const REASON: &str = "keys leaked, see our notice 12";

fn list(subjects: Vec<DeniedSubject>) -> DenyList {
    let entries = subjects.into_iter().map(|subject| Denied { subject, reason: REASON.to_owned() });
    DenyList::new("Example Bank".to_owned(), 7, None, entries.collect()).unwrap()
}

fn platform(bytes: &[u8]) -> DeniedSubject {
    DeniedSubject::Platform(PlatformIdentity(bytes.to_vec()))
}

fn certificate(der: &[u8]) -> DeniedSubject {
    DeniedSubject::Certificate(HexBytes(crypto::sha256(der)))
}

/// The checks that answer deny lists.
fn answers(checks: &[Check]) -> Vec<&Check> {
    checks.iter().filter(|check| check.title.starts_with("deny list")).collect()
}

/// The outcome of a captured vector with this list added to its policy.
fn captured(name: &str, list: DenyList) -> Result<Verdict<Hardware>, Refusal> {
    let mut vector = Vector::named(name);
    vector.policy.deny_feeds.push(list);
    vector.verdict()
}

fn refused_by_entry(result: Result<Verdict<Hardware>, Refusal>, code: Code, what: &str) {
    let refusal = result.map(|_| ()).expect_err(what);
    assert_eq!(refusal.code, code, "{what}: {refusal}");
    let failed: Vec<&Check> = refusal.checks.iter().filter(|check| check.state == State::Fail).collect();
    assert_eq!(failed.len(), 1, "{what}: {failed:?}");
    assert!(failed[0].found.ends_with(REASON), "{what}: {}", failed[0].found);
    assert!(failed[0].wanted.contains("Example Bank, sequence 7"), "{what}: {}", failed[0].wanted);
}

#[test]
fn without_a_list_one_check_says_so_and_with_one_each_kind_is_answered() {
    let verdict = Vector::named("012-genoa-v5").verdict().unwrap();
    let without = answers(verdict.checks());
    assert_eq!((without.len(), without[0].state), (1, State::Skip));

    let verdict = captured("012-genoa-v5", list(vec![])).unwrap();
    let with = answers(verdict.checks());
    let states: Vec<State> = with.iter().map(|check| check.state).collect();
    // Advisories are for Intel's platforms.
    assert_eq!(states, [State::Pass, State::Pass, State::Pass, State::Pass, State::Skip]);
    assert!(with[..4].iter().all(|check| check.found.contains("Example Bank, sequence 7")), "{with:?}");
    // That a measurement is not denied does not make it one of those wanted.
    assert_eq!(verdict.to_json()["status"], "warning");
}

#[test]
fn what_is_not_listed_is_accepted() {
    let others = list(vec![
        platform(&[9; 64]),
        platform(&[9; 8]),
        platform(&[9; 16]),
        DeniedSubject::Fmspc(HexBytes([9; 6])),
        DeniedSubject::Measurement(HexBytes([9; 48])),
        DeniedSubject::Certificate(HexBytes([9; 32])),
        DeniedSubject::Advisory("INTEL-SA-99999".to_owned()),
    ]);
    for name in ["001-milan-v2", "011-genoa-v3", "012-genoa-v5", "013-turin-v5"] {
        assert!(captured(name, others.clone()).is_ok(), "{name}");
    }
}

#[test]
fn a_chip_is_denied_by_each_of_its_names() {
    let chip = |name: &str| Vector::named(name).report[0x1A0..0x1E0].to_vec();
    let denied = |name: &str, id: &[u8]| captured(name, list(vec![platform(id)]));
    let (genoa, turin) = (chip("012-genoa-v5"), chip("013-turin-v5"));
    let code = Code::PlatformNotAllowed;
    refused_by_entry(denied("012-genoa-v5", &genoa), code, "Genoa");
    refused_by_entry(denied("013-turin-v5", &turin[..8]), code, "Turin, short");
    refused_by_entry(denied("013-turin-v5", &turin), code, "Turin, long");
    assert!(denied("012-genoa-v5", &genoa[..8]).is_ok(), "a prefix is no name");
    assert!(denied("013-turin-v5", &turin[..16]).is_ok(), "nor is one of Turin's");
    assert!(denied("012-genoa-v5", &turin).is_ok(), "another chip");
}

/// Whoever runs the host can mask the chip id; under a VLEK nothing then tells the chip.
#[test]
fn a_chip_that_a_vlek_hides_is_refused_where_chips_are_denied() {
    let name = "010-milan-v3-vlek";
    let shown = Vector::named(name).report[0x1A0..0x1E0].to_vec();
    if shown == [0; 64] {
        let refusal = captured(name, list(vec![platform(&[9; 64])])).map(|_| ()).unwrap_err();
        assert_eq!(refusal.code, Code::PlatformNotAllowed, "{refusal}");
    } else {
        refused_by_entry(captured(name, list(vec![platform(&shown)])), Code::PlatformNotAllowed, "shown");
        assert!(captured(name, list(vec![platform(&[9; 64])])).is_ok());
    }
    assert!(captured(name, list(vec![platform(&[9; 16])])).is_ok(), "a list of others' machines");
}

#[test]
fn a_launch_measurement_is_denied() {
    for name in ["001-milan-v2", "012-genoa-v5", "013-turin-v5"] {
        let measurement: [u8; 48] = Vector::named(name).report[0x90..0xC0].try_into().unwrap();
        let denied = list(vec![DeniedSubject::Measurement(HexBytes(measurement))]);
        refused_by_entry(captured(name, denied), Code::Measurement, name);
    }
}

#[test]
fn every_certificate_of_the_chain_is_denied_by_its_digest() {
    let vector = Vector::named("012-genoa-v5");
    let anchors =
        [&include_bytes!("../../anchors/amd/genoa/ark.der")[..], include_bytes!("../../anchors/amd/genoa/ask.der")];
    for der in anchors.into_iter().chain([vector.endorsements[0].as_slice()]) {
        refused_by_entry(captured("012-genoa-v5", list(vec![certificate(der)])), Code::Revoked, "a certificate");
    }
    // One that lies beside and was not used is no reason.
    let beside = Vector::named("023-certificate-of-another-chip-beside");
    let used: Vec<bool> = beside
        .endorsements
        .iter()
        .map(|der| captured("023-certificate-of-another-chip-beside", list(vec![certificate(der)])).is_err())
        .collect();
    assert_eq!(used.iter().filter(|used| **used).count(), 1, "{used:?}");
}

#[test]
fn an_edition_that_has_ended_accepts_nothing() {
    let name = "012-genoa-v5";
    let now = Vector::named(name).now;
    let until = |end| DenyList::new("Example Bank".to_owned(), 7, Some(end), vec![]).unwrap();
    let verdict = captured(name, until(now)).unwrap();
    assert_eq!(verdict.claims().valid_until(), now, "no verdict outlives the edition that it asked");
    let ended = until(UnixTime::from_secs(now.as_secs() - 1));
    let refusal = captured(name, ended).map(|_| ()).unwrap_err();
    assert_eq!(refusal.code, Code::CollateralExpired, "{refusal}");
}

#[test]
fn an_inline_list_and_several_feeds_are_all_asked() {
    let chip = Vector::named("012-genoa-v5").report[0x1A0..0x1E0].to_vec();
    for place in 0..3 {
        let lists = |index| if index == place { list(vec![platform(&chip)]) } else { list(vec![]) };
        let mut vector = Vector::named("012-genoa-v5");
        vector.policy = Policy { deny: Some(lists(0)), deny_feeds: vec![lists(1), lists(2)], ..vector.policy };
        refused_by_entry(vector.verdict(), Code::PlatformNotAllowed, "one of three");
    }
}

/// A TD, its vendor's root, and a policy under which it is accepted.
fn td() -> (TdEvidence, Vec<u8>, [u8; 16]) {
    let intel = SimulatedIntel::published(NOW).unwrap();
    let body = TdBody { mr_td: [0xAB; 48], ..TdBody::healthy() };
    let td = intel.td([3; 32], PckCa::Platform, body, NOW).unwrap();
    let evidence = td.evidence(&[7; 64]).unwrap();
    (evidence, intel.root_certificate_der().to_vec(), *td.ppid())
}

fn simulated(artefacts: &[Vec<u8>], roots: &[&[u8]], policy: &Policy) -> Result<Verdict<Simulated>, Refusal> {
    let mut sorted = Artefacts::default();
    artefacts.iter().try_for_each(|artefact| sorted.add(artefact).map(|_| ()))?;
    let (evidence, bag) = sorted.into_evidence()?;
    let first = DevelopmentAnchors::new(roots[0])?;
    let anchors = roots[1..].iter().try_fold(first, |anchors, root| anchors.and(root))?;
    let expected = Expected::unbound_for_inspection();
    verify::<Simulated>(&evidence, &bag, &anchors, policy, &expected, UnixTime::from_secs(NOW)).into_verdict()
}

fn with(list: DenyList) -> Policy {
    Policy { deny_feeds: vec![list], ..Policy::authentic() }
}

#[test]
fn each_kind_of_entry_refuses_a_td() {
    let (evidence, root, ppid) = td();
    let mut artefacts = vec![evidence.quote.clone()];
    artefacts.extend(evidence.collateral.artefacts());
    let outcome = |subjects: Vec<DeniedSubject>| {
        let result = simulated(&artefacts, &[&root], &with(list(subjects)));
        result.map_err(|refusal| refusal.code)
    };
    let verdict =
        outcome(vec![platform(&[9; 16]), platform(&[9; 64]), DeniedSubject::Fmspc(HexBytes([9; 6]))]).unwrap();
    let tdx = verdict.claims().tdx().unwrap();
    let advisory = DeniedSubject::Advisory("INTEL-SA-00615".to_owned());
    assert!(outcome(vec![advisory.clone()]).is_ok(), "{:?}", tdx.tcb);
    for (subject, code) in [
        (platform(&ppid), Code::PlatformNotAllowed),
        (DeniedSubject::Fmspc(tdx.pck.fmspc), Code::PlatformNotAllowed),
        (DeniedSubject::Measurement(HexBytes([0xAB; 48])), Code::Measurement),
        (certificate(&root), Code::Revoked),
    ] {
        assert_eq!(outcome(vec![subject.clone()]).map(|_| ()), Err(code), "{subject:?}");
    }

    // Without collateral nobody knows the advisories.
    let mut policy = with(list(vec![advisory]));
    policy.tdx.require_collateral = false;
    let quote = [evidence.quote];
    let refusal = simulated(&quote, &[&root], &policy).map(|_| ()).unwrap_err();
    assert_eq!(refusal.code, Code::Tcb, "{refusal}");
    policy.deny_feeds = vec![list(vec![platform(&[9; 16])])];
    assert!(simulated(&quote, &[&root], &policy).is_ok());
}

#[test]
fn certificates_of_the_attestation_key_and_its_machine_are_denied() {
    let azure = SimulatedAzure::published(NOW).unwrap();
    let intel = SimulatedIntel::published(NOW).unwrap();
    let body = TdBody { mr_td: [0xAB; 48], ..TdBody::healthy() };
    let td = intel.td([3; 32], PckCa::Platform, body, NOW).unwrap();
    let ppid = *td.ppid();
    let vm = azure.vm(td, VtpmKeys::published().unwrap(), NOW).unwrap();
    let evidence = vm.evidence(b"nonce", EvidenceVersion::V2).unwrap();
    let mut artefacts = vec![evidence.hcl_report.clone()];
    artefacts.extend(evidence.td_quote.clone());
    artefacts.extend(evidence.endorsements.iter().chain(&evidence.ak_certificates).cloned());
    let roots = [azure.root_certificate_der(), intel.root_certificate_der()];
    let outcome = |subject: DeniedSubject| {
        simulated(&artefacts, &roots, &with(list(vec![subject]))).map(|_| ()).map_err(|refusal| refusal.code)
    };
    assert_eq!(outcome(platform(&[9; 16])), Ok(()));
    for (number, der) in evidence.ak_certificates.iter().enumerate() {
        assert_eq!(outcome(certificate(der)), Err(Code::Revoked), "certificate {number} of the attestation key");
    }
    assert_eq!(outcome(certificate(intel.root_certificate_der())), Err(Code::Revoked));
    assert_eq!(outcome(platform(&ppid)), Err(Code::PlatformNotAllowed));
    assert_eq!(outcome(DeniedSubject::Measurement(HexBytes([0xAB; 48]))), Err(Code::Measurement));
}
