//! Heartbeats through the router: retries, revocation, forks, certificates, credentials, expiry.

use strongroom_attestation::UnixTime;
use strongroom_broker::Revoke;
use strongroom_channel::instance_certificate;
use strongroom_enclave_loader::release::{End, HeartbeatAnswer, HeartbeatOutcome, LeaseKeeper, Released, Standing};

use crate::world::{Instance, NOW, World, at};

struct Serving {
    world: World,
    instance: Instance,
    released: Released,
    keeper: LeaseKeeper,
}

impl Serving {
    async fn new() -> Self {
        let world = World::new();
        let instance = Instance::new(&world);
        let released = world.release(&instance).await.unwrap();
        let keeper = world.keeper(&released);
        Self { world, instance, released, keeper }
    }

    /// Moves the clock to `seconds` after the start, and beats.
    async fn beat(&mut self, seconds: u64) -> HeartbeatOutcome {
        self.world.beat(&mut self.keeper, &self.instance.key, seconds).await
    }
}

#[tokio::test]
async fn a_quiet_heartbeat_brings_the_time_and_nothing_else_and_is_not_logged() {
    let mut serving = Serving::new().await;
    let head = serving.world.broker.log_head();
    for seconds in [3, 6, 9] {
        let outcome = serving.beat(seconds).await;
        assert_eq!(outcome.broker_time, UnixTime::from_secs(NOW + seconds));
        assert_eq!((outcome.certificate, outcome.credentials), (None, None));
        assert_eq!(outcome.standing, Standing::Serving);
    }
    assert_eq!(serving.world.broker.log_head(), head);
}

#[tokio::test]
async fn a_retry_gets_the_very_same_answer_even_after_a_restart() {
    let mut serving = Serving::new().await;
    let heartbeat = serving.keeper.next(at(3), &serving.instance.key).unwrap();
    let (_, first) = serving.world.post("heartbeat", heartbeat.clone()).await;
    serving.world.clock.advance(5);
    let (_, second) = serving.world.post("heartbeat", heartbeat.clone()).await;
    assert_eq!(first, second);
    serving.world = serving.world.restart();
    let (_, third) = serving.world.post("heartbeat", heartbeat).await;
    assert_eq!(first, third);
    serving.keeper.answer(&third, at(8)).unwrap();
    assert_eq!(serving.beat(9).await.standing, Standing::Serving);
}

#[tokio::test]
async fn revocation_reaches_the_instance_with_its_next_heartbeat() {
    let mut serving = Serving::new().await;
    serving.beat(3).await;
    let lease = serving.released.lease.lease_id;
    assert_eq!(serving.world.broker.revoke(Revoke::One(lease)).unwrap(), [lease]);
    assert_eq!(serving.world.broker.revoke(Revoke::One(lease)).unwrap(), [], "once is enough");
    assert_eq!(serving.beat(6).await.standing, Standing::Ended(End::Revoked));
    assert!(serving.world.log_text().contains("lease-revoked"));
}

#[tokio::test]
async fn an_expired_lease_is_said_to_be_over() {
    let mut serving = Serving::new().await;
    serving.world.clock.set(UnixTime::from_secs(NOW + 3600));
    let heartbeat = serving.keeper.next(at(3), &serving.instance.key).unwrap();
    let (_, answer) = serving.world.post("heartbeat", heartbeat).await;
    let read = HeartbeatAnswer::verify(&answer, &serving.world.broker.broker_key()).unwrap();
    assert_eq!(read.revoked, [serving.released.lease.lease_id]);
    let outcome = serving.keeper.answer(&answer, at(3)).unwrap();
    assert_eq!(outcome.standing, Standing::Ended(End::Revoked));
}

#[tokio::test]
async fn two_copies_of_an_instance_both_end() {
    let mut serving = Serving::new().await;
    serving.beat(3).await;
    // The host restores a snapshot: a second keeper with the same state.
    let mut copy = serving.world.keeper(&serving.released);
    let stale = copy.next(at(4), &serving.instance.key).unwrap();
    let (status, answer) = serving.world.post("heartbeat", stale).await;
    assert_eq!(status, 200);
    assert_eq!(copy.answer(&answer, at(4)).unwrap().standing, Standing::Ended(End::Revoked));
    assert_eq!(serving.beat(6).await.standing, Standing::Ended(End::Revoked));
    assert!(serving.world.log_text().contains("lease-forked"));
    // Neither of them gets a renewal or new keys.
    let lease = serving.released.lease.clone();
    let error = serving.world.release(&serving.instance).await.err().unwrap();
    assert_eq!(error.code(), "FORK");
    let instance = serving.instance.serving(&lease);
    let error = serving.world.ask(&instance, Some(&lease)).await.err().unwrap();
    assert_eq!(error.code(), "FORK");
}

#[tokio::test]
async fn a_certificate_is_replaced_in_the_second_half_of_its_life() {
    let mut serving = Serving::new().await;
    assert_eq!(serving.beat(450).await.certificate, None);
    let chain = serving.beat(453).await.certificate.unwrap();
    let now = UnixTime::from_secs(NOW + 453);
    let certificate = instance_certificate::verify(&chain[0], &chain[1], now).unwrap();
    assert_eq!(*certificate.key(), serving.instance.key.verifying_key());
    assert_eq!(certificate.not_after(), UnixTime::from_secs(NOW + 453 + 900));
    assert_eq!(serving.beat(456).await.certificate, None);
    // At the end of the lease the certificate ends with it, and is not renewed for nothing.
    let last = serving.beat(3000).await.certificate.unwrap();
    let certificate = instance_certificate::verify(&last[0], &last[1], UnixTime::from_secs(NOW + 3000)).unwrap();
    assert_eq!(certificate.not_after(), serving.released.lease.expires);
    assert_eq!(serving.beat(3500).await.certificate, None);
}

#[tokio::test]
async fn changed_credentials_come_once() {
    let mut serving = Serving::new().await;
    assert_eq!(serving.beat(3).await.credentials, None);
    let key = serving.world.broker.create_api_key("clinic").unwrap();
    let credentials = serving.beat(6).await.credentials.unwrap();
    assert_eq!(credentials.len(), 1);
    assert_eq!(credentials[0].id, key.id);
    assert_eq!(credentials[0].hash, strongroom_attestation::crypto::sha256(key.secret.as_bytes()));
    assert_eq!(serving.beat(9).await.credentials, None);
    serving.world.broker.revoke_api_key(&key.id).unwrap();
    assert_eq!(serving.beat(12).await.credentials, Some(vec![]));
}

#[tokio::test]
async fn a_heartbeat_of_another_instance_or_key_is_refused_and_changes_nothing() {
    let mut serving = Serving::new().await;
    let stranger = Instance::new(&serving.world);
    let heartbeat = serving.keeper.next(at(3), &serving.instance.key).unwrap();
    let said = strongroom_enclave_loader::release::Heartbeat::peek(&heartbeat).unwrap();
    let forged = said.sign(&stranger.key);
    assert_eq!(serving.world.refusal_of("heartbeat", &forged).await.0, "REFUSED");
    let mut other = said.clone();
    other.instance_id = [9; 16];
    let forged = other.sign(&serving.instance.key);
    assert_eq!(serving.world.refusal_of("heartbeat", &forged).await.0, "REFUSED");
    assert_eq!(serving.world.refusal_of("heartbeat", b"\x00").await.0, "PARSE");
    assert_eq!(serving.beat(3).await.standing, Standing::Serving);
}

#[tokio::test]
async fn a_renewal_keeps_the_chain_of_heartbeats() {
    let mut serving = Serving::new().await;
    serving.beat(1800).await;
    assert_eq!(serving.keeper.renewals_due(at(1800)).len(), 1);
    let lease = serving.released.lease.clone();
    serving.instance = serving.instance.serving(&lease);
    let renewed = serving.world.ask(&serving.instance, Some(&lease)).await.unwrap();
    serving.keeper.renewed(renewed.lease, renewed.broker_time, at(1800)).unwrap();
    assert_eq!(serving.beat(1803).await.standing, Standing::Serving);
    assert_eq!(serving.beat(4000).await.standing, Standing::Serving);
}

#[tokio::test]
async fn what_a_lost_renewal_answer_brought_comes_again_with_the_next_heartbeat() {
    let mut serving = Serving::new().await;
    let key = serving.world.broker.create_api_key("clinic").unwrap();
    assert!(serving.beat(1800).await.credentials.is_some());
    let lease = serving.released.lease.clone();
    let instance = serving.instance.serving(&lease);
    serving.world.broker.revoke_api_key(&key.id).unwrap();
    // The answer to this renewal is lost on the way, and with it the news of the revocation.
    serving.world.clock.advance(500);
    serving.world.ask(&instance, Some(&lease)).await.unwrap();
    serving.instance = instance;
    let news = serving.beat(2303).await;
    assert_eq!(news.credentials, Some(vec![]));
    assert!(news.certificate.is_some(), "the certificate of the lost answer does not count either");
}

#[tokio::test]
async fn a_late_copy_of_an_answered_heartbeat_is_refused_and_ends_nothing() {
    let mut serving = Serving::new().await;
    let mut old = Vec::new();
    for second in [3, 6, 9] {
        let heartbeat = serving.keeper.next(at(second), &serving.instance.key).unwrap();
        let (_, answer) = serving.world.post("heartbeat", heartbeat.clone()).await;
        serving.keeper.answer(&answer, at(second)).unwrap();
        old.push(heartbeat);
    }
    for heartbeat in &old[..2] {
        assert_eq!(serving.world.refusal_of("heartbeat", heartbeat).await.0, "STALE");
    }
    assert_eq!(serving.world.post("heartbeat", old[2].clone()).await.0, 200, "the last one is a retry");
    assert_eq!(serving.beat(12).await.standing, Standing::Serving);
    assert!(!serving.world.log_text().contains("lease-forked"));
}
