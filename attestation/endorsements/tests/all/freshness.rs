//! How old an answer may be, and what it says of that.

use std::time::Duration;

use strongroom_endorsements::{FetchError, Freshness};

use crate::vendor::Behaviour;
use crate::{Stage, settings, source, tcb_info, want};

const DAY: u64 = 24 * 60 * 60;

fn stale(freshness: &Freshness) -> (u64, &str) {
    let Freshness::Stale { age, why } = freshness else { panic!("{freshness:?}") };
    (age.as_secs(), why)
}

#[tokio::test]
async fn lists_are_fetched_daily_and_certificates_rarely() {
    let stage = Stage::new().await;
    let (list, chain) = (want("amd/crl/Milan"), want("amd/chain/Milan/vcek"));
    stage.source.get(&list).await.unwrap();
    stage.source.get(&chain).await.unwrap();
    stage.clock.advance(Duration::from_secs(DAY - 1));
    let cached = stage.source.get(&list).await.unwrap().freshness;
    assert_eq!(cached, Freshness::Cached { age: Duration::from_secs(DAY - 1) });
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.source.get(&list).await.unwrap().freshness, Freshness::Fresh);
    assert!(matches!(stage.source.get(&chain).await.unwrap().freshness, Freshness::Cached { .. }));
    stage.clock.advance_days(90);
    assert_eq!(stage.source.get(&chain).await.unwrap().freshness, Freshness::Fresh);
}

#[tokio::test]
async fn a_restart_asks_nobody() {
    let stage = Stage::new().await;
    stage.source.get(&tcb_info()).await.unwrap();
    stage.clock.advance(Duration::from_secs(60));
    let restarted = source(settings(&[&stage.vendor]), stage.directory.path(), &stage.clock);
    let answer = restarted.get(&tcb_info()).await.unwrap();
    assert_eq!(answer.freshness, Freshness::Cached { age: Duration::from_secs(60) });
    assert_eq!(stage.vendor.count(), 1);
}

#[tokio::test]
async fn when_the_vendor_is_down_an_old_copy_is_served_until_it_expires() {
    let stage = Stage::new().await;
    // Issued 2026-03-16, expires 2026-04-15T22:06:09Z; it is 2026-03-20T08:00:00Z.
    stage.source.get(&tcb_info()).await.unwrap();
    stage.vendor.always(Behaviour::Status(503));
    stage.clock.advance_days(26);
    let answer = stage.source.get(&tcb_info()).await.unwrap();
    let (age, why) = stale(&answer.freshness);
    assert_eq!(age, 26 * DAY);
    assert!(why.contains("503"), "{why}");
    // One request and no waiting: there is a copy.
    assert_eq!(stage.vendor.count(), 2);
    stage.clock.advance(Duration::from_secs(14 * 60 * 60 + 6 * 60 + 8));
    stale(&stage.source.get(&tcb_info()).await.unwrap().freshness);
    stage.clock.advance(Duration::from_secs(1));
    let past = source(settings(&[&stage.vendor]), stage.directory.path(), &stage.clock);
    let ask = {
        let past = past.clone();
        tokio::spawn(async move { past.get(&tcb_info()).await })
    };
    for request in 1..=2 {
        let before = stage.vendor.count();
        let rest = stage.clock.asleep_for_at_most(Duration::from_secs(4)).await;
        assert!(before >= request);
        stage.clock.advance(rest);
    }
    assert!(matches!(ask.await.unwrap(), Err(FetchError::Unavailable { .. })), "expired");

    let mut lenient = settings(&[&stage.vendor]);
    lenient.past_expiry = Duration::from_secs(DAY);
    let lenient = source(lenient, stage.directory.path(), &stage.clock);
    let answer = lenient.get(&tcb_info()).await.unwrap();
    stale(&answer.freshness);
    assert!(answer.item.description().expires.unwrap() < strongroom_endorsements::Clock::now(stage.clock.as_ref()));
    stage.vendor.always(Behaviour::Sound);
    stage.clock.advance(Duration::from_secs(600));
    assert_eq!(past.get(&tcb_info()).await.unwrap().freshness, Freshness::Fresh, "the vendor's word, expired or not");
}

#[tokio::test]
async fn a_vendor_that_is_late_with_a_list_is_not_asked_by_each_call() {
    // A list that ended months ago is handed on as the vendor gave it: the verifier decides on dates.
    let stage = Stage::new().await;
    let list = want("amd/crl/Genoa");
    assert_eq!(stage.source.get(&list).await.unwrap().freshness, Freshness::Fresh);
    stage.clock.advance(Duration::from_secs(599));
    let again = stage.source.get(&list).await.unwrap();
    assert_eq!(again.freshness, Freshness::Cached { age: Duration::from_secs(599) });
    assert!(again.item.description().expires.unwrap() < again.item.fetched_at());
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.source.get(&list).await.unwrap().freshness, Freshness::Fresh);
    assert_eq!(stage.vendor.count(), 2);
}

#[tokio::test]
async fn what_expires_is_fetched_at_once() {
    // Issued 2026-03-16, expires 2026-04-15T22:06:09Z, refreshed an hour before.
    let stage = Stage::new().await;
    stage.clock.advance(Duration::from_secs(26 * DAY + 13 * 60 * 60));
    stage.source.get(&tcb_info()).await.unwrap();
    stage.clock.advance(Duration::from_secs(60 * 60 + 6 * 60 + 8));
    assert!(matches!(stage.source.get(&tcb_info()).await.unwrap().freshness, Freshness::Cached { .. }));
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.source.get(&tcb_info()).await.unwrap().freshness, Freshness::Fresh);
}

#[tokio::test]
async fn offline_there_is_what_the_cache_has() {
    let stage = Stage::new().await;
    stage.source.get(&tcb_info()).await.unwrap();
    let mut offline = settings(&[&stage.vendor]);
    offline.offline = true;
    let offline = source(offline, stage.directory.path(), &stage.clock);
    assert!(matches!(offline.get(&tcb_info()).await.unwrap().freshness, Freshness::Cached { .. }));
    stage.clock.advance_days(2);
    let answer = offline.get(&tcb_info()).await.unwrap();
    assert_eq!(stale(&answer.freshness), (2 * DAY, "fetching is off"));
    let error = offline.get(&want("intel/root-crl")).await.unwrap_err();
    assert_eq!(error.code(), "NOT_CACHED");
    assert_eq!(stage.vendor.count(), 1);
}

#[tokio::test]
async fn an_item_from_the_future_is_of_unknown_age() {
    let stage = Stage::new().await;
    stage.clock.advance_days(10);
    stage.source.get(&tcb_info()).await.unwrap();
    // The clock was wrong, and was set back.
    let clock = crate::SimulatedClock::at(crate::MARCH);
    let back = source(settings(&[&stage.vendor]), stage.directory.path(), &clock);
    assert_eq!(back.get(&tcb_info()).await.unwrap().freshness, Freshness::Fresh);
}

#[tokio::test]
async fn what_the_verifier_refused_is_fetched_anew() {
    let stage = Stage::new().await;
    let chain = want("amd/chain/Milan/vcek");
    stage.source.get(&chain).await.unwrap();
    stage.source.cache().discard(&chain).unwrap();
    stage.source.cache().discard(&chain).unwrap();
    assert_eq!(stage.source.get(&chain).await.unwrap().freshness, Freshness::Fresh);
    assert_eq!(stage.vendor.count(), 2);
}
