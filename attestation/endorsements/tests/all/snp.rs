//! From a report to what verifies it: the captured evidence, the vendor's items, and the real verifier.

use std::time::Duration;

use strongroom_attestation::{Endorsements, Evidence, Policy, Product, SnpReport};
use strongroom_endorsements::{Collateral, CollateralSource, Evaluation, FetchError, WantError, evidence_wants};

use crate::clock::SimulatedClock;
use crate::vendor::{Behaviour, Vendor, snp};
use crate::{Stage, failed, fetched, settings, source};

fn report(vector: &str) -> Vec<u8> {
    snp(&format!("{vector}/report.bin"))
}

async fn for_snp(source: &CollateralSource, vector: &str, candidates: &[Product]) -> Result<Collateral, WantError> {
    let evidence = Evidence::Snp(SnpReport::parse(&report(vector)).unwrap());
    let wants = evidence_wants(&evidence, &Endorsements::default(), candidates, Evaluation::Standard)?;
    Ok(source.first_of(&wants).await)
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
        let files = [report(vector)];
        let collateral = fetched(&source, &clock, &files).await;
        // No Turin list is public among the captured ones.
        assert_eq!(collateral.missing.len(), usize::from(!revocation), "{vector}: {:?}", collateral.missing);
        let mut policy = Policy::authentic();
        policy.require_revocation = revocation;
        assert_eq!(failed(&files, &collateral, &policy, &clock), None, "{vector}");
    }
}

#[tokio::test]
async fn a_report_without_a_processor_is_tried_in_the_callers_order() {
    let stage = Stage::new().await;
    let collateral = for_snp(&stage.source, "001-milan-v2", &[Product::Genoa, Product::Milan]).await.unwrap();
    assert!(collateral.answers[0].item.want().to_string().starts_with("amd/vcek/Milan/"));
    assert_eq!((collateral.answers.len(), collateral.missing.len()), (3, 0));
    let requests = stage.vendor.requests();
    assert!(requests[0].starts_with("/vcek/v1/Genoa/") && requests[1].starts_with("/vcek/v1/Milan/"), "{requests:?}");
    assert_eq!(requests.len(), 4);
    // The second time nothing is asked, not even for the product that it is not of.
    for_snp(&stage.source, "001-milan-v2", &[Product::Genoa, Product::Milan]).await.unwrap();
    assert_eq!(stage.vendor.count(), 4);
    let none = for_snp(&stage.source, "001-milan-v2", &[Product::Genoa]).await.unwrap();
    assert_eq!((none.answers.len(), none.missing[0].code()), (0, "NOT_FOUND"));
}

#[tokio::test]
async fn under_a_vlek_the_hosts_certificate_is_left_to_the_host() {
    let stage = Stage::new().await;
    let collateral = for_snp(&stage.source, "010-milan-v3-vlek", &[]).await.unwrap();
    let subjects: Vec<_> = collateral.answers.iter().map(|a| a.item.description().subject.as_str()).collect();
    assert_eq!(subjects, ["SEV-VLEK-Milan", "ARK-Milan"]);
}

#[tokio::test]
async fn what_is_missing_is_said_beside_what_is_there() {
    let stage = Stage::with(|settings| settings.patience = Duration::ZERO).await;
    stage.vendor.next(Behaviour::Sound);
    stage.vendor.next(Behaviour::Status(503));
    let collateral = for_snp(&stage.source, "012-genoa-v5", &[]).await.unwrap();
    assert_eq!(collateral.answers.len(), 1);
    let codes: Vec<_> = collateral.missing.iter().map(FetchError::code).collect();
    assert_eq!(codes, ["UNAVAILABLE", "UNAVAILABLE"], "the chain, and the list of the service that rests");
    assert_eq!(stage.vendor.count(), 2);
}
