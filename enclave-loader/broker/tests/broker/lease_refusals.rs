//! Refusals that have to do with a lease that was granted before.

use strongroom_broker::Revoke;
use strongroom_channel::cose::SigningKey;
use strongroom_enclave_loader::release::LeaseId;
use strongroom_simulated_platform::launch_measurement;

use crate::world::{Instance, NOW, World, vendor};

#[tokio::test]
async fn renewals_of_a_lease_that_is_unknown_expired_revoked_or_somebody_elses() {
    let world = World::new();
    let instance = Instance::new(&world);
    let released = world.release(&instance).await.unwrap();
    let serving = instance.serving(&released.lease);

    let mut unknown = released.lease.clone();
    unknown.lease_id = LeaseId::from_bytes([9; 16]);
    assert_eq!(world.ask(&serving, Some(&unknown)).await.err().unwrap().code(), "STALE");

    let other = Instance::new(&world).serving(&released.lease);
    assert_eq!(world.ask(&other, Some(&released.lease)).await.err().unwrap().code(), "FORK");

    let mut moved = Instance::new(&world).serving(&released.lease);
    moved.key = SigningKey::from_seed(*serving.key.seed());
    moved.statement = serving.statement.clone();
    moved.device = vendor().device([2; 32], launch_measurement(b"the image"), [0; 32], NOW).unwrap();
    let error = world.ask(&moved, Some(&released.lease)).await.err().unwrap();
    assert_eq!(error.code(), "PLATFORM_NOT_ALLOWED");

    world.clock.advance(3600);
    let error = world.ask(&serving, Some(&released.lease)).await.err().unwrap();
    assert_eq!(error.code(), "STALE");
    assert!(error.to_string().contains("expired"), "{error}");

    let instance = Instance::new(&world);
    let released = world.release(&instance).await.unwrap();
    world.broker.revoke(Revoke::All).unwrap();
    let serving = instance.serving(&released.lease);
    let error = world.ask(&serving, Some(&released.lease)).await.err().unwrap();
    assert!(error.to_string().contains("revoked"), "{error}");
}

#[tokio::test]
async fn an_instance_whose_lease_was_revoked_asks_for_keys_again() {
    let world = World::new();
    let instance = Instance::new(&world);
    world.release(&instance).await.unwrap();
    world.broker.revoke(Revoke::All).unwrap();
    let error = world.release(&instance).await.err().unwrap();
    assert_eq!(error.code(), "FORK");
    assert!(error.to_string().contains("revoked"), "{error}");
}

#[tokio::test]
async fn an_instance_whose_lease_expired_asks_for_keys_again() {
    let world = World::new();
    let instance = Instance::new(&world);
    world.release(&instance).await.unwrap();
    world.clock.advance(3600);
    let error = world.release(&instance).await.err().unwrap();
    assert_eq!(error.code(), "FORK");
    assert!(error.to_string().contains("expired"), "{error}");
}
