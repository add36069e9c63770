//! A broker, a sealed model, a simulated device, and an instance on it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use strongroom_attestation::UnixTime;
use strongroom_broker::{Broker, Environment, InitOptions, ManualClock, router};
use strongroom_channel::attest::{Collection, CollectionKind, Record, indicator};
use strongroom_channel::binding::Class;
use strongroom_channel::cose::SigningKey;
use strongroom_channel::deployment::DeploymentId;
use strongroom_channel::device_digest;
use strongroom_channel::statement::{self, EpochStatement, Workload};
use strongroom_enclave_loader::release::{
    Challenge, HeartbeatOutcome, Lease, LeaseKeeper, Monotonic, ReleaseError, ReleaseParams, ReleaseRequest,
    ReleaseSession, Released, WantedModel, interpret,
};
use strongroom_enclave_loader::{SealOptions, SealedSummary, open_manifest, seal};
use strongroom_simulated_platform::{Product, SimulatedAmd, SimulatedDevice, SimulatedNvidia, launch_measurement};
use tower::ServiceExt as _;

/// 2026-11-21T10:00:00Z, the day of the published development root.
pub(crate) const NOW: u64 = 1_795_255_200;
pub(crate) const CONFIG_DIGEST: [u8; 32] = [0xcc; 32];
pub(crate) const MODEL_BYTES: &[u8] = b"weights-7f1e-that-must-not-leak";

pub(crate) fn vendor() -> &'static SimulatedAmd {
    static VENDOR: OnceLock<SimulatedAmd> = OnceLock::new();
    VENDOR.get_or_init(|| SimulatedAmd::published(Product::Genoa, NOW).unwrap())
}

pub(crate) fn gpu_vendor() -> &'static SimulatedNvidia {
    static VENDOR: OnceLock<SimulatedNvidia> = OnceLock::new();
    VENDOR.get_or_init(|| SimulatedNvidia::published(NOW).unwrap())
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) publisher: SigningKey,
    pub(crate) model: SealedSummary,
}

/// What one instance is and asks for. Tests change a field, and ask.
pub(crate) struct Instance {
    pub(crate) key: SigningKey,
    pub(crate) statement: EpochStatement,
    pub(crate) device: SimulatedDevice,
    pub(crate) class: Class,
    pub(crate) models: Vec<WantedModel>,
    pub(crate) lease_seconds: u64,
}

impl World {
    /// A development broker with one deposited model, `llama` version 3.
    pub(crate) fn new() -> Self {
        Self::with_environment(Environment::Development)
    }

    pub(crate) fn with_environment(environment: Environment) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(NOW)));
        let options = InitOptions {
            tenant: "bank".into(),
            deployment: DeploymentId::parse("bank-prod").unwrap(),
            environment,
            kek_file: None,
            development_anchors: match environment {
                Environment::Production => Vec::new(),
                Environment::Development => vec![
                    vendor().root_certificate_der().to_vec(),
                    gpu_vendor().device_root_certificate_der().to_vec(),
                    gpu_vendor().manifest_root_certificate_der().to_vec(),
                ],
            },
        };
        let broker = Broker::init_with_clock(&dir.path().join("broker"), options, clock.clone()).unwrap();
        let publisher = SigningKey::from_seed([0x50; 32]);
        let model = seal_model(dir.path(), &broker, &publisher, "llama", 3);
        broker.deposit(&dir.path().join("llama-3"), &publisher.verifying_key(), Some(&policy())).unwrap();
        Self { dir, clock, broker: Arc::new(broker), publisher, model }
    }

    /// Seals and deposits another version of a model.
    pub(crate) fn deposit(&self, name: &str, version: u64) -> SealedSummary {
        let model = seal_model(self.dir.path(), &self.broker, &self.publisher, name, version);
        let path = self.sealed(name, version);
        self.broker.deposit(&path, &self.publisher.verifying_key(), None).unwrap();
        model
    }

    pub(crate) fn sealed(&self, name: &str, version: u64) -> PathBuf {
        self.dir.path().join(format!("{name}-{version}"))
    }

    pub(crate) fn broker_dir(&self) -> PathBuf {
        self.dir.path().join("broker")
    }

    /// Stops the broker and opens it again from its files.
    pub(crate) fn restart(mut self) -> Self {
        let placeholder = tempfile::tempdir().unwrap();
        let dir = std::mem::replace(&mut self.dir, placeholder);
        drop(self.broker);
        let broker = Broker::open_with_clock(&dir.path().join("broker"), self.clock.clone()).unwrap();
        Self { dir, broker: Arc::new(broker), ..self }
    }

    pub(crate) fn router(&self) -> Router {
        router(self.broker.clone())
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> (u16, Vec<u8>) {
        let request = Request::post(format!("/strongroom/v1/{path}")).body(body.into()).unwrap();
        send(self.router(), request).await
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
        let token = std::fs::read_to_string(Broker::admin_token_file(&self.broker_dir())).unwrap();
        let request = Request::builder()
            .method(method)
            .uri(format!("/strongroom/v1/admin/{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let (status, body) = send(self.router(), request).await;
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    pub(crate) async fn challenge(&self) -> Challenge {
        let (status, body) = self.post("challenge", "{}").await;
        assert_eq!(status, 200);
        Challenge::from_json(&body, &self.broker.broker_key()).unwrap()
    }

    /// A session and its request, ready to be posted or spoilt.
    pub(crate) async fn prepare(
        &self,
        instance: &Instance,
        renews: Option<&Lease>,
    ) -> (ReleaseSession, ReleaseRequest) {
        let challenge = self.challenge().await;
        let session = ReleaseSession::begin(instance.params(self, renews), &challenge).unwrap();
        let (evidence, endorsements) = instance.evidence(&session.report_data());
        let request = session.request(&instance.key, evidence, endorsements).unwrap();
        (session, request)
    }

    pub(crate) async fn ask(&self, instance: &Instance, renews: Option<&Lease>) -> Result<Released, ReleaseError> {
        let (session, request) = self.prepare(instance, renews).await;
        let path = if renews.is_some() { "renewal" } else { "release" };
        let (status, body) = self.post(path, request.to_json()).await;
        session.finish(interpret(status, &body)?)
    }

    pub(crate) async fn release(&self, instance: &Instance) -> Result<Released, ReleaseError> {
        self.ask(instance, None).await
    }

    /// Posts a request as it is and returns the refusal's code and body; fails if granted.
    pub(crate) async fn refusal_of(&self, path: &str, request: &[u8]) -> (String, Vec<u8>) {
        let (status, body) = self.post(path, request.to_vec()).await;
        assert_ne!(status, 200, "granted");
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        (json["error"]["code"].as_str().unwrap().to_owned(), body)
    }

    /// A keeper for what was released, on a clock whose zero is the world's start.
    pub(crate) fn keeper(&self, released: &Released) -> LeaseKeeper {
        LeaseKeeper::new(self.broker.broker_key(), released.lease.clone(), released.broker_time, at(0))
    }

    /// Moves the clock to `seconds` after the start, and beats.
    pub(crate) async fn beat(&self, keeper: &mut LeaseKeeper, key: &SigningKey, seconds: u64) -> HeartbeatOutcome {
        self.clock.set(UnixTime::from_secs(NOW + seconds));
        let heartbeat = keeper.next(at(seconds), key).unwrap();
        let (status, answer) = self.post("heartbeat", heartbeat).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
        keeper.answer(&answer, at(seconds)).unwrap()
    }

    pub(crate) fn log_text(&self) -> String {
        std::fs::read_to_string(self.broker_dir().join(strongroom_broker::LOG_FILE)).unwrap()
    }
}

impl Instance {
    /// An instance that asks for `world`'s model and has everything right.
    pub(crate) fn new(world: &World) -> Self {
        let device = vendor().device([1; 32], launch_measurement(b"the image"), [0; 32], NOW).unwrap();
        let key = SigningKey::generate();
        let mut instance_id = [0; 16];
        instance_id.copy_from_slice(&key.verifying_key().to_bytes()[..16]);
        let statement = EpochStatement {
            deployment: DeploymentId::parse("bank-prod").unwrap(),
            instance_id,
            epoch: 1,
            issued_at: NOW,
            lifetime: 900,
            key_configs: vec![1, 2, 3],
            tls_spki: None,
            signing_key: key.verifying_key(),
            workload: Workload {
                image_id: None,
                config_digest: CONFIG_DIGEST,
                models: vec![],
                plugins: vec![],
                policy_hash: None,
                sbom: None,
                padding: "bucket".into(),
                logging: "none".into(),
                lease_id: None,
            },
            device_digest: device_digest::digest([]),
            previous: [0; 32],
        };
        let models = vec![WantedModel { model_id: world.model.model_id, version: 3 }];
        Self { key, statement, device, class: Class::Simulated, models, lease_seconds: 3600 }
    }

    /// The instance after it has loaded what was released: epoch 2.
    pub(crate) fn serving(mut self, lease: &Lease) -> Self {
        self.statement.previous = statement::hash(&self.statement.encode());
        self.statement.epoch = 2;
        self.statement.workload.models = lease.models.clone();
        self.statement.workload.lease_id = Some(*lease.lease_id.as_bytes());
        self.statement.workload.policy_hash = Some(lease.policy_hash);
        self
    }

    pub(crate) fn params(&self, world: &World, renews: Option<&Lease>) -> ReleaseParams {
        ReleaseParams {
            broker_key: world.broker.broker_key(),
            class: self.class,
            statement: self.statement.encode(),
            models: self.models.clone(),
            lease_seconds: self.lease_seconds,
            renews: renews.map(|lease| lease.lease_id),
        }
    }

    pub(crate) fn evidence(&self, report_data: &[u8; 64]) -> (Collection, Collection) {
        let evidence = self.device.report(report_data).unwrap();
        collections(&evidence.report, &evidence.endorsements)
    }
}

pub(crate) fn collections(report: &[u8], certificates: &[Vec<u8>]) -> (Collection, Collection) {
    let mut evidence = Collection::new(CollectionKind::Evidence);
    let media_type = "application/vnd.strongroom.snp-report".to_owned();
    let cpu = Record { media_type, value: report.to_vec(), indicator: indicator::EVIDENCE };
    evidence.insert("cpu0", cpu).unwrap();
    let mut endorsements = Collection::new(CollectionKind::Endorsements);
    for (index, certificate) in certificates.iter().enumerate() {
        let media_type = "application/pkix-cert".to_owned();
        let record = Record { media_type, value: certificate.clone(), indicator: indicator::ENDORSEMENTS };
        endorsements.insert(&format!("e{index}"), record).unwrap();
    }
    (evidence, endorsements)
}

pub(crate) fn policy() -> String {
    format!(
        "name = \"bank\"\nconfig_digests = [\"{}\"]\nlease_seconds = 3600\n[models]\nllama = 2\nother = 1\n\
         [attestation]\nmeasurements = [\"{}\"]\n",
        hex::encode(CONFIG_DIGEST),
        hex::encode(launch_measurement(b"the image")),
    )
}

/// Whether the released keys really open the sealed model.
pub(crate) fn opens(world: &World, released: &Released) -> bool {
    let manifest = open_manifest(&world.sealed("llama", 3), &world.publisher.verifying_key()).unwrap();
    manifest.unlock(&released.keys[0].keys).is_ok()
}

pub(crate) fn at(seconds: u64) -> Monotonic {
    Monotonic::from_duration(Duration::from_secs(seconds))
}

pub(crate) async fn send(router: Router, request: Request<Body>) -> (u16, Vec<u8>) {
    let response = router.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 8 << 20).await.unwrap();
    (status, body.to_vec())
}

pub(crate) fn seal_model(
    dir: &Path,
    broker: &Broker,
    publisher: &SigningKey,
    name: &str,
    version: u64,
) -> SealedSummary {
    let source = dir.join("weights.gguf");
    std::fs::write(&source, MODEL_BYTES).unwrap();
    let environment = broker.environment();
    let mut options = SealOptions::new(name, version, environment, publisher, broker.deposit_key());
    options.chunk_log2 = 16;
    options.blob_bytes = 1 << 16;
    seal(&source, &dir.join(format!("{name}-{version}")), &options, &|_| {}).unwrap()
}
