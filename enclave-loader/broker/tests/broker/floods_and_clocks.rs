//! Callers who prove nothing, clocks that are set back, and files that nobody would take.

use strongroom_attestation::UnixTime;
use strongroom_broker::{Broker, BrokerError, TrustOptions};

use crate::world::{Instance, NOW, World};

#[tokio::test]
async fn a_flood_that_proves_nothing_is_counted_and_does_not_fill_the_log() {
    let world = World::new();
    let (_, mut request) = world.prepare(&Instance::new(&world), None).await;
    *request.instance_signature.last_mut().unwrap() ^= 1;
    let before = world.log_text().lines().count();
    for _ in 0..150 {
        assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "REFUSED");
    }
    assert_eq!(world.log_text().lines().count(), before + 100);
    world.clock.advance(1);
    world.refusal_of("release", &request.to_json()).await;
    assert!(world.log_text().contains(r#""event":"refusals-left-out","count":50"#), "{}", world.log_text());
    world.broker.verify_log().unwrap();
    // Who was refused so uses nothing up, and keeps nobody else out.
    assert!(world.release(&Instance::new(&world)).await.is_ok());
}

#[tokio::test]
async fn a_clock_that_was_set_back_while_the_broker_was_stopped_is_refused() {
    let world = World::new();
    let dir = world.broker_dir();
    let World { dir: _keep, broker, clock, .. } = world;
    drop(broker);
    clock.set(UnixTime::from_secs(NOW - 301));
    let error = Broker::open_with_clock(&dir, clock.clone()).err().unwrap();
    assert!(matches!(error, BrokerError::ClockSetBack { .. }), "{error}");
    assert!(error.to_string().contains("2026-11-21T10:00:00Z"), "{error}");
    clock.set(UnixTime::from_secs(NOW - 300));
    assert!(Broker::open_with_clock(&dir, clock).is_ok());
}

#[test]
fn a_trust_file_that_clients_would_refuse_is_not_given_out() {
    let world = World::new();
    let options = TrustOptions { hints: vec!["x".repeat(100_000)], ..TrustOptions::default() };
    let error = world.broker.export_trust(&options).err().unwrap();
    assert_eq!(error.code(), "USAGE");
    assert!(!world.log_text().contains("trust-exported"));
    assert!(world.broker.export_trust(&TrustOptions::default()).is_ok());
}
