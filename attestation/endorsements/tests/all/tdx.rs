//! From a TD quote to a verdict under the strict policy: captured evidence, Intel's service with what it served that
//! month, and the real verifier.

use std::sync::Arc;
use std::time::Duration;

use strongroom_attestation::{Check, Code, Policy};
use strongroom_endorsements::{Freshness, Settings};

use crate::clock::SimulatedClock;
use crate::vendor::{Behaviour, Season, Vendor, evidence, intel};
use crate::{Stage, failed, fetched, settings, source, want};

const JUNE: &str = "2025-06-25T00:00:00Z";
const WANTS: [&str; 4] = [
    "intel/tdx-tcb-info/b0c06f000000/standard",
    "intel/td-qe-identity/standard",
    "intel/pck-crl/platform",
    "intel/root-crl",
];

async fn in_june(change: impl FnOnce(&mut Settings)) -> Stage {
    let (vendor, clock) = (Vendor::start_in(Season::June2025).await, SimulatedClock::at(JUNE));
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(&[&vendor]);
    change(&mut settings);
    let source = source(settings, directory.path(), &clock);
    Stage { vendor, source, clock, directory }
}

fn quote() -> Vec<Vec<u8>> {
    vec![evidence("tdx-quote-v4.bin")]
}

#[tokio::test]
async fn a_quote_is_accepted_under_the_strict_policy_with_what_was_fetched_for_it() {
    let stage = in_june(|_| {}).await;
    let collateral = fetched(&stage.source, &stage.clock, &quote()).await;
    let wants: Vec<String> = collateral.answers.iter().map(|answer| answer.item.want().to_string()).collect();
    assert_eq!((wants, collateral.missing), (WANTS.map(str::to_owned).to_vec(), vec![]));
    let collateral = fetched(&stage.source, &stage.clock, &quote()).await;
    assert_eq!(failed(&quote(), &collateral, &Policy::strict(), &stage.clock), None);
    assert_eq!(stage.vendor.count(), 4, "the second verdict rests on what the first one fetched");
}

#[tokio::test]
async fn while_intel_is_down_verdicts_rest_on_the_copy_until_it_ends() {
    let stage = in_june(|settings| settings.patience = Duration::ZERO).await;
    fetched(&stage.source, &stage.clock, &quote()).await;
    stage.vendor.always(Behaviour::Status(503));
    // The lists and levels end on 2025-07-19 from 10:00:35 on; it is 2025-06-25.
    stage.clock.advance_days(24);
    let collateral = fetched(&stage.source, &stage.clock, &quote()).await;
    let stale = |freshness: &Freshness| matches!(freshness, Freshness::Stale { why, .. } if why.contains("503"));
    assert!(collateral.answers.iter().any(|answer| stale(&answer.freshness)), "{:?}", collateral.answers.len());
    assert!(collateral.answers.iter().all(|answer| matches!(answer.freshness, Freshness::Stale { .. })));
    assert_eq!(failed(&quote(), &collateral, &Policy::strict(), &stage.clock), None);

    stage.clock.advance_days(1);
    let collateral = fetched(&stage.source, &stage.clock, &quote()).await;
    let missing: Vec<_> = collateral.missing.iter().map(|error| error.want().to_string()).collect();
    assert_eq!(missing, WANTS[..3], "the root's list ends later");
    let check = failed(&quote(), &collateral, &Policy::strict(), &stage.clock).unwrap();
    assert_eq!((check.code, check.found.as_str()), (Code::Revoked, Check::NONE_SUPPLIED));
    let lacked: Vec<_> = collateral.missing.iter().filter(|error| error.want().is_lacked_by(&check)).collect();
    assert!(lacked.len() == 1 && lacked[0].want() == &want("intel/pck-crl/platform"), "{lacked:?}");
}

#[tokio::test]
async fn each_item_that_is_missing_is_the_one_that_the_refusal_lacks() {
    for (index, code) in [Code::Tcb, Code::Tcb, Code::Revoked, Code::Revoked].into_iter().enumerate() {
        let stage = in_june(|settings| settings.patience = Duration::ZERO).await;
        let mut collateral = fetched(&stage.source, &stage.clock, &quote()).await;
        collateral.answers.remove(index);
        let check = failed(&quote(), &collateral, &Policy::strict(), &stage.clock).unwrap();
        assert_eq!((check.code, check.found.as_str()), (code, Check::NONE_SUPPLIED), "{}", WANTS[index]);
        let lacked: Vec<&str> = WANTS.into_iter().filter(|text| want(text).is_lacked_by(&check)).collect();
        assert_eq!(lacked, [WANTS[index]], "{}", check.title);
    }
}

#[tokio::test]
async fn levels_of_another_platform_are_never_served_for_this_one() {
    let stage = in_june(|settings| settings.patience = Duration::ZERO).await;
    stage.vendor.next(Behaviour::Other("/tdx/certification/v4/tcb?fmspc=90c06f000000"));
    let collateral = fetched(&stage.source, &stage.clock, &quote()).await;
    let missing = &collateral.missing[0];
    assert!(missing.to_string().contains("TCB info of FMSPC 90c06f000000, wanted b0c06f000000"), "{missing}");
    assert_eq!(stage.source.cache().load(&want(WANTS[0])), None);
    // The rest of what that service has is not asked for while it rests; the policy refuses.
    assert!(failed(&quote(), &collateral, &Policy::strict(), &stage.clock).is_some());
    assert_eq!(failed(&quote(), &collateral, &Policy::authentic(), &stage.clock), None);
}

#[tokio::test]
async fn what_was_given_is_not_fetched_while_it_is_in_its_dates() {
    let stage = in_june(|_| {}).await;
    let files = [
        quote(),
        vec![
            intel("tcb_TDX_B0C06F000000_2025-06-19_2025-07-19_eval17.json"),
            intel("pck_platform_crl_2025-06-19_2025-07-19.der"),
            intel("root_ca_crl_2025-03-20_2026-04-03.der"),
        ],
    ]
    .concat();
    let collateral = fetched(&stage.source, &stage.clock, &files).await;
    assert_eq!(stage.vendor.requests(), ["/tdx/certification/v4/qe/identity"]);
    assert_eq!(failed(&files, &collateral, &Policy::strict(), &stage.clock), None);
    stage.clock.advance_days(30);
    let late = source(settings(&[&stage.vendor]), stage.directory.path(), &Arc::clone(&stage.clock));
    fetched(&late, &stage.clock, &files).await;
    assert_eq!(stage.vendor.count(), 4, "all but the root's list have ended: {:?}", stage.vendor.requests());
}

#[tokio::test]
async fn an_item_that_intel_did_not_sign_is_blamed_forgotten_and_fetched_again() {
    let stage = in_june(|_| {}).await;
    let forged = |name: &str, from: &str, to: &str| {
        let text = String::from_utf8(intel(name)).unwrap();
        assert!(text.contains(from), "{name}");
        text.replacen(from, to, 1).into_bytes()
    };
    let last_byte = |name: &str| {
        let mut bytes = intel(name);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        bytes
    };
    let forgeries = [
        forged("tcb_TDX_B0C06F000000_2025-06-19_2025-07-19_eval17.json", "OutOfDate", "UpToDate"),
        forged("qe_TD_QE_2025-06-19_2025-07-19_eval17.json", "2025-07-19", "2025-08-19"),
        last_byte("pck_platform_crl_2025-06-19_2025-07-19.der"),
        last_byte("root_ca_crl_2025-03-20_2026-04-03.der"),
    ];
    for (text, forgery) in WANTS.iter().zip(forgeries) {
        stage.source.cache().discard(&want(text)).unwrap();
        stage.vendor.next(Behaviour::Body(forgery));
        let collateral = fetched(&stage.source, &stage.clock, &quote()).await;
        assert_eq!(collateral.missing, [], "{text}: it is of the kind that was asked for");
        let check = failed(&quote(), &collateral, &Policy::strict(), &stage.clock).unwrap();
        let items = collateral.answers.iter().map(|answer| answer.item.want());
        let refused: Vec<_> = items.filter(|want| want.is_refused_by(&check)).cloned().collect();
        assert_eq!(refused, [want(text)], "{}: {}", check.title, check.found);
        stage.source.cache().discard(&refused[0]).unwrap();
        let collateral = fetched(&stage.source, &stage.clock, &quote()).await;
        assert_eq!(failed(&quote(), &collateral, &Policy::strict(), &stage.clock), None, "{text}");
    }
}
