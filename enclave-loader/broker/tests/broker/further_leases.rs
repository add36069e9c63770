//! An instance that serves is given another model: a lease of its own beside the one that it has.

use strongroom_attestation::UnixTime;
use strongroom_broker::Revoke;
use strongroom_channel::cose::SigningKey;
use strongroom_enclave_loader::release::{
    End, HeartbeatOutcome, Lease, LeaseId, LeaseKeeper, Released, Standing, WantedModel,
};
use strongroom_simulated_platform::launch_measurement;

use crate::world::{Instance, NOW, World, at, vendor};

/// An instance that serves `llama` and asks for `other`.
struct Scene {
    world: World,
    serving: Instance,
    first: Lease,
    keeper: LeaseKeeper,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new();
        let other = world.deposit("other", 1);
        let instance = Instance::new(&world);
        let released = world.release(&instance).await.unwrap();
        let (keeper, first) = (world.keeper(&released), released.lease);
        let mut serving = instance.serving(&first);
        serving.models = vec![WantedModel { model_id: other.model_id, version: 1 }];
        Self { world, serving, first, keeper }
    }

    /// The release of the other model, which the instance then serves too.
    async fn further(&mut self) -> Released {
        let released = self.world.release(&self.serving).await.unwrap();
        self.serving.statement.epoch += 1;
        self.serving.statement.workload.models.push(released.lease.models[0]);
        self.keeper.join(released.lease.clone(), released.broker_time, at(0)).unwrap();
        released
    }

    async fn beat(&mut self, seconds: u64) -> HeartbeatOutcome {
        self.world.beat(&mut self.keeper, &self.serving.key, seconds).await
    }

    fn standing(&self, lease: &Lease, seconds: u64) -> Standing {
        self.keeper.standing_of(lease.lease_id, at(seconds))
    }

    /// The code of the refusal of what the instance asks for.
    async fn refused(&self, instance: &Instance) -> String {
        self.world.release(instance).await.err().unwrap().code().to_string()
    }
}

#[tokio::test]
async fn each_lease_ends_alone_and_one_chain_of_heartbeats_tells() {
    let mut scene = Scene::new().await;
    let further = scene.further().await.lease;
    assert_eq!((further.models.len(), further.models == scene.first.models), (1, false));
    scene.beat(3).await;
    assert_eq!(scene.standing(&further, 3), Standing::Serving);
    scene.world.broker.revoke(Revoke::One(scene.first.lease_id)).unwrap();
    scene.beat(6).await;
    assert_eq!(scene.standing(&scene.first, 6), Standing::Ended(End::Revoked));
    assert_eq!(scene.standing(&further, 6), Standing::Serving);

    // What is left is renewed once the statement says so, and has certificates.
    scene.world.clock.set(UnixTime::from_secs(NOW + 1_800));
    scene.serving.models = vec![WantedModel { model_id: further.models[0], version: 1 }];
    let error = scene.world.ask(&scene.serving, Some(&further)).await.err().unwrap();
    assert_eq!(error.code(), "FORK", "its statement names a lease that is over");
    scene.serving.statement.workload.lease_id = Some(*further.lease_id.as_bytes());
    let error = scene.world.ask(&scene.serving, Some(&further)).await.err().unwrap();
    assert_eq!(error.code(), "POLICY", "its statement has a model that no lease allows any more");
    scene.serving.statement.workload.models = further.models.clone();
    let renewed = scene.world.ask(&scene.serving, Some(&further)).await.unwrap();
    scene.keeper.renewed(renewed.lease, renewed.broker_time, at(1_800)).unwrap();
    assert!(scene.beat(1_803).await.certificate.is_some());
}

#[tokio::test]
async fn a_copy_ends_every_lease_and_no_lease_has_a_chain_of_its_own() {
    let mut scene = Scene::new().await;
    let first = scene.first.clone();
    let further = scene.further().await;
    // Heartbeats in the name of the further lease would hide a copy that has only that.
    let mut other = scene.world.keeper(&further);
    let (status, _) = scene.world.post("heartbeat", other.next(at(1), &scene.serving.key).unwrap()).await;
    assert_eq!(status, 403);
    scene.beat(3).await;
    let mut copy = LeaseKeeper::new(scene.world.broker.broker_key(), first.clone(), UnixTime::from_secs(NOW), at(0));
    let (_, answer) = scene.world.post("heartbeat", copy.next(at(4), &scene.serving.key).unwrap()).await;
    copy.answer(&answer, at(4)).unwrap();
    scene.beat(6).await;
    for lease in [&first, &further.lease] {
        assert_eq!(scene.standing(lease, 6), Standing::Ended(End::Revoked));
    }
    assert_eq!(scene.refused(&scene.serving).await, "FORK");
}

#[tokio::test]
async fn the_end_of_a_lease_is_told_whatever_was_granted_since() {
    let mut scene = Scene::new().await;
    let further = scene.further().await.lease;
    let third = scene.world.deposit("llama", 4);
    scene.world.broker.revoke(Revoke::One(further.lease_id)).unwrap();
    scene.serving.statement.workload.models = scene.first.models.clone();
    scene.serving.models = vec![WantedModel { model_id: third.model_id, version: 4 }];
    scene.world.release(&scene.serving).await.unwrap();
    scene.beat(3).await;
    assert_eq!(scene.standing(&further, 3), Standing::Ended(End::Revoked));
    assert_eq!(scene.standing(&scene.first, 3), Standing::Serving);

    // A copy from before the first release replaces everything, and the original hears of all of it.
    let mut booting = Instance::new(&scene.world);
    (booting.key, booting.statement.signing_key) =
        (SigningKey::from_seed(*scene.serving.key.seed()), scene.serving.key.verifying_key());
    booting.statement.instance_id = scene.serving.statement.instance_id;
    booting.models = vec![WantedModel { model_id: third.model_id, version: 4 }];
    let further = {
        scene.serving.models = vec![WantedModel { model_id: further.models[0], version: 1 }];
        scene.further().await.lease
    };
    scene.world.release(&booting).await.unwrap();
    scene.beat(6).await;
    for lease in [&scene.first, &further] {
        assert_eq!(scene.standing(lease, 6), Standing::Ended(End::Revoked));
    }
}

#[tokio::test]
async fn asking_again_replaces_the_lease_for_the_same_models() {
    let mut scene = Scene::new().await;
    let lost = scene.world.release(&scene.serving).await.unwrap().lease;
    let second = scene.further().await.lease;
    scene.beat(3).await;
    assert_eq!(scene.standing(&second, 3), Standing::Serving);
    let in_force = |id: LeaseId| {
        let leases = scene.world.broker.leases().unwrap();
        leases.iter().any(|lease| lease.lease == id.to_string() && lease.in_force)
    };
    assert!(in_force(scene.first.lease_id) && in_force(second.lease_id) && !in_force(lost.lease_id));
}

#[tokio::test]
async fn a_further_model_is_refused_to_all_but_the_instance_with_a_lease_in_force() {
    let scene = Scene::new().await;
    let own = || Instance { key: SigningKey::from_seed(*scene.serving.key.seed()), ..Instance::new(&scene.world) };
    let asking =
        || Instance { statement: scene.serving.statement.clone(), models: scene.serving.models.clone(), ..own() };

    let mut again = asking();
    again.models = vec![WantedModel { model_id: scene.first.models[0], version: 3 }];
    assert_eq!(scene.refused(&again).await, "STALE", "it serves that one");
    let mut stranger = Instance::new(&scene.world).serving(&scene.first);
    stranger.models = scene.serving.models.clone();
    assert_eq!(scene.refused(&stranger).await, "FORK", "another instance's lease");
    let mut unknown = asking();
    unknown.statement.workload.lease_id = Some([9; 16]);
    assert_eq!(scene.refused(&unknown).await, "FORK");
    let mut more = asking();
    more.statement.workload.models.push([9; 32]);
    assert_eq!(scene.refused(&more).await, "POLICY", "it serves what no lease allows");
    let mut moved = asking();
    moved.device = vendor().device([2; 32], launch_measurement(b"the image"), [0; 32], NOW).unwrap();
    assert_eq!(scene.refused(&moved).await, "PLATFORM_NOT_ALLOWED");
    let mut other_key = asking();
    other_key.key = SigningKey::generate();
    other_key.statement.signing_key = other_key.key.verifying_key();
    assert_eq!(scene.refused(&other_key).await, "FORK");
    scene.world.broker.revoke(Revoke::All).unwrap();
    assert_eq!(scene.refused(&scene.serving).await, "STALE", "its lease is over");
}
