//! What the tenant does: init, deposit, API keys, trust files, the log, the admin interface.

use std::fs;

use axum::body::Body;
use axum::http::Request;
use strongroom_attestation::UnixTime;
use strongroom_broker::{
    Broker, BrokerError, Environment, InitOptions, LOG_FILE, LogError, Revoke, StoreError, TrustOptions,
};
use strongroom_channel::cose::SigningKey;
use strongroom_channel::deployment::DeploymentId;
use strongroom_channel::trust_file;

use crate::world::{Instance, NOW, World, gpu_vendor, seal_model, send, vendor};

fn options(environment: Environment, anchor: bool) -> InitOptions {
    InitOptions {
        tenant: "bank".into(),
        deployment: DeploymentId::parse("bank-prod").unwrap(),
        environment,
        kek_file: None,
        development_anchors: anchor.then(|| vendor().root_certificate_der().to_vec()).into_iter().collect(),
    }
}

#[test]
fn init_writes_what_others_need_and_nothing_secret_that_others_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::init(dir.path(), options(Environment::Production, false)).unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("deposit.pub").trim(), broker.deposit_key().to_string());
    assert_eq!(read("broker-key.pub").trim(), hex::encode(broker.broker_key().to_bytes()));
    assert_eq!(read("trust-root.txt").trim(), format!("sha256:{}", hex::encode(broker.trust_root())));
    #[cfg(unix)]
    for name in ["kek.key", "admin.token", "broker.redb", LOG_FILE] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    assert!(matches!(
        Broker::init(dir.path(), options(Environment::Production, false)),
        Err(BrokerError::Store(StoreError::Exists { .. }))
    ));
}

#[test]
fn a_broker_is_production_or_development_and_its_anchor_must_agree() {
    let dir = tempfile::tempdir().unwrap();
    for (environment, anchor) in [(Environment::Production, true), (Environment::Development, false)] {
        let result = Broker::init(dir.path(), options(environment, anchor));
        assert!(matches!(result, Err(BrokerError::Value { what: "development anchor", .. })));
    }
    assert!(!dir.path().join("broker.redb").exists(), "nothing is made before the options hold");
    let mut amd = options(Environment::Development, true);
    amd.development_anchors.push(b"not a certificate".to_vec());
    assert!(matches!(Broker::init(dir.path(), amd), Err(BrokerError::Refused(_))));
}

#[test]
fn a_broker_that_is_not_there_says_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let error = Broker::open(dir.path()).err().unwrap();
    assert!(error.to_string().contains("strongroom broker init"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_second_process_is_told_that_the_broker_runs() {
    let world = World::new();
    let error = Broker::open(&world.broker_dir()).err().unwrap();
    assert!(matches!(error, BrokerError::Store(StoreError::InUse { .. })), "{error}");
}

#[test]
fn another_key_encryption_key_opens_nothing() {
    let world = World::new();
    let (dir, broker_dir) = (world.dir.path().join("other"), world.broker_dir());
    Broker::init(&dir, options(Environment::Production, false)).unwrap();
    let World { broker, dir: _keep, .. } = world;
    drop(broker);
    fs::copy(dir.join("kek.key"), broker_dir.join("kek.key")).unwrap();
    assert!(matches!(Broker::open(&broker_dir), Err(BrokerError::Store(StoreError::Kek(_)))));
}

#[test]
fn a_deposit_wants_the_right_publisher_environment_recipient_and_version() {
    let world = World::new();
    let publisher = world.publisher.verifying_key();
    let sealed = world.sealed("llama", 3);

    let stranger = SigningKey::generate().verifying_key();
    assert!(matches!(world.broker.deposit(&sealed, &stranger, None), Err(BrokerError::Model(_))));

    let older = seal_model(world.dir.path(), &world.broker, &world.publisher, "llama", 2);
    let error = world.broker.deposit(&world.sealed("llama", 2), &publisher, None).err().unwrap();
    assert!(matches!(error, BrokerError::Rollback { known: 3, found: 2, .. }), "{error}");
    assert!(!world.broker.models().unwrap().iter().any(|model| model.model_id == older.model_id));

    // The same artifact again is fine; another artifact under the same version is not.
    world.broker.deposit(&sealed, &publisher, None).unwrap();
    fs::rename(&sealed, world.sealed("first", 3)).unwrap();
    seal_model(world.dir.path(), &world.broker, &world.publisher, "llama", 3);
    let error = world.broker.deposit(&sealed, &publisher, None).err().unwrap();
    assert!(matches!(error, BrokerError::Rollback { known: 3, found: 3, .. }), "{error}");

    let production = World::with_environment(Environment::Production);
    let error = production.broker.deposit(&world.sealed("first", 3), &publisher, None).err().unwrap();
    assert!(matches!(error, BrokerError::Environment { wanted: "prod", found: "dev" }), "{error}");

    let other = World::new();
    let error = other.broker.deposit(&world.sealed("first", 3), &publisher, None).err().unwrap();
    assert!(matches!(error, BrokerError::Model(_)), "sealed to another broker: {error}");
}

#[test]
fn an_api_key_is_shown_once_and_stored_as_a_hash() {
    let world = World::new();
    let key = world.broker.create_api_key("clinic").unwrap();
    assert!(key.secret.starts_with("sk-strongroom-"));
    assert_eq!(key.secret.len(), "sk-strongroom-".len() + 43);
    assert_ne!(world.broker.create_api_key("clinic").unwrap().secret, key.secret);
    let listed = world.broker.api_keys().unwrap();
    assert_eq!(listed.len(), 2);
    assert!(world.broker.create_api_key("").is_err());
    assert!(world.broker.create_api_key("a b").is_err());
    assert!(matches!(world.broker.revoke_api_key("ak-none"), Err(BrokerError::Unknown { .. })));
    for entry in fs::read_dir(world.broker_dir()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(key.secret.len()).any(|window| window == key.secret.as_bytes()));
    }
}

#[test]
fn a_trust_file_says_what_the_policy_and_the_deposits_say_and_its_sequence_rises() {
    let world = World::new();
    world.deposit("unnamed", 1);
    let first = world.broker.export_trust(&TrustOptions::default()).unwrap();
    let now = UnixTime::from_secs(NOW);
    assert_eq!(trust_file::root_thumbprint(&first), Ok(world.broker.trust_root()));
    let file = trust_file::verify(&first, &world.broker.trust_root(), 0, now).unwrap();
    assert_eq!(file.sequence, 1);
    assert_eq!(file.environment, Environment::Development);
    assert_eq!(file.broker_key, world.broker.broker_key());
    assert_eq!(file.config_digests, [crate::world::CONFIG_DIGEST]);
    assert_eq!(file.models.len(), 1, "only what the policy names");
    assert_eq!(file.models[0].model_id, world.model.model_id);
    assert_eq!(file.models[0].least_version, 2);
    let roots = [vendor().root_certificate_der(), gpu_vendor().device_root_certificate_der()];
    assert_eq!(file.development_anchors[..2], roots.map(<[u8]>::to_vec));
    assert_eq!(file.not_after, UnixTime::from_secs(NOW + 30 * 86_400));
    let second = world
        .broker
        .export_trust(&TrustOptions { valid_days: 1, hints: vec!["https://a".into()], kbs: false })
        .unwrap();
    let file = trust_file::verify(&second, &world.broker.trust_root(), 1, now).unwrap();
    assert_eq!((file.sequence, file.hints), (2, vec!["https://a".to_owned()]));
    assert!(world.broker.export_trust(&TrustOptions { valid_days: 0, hints: vec![], kbs: false }).is_err());
}

#[tokio::test]
async fn a_changed_decision_is_found_and_the_broker_does_not_open() {
    let world = World::new();
    world.release(&Instance::new(&world)).await.unwrap();
    world.broker.verify_log().unwrap();
    let path = world.broker_dir().join(LOG_FILE);
    let text = world.log_text();
    assert!(text.contains(r#""decision":"granted""#));
    fs::write(&path, text.replace(r#""decision":"granted""#, r#""decision":"refused""#)).unwrap();
    assert!(matches!(world.broker.verify_log(), Err(BrokerError::Log(LogError::Replaced { .. }))));
    let broker_dir = world.broker_dir();
    let World { broker, dir: _keep, .. } = world;
    drop(broker);
    assert!(matches!(Broker::open(&broker_dir), Err(BrokerError::Log(_))));
    // The last record, gone whole, is found by the head that the store remembers.
    let kept: Vec<&str> = text.lines().collect();
    fs::write(&path, format!("{}\n", kept[..kept.len() - 1].join("\n"))).unwrap();
    assert!(matches!(Broker::open(&broker_dir), Err(BrokerError::Log(LogError::Cut { .. }))));
    fs::write(&path, text).unwrap();
    assert!(Broker::open(&broker_dir).is_ok());
}

#[tokio::test]
async fn the_log_names_evidence_policy_and_lease_of_a_grant() {
    let world = World::new();
    let released = world.release(&Instance::new(&world)).await.unwrap();
    let text = world.log_text();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "release");
    assert_eq!(last["time"], "2026-11-21T10:00:00Z");
    assert_eq!(last["lease"], released.lease.lease_id.to_string());
    assert_eq!(last["policy"], hex::encode(released.lease.policy_hash));
    assert_eq!(last["models"][0], hex::encode(world.model.model_id));
    assert_eq!(last["evidence"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn the_admin_interface_wants_its_token() {
    let world = World::new();
    for header in [None, Some("Bearer "), Some("Bearer wrong"), Some("Basic x")] {
        for (method, path) in [("GET", "leases"), ("POST", "revoke"), ("POST", "deposit"), ("POST", "trust")] {
            let mut request = Request::builder().method(method).uri(format!("/strongroom/v1/admin/{path}"));
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let (status, body) = send(world.router(), request.body(Body::from("{}")).unwrap()).await;
            assert_eq!(status, 401, "{path} with {header:?}: {}", String::from_utf8_lossy(&body));
        }
    }
}

#[tokio::test]
async fn the_admin_interface_does_what_the_commands_do() {
    let world = World::new();
    let released = world.release(&Instance::new(&world)).await.unwrap();
    let lease = released.lease.lease_id.to_string();

    let (status, listed) = world.admin("GET", "leases", "").await;
    assert_eq!((status, &listed["leases"][0]["lease"]), (200, &lease.clone().into()));
    let (status, key) = world.admin("POST", "api-keys", r#"{"tenant":"clinic"}"#).await;
    assert_eq!(status, 200);
    assert!(key["secret"].as_str().unwrap().starts_with("sk-strongroom-"));
    let (status, _) = world.admin("POST", "api-keys/revoke", &format!(r#"{{"id":{}}}"#, key["id"])).await;
    assert_eq!(status, 200);
    let (status, trust) = world.admin("POST", "trust", "{}").await;
    assert_eq!(status, 200);
    assert!(trust["trust"].is_string());
    let (status, revoked) = world.admin("POST", "revoke", &format!(r#"{{"lease":"{lease}"}}"#)).await;
    assert_eq!((status, &revoked["revoked"][0]), (200, &lease.into()));
    let (status, error) = world.admin("POST", "revoke", r#"{"lease":"00000000000000000000000000000000"}"#).await;
    assert_eq!((status, &error["error"]["code"]), (400, &"PARSE".into()));

    seal_model(world.dir.path(), &world.broker, &world.publisher, "other", 1);
    let request = serde_json::json!({
        "path": world.sealed("other", 1),
        "publisher": hex::encode(world.publisher.verifying_key().to_bytes()),
    });
    let (status, deposited) = world.admin("POST", "deposit", &request.to_string()).await;
    assert_eq!((status, &deposited["model"]["name"]), (200, &"other".into()));
    let (status, models) = world.admin("GET", "models", "").await;
    assert_eq!((status, models["models"].as_array().unwrap().len()), (200, 2));
    let (status, error) = world.admin("POST", "policy", r#"{"toml":"name = 1"}"#).await;
    assert_eq!((status, &error["error"]["code"]), (400, &"PARSE".into()));
    let (status, head) = world.admin("GET", "log-head", "").await;
    assert!(status == 200 && head["head"].is_string());
}

#[tokio::test]
async fn requests_beyond_the_limits_are_refused_unread() {
    let world = World::new();
    assert_eq!(world.post("challenge", vec![b' '; 65]).await.0, 413);
    assert_eq!(world.post("heartbeat", vec![0; 1025]).await.0, 413);
    assert_eq!(world.post("release", vec![b' '; (4 << 20) + 1]).await.0, 413);
    let (status, body) = send(world.router(), Request::get("/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!((status, body.as_slice()), (200, b"ok\n".as_slice()));
}

#[test]
fn revoking_everything_ends_every_live_lease() {
    let world = World::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        world.release(&Instance::new(&world)).await.unwrap();
        world.release(&Instance::new(&world)).await.unwrap();
    });
    assert_eq!(world.broker.revoke(Revoke::All).unwrap().len(), 2);
    assert!(world.broker.leases().unwrap().iter().all(|lease| !lease.in_force));
    assert!(world.broker.revoke(Revoke::All).unwrap().is_empty());
}
