//! From a report to what verifies it: the captured evidence, the vendor's items, and the real verifier.

use std::time::Duration;

use strongroom_attestation::{
    Endorsements, Evidence, Expected, Hardware, HardwareAnchors, Policy, Product, SnpReport, State, verify,
};
use strongroom_endorsements::{Clock as _, FetchError};

use crate::clock::SimulatedClock;
use crate::vendor::{Behaviour, Vendor, snp};
use crate::{Stage, settings, source};

fn report(vector: &str) -> SnpReport {
    SnpReport::parse(&snp(&format!("{vector}/report.bin"))).unwrap()
}

#[tokio::test]
async fn the_verifier_accepts_a_report_with_what_was_fetched_for_it() {
    for (vector, date, revocation) in [
        ("012-genoa-v5", "2025-10-01T00:00:00Z", true),
        ("013-turin-v5", "2025-10-01T00:00:00Z", false),
        ("001-milan-v2", "2025-10-01T00:00:00Z", true),
    ] {
        let (vendor, clock, directory) =
            (Vendor::start().await, SimulatedClock::at(date), tempfile::tempdir().unwrap());
        let source = source(settings(&[&vendor]), directory.path(), &clock);
        let report = report(vector);
        let collateral = source.for_snp(&report, &[Product::Genoa, Product::Milan]).await.unwrap();
        // No Turin list is public among the captured ones.
        assert_eq!(collateral.missing.len(), usize::from(!revocation), "{vector}: {:?}", collateral.missing);
        let mut endorsements = Endorsements::default();
        collateral.add_to(&mut endorsements).unwrap();
        let evidence = Evidence::parse(report.bytes()).unwrap();
        let expected = Expected::report_data(report.report_data());
        let mut policy = Policy::authentic();
        policy.require_revocation = revocation;
        let anchors = HardwareAnchors::compiled_in();
        let appraisal = verify::<Hardware>(&evidence, &endorsements, &anchors, &policy, &expected, clock.now());
        let failed: Vec<_> = appraisal.checks().iter().filter(|check| check.state == State::Fail).collect();
        assert!(failed.is_empty(), "{vector}: {failed:?}");
        appraisal.into_verdict().unwrap();
    }
}

#[tokio::test]
async fn a_report_without_a_processor_is_tried_in_the_callers_order() {
    let stage = Stage::new().await;
    let collateral = stage.source.for_snp(&report("001-milan-v2"), &[Product::Genoa, Product::Milan]).await.unwrap();
    assert_eq!(collateral.product, Product::Milan);
    assert_eq!((collateral.answers.len(), collateral.missing.len()), (3, 0));
    let requests = stage.vendor.requests();
    assert!(requests[0].starts_with("/vcek/v1/Genoa/") && requests[1].starts_with("/vcek/v1/Milan/"), "{requests:?}");
    assert_eq!(requests.len(), 4);
    // The second time nothing is asked, not even for the product that it is not of.
    stage.source.for_snp(&report("001-milan-v2"), &[Product::Genoa, Product::Milan]).await.unwrap();
    assert_eq!(stage.vendor.count(), 4);
    let none = stage.source.for_snp(&report("001-milan-v2"), &[Product::Genoa]).await.unwrap();
    assert_eq!((none.answers.len(), none.missing[0].code()), (0, "NOT_FOUND"));
}

#[tokio::test]
async fn under_a_vlek_the_hosts_certificate_is_left_to_the_host() {
    let stage = Stage::new().await;
    let collateral = stage.source.for_snp(&report("010-milan-v3-vlek"), &[]).await.unwrap();
    let subjects: Vec<_> = collateral.answers.iter().map(|a| a.item.description().subject.as_str()).collect();
    assert_eq!(subjects, ["SEV-VLEK-Milan", "ARK-Milan"]);
}

#[tokio::test]
async fn what_is_missing_is_said_beside_what_is_there() {
    let stage = Stage::with(|settings| settings.patience = Duration::ZERO).await;
    stage.vendor.next(Behaviour::Sound);
    stage.vendor.next(Behaviour::Status(503));
    let collateral = stage.source.for_snp(&report("012-genoa-v5"), &[]).await.unwrap();
    assert_eq!(collateral.answers.len(), 1);
    let codes: Vec<_> = collateral.missing.iter().map(FetchError::code).collect();
    assert_eq!(codes, ["UNAVAILABLE", "UNAVAILABLE"], "the chain, and the list of the service that rests");
    assert_eq!(stage.vendor.count(), 2);
}
