//! A test per way to be refused, named for the defect. Each asserts the code, that no key left
//! (the session got none, and the answer is no success), and that the log says so.

use strongroom_attestation::Code;
use strongroom_broker::Environment;
use strongroom_channel::binding::{self, Class, Purpose};
use strongroom_channel::cose::{SigningKey, media};
use strongroom_channel::deployment::DeploymentId;
use strongroom_channel::statement::PluginEntry;
use strongroom_channel::{freshness, statement};
use strongroom_enclave_loader::release::{
    Heartbeat, LeaseId, ReleaseBody, ReleaseError, ReleaseRequest, ReleaseSession, ReplyKeyPair, WantedModel,
};
use strongroom_simulated_platform::{Fault, launch_measurement};

use crate::world::{Instance, NOW, World, collections, vendor};

/// A defect's name, and how to make it.
type Defect<T> = (&'static str, fn(&mut T));

/// Asks with one thing wrong and returns the broker's refusal.
async fn refused(world: &World, instance: &Instance) -> (String, String) {
    let before = world.broker.log_head().seq;
    match world.release(instance).await {
        Err(ReleaseError::RefusedByBroker { code, detail, checks }) => {
            let failed = checks.iter().any(|check| check.code.as_str() == code);
            assert!(failed || checks.is_empty(), "the code is that of a listed check");
            assert!(world.broker.leases().unwrap().is_empty(), "a lease was granted");
            assert_eq!(world.broker.log_head().seq, before + 1, "the refusal is not in the log");
            let log = world.log_text();
            let last = log.lines().last().unwrap();
            assert!(last.contains(r#""decision":"refused""#) && last.contains(&code), "{last}");
            (code, detail)
        }
        Err(other) => panic!("not a refusal: {other}"),
        Ok(_) => panic!("granted"),
    }
}

/// Asks with a request that `spoil` changed after it was made.
async fn refused_when(world: &World, spoil: impl FnOnce(&mut ReleaseRequest)) -> (String, Vec<u8>) {
    let (_session, mut request) = world.prepare(&Instance::new(world), None).await;
    spoil(&mut request);
    let refusal = world.refusal_of("release", &request.to_json()).await;
    assert!(world.broker.leases().unwrap().is_empty(), "a lease was granted");
    refusal
}

#[tokio::test]
async fn another_measurement() {
    let world = World::new();
    let mut instance = Instance::new(&world);
    instance.device = instance.device.with_measurement(launch_measurement(b"another image"));
    let (code, detail) = refused(&world, &instance).await;
    assert_eq!(code, "MEASUREMENT");
    assert!(detail.contains(&hex::encode(launch_measurement(b"another image"))), "{detail}");
}

#[tokio::test]
async fn another_deployment() {
    let world = World::new();
    let mut instance = Instance::new(&world);
    instance.statement.deployment = DeploymentId::parse("shop-prod").unwrap();
    assert_eq!(refused(&world, &instance).await.0, "DEPLOYMENT");
}

#[tokio::test]
async fn another_configuration() {
    let world = World::new();
    let mut instance = Instance::new(&world);
    instance.statement.workload.config_digest = [0; 32];
    let (code, detail) = refused(&world, &instance).await;
    assert_eq!(code, "POLICY");
    assert!(detail.contains("configuration digest"), "{detail}");
}

#[tokio::test]
async fn a_logging_profile_padding_profile_or_plugin_that_the_policy_does_not_name() {
    let world = World::new();
    let changes: [Defect<Instance>; 3] = [
        ("logging profile", |instance| instance.statement.workload.logging = "metadata".into()),
        ("padding profile", |instance| instance.statement.workload.padding = "off".into()),
        ("plugin redact", |instance| {
            let plugin = PluginEntry { id: "redact".into(), digest: [7; 32], grants: [0; 32] };
            instance.statement.workload.plugins.push(plugin);
        }),
    ];
    for (wanted, change) in changes {
        let mut instance = Instance::new(&world);
        change(&mut instance);
        let (code, detail) = refused(&world, &instance).await;
        assert_eq!(code, "POLICY");
        assert!(detail.contains(wanted), "{detail}");
    }
}

#[tokio::test]
async fn an_unknown_model_a_wrong_version_and_a_name_that_the_policy_leaves_out() {
    let world = World::new();
    let mut unknown = Instance::new(&world);
    unknown.models[0].model_id = [9; 32];
    assert_eq!(refused(&world, &unknown).await.0, "POLICY");

    let mut wrong_version = Instance::new(&world);
    wrong_version.models[0].version = 4;
    let (code, detail) = refused(&world, &wrong_version).await;
    assert_eq!(code, "POLICY");
    assert!(detail.contains("version of llama"), "{detail}");

    let unnamed = world.deposit("unnamed", 1);
    let mut left_out = Instance::new(&world);
    left_out.models = vec![WantedModel { model_id: unnamed.model_id, version: 1 }];
    let (code, detail) = refused(&world, &left_out).await;
    assert_eq!(code, "POLICY");
    assert!(detail.contains("unnamed in the policy"), "{detail}");
}

#[tokio::test]
async fn one_bad_model_of_two_spoils_both() {
    let world = World::new();
    let mut instance = Instance::new(&world);
    instance.models.push(WantedModel { model_id: [9; 32], version: 1 });
    assert_eq!(refused(&world, &instance).await.0, "POLICY");
}

#[tokio::test]
async fn an_instance_that_serves_already_asks_for_keys() {
    let world = World::new();
    let mut instance = Instance::new(&world);
    instance.statement.epoch = 2;
    instance.statement.previous = [1; 32];
    assert_eq!(refused(&world, &instance).await.0, "STALE");
    let mut instance = Instance::new(&world);
    instance.statement.workload.models = vec![[1; 32]];
    assert_eq!(refused(&world, &instance).await.0, "STALE");
}

#[tokio::test]
async fn every_fault_of_the_simulated_platform() {
    let world = World::new();
    let instance = Instance::new(&world);
    world.broker.activate_policy(&strict_policy(&instance)).unwrap();
    for fault in Fault::ALL {
        let challenge = world.challenge().await;
        let session = ReleaseSession::begin(instance.params(&world, None), &challenge).unwrap();
        let evidence = vendor().report_with_fault(&instance.device, &session.report_data(), *fault, NOW).unwrap();
        let (report, endorsements) = collections(&evidence.report, &evidence.endorsements);
        let request = session.request(&instance.key, report, endorsements).unwrap();
        let (code, _) = world.refusal_of("release", &request.to_json()).await;
        assert_eq!(code, fault.expected_code(), "{}", fault.name());
    }
    assert!(Fault::ALL.len() >= 20);
    assert!(world.broker.leases().unwrap().is_empty());
}

/// The world's policy with the attestation policy under which the catalogue's codes hold.
fn strict_policy(instance: &Instance) -> String {
    let mut policy: toml::Table = crate::world::policy().parse().unwrap();
    let strict: toml::Table = instance.device.strict_policy().parse().unwrap();
    policy.insert("attestation".into(), strict.into());
    policy.to_string()
}

#[tokio::test]
async fn a_debug_guest() {
    let world = World::new();
    let fault = Fault::ALL.iter().find(|fault| fault.expected_code() == Code::Debug.as_str()).unwrap();
    let instance = Instance::new(&world);
    let challenge = world.challenge().await;
    let session = ReleaseSession::begin(instance.params(&world, None), &challenge).unwrap();
    let evidence = vendor().report_with_fault(&instance.device, &session.report_data(), *fault, NOW).unwrap();
    let (report, endorsements) = collections(&evidence.report, &evidence.endorsements);
    let request = session.request(&instance.key, report, endorsements).unwrap();
    assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "DEBUG");
}

#[tokio::test]
async fn a_nonce_used_twice_unknown_or_expired() {
    let world = World::new();
    let instance = Instance::new(&world);
    let (_, request) = world.prepare(&instance, None).await;
    assert_eq!(world.post("release", request.to_json()).await.0, 200);
    assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "NONCE");

    let (_, late) = world.prepare(&Instance::new(&world), None).await;
    world.clock.advance(60);
    let (code, body) = world.refusal_of("release", &late.to_json()).await;
    assert_eq!(code, "NONCE");
    assert!(String::from_utf8_lossy(&body).contains("60 seconds"));

    let other = World::new();
    let mut instance = Instance::new(&other);
    instance.models = vec![WantedModel { model_id: world.model.model_id, version: 3 }];
    let (_, foreign) = other.prepare(&instance, None).await;
    let (code, body) = world.refusal_of("release", &foreign.to_json()).await;
    assert_eq!(code, "NONCE");
    assert!(String::from_utf8_lossy(&body).contains("another broker"));
}

#[tokio::test]
async fn a_refused_request_uses_its_nonce_up() {
    let world = World::new();
    let mut instance = Instance::new(&world);
    instance.statement.workload.config_digest = [0; 32];
    let (_, request) = world.prepare(&instance, None).await;
    assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "POLICY");
    assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "NONCE");
}

#[tokio::test]
async fn evidence_made_for_another_purpose() {
    let world = World::new();
    let instance = Instance::new(&world);
    let (_, mut request) = world.prepare(&instance, None).await;
    for (purpose, named) in [(Purpose::Session, "session"), (Purpose::Renewal, "renewal")] {
        let hash = statement::hash(&request.statement);
        let root = freshness::leaf(&request.body);
        let preimage = binding::preimage(Class::Simulated, purpose, &hash, &root, 1);
        let (evidence, endorsements) = instance.evidence(&binding::report_data(&preimage));
        request.instance_signature = instance.key.sign1(media::PROOF, &preimage);
        request.evidence = evidence;
        request.endorsements = endorsements;
        let (_, fresh) = world.prepare(&instance, None).await;
        let request = ReleaseRequest { body: fresh.body, ..request.clone() };
        let code = world.refusal_of("release", &request.to_json()).await.0;
        assert_eq!(code, "REPORT_DATA", "{named}");
    }
}

#[tokio::test]
async fn session_evidence_under_a_release_signature() {
    let world = World::new();
    let instance = Instance::new(&world);
    let (_, mut request) = world.prepare(&instance, None).await;
    let hash = statement::hash(&request.statement);
    let root = freshness::leaf(&request.body);
    let session = binding::preimage(Class::Simulated, Purpose::Session, &hash, &root, 1);
    request.evidence = instance.evidence(&binding::report_data(&session)).0;
    assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "REPORT_DATA");
}

#[tokio::test]
async fn a_purpose_named_in_the_refusal() {
    let world = World::new();
    let instance = Instance::new(&world);
    let (_, mut request) = world.prepare(&instance, None).await;
    let hash = statement::hash(&request.statement);
    let root = freshness::leaf(&request.body);
    let session = binding::preimage(Class::Simulated, Purpose::Session, &hash, &root, 1);
    request.instance_signature = instance.key.sign1(media::PROOF, &session);
    let (code, body) = world.refusal_of("release", &request.to_json()).await;
    assert_eq!(code, "REPORT_DATA");
    assert!(String::from_utf8_lossy(&body).contains("session"));
}

#[tokio::test]
async fn a_tampered_body() {
    let world = World::new();
    let (code, _) = refused_when(&world, |request| {
        let mut body = ReleaseBody::from_bytes(&request.body).unwrap();
        body.lease_seconds = 86_400;
        request.body = body.to_bytes();
    })
    .await;
    assert_eq!(code, "REPORT_DATA");
}

#[tokio::test]
async fn a_reply_key_swapped_by_somebody_on_the_way() {
    let world = World::new();
    let thief = ReplyKeyPair::generate();
    let (code, _) = refused_when(&world, |request| {
        let mut body = ReleaseBody::from_bytes(&request.body).unwrap();
        body.reply_key = thief.public().to_vec();
        request.body = body.to_bytes();
    })
    .await;
    assert_eq!(code, "REPORT_DATA");
}

#[tokio::test]
async fn a_tampered_statement() {
    let world = World::new();
    let other = Instance::new(&world);
    let (code, _) = refused_when(&world, |request| {
        let mut changed = statement::EpochStatement::decode(&request.statement).unwrap();
        changed.issued_at += 1;
        request.statement = changed.encode();
    })
    .await;
    assert_eq!(code, "REPORT_DATA");
    let (code, _) = refused_when(&world, |request| request.statement = other.statement.encode()).await;
    assert_eq!(code, "REFUSED");
}

#[tokio::test]
async fn every_cryptographic_failure_gets_the_same_bytes() {
    let world = World::new();
    let stranger = SigningKey::generate();
    let (code, wrong_key) = refused_when(&world, |request| {
        let hash = statement::hash(&request.statement);
        let root = freshness::leaf(&request.body);
        let preimage = binding::preimage(Class::Simulated, Purpose::Release, &hash, &root, 1);
        request.instance_signature = stranger.sign1(media::PROOF, &preimage);
    })
    .await;
    assert_eq!(code, "REFUSED");
    let (_, flipped) = refused_when(&world, |request| *request.instance_signature.last_mut().unwrap() ^= 1).await;
    let (_, no_cose) = refused_when(&world, |request| request.instance_signature = vec![0]).await;
    let (_, wrong_type) = refused_when(&world, |request| {
        request.instance_signature = stranger.sign1(media::RECEIPT, b"x");
    })
    .await;
    let (_, heartbeat) = world.refusal_of("heartbeat", &stranger_heartbeat(&stranger)).await;
    for other in [flipped, no_cose, wrong_type, heartbeat] {
        assert_eq!(other, wrong_key);
    }
}

fn stranger_heartbeat(key: &SigningKey) -> Vec<u8> {
    Heartbeat { instance_id: [1; 16], nonce: [2; 16], last_answer: [0; 32], lease_id: LeaseId::from_bytes([3; 16]) }
        .sign(key)
}

#[tokio::test]
async fn malformed_requests() {
    let world = World::new();
    let (_, request) = world.prepare(&Instance::new(&world), None).await;
    let spoilt: [Defect<ReleaseRequest>; 4] = [
        ("body cut", |request| {
            request.body.pop();
        }),
        ("body extended", |request| request.body.push(0)),
        ("statement", |request| request.statement.truncate(9)),
        ("no cpu evidence", |request| {
            let kind = strongroom_channel::attest::CollectionKind::Evidence;
            request.evidence = strongroom_channel::attest::Collection::new(kind);
        }),
    ];
    for (defect, spoil) in spoilt {
        let (_, mut request) = world.prepare(&Instance::new(&world), None).await;
        spoil(&mut request);
        assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "PARSE", "{defect}");
    }
    for (defect, bytes) in [("empty", Vec::new()), ("not JSON", b"{".to_vec()), ("array", b"[]".to_vec())] {
        assert_eq!(world.refusal_of("release", &bytes).await.0, "PARSE", "{defect}");
    }
    // A release at the renewal's door, and the other way round.
    assert_eq!(world.refusal_of("renewal", &request.to_json()).await.0, "PARSE");
}

#[tokio::test]
async fn a_device_that_is_none_or_that_the_statement_does_not_name() {
    let world = World::new();
    let gpu = || strongroom_channel::attest::Record {
        media_type: "application/vnd.strongroom.nv-spdm".into(),
        value: vec![1],
        indicator: 4,
    };
    let (code, _) = refused_when(&world, |request| request.evidence.insert("gpu0", gpu()).unwrap()).await;
    assert_eq!(code, "REPORT_DATA");

    let mut instance = Instance::new(&world);
    let media_type = "application/vnd.strongroom.nv-spdm";
    instance.statement.device_digest =
        strongroom_channel::device_digest::digest([("gpu0", media_type, [1].as_slice())]);
    let (_, mut request) = world.prepare(&instance, None).await;
    request.evidence.insert("gpu0", gpu()).unwrap();
    assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "PARSE");
}

#[tokio::test]
async fn a_production_broker_given_simulated_evidence() {
    let world = World::with_environment(Environment::Production);
    let honest = Instance::new(&world);
    let (code, detail) = refused(&world, &honest).await;
    assert_eq!(code, "SIMULATED");
    assert!(detail.contains("Hardware"), "{detail}");
    let mut lying = Instance::new(&world);
    lying.class = Class::Hardware;
    assert_eq!(refused(&world, &lying).await.0, "SIMULATED");
}

#[tokio::test]
async fn a_development_broker_given_evidence_of_the_hardware_class() {
    let world = World::new();
    let mut instance = Instance::new(&world);
    instance.class = Class::Hardware;
    assert_eq!(refused(&world, &instance).await.0, "SIMULATED");
}

#[tokio::test]
async fn a_platform_that_does_not_show_which_one_it_is() {
    let world = World::new();
    let mut instance = Instance::new(&world);
    instance.device =
        vendor().device_with_loaded_key([1; 32], "provider", launch_measurement(b"the image"), [0; 32], NOW).unwrap();
    assert_eq!(refused(&world, &instance).await.0, "PLATFORM_NOT_ALLOWED");
}

#[tokio::test]
async fn another_instance_under_a_known_id() {
    let world = World::new();
    let first = Instance::new(&world);
    world.release(&first).await.unwrap();
    let mut second = Instance::new(&world);
    second.statement.instance_id = first.statement.instance_id;
    let error = world.release(&second).await.err().unwrap();
    assert_eq!(error.code(), "FORK");
    assert!(world.broker.leases().unwrap()[0].in_force, "the first instance keeps its lease");
}

#[tokio::test]
async fn no_policy_is_in_force() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let options = strongroom_broker::InitOptions {
        tenant: "bank".into(),
        deployment: DeploymentId::parse("bank-prod").unwrap(),
        environment: Environment::Development,
        kek_file: None,
        development_anchors: vec![vendor().root_certificate_der().to_vec()],
    };
    let broker = strongroom_broker::Broker::init_with_clock(dir.path(), options, world.clock.clone()).unwrap();
    let world = World { broker: std::sync::Arc::new(broker), ..world };
    let error = world.release(&Instance::new(&world)).await.err().unwrap();
    assert_eq!(error.code(), "POLICY");
    assert!(error.to_string().contains("no policy is active"), "{error}");
}
