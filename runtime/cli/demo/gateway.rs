//! The enemy between client and server: a gateway that relays everything, and, when told
//! to, cheats. It has what a real one has: every byte on the wire, and nothing more,
//! except in one attack an opened machine of its own.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use futures_util::StreamExt;
use strongroom_channel::attest::{self, AttestResponse, Collection, CollectionKind, Record, indicator};
use strongroom_channel::binding::{self, Class, Purpose};
use strongroom_channel::cose::{SigningKey, media};
use strongroom_channel::ohttp::KeyPair;
use strongroom_channel::statement::{self, EpochStatement};
use strongroom_channel::{device_digest, freshness};
use strongroom_simulated_platform::SimulatedDevice;
use tokio::net::TcpListener;

use crate::exit_code::Exit;
use crate::output::Failure;

/// Bytes that the truncating gateway keeps back: less than any final chunk has.
const CUT: usize = 16;
/// The longest body that the gateway looks into.
const BODY_MAX: usize = 8 << 20;

/// What the gateway does with the traffic.
pub(super) enum Cheat {
    /// Relays.
    No,
    /// Answers each question for evidence with this earlier answer.
    Replay(Vec<u8>),
    /// Puts its own encapsulation key into the statement.
    SwapKey,
    /// Answers with evidence of its own machine, which runs the same image, and with the
    /// honest instance's certificate.
    Borrow(Box<SimulatedDevice>),
    /// Leaves the first GPU out of the evidence.
    DropGpu,
    /// Cuts the end off every encapsulated answer.
    Truncate,
}

/// A gateway that listens.
pub(super) struct Gateway {
    /// Where clients find it.
    pub(super) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    http: reqwest::Client,
    cheat: Mutex<Arc<Cheat>>,
    last_answer: Mutex<Option<Vec<u8>>>,
}

impl Gateway {
    /// Relays to `upstream` from a free port.
    pub(super) async fn start(upstream: &str) -> Result<Self, Failure> {
        let failed = |e: &dyn std::fmt::Display| Failure::new(Exit::Failed, "IO", format!("the gateway: {e}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|e| failed(&e))?;
        let url = format!("http://{}", listener.local_addr().map_err(|e| failed(&e))?);
        let http = reqwest::Client::builder().no_proxy().build().map_err(|e| failed(&e))?;
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            http,
            cheat: Mutex::new(Arc::new(Cheat::No)),
            last_answer: Mutex::new(None),
        });
        let router = Router::new().fallback(relay).with_state(shared.clone());
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        tokio::spawn(async move {
            // It ends with the demo.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, shared })
    }

    /// From now on.
    pub(super) fn cheat(&self, cheat: Cheat) {
        *self.shared.cheat.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(cheat);
    }

    /// The last answer to a question for evidence that went through.
    pub(super) fn recorded(&self) -> Option<Vec<u8>> {
        self.shared.last_answer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn relay(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    forward(&shared, request).await.unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response())
}

async fn forward(shared: &Shared, request: Request) -> Option<Response> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_MAX).await.ok()?;
    let path = parts.uri.path_and_query()?.as_str().to_owned();
    let mut upstream = shared.http.request(parts.method, format!("{}{path}", shared.upstream));
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != "host") {
        upstream = upstream.header(name, value);
    }
    let answer = upstream.body(body.clone()).send().await.ok()?;
    let cheat = shared.cheat.lock().unwrap_or_else(PoisonError::into_inner).clone();

    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| !hop(name.as_str())) {
        response = response.header(name, value);
    }
    if path == attest::PATH && answer.status().is_success() {
        let genuine = answer.bytes().await.ok()?;
        *shared.last_answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(genuine.to_vec());
        return response.body(Body::from(forge(&cheat, &body, &genuine)?)).ok();
    }
    let stream = answer.bytes_stream();
    if matches!(*cheat, Cheat::Truncate) {
        let mut whole: Vec<Bytes> = stream.filter_map(|item| async { item.ok() }).collect().await;
        let last = whole.pop()?;
        let kept = last.slice(..last.len().saturating_sub(CUT));
        whole.push(kept);
        return response.body(Body::from(whole.concat())).ok();
    }
    response.body(Body::from_stream(stream)).ok()
}

/// Headers that belong to one connection, and the length that a cheat may change.
fn hop(name: &str) -> bool {
    matches!(name, "connection" | "transfer-encoding" | "content-length" | "keep-alive")
}

/// What the client gets instead of `genuine`.
fn forge(cheat: &Cheat, question: &[u8], genuine: &[u8]) -> Option<Vec<u8>> {
    match cheat {
        Cheat::No | Cheat::Truncate => Some(genuine.to_vec()),
        Cheat::Replay(old) => Some(old.clone()),
        Cheat::SwapKey => {
            let mut answer = AttestResponse::from_bytes(genuine).ok()?;
            let mut statement = EpochStatement::decode(&answer.statement).ok()?;
            statement.key_configs = KeyPair::generate(0).config_list();
            answer.statement = statement.encode();
            Some(answer.to_bytes())
        }
        Cheat::DropGpu => {
            let mut answer = AttestResponse::from_bytes(genuine).ok()?;
            let mut evidence = Collection::new(CollectionKind::Evidence);
            for (label, record) in answer.evidence.iter().filter(|(label, _)| *label != "gpu0") {
                evidence.insert(label, record.clone()).ok()?;
            }
            answer.evidence = evidence;
            Some(answer.to_bytes())
        }
        Cheat::Borrow(machine) => borrow(machine, question, genuine),
    }
}

/// Everything is the enemy's own and holds together, but for the certificate: keys,
/// statement, quote over the client's nonce, and the signature over what the quote proves.
fn borrow(machine: &SimulatedDevice, question: &[u8], genuine: &[u8]) -> Option<Vec<u8>> {
    let mut answer = AttestResponse::from_bytes(genuine).ok()?;
    let key = SigningKey::generate();
    let mut statement = EpochStatement::decode(&answer.statement).ok()?;
    statement.key_configs = KeyPair::generate(0).config_list();
    statement.signing_key = key.verifying_key();
    // Devices answer for their own machine's keys only: this one shows none.
    statement.device_digest = device_digest::digest([]);
    let root = freshness::leaf(question);
    answer.statement = statement.encode();
    let hash = statement::hash(&answer.statement);
    let preimage = binding::preimage(Class::Simulated, Purpose::Session, &hash, &root, 1);
    let evidence = machine.report(&binding::report_data(&preimage)).ok()?;
    (answer.leaf_index, answer.tree_size, answer.proof) = (0, 1, Vec::new());
    answer.instance_signature = key.sign1(media::PROOF, &preimage);
    let cpu = answer.evidence.get("cpu0")?.media_type.clone();
    answer.evidence = Collection::new(CollectionKind::Evidence);
    let record = Record { media_type: cpu, value: evidence.report, indicator: indicator::EVIDENCE };
    answer.evidence.insert("cpu0", record).ok()?;
    answer.endorsements = Collection::new(CollectionKind::Endorsements);
    for (i, value) in evidence.endorsements.into_iter().enumerate() {
        let record = Record { media_type: "application/pkix-cert".into(), value, indicator: indicator::ENDORSEMENTS };
        answer.endorsements.insert(&format!("amd{i}"), record).ok()?;
    }
    Some(answer.to_bytes())
}
