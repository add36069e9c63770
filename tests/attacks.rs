//! Attacks by whoever stands between the parts (protocol.md 5.4). Each must be refused, by
//! its own code.

mod elsewhere;
mod platforms;
mod start;

use std::path::Path;
use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, DATE};
use serde_json::{Value, json};
use strongroom_channel::attest::{self, AttestRequest, AttestResponse, Collection, CollectionKind, Record};
use strongroom_channel::binding::{self, Class, Purpose};
use strongroom_channel::cose::{SigningKey, media};
use strongroom_channel::freshness;
use strongroom_channel::ohttp::{KeyConfig, KeyPair, REQUEST_MEDIA_TYPE, RequestSealer, Suite};
use strongroom_channel::statement::{self, EpochStatement};
use strongroom_engine::Script;
use strongroom_simulated_platform::SimulatedDevice;

use crate::support::gateway::{Change, Cheat, Gateway};
use crate::support::machines::Platform;
use crate::support::system::{Blueprint, CHAT, Client, System, chat, http, said, streamed};

const GATEWAY: &str = "/.well-known/ohttp-gateway";

/// A system, the enemy before it, and a client that got an answer while the enemy relayed.
struct Scene {
    system: System,
    gateway: Gateway,
    client: Client,
}

impl Scene {
    async fn new() -> Self {
        Self::on(Platform::Snp).await
    }

    async fn on(platform: Platform) -> Self {
        let system = Blueprint::scripted(|| Script::says("Good morning.")).on(platform).start().await;
        let gateway = Gateway::before(&system.url).await;
        let client = system.client_at(&gateway.url);
        assert_eq!(said(&client.ask("Say good morning.").await.unwrap()), "Good morning.");
        Self { system, gateway, client }
    }

    /// What a new client says to a forged answer.
    async fn verdict(&self, forge: impl Fn(&[u8], &[u8]) -> Vec<u8> + Send + Sync + 'static) -> &'static str {
        self.gateway.cheat(Cheat::Evidence(Arc::new(forge)));
        let (exchanges, client) = (self.gateway.exchanges().len(), self.system.client_at(&self.gateway.url));
        let code = client.refusal("Say good morning.").await;
        assert_eq!(self.gateway.exchanges().len(), exchanges + 1, "nothing is sent after the question for evidence");
        code
    }
}

fn change(change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Change {
    Arc::new(change)
}

fn parts(genuine: &[u8]) -> (AttestResponse, EpochStatement) {
    let answer = AttestResponse::from_bytes(genuine).unwrap();
    let statement = EpochStatement::decode(&answer.statement).unwrap();
    (answer, statement)
}

/// An answer to `question` with evidence of a machine that the enemy opened, made for
/// `purpose`; it holds together as far as the enemy can make it.
fn quoted(
    machine: &SimulatedDevice,
    key: &SigningKey,
    purpose: Purpose,
    question: &[u8],
    mut answer: AttestResponse,
) -> Vec<u8> {
    let hash = statement::hash(&answer.statement);
    let preimage = binding::preimage(Class::Simulated, purpose, &hash, &freshness::leaf(question), 1);
    let evidence = machine.report(&binding::report_data(&preimage)).unwrap();
    (answer.leaf_index, answer.tree_size, answer.proof) = (0, 1, Vec::new());
    answer.instance_signature = key.sign1(media::PROOF, &preimage);
    let record = Record { value: evidence.report, ..answer.evidence.get("cpu0").unwrap().clone() };
    answer.evidence = Collection::new(CollectionKind::Evidence);
    answer.evidence.insert("cpu0", record).unwrap();
    answer.to_bytes()
}

#[tokio::test]
async fn an_old_answer_is_replayed() {
    let scene = Scene::new().await;
    let old = scene.gateway.last(attest::PATH).answer;
    assert_eq!(scene.verdict(move |_, _| old.clone()).await, "NONCE");
}

#[tokio::test]
async fn the_encapsulation_key_is_substituted() {
    let scene = Scene::new().await;
    let code = scene
        .verdict(|_, genuine| {
            let (mut answer, mut statement) = parts(genuine);
            statement.key_configs = KeyPair::generate(0).config_list();
            answer.statement = statement.encode();
            answer.to_bytes()
        })
        .await;
    assert_eq!(code, "REPORT_DATA");
}

/// The question goes on to the genuine instance, whose evidence comes back with the enemy's
/// keys and the enemy's signature.
#[tokio::test]
async fn a_genuine_instance_is_used_as_an_oracle() {
    let scene = Scene::new().await;
    let code = scene
        .verdict(|question, genuine| {
            let (mut answer, mut statement) = parts(genuine);
            let key = SigningKey::generate();
            statement.key_configs = KeyPair::generate(0).config_list();
            statement.signing_key = key.verifying_key();
            answer.statement = statement.encode();
            let hash = statement::hash(&answer.statement);
            let leaf = freshness::leaf(question);
            let root = freshness::root_from_proof(leaf, answer.leaf_index, answer.tree_size, &answer.proof).unwrap();
            let preimage = binding::preimage(Class::Simulated, Purpose::Session, &hash, &root, answer.tree_size);
            answer.instance_signature = key.sign1(media::PROOF, &preimage);
            answer.to_bytes()
        })
        .await;
    assert_eq!(code, "REPORT_DATA");
}

/// The same image on the very machine that the tenant lists, opened by its owner: all is
/// genuine, but the broker certified another instance.
#[tokio::test]
async fn a_certificate_is_borrowed() {
    let scene = Scene::new().await;
    let (machine, key) = (scene.system.machine(), SigningKey::generate());
    let code = scene
        .verdict(move |question, genuine| {
            let (mut answer, mut statement) = parts(genuine);
            statement.key_configs = KeyPair::generate(0).config_list();
            statement.signing_key = key.verifying_key();
            answer.statement = statement.encode();
            quoted(&machine, &key, Purpose::Session, question, answer)
        })
        .await;
    assert_eq!(code, "INSTANCE_CERT");
}

/// Evidence that was made to get a key from a broker, with everything else right.
#[tokio::test]
async fn release_evidence_is_used_for_a_session() {
    for purpose in [Purpose::Release, Purpose::Renewal] {
        let scene = Scene::new().await;
        let (machine, key) = (scene.system.machine(), SigningKey::generate());
        let code =
            scene.verdict(move |question, genuine| quoted(&machine, &key, purpose, question, parts(genuine).0)).await;
        assert_eq!(code, "REPORT_DATA");
    }
}

/// The client offers the strongest suite first; the enemy leaves it the weakest.
#[tokio::test]
async fn the_question_is_changed_on_its_way() {
    let scene = Scene::new().await;
    scene.gateway.cheat(Cheat::Question(change(|question| {
        let mut question = AttestRequest::from_bytes(&question).unwrap();
        question.suites = vec![attest::suite::X_WING_AES_128_GCM];
        question.to_bytes()
    })));
    assert_eq!(scene.system.client_at(&scene.gateway.url).refusal("Say good morning.").await, "NONCE");
}

#[tokio::test]
async fn simulated_evidence_was_not_asked_for() {
    let scene = Scene::new().await;
    let error = scene.system.connector_that(&scene.system.url, false).connect().await.err().unwrap();
    assert_eq!((error.code(), error.exit_code()), ("SIMULATED", 3));
    let failed = error.checks().iter().filter(|check| format!("{:?}", check.state).starts_with("Fail"));
    assert_eq!(failed.count(), 1, "nothing else is wrong with it: {:?}", error.checks());
}

#[tokio::test]
async fn an_encapsulated_request_is_replayed() {
    let scene = Scene::new().await;
    scene.gateway.cheat(Cheat::Twice);
    let mut answer = scene.client.post(CHAT, &chat("Say good morning.")).await.unwrap();
    assert_eq!(answer.status(), 409);
    let body: Value = serde_json::from_slice(&answer.collect().await.unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "replayed");
    assert_eq!(scene.system.counter("generation_requests").await, 2, "before, and once now");
}

/// It would be answered once more when nobody remembers it, did it not name its end.
#[tokio::test]
async fn an_encapsulated_request_is_held_back() {
    let scene = Scene::new().await;
    let time = scene.system.time.clone();
    scene.gateway.cheat(Cheat::Request(change(move |request| {
        time.advance(121);
        request
    })));
    let mut answer = scene.client.post(CHAT, &chat("Say good morning.")).await.unwrap();
    let body: Value = serde_json::from_slice(&answer.collect().await.unwrap()).unwrap();
    assert_eq!((answer.status(), &body["error"]["code"]), (400, &json!("request_expired")));
    assert_eq!(scene.system.counter("generation_requests").await, 1);
}

/// Where a chunk of an encapsulated answer begins and ends; the last one is the final chunk.
fn chunks(answer: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (nonce, mut rest) = answer.split_at(32);
    let mut chunks = Vec::new();
    loop {
        // A variable-length integer (RFC 9000, section 16).
        let octets = 1 << (rest[0] >> 6);
        let len = rest[1..octets].iter().fold(usize::from(rest[0] & 0x3f), |len, byte| len << 8 | usize::from(*byte));
        if len == 0 {
            chunks.push(rest.to_vec());
            return (nonce.to_vec(), chunks);
        }
        let (chunk, after) = rest.split_at(octets + len);
        chunks.push(chunk.to_vec());
        rest = after;
    }
}

#[tokio::test]
async fn chunks_of_an_answer_are_tampered_with() {
    let scene = Scene::new().await;
    type Tamper = fn(&mut Vec<Vec<u8>>);
    let cases: [(&str, Tamper, &str); 9] = [
        ("the final chunk is stripped", |chunks| drop(chunks.pop()), "TRUNCATED"),
        ("the final chunk is cut", |chunks| chunks.last_mut().unwrap().truncate(10), "TRUNCATED"),
        ("the end is cut off", |chunks| chunks.truncate(2), "TRUNCATED"),
        (
            "an early end is claimed",
            |chunks| {
                chunks.truncate(2);
                chunks.push(vec![0]);
            },
            "TRUNCATED",
        ),
        ("a chunk is dropped", |chunks| drop(chunks.remove(1)), "MALFORMED"),
        ("a chunk comes twice", |chunks| chunks.insert(1, chunks[1].clone()), "MALFORMED"),
        ("two chunks change places", |chunks| chunks.swap(1, 2), "MALFORMED"),
        ("a bit is flipped", |chunks| *chunks[1].last_mut().unwrap() ^= 1, "MALFORMED"),
        (
            "a chunk is passed off as the final one",
            |chunks| {
                let chunk = chunks[1].split_off(2);
                chunks.truncate(1);
                chunks.push([&[0], &chunk[..]].concat());
            },
            "TRUNCATED",
        ),
    ];
    for (name, tamper, code) in cases {
        scene.gateway.cheat(Cheat::Answer(change(move |answer| {
            let (nonce, mut chunks) = chunks(&answer);
            assert!(chunks.len() > 4, "{} chunks", chunks.len());
            tamper(&mut chunks);
            [nonce, chunks.concat()].concat()
        })));
        let outcome = async { scene.client.post(CHAT, &streamed("Say good morning.")).await?.collect().await };
        assert_eq!(outcome.await.unwrap_err().code(), code, "{name}");
    }
    scene.gateway.cheat(Cheat::No);
    scene.client.ask("Say good morning.").await.unwrap();
}

/// Answers that are whole and genuine, and belong to another request: their final chunk does
/// not open, which cannot be told from a cut.
#[tokio::test]
async fn an_answer_to_another_request_is_given() {
    let scene = Scene::new().await;
    let other = scene.gateway.last(GATEWAY).answer;
    scene.gateway.cheat(Cheat::Answer(change(move |_| other.clone())));
    assert_eq!(scene.client.refusal("Say good morning.").await, "TRUNCATED");
    scene.gateway.cheat(Cheat::Answer(change(|_| b"{\"choices\":[]}".to_vec())));
    assert_eq!(scene.client.refusal("Say good morning.").await, "TRUNCATED");
}

/// What a stranger is told: status, headers but for the date, body.
async fn outside(system: &System, bytes: Vec<u8>) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let url = format!("{}{GATEWAY}", system.url);
    let answer = http().post(url).header(CONTENT_TYPE, REQUEST_MEDIA_TYPE).body(bytes).send().await.unwrap();
    let headers = answer.headers().iter().filter(|(name, _)| **name != DATE);
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (answer.status().as_u16(), headers, answer.bytes().await.unwrap().to_vec())
}

/// An encapsulated request to `config`; what is inside does not matter here.
fn encapsulated(config: &KeyConfig, plain: &[u8]) -> Vec<u8> {
    let (sealer, first) = RequestSealer::new(config, Suite::Aes256Gcm).unwrap();
    [first, sealer.finish(plain).unwrap().0].concat()
}

async fn key_of(system: &System) -> KeyConfig {
    system.client().keeper.session().await.unwrap().verified().key_config().clone()
}

#[tokio::test]
async fn a_key_of_an_epoch_that_is_over_is_used() {
    let system = Blueprint::scripted(|| Script::says("Good morning.")).start().await;
    let old = key_of(&system).await;
    assert_eq!(outside(&system, encapsulated(&old, b"")).await.0, 200, "refused inside");
    system.wait(900).await;
    assert_eq!(outside(&system, encapsulated(&old, b"")).await.0, 200, "for a while");
    system.wait(121).await;
    let (status, _, body) = outside(&system, encapsulated(&old, b"")).await;
    let problem: Value = serde_json::from_slice(&body).unwrap();
    let wanted = "https://iana.org/assignments/http-problem-types#ohttp-key";
    assert_eq!((status, &problem["type"]), (400, &json!(wanted)));
}

#[tokio::test]
async fn every_failure_to_open_looks_the_same_from_outside() {
    let system = Blueprint::scripted(|| Script::says("Good morning.")).start().await;
    let config = key_of(&system).await;
    let genuine = encapsulated(&config, &[7; 300]);
    assert_eq!(outside(&system, genuine.clone()).await.0, 200);
    let flipped = |at: usize| {
        let mut bytes = genuine.clone();
        bytes[at] ^= 1;
        bytes
    };
    let stranger = KeyConfig::parse_list(&KeyPair::generate(config.key_id()).config_list()).unwrap().remove(0);
    let last = genuine.len() - 1;
    let cases = [
        ("nothing", Vec::new()),
        ("the boot epoch's key id, after the state changed", {
            let mut b = genuine.clone();
            b[0] = 1;
            b
        }),
        ("an unknown key id", {
            let mut b = genuine.clone();
            b[0] = 99;
            b
        }),
        ("another KEM", flipped(2)),
        ("another KDF", flipped(4)),
        ("another AEAD", flipped(6)),
        ("a key id alone", genuine[..1].to_vec()),
        ("a header alone", genuine[..7].to_vec()),
        ("half an encapsulated key", genuine[..600].to_vec()),
        ("another encapsulated key, X25519 part", flipped(7 + 1_110)),
        ("another encapsulated key, ML-KEM part", flipped(7 + 100)),
        ("no chunk", genuine[..7 + 1_120].to_vec()),
        ("no end", genuine[..last].to_vec()),
        ("more after the end", [&genuine[..], b"x"].concat()),
        ("a flipped bit of ciphertext", flipped(last - 100)),
        ("a flipped bit of the tag", flipped(last)),
        ("a chunk too short for a tag", [&genuine[..7 + 1_120], &[1, 2]].concat()),
        ("sealed to another key", encapsulated(&stranger, b"")),
        ("garbage", vec![0xab; 4_000]),
    ];
    let wanted = outside(&system, cases[1].1.clone()).await;
    assert_eq!(wanted.0, 400);
    for (name, bytes) in cases {
        assert_eq!(outside(&system, bytes).await, wanted, "{name}");
    }
}

#[tokio::test]
async fn a_plain_request_is_not_answered() {
    let system = Blueprint::scripted(|| Script::says("Good morning.")).start().await;
    for path in [CHAT, "/v1/models", "/v1/anything"] {
        let request = http().post(format!("{}{path}", system.url)).bearer_auth(&system.api_key);
        let answer = request.json(&chat("Say good morning.")).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[CONTENT_TYPE]),
            (403, &"application/problem+json".parse().unwrap())
        );
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(problem["type"], "urn:strongroom:error:encapsulation-required");
    }
    assert_eq!(system.counter("generation_requests").await, 0);
}

/// Unique tokens in prompt, answer, API key and model must be nowhere but at both ends.
#[tokio::test]
async fn canaries_are_found_nowhere() {
    const PROMPT: &str = "canary-prompt-5f1e";
    const ANSWER: &str = "canary-answer-9c42";
    const WEIGHTS: &str = "canary-weights-77ab";
    const FILE: &str = "canary-file-name-31d0.gguf";
    let system =
        Blueprint::scripted(|| Script::says(ANSWER)).file(FILE, WEIGHTS.repeat(10_000).into_bytes()).start().await;
    let gateway = Gateway::before(&system.url).await;
    let client = system.client_at(&gateway.url);
    let answer = client.post(CHAT, &chat(PROMPT)).await.unwrap().collect().await.unwrap();
    assert!(contains(&answer, ANSWER.as_bytes()), "the search finds what is there");
    client.post(CHAT, &streamed(PROMPT)).await.unwrap().collect().await.unwrap();
    let mut broken = chat(PROMPT);
    broken["tools"] = json!([PROMPT]);
    assert_eq!(client.post(CHAT, &broken).await.unwrap().status(), 400);
    system.broker.revoke(strongroom_broker::Revoke::All).unwrap();
    system.running.heartbeat().await;

    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for exchange in gateway.exchanges() {
        let bytes = [exchange.heads.into_bytes(), exchange.request, exchange.answer].concat();
        places.push((format!("on the wire to {}", exchange.path), bytes));
    }
    places.push(("between instance and broker".into(), system.line.carried()));
    places.push(("in the metrics".into(), system.page("/metrics").await.1.into_bytes()));
    places.push(("in the events".into(), system.events.lock().unwrap().join("\n").into_bytes()));
    files(system.dir.path(), &mut places);
    assert!(places.len() > 12 && places.iter().filter(|(_, bytes)| !bytes.is_empty()).count() > 10);

    let secrets = [
        ("the prompt", PROMPT),
        ("the answer", ANSWER),
        ("the API key", &system.api_key),
        ("the weights", WEIGHTS),
        ("a file's name", FILE),
    ];
    for (place, bytes) in &places {
        for (what, secret) in secrets {
            assert!(!contains(bytes, secret.as_bytes()), "{what} is {place}");
            assert!(!contains(bytes, hex::encode(secret).as_bytes()), "{what} is in hexadecimal {place}");
        }
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some((first, _)) = wanted.split_first() else { return true };
    bytes.iter().enumerate().any(|(at, byte)| byte == first && bytes[at..].starts_with(wanted))
}

/// All files under `folder`, with their names.
fn files(folder: &Path, places: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, places);
        } else {
            let name = path.display().to_string();
            let bytes = [name.as_bytes(), &std::fs::read(&path).unwrap()].concat();
            places.push((format!("in the file {name}"), bytes));
        }
    }
}
