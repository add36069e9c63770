//! Many who want one thing, vendors that are slow, down or strict, and how often they are asked.

use std::time::Duration;

use strongroom_endorsements::{Answer, FetchError, Freshness, Mirrors, Pace, Settings};

use crate::vendor::{Behaviour, Vendor};
use crate::{Stage, settings, source, tcb_info, want};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn impatient(settings: &mut Settings) {
    settings.patience = Duration::ZERO;
}

/// When to try again, and what is said.
fn unavailable(outcome: Result<Answer, FetchError>) -> (Duration, String) {
    let error = outcome.unwrap_err();
    let FetchError::Unavailable { retry_after, .. } = &error else { panic!("{error}") };
    (*retry_after, error.to_string())
}

#[tokio::test]
async fn many_who_want_one_item_cause_one_request() {
    let stage = Stage::new().await;
    stage.vendor.always(Behaviour::Gated);
    let ask = || {
        let source = stage.source.clone();
        tokio::spawn(async move { source.get(&tcb_info()).await })
    };
    let impatient = ask();
    let others: Vec<_> = (0..50).map(|_| ask()).collect();
    stage.vendor.asked(1).await;
    // Who goes away takes nothing from the others.
    impatient.abort();
    stage.vendor.open_gate();
    for other in others {
        assert_eq!(other.await.unwrap().unwrap().freshness, Freshness::Fresh);
    }
    assert_eq!(stage.vendor.count(), 1);
    assert!(matches!(stage.source.get(&tcb_info()).await.unwrap().freshness, Freshness::Cached { .. }));
}

#[tokio::test]
async fn many_who_want_one_item_share_its_failure() {
    let stage = Stage::with(impatient).await;
    stage.vendor.always(Behaviour::Status(500));
    let ask = |_| {
        let source = stage.source.clone();
        tokio::spawn(async move { source.get(&tcb_info()).await })
    };
    for asked in (0..50).map(ask).collect::<Vec<_>>() {
        unavailable(asked.await.unwrap());
    }
    assert_eq!(stage.vendor.count(), 1);
}

#[tokio::test]
async fn retry_after_is_honoured_in_both_forms() {
    for after in ["40", "Fri, 20 Mar 2026 08:00:40 GMT"] {
        // Longer than a call's patience.
        let stage = Stage::new().await;
        stage.vendor.next(Behaviour::TooMany(after));
        let (wait, text) = unavailable(stage.source.get(&tcb_info()).await);
        assert_eq!(wait, secs(40), "{after}");
        assert!(text.contains("try again in 40 s") && text.contains("429"), "{text}");
        // Until then nobody asks, for this or anything else.
        stage.clock.advance(secs(34));
        let (wait, _) = unavailable(stage.source.get(&want("intel/root-crl")).await);
        assert_eq!((wait, stage.vendor.count()), (secs(6), 1));
        // What is left of it is within one call's patience.
        stage.clock.advance(secs(1));
        let source = stage.source.clone();
        let call = tokio::spawn(async move { source.get(&tcb_info()).await });
        assert_eq!(stage.clock.asleep_for_at_most(secs(5)).await, secs(5));
        stage.clock.advance(secs(4));
        tokio::task::yield_now().await;
        assert_eq!(stage.vendor.count(), 1);
        stage.clock.advance(secs(1));
        assert_eq!(call.await.unwrap().unwrap().freshness, Freshness::Fresh);
        assert_eq!(stage.vendor.count(), 2);
    }
}

#[tokio::test]
async fn a_short_outage_is_waited_out_within_the_call() {
    let stage = Stage::new().await;
    stage.vendor.next(Behaviour::Status(503));
    stage.vendor.next(Behaviour::Status(502));
    let source = stage.source.clone();
    let call = tokio::spawn(async move { source.get(&tcb_info()).await });
    for (request, longest) in [(1, 1), (2, 2)] {
        stage.vendor.asked(request).await;
        let rest = stage.clock.asleep_for_at_most(secs(longest)).await;
        assert!(rest >= secs(longest) / 2, "{rest:?}");
        stage.clock.advance(rest);
    }
    assert_eq!(call.await.unwrap().unwrap().freshness, Freshness::Fresh);
    assert_eq!(stage.vendor.count(), 3);
}

#[tokio::test]
async fn a_call_gives_up_after_a_few_requests() {
    let stage = Stage::with(|settings| settings.patience = secs(3600)).await;
    stage.vendor.always(Behaviour::Status(503));
    let source = stage.source.clone();
    let call = tokio::spawn(async move { source.get(&tcb_info()).await });
    for request in 1..=2 {
        stage.vendor.asked(request).await;
        let rest = stage.clock.asleep_for_at_most(secs(4)).await;
        stage.clock.advance(rest);
    }
    let (wait, text) = unavailable(call.await.unwrap());
    assert!(wait > Duration::ZERO && wait <= secs(4), "{wait:?}");
    assert!(text.contains("503"), "{text}");
    // Later calls know that, and neither ask nor wait: the clock stands still.
    let (_, text) = unavailable(stage.source.get(&want("intel/root-crl")).await);
    assert!(text.contains("not asked again yet") && text.contains("503"), "{text}");
    assert_eq!(stage.vendor.count(), 3);
}

#[tokio::test]
async fn a_slow_service_is_given_up_on_by_the_clock() {
    for behaviour in [Behaviour::Gated, Behaviour::HalfThenGated] {
        let stage = Stage::with(impatient).await;
        stage.vendor.always(behaviour.clone());
        let source = stage.source.clone();
        let call = tokio::spawn(async move { source.get(&tcb_info()).await });
        stage.vendor.asked(1).await;
        stage.clock.asleep_for_at_most(secs(10)).await;
        stage.clock.advance(secs(9));
        tokio::task::yield_now().await;
        assert!(!call.is_finished(), "{behaviour:?}");
        stage.clock.advance(secs(1));
        let (_, text) = unavailable(call.await.unwrap());
        assert!(text.contains("no whole answer within 10 s"), "{text}");
    }
}

#[tokio::test]
async fn a_vendor_that_is_down_is_not_hammered() {
    let stage = Stage::with(impatient).await;
    stage.vendor.always(Behaviour::Status(503));
    // One caller a second for an hour.
    for _ in 0..3600 {
        unavailable(stage.source.get(&tcb_info()).await);
        stage.clock.advance(secs(1));
    }
    // At most 1, 2, 4, … 256 s apart and then 300; at least half of that.
    let count = stage.vendor.count();
    assert!((18..=36).contains(&count), "{count} requests");
    stage.vendor.always(Behaviour::Sound);
    stage.clock.advance(secs(300));
    assert_eq!(stage.source.get(&tcb_info()).await.unwrap().freshness, Freshness::Fresh);
}

#[tokio::test]
async fn a_refused_connection_is_unavailable_and_says_so() {
    let mut stage = Stage::with(impatient).await;
    stage.vendor.stop().await;
    let (wait, text) = unavailable(stage.source.get(&tcb_info()).await);
    assert!(wait > Duration::ZERO && wait <= secs(1), "{wait:?}");
    assert!(text.contains("127.0.0.1") && text.to_lowercase().contains("refused"), "{text}");
}

#[tokio::test]
async fn certificates_of_chips_are_asked_for_at_the_vendors_pace() {
    let (vendor, stage) = (Vendor::start().await, Stage::new().await);
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(&[&vendor]);
    impatient(&mut settings);
    let paced = vendor.mirror().with_pace(Some(Pace { interval: secs(10), burst: 2 }));
    settings.mirrors = Mirrors::all(vec![paced]);
    let source = source(settings, directory.path(), &stage.clock);
    let chip = |byte: u8| want(&format!("amd/vcek/Genoa/{}/0a00000000001954", hex::encode([byte; 64])));
    // Nobody has these chips; the point is when they are asked for.
    for byte in [1, 2] {
        assert!(matches!(source.get(&chip(byte)).await, Err(FetchError::NotFound { .. })));
    }
    let (wait, text) = unavailable(source.get(&chip(3)).await);
    assert_eq!(wait, secs(10), "{text}");
    assert!(text.contains("one request in 10 s"), "{text}");
    assert_eq!(source.get(&want("amd/crl/Milan")).await.unwrap().freshness, Freshness::Fresh, "lists have no pace");
    stage.clock.advance(secs(10));
    assert!(matches!(source.get(&chip(3)).await, Err(FetchError::NotFound { .. })));
    assert_eq!(vendor.count(), 4);
}

#[tokio::test]
async fn without_a_mirror_nothing_is_available() {
    let stage = Stage::with(|settings| settings.mirrors = Mirrors::all(Vec::new())).await;
    let (_, text) = unavailable(stage.source.get(&tcb_info()).await);
    assert!(text.contains("no service"), "{text}");
}
