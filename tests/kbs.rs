//! Keys over the CoCo KBS protocol, from a server's start to a client's verdict: what works as with our
//! own release, what a client is told is missing, and what is refused. The KBS is our broker's.

use std::sync::Arc;
use std::time::Duration;

use strongroom_attestation::State;
use strongroom_broker::TrustOptions;
use strongroom_channel::trust_file;
use strongroom_enclave_loader::kbs::{Attest, Problem, TeeKey, encrypt};
use strongroom_enclave_loader::release::AnsweredModel;
use strongroom_engine::Script;
use strongroom_runtime::StartError;
use zeroize::Zeroizing;

use crate::support::line::Forger;
use crate::support::machines::Platform;
use crate::support::source::CountedSource;
use crate::support::system::{Blueprint, Site, said};

fn blueprint() -> Blueprint {
    Blueprint::scripted(|| Script::says("Good morning.")).over_kbs()
}

/// Why a server did not start, and how many quotes it took to know.
async fn refused(site: &Site) -> (StartError, usize) {
    let source = Arc::new(CountedSource::new(site.machine_of_any_kind()));
    let (started, _) = site.start(source.clone()).await;
    (started.err().unwrap(), source.quotes())
}

#[tokio::test]
async fn a_chat_and_the_verdict_says_what_a_kbs_leaves_open() {
    let system = blueprint().start().await;
    let client = system.client();
    assert_eq!(said(&client.ask("Say good morning.").await.unwrap()), "Good morning.");

    let session = client.keeper.session().await.unwrap();
    assert!(!session.is_certified());
    let (statement, policy) = (session.verified().statement(), &session.verified().statement().workload);
    assert_eq!((statement.epoch, policy.lease_id, policy.policy_hash), (2, None, None));
    let skipped = |title: &str, word: &str| {
        let check = session.checks().iter().find(|check| check.title == title).unwrap();
        assert!(check.state == State::Skip && check.found.contains(word), "{check:?}");
    };
    skipped("instance certificate", "diversion to another machine is not prevented");
    skipped("lease", "not revocable");

    assert!(system.broker.leases().unwrap().is_empty());
    let events = system.events.lock().unwrap().join("\n");
    assert!(events.contains("key released by a KBS") && events.contains("nobody can revoke it"), "{events}");
}

/// A client whose trust file names a CA wants a certificate, and this server has none.
#[tokio::test]
async fn a_client_of_the_tenants_usual_trust_file_refuses_it() {
    let system = blueprint().start().await;
    let usual = system.broker.export_trust(&TrustOptions::default()).unwrap();
    let usual = trust_file::verify(&usual, &system.broker.trust_root(), 0, system.time.now()).unwrap();
    let error = system.connector_trusting(&system.url, usual, true).connect().await.err().unwrap();
    assert_eq!(error.code(), "INSTANCE_CERT");
}

#[tokio::test]
async fn only_configured_clients_are_served() {
    let system = blueprint().start().await;
    let mut client = system.client();
    client.api_key.push('x');
    let answer = client.post("/v1/chat/completions", &crate::support::system::chat("Hello")).await.unwrap();
    assert_eq!(answer.status(), 401);
}

/// Nobody is asked again: epochs turn, the clock goes on, and the KBS may be gone.
#[tokio::test]
async fn it_serves_on_without_the_kbs() {
    let system = blueprint().start().await;
    system.line.cut(true);
    system.wait(7_200).await;
    let client = system.client();
    assert_eq!(said(&client.ask("Say good morning.").await.unwrap()), "Good morning.");
    assert!(client.keeper.session().await.unwrap().verified().statement().epoch > 2);
    assert_eq!((system.counter("heartbeats").await, system.counter("heartbeats_missed").await), (0, 0));
    let ended = tokio::time::timeout(Duration::from_millis(1), system.running.lease_ended()).await;
    assert!(ended.is_err(), "there is no lease that could end");
}

#[tokio::test]
async fn gpus_are_in_the_additional_evidence_and_somebody_elses_get_no_key() {
    let system = blueprint().gpus(2).start().await;
    let client = system.client();
    client.ask("Say good morning.").await.unwrap();
    let session = client.keeper.session().await.unwrap();
    let shown = session.verified().devices().unwrap().ueids();
    assert_eq!(shown.len(), 2);
    let carried = String::from_utf8(system.line.carried()).unwrap();
    assert!(carried.contains("device_evidence_list"));

    let site = blueprint().gpus(2).prepare().await;
    let gpus = site.gpus().unwrap();
    let (started, _) =
        site.start_with(CountedSource::new(site.machine()).into(), Some(gpus.foreign(&site.config))).await;
    let error = started.err().unwrap();
    assert_eq!((error.code().as_str(), error.exit_code()), ("ATTESTATION_ERROR", 3));
    assert!(error.to_string().contains("PLATFORM_NOT_ALLOWED"), "{error}");
}

/// A refusal by policy is final: it costs one quote, not a storm of them.
#[tokio::test]
async fn a_policy_that_says_no_is_asked_once() {
    let site = blueprint().prepare().await;
    site.broker.activate_policy(&site.policy.replace("kbs = true", "kbs = false")).unwrap();
    let (error, quotes) = refused(&site).await;
    assert_eq!((error.code().as_str(), error.exit_code(), quotes), ("POLICY_DENY", 3, 1));
    assert!(error.to_string().contains("kbs = true"), "{error}");
}

fn is_resource(path: &str) -> bool {
    path.starts_with("/kbs/v0/resource/")
}

fn over() -> (u16, Vec<u8>) {
    (401, serde_json::to_vec(&Problem::new("TokenNotFound", "the session is over".into())).unwrap())
}

/// Says of so many requests for a resource that the session is over.
fn forgetful(mut times: usize) -> Forger {
    Box::new(move |path, _, answer| {
        let forgets = is_resource(path) && times > 0;
        times -= usize::from(forgets);
        if forgets { over() } else { answer }
    })
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_is_begun_once_more_and_no_oftener() {
    let site = blueprint().prepare().await;
    site.line.forge(forgetful(1));
    let source = Arc::new(CountedSource::new(site.machine()));
    assert!(site.start(source.clone()).await.0.is_ok());
    assert_eq!(source.quotes(), 2);

    let site = blueprint().prepare().await;
    site.line.forge(forgetful(usize::MAX));
    let (error, quotes) = refused(&site).await;
    assert_eq!((error.code().as_str(), quotes), ("TOKEN_NOT_FOUND", 2));
}

/// Nobody signs a KBS's answer. Keys of somebody on the way, well encrypted to the instance, name the
/// right model and open nothing: the publisher's manifest commits to its own.
#[tokio::test]
async fn keys_of_somebody_on_the_way_open_nothing() {
    let site = blueprint().prepare().await;
    let model_id = site.model_id;
    let mut key: Option<TeeKey> = None;
    site.line.forge(Box::new(move |path, sent, answer| {
        if path.ends_with("/attest") {
            key = Some(serde_json::from_slice::<Attest>(sent).unwrap().runtime_data.tee_pubkey);
        }
        if !is_resource(path) {
            return answer;
        }
        let keys = vec![Zeroizing::new([7; 32])];
        let forged = AnsweredModel { model_id, artifact_id: [0; 16], version: 1, keys };
        (200, encrypt(key.as_ref().unwrap(), &forged.to_bytes()).unwrap().into_bytes())
    }));
    let (error, _) = refused(&site).await;
    assert_eq!((error.code().as_str(), error.exit_code()), ("SEALED_WRONG_KEY", 3));
}

/// Each of these is refused before a key is used, by its own name.
#[tokio::test]
async fn answers_that_are_none_are_refused() {
    for (defect, at, answer, code) in [
        ("a challenge without a nonce", "/auth", (200, b"{}".to_vec()), "PARSE"),
        ("a challenge that is no JSON", "/auth", (200, b"<html>".to_vec()), "PARSE"),
        ("a resource that is no JWE", "/1", (200, b"{}".to_vec()), "BROKER_SIGNATURE"),
        ("a resource that is not there", "/1", (404, b"not found".to_vec()), "UNAVAILABLE"),
        ("a server that fails", "/attest", (503, Vec::new()), "UNAVAILABLE"),
    ] {
        let site = blueprint().prepare().await;
        site.line.forge(Box::new(move |path, _, genuine| if path.ends_with(at) { answer.clone() } else { genuine }));
        let (error, _) = refused(&site).await;
        assert_eq!(error.code(), code, "{defect}: {error}");
    }
}

#[tokio::test]
async fn a_paravisors_machine_is_refused_by_name_and_another_platform_by_the_kbs() {
    let site = blueprint().on(Platform::AzureSnp).prepare().await;
    let (error, quotes) = refused(&site).await;
    assert_eq!((error.code().as_str(), quotes), ("EVIDENCE", 0));
    assert!(error.to_string().contains("report data is not the guest's to choose"), "{error}");

    let site = blueprint().on(Platform::Tdx).prepare().await;
    let (error, quotes) = refused(&site).await;
    assert_eq!((error.code().as_str(), quotes), ("ATTESTATION_ERROR", 0));
    assert!(error.to_string().contains("tdx"), "{error}");
}

/// What goes to the KBS holds no key and no weight, and no answer of it is believed for its name.
#[tokio::test]
async fn the_line_carries_no_key_in_the_clear() {
    let system = blueprint().start().await;
    let keys = system.broker.kbs_resource_of("tiny", 1).unwrap();
    let key = &keys[keys.len() - 32..];
    let carried = system.line.carried();
    assert!(!carried.windows(32).any(|window| window == key));
    assert!(!String::from_utf8(carried).unwrap().contains(&hex::encode(key)));
}
