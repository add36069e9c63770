//! What is granted, and what exactly is in the answer.

use strongroom_attestation::UnixTime;
use strongroom_broker::serve;
use strongroom_channel::{binding, instance_certificate};
use strongroom_enclave_loader::release::{ReleaseClient, ReleaseError, Standing, interpret};

use crate::world::{Instance, MODEL_BYTES, NOW, World, at, opens};

#[tokio::test]
async fn a_full_release_brings_keys_that_open_the_model_a_lease_and_a_certificate() {
    let world = World::new();
    world.broker.create_api_key("clinic").unwrap();
    let instance = Instance::new(&world);
    let released = world.release(&instance).await.unwrap();

    assert!(opens(&world, &released));
    assert_eq!(released.broker_time, UnixTime::from_secs(NOW));
    let lease = &released.lease;
    assert_eq!(lease.models, [world.model.model_id]);
    assert_eq!(lease.expires, UnixTime::from_secs(NOW + 3600));
    assert_eq!(lease.renew_after, UnixTime::from_secs(NOW + 1800));
    assert_eq!(lease.platform_identity.as_deref(), Some(instance.device.chip_id().as_slice()));
    assert_eq!(released.credentials.len(), 1);
    assert_eq!(released.credentials[0].tenant, "clinic");

    let [leaf, issuer] = released.certificate.as_slice() else { panic!("two certificates") };
    let certificate = instance_certificate::verify(leaf, issuer, UnixTime::from_secs(NOW)).unwrap();
    assert_eq!(*certificate.key(), instance.key.verifying_key());
    assert_eq!(certificate.not_after(), UnixTime::from_secs(NOW + 900));
    let claims = certificate.claims();
    assert_eq!(claims.launch_measurement, instance.device.measurement());
    assert_eq!(claims.platform_identity.as_deref(), Some(instance.device.chip_id().as_slice()));
    assert_eq!(claims.instance_id, instance.statement.instance_id);
}

#[tokio::test]
async fn nothing_on_the_wire_or_on_disk_holds_a_key_in_the_clear() {
    let world = World::new();
    let instance = Instance::new(&world);
    let (session, request) = world.prepare(&instance, None).await;
    let (status, answer) = world.post("release", request.to_json()).await;
    let released = session.finish(interpret(status, &answer).unwrap()).unwrap();
    let key = *released.keys[0].keys[0].expose_secret();
    let shapes = [key.to_vec(), hex::encode(key).into_bytes(), MODEL_BYTES.to_vec()];
    let mut places = vec![("the answer".to_owned(), answer)];
    for entry in std::fs::read_dir(world.broker_dir()).unwrap() {
        let path = entry.unwrap().path();
        places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    for (place, bytes) in places {
        for shape in &shapes {
            assert!(!bytes.windows(shape.len()).any(|window| window == shape), "in {place}");
        }
    }
}

#[tokio::test]
async fn a_lease_is_never_longer_than_asked_for_nor_than_the_policy_allows() {
    let world = World::new();
    let mut instance = Instance::new(&world);
    instance.lease_seconds = 60;
    let short = world.release(&instance).await.unwrap();
    assert_eq!(short.lease.expires, UnixTime::from_secs(NOW + 60));
    let [leaf, issuer] = short.certificate.as_slice() else { panic!("two certificates") };
    let certificate = instance_certificate::verify(leaf, issuer, UnixTime::from_secs(NOW)).unwrap();
    assert_eq!(certificate.not_after(), short.lease.expires, "a certificate never outlives its lease");

    let mut instance = Instance::new(&world);
    instance.lease_seconds = 86_400;
    let long = world.release(&instance).await.unwrap();
    assert_eq!(long.lease.expires, UnixTime::from_secs(NOW + 3600));
}

#[tokio::test]
async fn an_answer_opens_for_nobody_but_the_session_that_asked() {
    let world = World::new();
    let instance = Instance::new(&world);
    let (_, request) = world.prepare(&instance, None).await;
    let (other, _) = world.prepare(&instance, None).await;
    let (status, answer) = world.post("release", request.to_json()).await;
    assert_eq!(status, 200);
    let error = other.finish(&answer).err().unwrap();
    assert_eq!(error, ReleaseError::Authentication("the sealed answer's encryption"));
}

#[tokio::test]
async fn a_renewal_extends_the_lease_and_brings_a_certificate_and_no_key() {
    let world = World::new();
    let instance = Instance::new(&world);
    let released = world.release(&instance).await.unwrap();
    let instance = instance.serving(&released.lease);
    world.clock.advance(1800);
    let renewed = world.ask(&instance, Some(&released.lease)).await.unwrap();
    assert!(renewed.keys.is_empty());
    assert_eq!(renewed.lease.lease_id, released.lease.lease_id);
    assert_eq!(renewed.lease.expires, UnixTime::from_secs(NOW + 1800 + 3600));
    assert_ne!(renewed.certificate[0], released.certificate[0]);
    assert!(world.log_text().contains(r#""event":"renewal""#));
}

#[tokio::test]
async fn the_same_instance_asking_again_replaces_its_lease() {
    let world = World::new();
    let instance = Instance::new(&world);
    let first = world.release(&instance).await.unwrap();
    let second = world.release(&instance).await.unwrap();
    assert_ne!(first.lease.lease_id, second.lease.lease_id);
    let leases = world.broker.leases().unwrap();
    let in_force: Vec<_> = leases.iter().filter(|lease| lease.in_force).collect();
    assert_eq!(in_force.len(), 1);
    assert_eq!(in_force[0].lease, second.lease.lease_id.to_string());
    assert!(world.log_text().contains("lease-superseded"));
}

#[tokio::test]
async fn an_older_version_is_released_until_a_newer_one_was() {
    let world = World::new();
    let newer = world.deposit("llama", 4);
    assert!(world.release(&Instance::new(&world)).await.is_ok(), "version 4 was not released yet");
    let mut upgraded = Instance::new(&world);
    upgraded.models[0].model_id = newer.model_id;
    upgraded.models[0].version = 4;
    world.release(&upgraded).await.unwrap();
    let error = world.release(&Instance::new(&world)).await.err().unwrap();
    assert_eq!(error.code(), "POLICY");
    assert!(error.to_string().contains("rollback of llama"), "{error}");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart_and_a_challenge_is_not() {
    let world = World::new();
    let instance = Instance::new(&world);
    let released = world.release(&instance).await.unwrap();
    let (_, stale) = world.prepare(&Instance::new(&world), None).await;
    let head = world.broker.log_head();
    let world = world.restart();
    assert_eq!(world.broker.log_head(), head);
    assert!(world.broker.leases().unwrap().iter().any(|lease| lease.lease == released.lease.lease_id.to_string()));
    assert_eq!(world.refusal_of("release", &stale.to_json()).await.0, "NONCE");
    let instance = instance.serving(&released.lease);
    assert!(world.ask(&instance, Some(&released.lease)).await.is_ok());
    assert!(world.release(&Instance::new(&world)).await.is_ok());
}

#[tokio::test]
async fn the_whole_exchange_over_a_real_connection() {
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(world.broker.clone(), listener, async {
        let _ = stopped.await;
    }));

    let client = ReleaseClient::new(&url, world.broker.broker_key()).unwrap();
    let instance = Instance::new(&world);
    let collect = async |preimage: Vec<u8>| Ok(instance.evidence(&binding::report_data(&preimage)));
    let released = client.release(instance.params(&world, None), &instance.key, collect).await.unwrap();
    assert!(opens(&world, &released));
    let mut keeper = world.keeper(&released);
    let heartbeat = keeper.next(at(3), &instance.key).unwrap();
    let answer = client.heartbeat(heartbeat).await.unwrap();
    assert_eq!(keeper.answer(&answer, at(3)).unwrap().standing, Standing::Serving);

    let mut wrong = Instance::new(&world);
    wrong.statement.workload.config_digest = [0; 32];
    let collect = async |preimage: Vec<u8>| Ok(wrong.evidence(&binding::report_data(&preimage)));
    let error = client.release(wrong.params(&world, None), &wrong.key, collect).await.err().unwrap();
    assert_eq!((error.code(), error.exit_code()), ("POLICY", 3));

    let stranger = ReleaseClient::new(&url, wrong.key.verifying_key()).unwrap();
    assert_eq!(stranger.challenge().await.unwrap_err().code(), "WRONG_BROKER");

    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    assert_eq!(client.challenge().await.unwrap_err().code(), "UNAVAILABLE");
}
