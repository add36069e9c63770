//! What evidence of each platform needs, Azure's included: the hardware's report decides, wherever it lies.

use strongroom_attestation::{Endorsements, Policy, Product};
use strongroom_endorsements::{Evaluation, WantError, evidence_wants};

use crate::clock::SimulatedClock;
use crate::vendor::{Vendor, evidence, snp};
use crate::{Stage, failed, fetched, settings, sorted, source};

fn wants(files: &[Vec<u8>]) -> Result<Vec<String>, WantError> {
    let (evidence, given) = sorted(files);
    let [alternative] = &evidence_wants(&evidence, &given, &[], Evaluation::Standard)?[..] else { panic!("one") };
    Ok(alternative.key.iter().chain(&alternative.others).map(ToString::to_string).collect())
}

#[test]
fn azure_on_tdx_needs_what_its_quote_needs() {
    let files = [evidence("azure-tdx-hcl-report.bin"), evidence("azure-tdx-quote.bin")];
    let wanted = [
        "intel/tdx-tcb-info/00806f050000/standard",
        "intel/td-qe-identity/standard",
        "intel/pck-crl/platform",
        "intel/root-crl",
    ];
    assert_eq!(wants(&files).unwrap(), wanted);
    assert_eq!(wants(&files[1..]).unwrap(), wanted, "as the bare quote");
    assert_eq!(wants(&files[..1]), Err(WantError::NoPck), "a TDREPORT alone names no platform");
}

#[test]
fn azure_on_snp_needs_what_its_report_needs() {
    let inside = wants(&[evidence("azure-snp-genoa-hcl-report.bin")]).unwrap();
    assert_eq!(inside, wants(&[snp("014-genoa-v3-paravisor/report.bin")]).unwrap());
    assert_eq!(inside[1..], ["amd/chain/Genoa/vcek", "amd/crl/Genoa"]);
}

#[tokio::test]
async fn azure_on_snp_is_accepted_with_what_was_fetched_for_it() {
    let (vendor, clock) = (Vendor::start().await, SimulatedClock::at("2025-10-01T00:00:00Z"));
    let directory = tempfile::tempdir().unwrap();
    let source = source(settings(&[&vendor]), directory.path(), &clock);
    let files = [evidence("azure-snp-genoa-hcl-report.bin")];
    let collateral = fetched(&source, &clock, &files).await;
    assert_eq!((collateral.answers.len(), collateral.missing.len()), (3, 0), "{:?}", collateral.missing);
    let mut policy = Policy::authentic();
    policy.require_revocation = true;
    assert_eq!(failed(&files, &collateral, &policy, &clock), None);
}

#[tokio::test]
async fn a_given_certificate_of_the_chip_decides_for_its_product() {
    let stage = Stage::new().await;
    let files = [snp("001-milan-v2/report.bin"), snp("001-milan-v2/vcek.der")];
    let collateral = fetched(&stage.source, &stage.clock, &files).await;
    assert_eq!(collateral.missing, []);
    assert_eq!(stage.vendor.requests(), ["/vcek/v1/Milan/cert_chain", "/vcek/v1/Milan/crl"], "Genoa is not tried");
    // The certificate of another chip is none of this one.
    let foreign = [snp("012-genoa-v5/report.bin"), snp("014-genoa-v3-paravisor/vcek.der")];
    let (evidence, given) = sorted(&foreign);
    let alternatives = evidence_wants(&evidence, &given, &Product::ALL, Evaluation::Standard).unwrap();
    assert!(alternatives[0].key.as_ref().is_some_and(|key| !key.is_met_by(&given, stage_now(&stage))));
    assert_eq!(Endorsements::default().objects().count(), 0);
}

fn stage_now(stage: &Stage) -> strongroom_attestation::UnixTime {
    strongroom_endorsements::Clock::now(stage.clock.as_ref())
}

#[tokio::test]
async fn a_forged_certificate_of_the_chip_is_blamed_and_a_revoked_one_is_not() {
    let stage = Stage::new().await;
    let mut forged = snp("012-genoa-v5/vcek.der");
    let last = forged.len() - 1;
    forged[last] ^= 1;
    stage.vendor.next(crate::vendor::Behaviour::Body(forged));
    let files = [snp("012-genoa-v5/report.bin")];
    let collateral = fetched(&stage.source, &stage.clock, &files).await;
    let check = failed(&files, &collateral, &Policy::authentic(), &stage.clock).unwrap();
    let of_items = |refused: bool| {
        let items = collateral.answers.iter().map(|answer| answer.item.want());
        items.filter(|want| want.is_refused_by(&check) == refused).map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(of_items(true)[0].starts_with("amd/vcek/Genoa/"), "{}", check.title);
    assert_eq!(of_items(false), ["amd/crl/Genoa"]);

    // What a genuine list says is kept, however unwelcome: without it the next verdict would be milder.
    let mut revoked = check.clone();
    revoked.title = "revocation".to_owned();
    revoked.code = strongroom_attestation::Code::Revoked;
    revoked.found = "SEV-Genoa (serial 020001) is revoked".to_owned();
    assert!(collateral.answers.iter().all(|answer| !answer.item.want().is_refused_by(&revoked)));
}
