//! How old NVIDIA's items may be: manifests a week, lists a day, OCSP answers half of their own time, and none of these
//! past its end.

use std::time::Duration;

use strongroom_attestation::UnixTime;
use strongroom_endorsements::{Bundle, Clock as _, FetchError, Freshness, Settings};

use crate::nvidia_vendor::{AUGUST, DRIVER, status_of_chip};
use crate::vendor::Behaviour;
use crate::{Stage, settings, source, want};

const HOUR: u64 = 60 * 60;

fn impatient(settings: &mut Settings) {
    settings.patience = Duration::ZERO;
}

#[tokio::test]
async fn a_status_is_fetched_again_at_half_of_its_time_and_ends_with_it() {
    // From 06:47:07 for a day; it is 08:00.
    let stage = Stage::at(AUGUST, impatient).await;
    let status = want(&status_of_chip());
    stage.source.get(&status).await.unwrap();
    let to_half = Duration::from_secs(10 * HOUR + 47 * 60 + 7);
    stage.clock.advance(to_half - Duration::from_secs(1));
    assert!(matches!(stage.source.get(&status).await.unwrap().freshness, Freshness::Cached { .. }));
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.source.get(&status).await.unwrap().freshness, Freshness::Fresh);
    assert_eq!(stage.vendor.count(), 2);
    // The responder has no newer one yet: it is not asked by each call.
    assert!(matches!(stage.source.get(&status).await.unwrap().freshness, Freshness::Cached { .. }));
    stage.clock.advance(Duration::from_secs(600));
    assert_eq!(stage.source.get(&status).await.unwrap().freshness, Freshness::Fresh);
    assert_eq!(stage.vendor.count(), 3);

    // When it is down, the copy serves to the end, and not a second longer, whatever is allowed to others.
    stage.vendor.always(Behaviour::Status(503));
    stage.clock.advance(Duration::from_secs(12 * HOUR - 601));
    assert!(matches!(stage.source.get(&status).await.unwrap().freshness, Freshness::Stale { .. }));
    stage.clock.advance(Duration::from_secs(1));
    let mut lenient = settings(&[&stage.vendor]);
    impatient(&mut lenient);
    lenient.past_expiry = Duration::from_secs(90 * 24 * HOUR);
    let lenient = source(lenient, stage.directory.path(), &stage.clock);
    for source in [&stage.source, &lenient] {
        let error = source.get(&status).await.unwrap_err();
        assert!(matches!(error, FetchError::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn who_judges_as_of_then_is_served_what_was_good_then() {
    let stage = Stage::at(AUGUST, impatient).await;
    let status = want(&status_of_chip());
    stage.source.get(&status).await.unwrap();
    stage.clock.advance_days(30);
    let mut offline = settings(&[&stage.vendor]);
    offline.offline = true;
    let without = source(offline.clone(), stage.directory.path(), &stage.clock);
    assert_eq!(without.get(&status).await.unwrap_err().code(), "NOT_CACHED");
    for (as_of, is_served) in [(AUGUST, true), ("2025-08-22T06:47:06Z", true), ("2025-08-22T06:47:07Z", false)] {
        let mut settings = offline.clone();
        settings.as_of = UnixTime::parse_rfc3339(as_of);
        let source = source(settings, stage.directory.path(), &stage.clock);
        assert_eq!(source.get(&status).await.is_ok(), is_served, "{as_of}");
    }
}

#[tokio::test]
async fn manifests_are_fetched_weekly_and_lists_daily() {
    let stage = Stage::at(AUGUST, impatient).await;
    let (manifest, list) = (want(DRIVER), want("nvidia/crl/l1-root"));
    stage.source.get(&manifest).await.unwrap();
    stage.source.get(&list).await.unwrap();
    stage.clock.advance_days(1);
    assert_eq!(stage.source.get(&list).await.unwrap().freshness, Freshness::Fresh);
    stage.clock.advance_days(5);
    assert!(matches!(stage.source.get(&manifest).await.unwrap().freshness, Freshness::Cached { .. }));
    stage.clock.advance_days(1);
    assert_eq!(stage.source.get(&manifest).await.unwrap().freshness, Freshness::Fresh);
    // While the service is down the copy serves until its signer's certificates end.
    stage.vendor.always(Behaviour::Status(503));
    stage.clock.advance_days(270);
    assert!(matches!(stage.source.get(&manifest).await.unwrap().freshness, Freshness::Stale { .. }));
}

#[tokio::test]
async fn a_carried_status_serves_until_it_ends_and_not_longer() {
    let stage = Stage::at(AUGUST, impatient).await;
    let status = want(&status_of_chip());
    let item = stage.source.get(&status).await.unwrap().item;
    let file = Bundle::of(stage.source.cache().items().unwrap().items).to_json();
    let site = tempfile::tempdir().unwrap();
    let mut offline = settings(&[&stage.vendor]);
    offline.offline = true;
    let source = source(offline, site.path(), &stage.clock);
    let bundle = Bundle::from_json(&file, stage.clock.now()).unwrap();
    assert_eq!(bundle.merge_into(source.cache()).unwrap().added, 1);
    assert_eq!(Bundle::of(source.cache().items().unwrap().items).to_json(), file, "and out again");
    assert_eq!(source.get(&status).await.unwrap().item, item);
    stage.clock.advance(Duration::from_secs(22 * HOUR + 47 * 60 + 6));
    assert!(matches!(source.get(&status).await.unwrap().freshness, Freshness::Stale { .. }));
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(source.get(&status).await.unwrap_err().code(), "NOT_CACHED");
}
