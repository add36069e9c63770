//! For the tests: a tenant, its instance on a simulated platform, served in this process, and ways in which the
//! instance or its host can misbehave.

mod epochs;
mod host;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_attestation::{Policy, UnixTime};
use strongroom_channel::attest::{self, AttestRequest, AttestResponse, Collection, CollectionKind, Record, indicator};
use strongroom_channel::bhttp::{RequestDecoder, RequestHead, ResponseEncoder, field};
use strongroom_channel::binding::{self, Class, Purpose};
use strongroom_channel::cose::{SigningKey, media};
use strongroom_channel::deployment::DeploymentId;
use strongroom_channel::freshness::{self, Tree};
use strongroom_channel::instance_certificate::{self, InstanceClaims};
use strongroom_channel::ohttp::{KeyPair, RequestOpener, ResponseSealer};
use strongroom_channel::padding;
use strongroom_channel::receipt::{Finish, Receipt, salted_hash};
use strongroom_channel::statement::{self, EpochStatement, Workload};
use strongroom_channel::trust_file::{Environment, TrustFile, TrustedModel};
use strongroom_simulated_platform::{Product, SimulatedAmd, SimulatedDevice, launch_measurement};

use crate::clock::Clock;
use crate::connect::Connector;
use crate::exchange::OutgoingRequest;

/// Every test's date, at which the published development certificates are valid.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_760_000_000);

/// What the events of a streamed answer are, without filler.
pub(crate) const EVENTS: [&str; 3] = ["data: {\"n\":1}\n\n", "data: {\"n\":2}\n\n", "data: [DONE]\n\n"];

/// The whole answer when no stream is asked for.
pub(crate) const WHOLE: &str = "{\"choices\":[]}";

/// What goes wrong, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Good,
    /// The host ends the body before the final chunk.
    StripFinalChunk,
    /// The host ends the body inside the final chunk.
    CutFinalChunk,
    /// The host breaks the connection in the middle.
    BreakConnection,
    /// The host flips a bit of the last chunk before the final one.
    FlipBit,
    NoReceipt,
    ReceiptByAnotherKey,
    ReceiptForAnotherRequest,
    ReceiptForAnotherStatement,
    ReceiptForOtherBytes,
    ReceiptForAnotherModel,
    ReceiptMalformed,
    /// The host, or a gateway, answers this itself.
    Outer(u16),
    /// The host answers with a page of its own.
    PlainAnswer,
    /// The instance refuses, under encryption, with this status and code.
    Inner(u16, &'static str),
}

/// A clock that only the test moves.
#[derive(Default)]
pub(crate) struct TestClock {
    wall: AtomicU64,
    elapsed: AtomicU64,
}

impl TestClock {
    pub(crate) fn advance(&self, seconds: u64) {
        self.wall.fetch_add(seconds, Ordering::SeqCst);
        self.elapsed.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets the date only, as a user can.
    pub(crate) fn set_back(&self, seconds: u64) {
        self.wall.fetch_sub(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(NOW.as_secs() + self.wall.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.elapsed.load(Ordering::SeqCst))
    }
}

/// A request as the instance saw it, inside.
#[derive(Clone, Debug)]
pub(crate) struct SeenRequest {
    pub(crate) head: RequestHead,
    pub(crate) body: Vec<u8>,
}

/// An instance that answers on loopback until the test ends.
#[derive(Clone)]
pub(crate) struct Instance(Arc<Inner>);

struct Inner {
    clock: Arc<TestClock>,
    device: SimulatedDevice,
    instance_key: SigningKey,
    certificate: Vec<u8>,
    epoch: Mutex<Epoch>,
    behaviour: Mutex<Behaviour>,
    attested: AtomicUsize,
    attest_down: Mutex<bool>,
    /// Whether the epoch ends with the next answer about evidence.
    epoch_ends: AtomicBool,
    /// Seconds from the request to the receipt.
    answer_takes: AtomicU64,
    requests: Mutex<Vec<SeenRequest>>,
    outer_bytes: Mutex<Vec<u8>>,
}

struct Epoch {
    statement: EpochStatement,
    key: KeyPair,
}

impl Instance {
    pub(crate) fn new() -> Self {
        let device = device();
        let instance_key = SigningKey::from_seed([2; 32]);
        let claims = InstanceClaims {
            deployment: deployment(),
            instance_id: [3; 16],
            launch_measurement: device.measurement().to_vec(),
            platform_identity: Some(device.chip_id().to_vec()),
            gpu_ueids: Vec::new(),
        };
        let (from, to) = (NOW, NOW.saturating_add_secs(5000));
        let certificate =
            instance_certificate::issue(ca_key(), ca(), &claims, &instance_key.verifying_key(), from, to, "bank")
                .unwrap();
        let epoch = Mutex::new(first_epoch(&instance_key));
        Instance(Arc::new(Inner {
            clock: Arc::default(),
            device,
            instance_key,
            certificate,
            epoch,
            behaviour: Mutex::new(Behaviour::Good),
            attested: AtomicUsize::new(0),
            attest_down: Mutex::new(false),
            epoch_ends: AtomicBool::new(false),
            answer_takes: AtomicU64::new(0),
            requests: Mutex::default(),
            outer_bytes: Mutex::default(),
        }))
    }

    /// Serves on a free port of loopback; gives the address.
    pub(crate) async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route(attest::PATH, post(host::answer_attest))
            .route("/.well-known/ohttp-gateway", post(host::answer_request))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    /// A connector to this instance that accepts simulation, on the test's clock.
    pub(crate) async fn connector(&self) -> Connector {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Connector::new(&self.serve().await, plain_trust_file(), true).unwrap().with_clock(self.clock()).with_http(http)
    }

    pub(crate) fn clock(&self) -> Arc<TestClock> {
        Arc::clone(&self.0.clock)
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.0.behaviour.lock().unwrap() = behaviour;
    }

    pub(crate) fn attest_down(&self, down: bool) {
        *self.0.attest_down.lock().unwrap() = down;
    }

    pub(crate) fn answer_takes(&self, seconds: u64) {
        self.0.answer_takes.store(seconds, Ordering::SeqCst);
    }

    /// How often evidence was asked for.
    pub(crate) fn attested(&self) -> usize {
        self.0.attested.load(Ordering::SeqCst)
    }

    /// The requests that opened.
    pub(crate) fn requests(&self) -> Vec<SeenRequest> {
        self.0.requests.lock().unwrap().clone()
    }

    /// Every byte that came to the gateway.
    pub(crate) fn outer_bytes(&self) -> Vec<u8> {
        self.0.outer_bytes.lock().unwrap().clone()
    }

    pub(crate) fn statement_hash(&self) -> [u8; 32] {
        statement::hash(&self.epoch().statement.encode())
    }

    fn epoch(&self) -> MutexGuard<'_, Epoch> {
        self.0.epoch.lock().unwrap()
    }

    fn attest(&self, body: &[u8]) -> Vec<u8> {
        AttestRequest::from_bytes(body).expect("a well-formed question");
        let tree = Tree::new(vec![freshness::leaf(b"somebody else"), freshness::leaf(body)]);
        let statement = self.epoch().statement.encode();
        let hash = statement::hash(&statement);
        let preimage = binding::preimage(Class::Simulated, Purpose::Session, &hash, &tree.root(), tree.size());
        let quoted = self.0.device.report(&binding::report_data(&preimage)).unwrap();
        let record =
            |media_type: &str, value, indicator| Record { media_type: media_type.to_owned(), value, indicator };
        let mut evidence = Collection::new(CollectionKind::Evidence);
        let report = record("application/vnd.strongroom.snp-report", quoted.report, indicator::EVIDENCE);
        evidence.insert("cpu0", report).unwrap();
        let mut endorsements = Collection::new(CollectionKind::Endorsements);
        for (number, value) in quoted.endorsements.into_iter().enumerate() {
            let endorsement = record("application/pkix-cert", value, indicator::ENDORSEMENTS);
            endorsements.insert(&format!("e{number}"), endorsement).unwrap();
        }
        AttestResponse {
            statement,
            leaf_index: 1,
            proof: tree.proof(1),
            tree_size: tree.size(),
            time: self.0.clock.now().as_secs(),
            instance_signature: self.0.instance_key.sign1(media::PROOF, &preimage),
            evidence,
            endorsements,
            instance_certificate: vec![self.0.certificate.clone(), ca().to_vec()],
        }
        .to_bytes()
    }

    /// The pieces of an answer's outer body; `None` for a body that does not open.
    fn answer(&self, wire: &[u8], behaviour: Behaviour) -> Option<Vec<Vec<u8>>> {
        let mut opener = RequestOpener::new(&self.epoch().key);
        let mut decoder = RequestDecoder::new();
        for plain in opener.push(wire).ok()? {
            decoder.push(&plain).unwrap();
        }
        decoder.push(&opener.finish().ok()?).unwrap();
        let (head, body) = decoder.finish().unwrap();
        self.0.requests.lock().unwrap().push(SeenRequest { head: head.clone(), body: body.clone() });
        let sealer = opener.into_response().unwrap();
        let named = field(&head.headers, "strongroom-statement").unwrap();
        if named != URL_SAFE_NO_PAD.encode(self.statement_hash()) {
            return Some(refusal(sealer, 409, "statement-superseded"));
        }
        if let Behaviour::Inner(status, code) = behaviour {
            return Some(refusal(sealer, status, code));
        }
        Some(self.generate(sealer, &head, &body, behaviour))
    }

    fn generate(
        &self,
        mut sealer: ResponseSealer,
        head: &RequestHead,
        body: &[u8],
        behaviour: Behaviour,
    ) -> Vec<Vec<u8>> {
        let stream = String::from_utf8_lossy(body).contains("\"stream\":true");
        let contents: Vec<&str> = if stream { EVENTS.to_vec() } else { vec![WHOLE] };
        let media_type = if stream { "text/event-stream; charset=utf-8" } else { "application/json" };
        let headers = vec![("content-type".to_owned(), media_type.to_owned())];
        let (mut encoder, first) = ResponseEncoder::head(200, &headers).unwrap();
        let mut pieces = vec![sealer.header(), sealer.seal_chunk(&first).unwrap()];
        for content in &contents {
            let mut content = content.as_bytes().to_vec();
            if stream {
                padding::pad_sse_chunk(&mut content);
            }
            pieces.push(sealer.seal_chunk(&encoder.content(&content)).unwrap());
        }
        let mut trailers = Vec::new();
        if head.method == "POST" && behaviour != Behaviour::NoReceipt {
            let receipt = self.receipt(head, body, contents.concat().as_bytes(), behaviour);
            trailers.push(("strongroom-receipt".to_owned(), receipt));
        }
        pieces.push(sealer.finish(&encoder.finish(&trailers, !stream).unwrap()).unwrap());
        pieces
    }

    fn receipt(&self, head: &RequestHead, request: &[u8], response: &[u8], behaviour: Behaviour) -> String {
        let mut request_id = [0; 16];
        hex::decode_to_slice(field(&head.headers, "strongroom-request-id").unwrap(), &mut request_id).unwrap();
        let salt = [8; 16];
        let mut receipt = Receipt {
            request_id,
            salt,
            request_hash: salted_hash(&salt, request),
            response_hash: salted_hash(&salt, response),
            statement_hash: self.statement_hash(),
            model_id: [5; 32],
            model_name: "qwen".to_owned(),
            plugins: Vec::new(),
            prompt_tokens: 3,
            completion_tokens: 2,
            time: self.0.clock.now().as_secs() + self.0.answer_takes.load(Ordering::SeqCst),
            finish: Finish::Stop,
        };
        let mut key = &self.0.instance_key;
        let other = SigningKey::from_seed([77; 32]);
        match behaviour {
            Behaviour::ReceiptMalformed => return "not base64!".to_owned(),
            Behaviour::ReceiptByAnotherKey => key = &other,
            Behaviour::ReceiptForAnotherRequest => receipt.request_id = [0; 16],
            Behaviour::ReceiptForAnotherStatement => receipt.statement_hash = [0; 32],
            Behaviour::ReceiptForOtherBytes => receipt.response_hash = salted_hash(&salt, b"something else"),
            Behaviour::ReceiptForAnotherModel => receipt.model_id = [6; 32],
            _ => {}
        }
        URL_SAFE_NO_PAD.encode(receipt.sign(key))
    }
}

/// A question to the model.
pub(crate) fn question(stream: bool) -> OutgoingRequest {
    OutgoingRequest {
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        headers: vec![
            ("authorization".to_owned(), "Bearer sk-canary".to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ],
        body: format!("{{\"prompt\":\"canary prompt\",\"stream\":{stream}}}").into_bytes(),
    }
}

/// The trust file that [`Instance`] satisfies.
pub(crate) fn plain_trust_file() -> TrustFile {
    static FILE: OnceLock<TrustFile> = OnceLock::new();
    let make = || TrustFile {
        sequence: 1,
        deployment: deployment(),
        environment: Environment::Development,
        created: NOW,
        not_after: NOW.saturating_add_secs(50_000),
        instance_ca: Some(ca().to_vec()),
        broker_key: SigningKey::from_seed([11; 32]).verifying_key(),
        policy: Policy::from_toml(&device().strict_policy()).unwrap(),
        config_digests: vec![[4; 32]],
        logging: vec!["none".to_owned()],
        models: vec![TrustedModel { name: "qwen".to_owned(), model_id: [5; 32], least_version: 1 }],
        plugins: Vec::new(),
        padding: "bucket".to_owned(),
        log_key: None,
        hints: Vec::new(),
        development_anchors: vec![vendor().root_certificate_der().to_vec()],
    };
    FILE.get_or_init(make).clone()
}

fn first_epoch(instance_key: &SigningKey) -> Epoch {
    let key = KeyPair::generate(1);
    let statement = EpochStatement {
        deployment: deployment(),
        instance_id: [3; 16],
        epoch: 2,
        issued_at: NOW.as_secs(),
        lifetime: 3600,
        key_configs: key.config_list(),
        tls_spki: None,
        signing_key: instance_key.verifying_key(),
        workload: Workload {
            image_id: None,
            config_digest: [4; 32],
            models: vec![[5; 32]],
            plugins: Vec::new(),
            policy_hash: Some([8; 32]),
            sbom: None,
            padding: "bucket".to_owned(),
            logging: "none".to_owned(),
            lease_id: Some([9; 16]),
        },
        device_digest: strongroom_channel::device_digest::digest([]),
        previous: [10; 32],
    };
    Epoch { statement, key }
}

fn deployment() -> DeploymentId {
    DeploymentId::parse("bank-prod").unwrap()
}

/// Loading RSA keys and signing certificates is slow: once for all tests.
fn vendor() -> &'static SimulatedAmd {
    static VENDOR: OnceLock<SimulatedAmd> = OnceLock::new();
    VENDOR.get_or_init(|| SimulatedAmd::published(Product::Genoa, NOW.as_secs()).unwrap())
}

fn device() -> SimulatedDevice {
    vendor().device([1; 32], launch_measurement(b"image"), [0; 32], NOW.as_secs()).unwrap()
}

fn ca_key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::from_seed([1; 32]))
}

fn ca() -> &'static [u8] {
    static CA: OnceLock<Vec<u8>> = OnceLock::new();
    let until = NOW.saturating_add_secs(100_000);
    CA.get_or_init(|| instance_certificate::make_ca(ca_key(), "bank", Environment::Development, NOW, until).unwrap())
}

fn refusal(mut sealer: ResponseSealer, status: u16, code: &str) -> Vec<Vec<u8>> {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let (mut encoder, mut plain) = ResponseEncoder::head(status, &headers).unwrap();
    plain.extend(encoder.content(format!("{{\"error\":{{\"code\":\"{code}\"}}}}").as_bytes()));
    plain.extend(encoder.finish(&Vec::new(), true).unwrap());
    vec![sealer.header(), sealer.seal_chunk(&plain).unwrap(), sealer.finish(b"").unwrap()]
}
