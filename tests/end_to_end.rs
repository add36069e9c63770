//! From an application's plain HTTP to a model in a server that proved itself, and back:
//! everything that is to work.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_broker::Revoke;
use strongroom_client::{ClientError, ReceiptBundle};
use strongroom_enclave_loader::release::End;
use strongroom_engine::{Gate, Script};

use crate::support::gateway::Gateway;
use crate::support::machines::Platform;
use crate::support::source::CountedSource;
use crate::support::system::{Blueprint, CHAT, MODEL, System, chat, said, streamed};

/// The committed plugin, as the demo runs it.
const REDACT: &[u8] = include_bytes!("../examples/plugin-redact/redact.wasm");
/// How long an epoch lasts.
const EPOCH: u64 = 900;

async fn says(text: &'static str) -> System {
    Blueprint::scripted(move || Script::says(text)).start().await
}

#[tokio::test]
async fn a_whole_chat_through_the_proxy() {
    let system = says("Good morning.").await;
    let application = system.application().await;
    let response = application.post(CHAT, &chat("Say good morning.")).await;
    assert_eq!((response.status().as_u16(), &response.headers()["strongroom-simulated"]), (200, &"1".parse().unwrap()));
    let answer: Value = response.json().await.unwrap();
    assert_eq!((said(&answer), &answer["model"]), ("Good morning.", &json!(MODEL)));
    assert_eq!(
        (&answer["object"], &answer["choices"][0]["finish_reason"]),
        (&json!("chat.completion"), &json!("stop"))
    );
    let count = |name: &str| answer["usage"][name].as_u64().unwrap();
    assert!(count("prompt_tokens") > 0 && count("completion_tokens") > 0);
    assert_eq!(count("total_tokens"), count("prompt_tokens") + count("completion_tokens"));
}

/// Weights come from an object store: decrypted and verified on their way into memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_behind_an_address_is_served_like_one_in_a_directory() {
    let system = Blueprint::real().remote().start().await;
    let answer = system.client().ask("Hello").await.unwrap();
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{answer}");
}

/// An update comes in place of the files that it has; clients read of both, and trust both or neither.
#[tokio::test]
async fn an_update_replaces_files_of_its_base_and_is_named_in_the_statement() {
    let other = ("tiny.gguf", strongroom_engine::tiny_model(8));
    let system = Blueprint::real().update(vec![other]).start().await;
    let likeliest = async |system: &System| {
        let mut body = chat("Hello");
        (body["temperature"], body["max_tokens"]) = (0.into(), 24.into());
        let answer = system.client().post(CHAT, &body).await.unwrap().collect().await.unwrap();
        said(&serde_json::from_slice(&answer).unwrap()).to_owned()
    };
    let (updated, plain) = (likeliest(&system).await, likeliest(&Blueprint::real().start().await).await);
    let replaced = Blueprint::real().file("tiny.gguf", strongroom_engine::tiny_model(8)).start().await;
    assert_eq!((&updated, updated == plain), (&likeliest(&replaced).await, false));

    let session = system.client().keeper.session().await.unwrap();
    let models = &session.verified().statement().workload.models;
    assert_eq!((models.len(), models[0]), (2, system.model_id));
    let mut trust = system.trust.clone();
    trust.models.retain(|model| model.model_id == system.model_id);
    let error = system.connector_trusting(&system.url, trust, true).connect().await.err().unwrap();
    assert_eq!(error.code(), "POLICY");
}

/// An update of another model, or in a model's place, is refused before a key is asked for.
#[tokio::test]
async fn an_update_is_used_with_its_base_and_no_other() {
    let site = Blueprint::real().update(vec![("tiny.gguf", strongroom_engine::tiny_model(8))]).prepare().await;
    let mut in_place = site.config.clone();
    let update = in_place.models[0].updates.remove(0);
    in_place.models[0].path = update.path.clone();
    let other = Blueprint::real().prepare().await;
    let mut of_another = site.config.clone();
    of_another.models[0].path = other.config.models[0].path.clone();
    of_another.models[0].publisher = other.config.models[0].publisher.clone();
    for (config, reason) in [(in_place, "name it under [[model.update]]"), (of_another, "is an update of")] {
        let source = Arc::new(CountedSource::new(site.machine()));
        let (started, _) = site.start_configured(config, source.clone(), None).await;
        let error = started.err().unwrap();
        assert_eq!((error.code().as_str(), error.exit_code(), source.quotes()), ("MODEL_UPDATE", 3, 0));
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert!(site.line.carried().is_empty());
}

/// Release, session, an answer and its receipt, on the platforms that are not SNP.
#[tokio::test]
async fn a_chat_and_its_receipt_on_every_other_platform() {
    for platform in [Platform::Tdx, Platform::AzureSnp, Platform::AzureTdx] {
        let system = Blueprint::scripted(|| Script::says("Good morning.")).on(platform).start().await;
        let [lease] = &system.broker.leases().unwrap()[..] else { panic!("one lease") };
        assert!(lease.in_force && lease.platform.is_some(), "{platform:?}: {lease:?}");

        let client = system.client();
        let mut answer = client.post(CHAT, &chat("Say good morning.")).await.unwrap();
        let content = answer.collect().await.unwrap();
        assert_eq!(said(&serde_json::from_slice(&content).unwrap()), "Good morning.", "{platform:?}");
        assert!(client.keeper.session().await.unwrap().is_simulated(), "{platform:?}");
        let receipt = &answer.receipt().unwrap().receipt;
        assert_eq!(receipt.model_id, system.model_id, "{platform:?}");
        assert!(receipt.covers(chat("Say good morning.").to_string().as_bytes(), &content), "{platform:?}");

        system.wait(1_801).await;
        let [renewed] = &system.broker.leases().unwrap()[..] else { panic!("one lease") };
        assert!(renewed.in_force && renewed.expires > lease.expires, "{platform:?}: {renewed:?}");

        // Evidence under a paravisor needs both vendors' roots; no root that is listed is idle.
        let roots = &system.trust.development_anchors;
        for left_out in 0..roots.len() {
            let mut trust = system.trust.clone();
            trust.development_anchors.remove(left_out);
            let refused = system.connector_trusting(&system.url, trust, true).connect().await.err().unwrap();
            assert_eq!(refused.code(), "CHAIN", "{platform:?} without root {left_out}");
        }
    }
}

#[tokio::test]
async fn a_streamed_chat_through_the_proxy() {
    let system = says("Good morning.").await;
    let application = system.application().await;
    let mut body = streamed("Say good morning.");
    body["stream_options"] = json!({ "include_usage": true });
    let response = application.post(CHAT, &body).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let events: Vec<&str> = text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
    let (done, events) = events.split_last().unwrap();
    assert_eq!(*done, "[DONE]");
    let events: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let ids: BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1, "one answer, one id");
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let pieces = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    assert_eq!(pieces.collect::<String>(), "Good morning.");
    let [.., last, usage] = &events[..] else { panic!("{text}") };
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(usage["choices"], json!([]));
    assert!(usage["usage"]["completion_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn completions_and_the_list_of_models() {
    let system = Blueprint::scripted(Script::echoes).start().await;
    let application = system.application().await;
    let body = json!({ "model": MODEL, "prompt": "a proof first", "max_tokens": 100 });
    let answer: Value = application.post("/v1/completions", &body).await.json().await.unwrap();
    assert_eq!(
        (&answer["object"], &answer["choices"][0]["text"]),
        (&json!("text_completion"), &json!("a proof first"))
    );

    let wanted = json!({
        "id": MODEL, "object": "model", "created": 0, "owned_by": "tenant",
        "strongroom_model_id": hex::encode(system.model_id), "strongroom_version": 1, "context_length": 4096,
        "strongroom_endpoints": ["/v1/chat/completions", "/v1/completions"],
    });
    let models: Value = application.get("/v1/models").await.json().await.unwrap();
    assert_eq!(models, json!({ "object": "list", "data": [wanted] }));
    let model: Value = application.get("/v1/models/tiny").await.json().await.unwrap();
    assert_eq!(model, wanted);
}

#[tokio::test]
async fn the_receipt_names_model_and_plugin_and_the_plugin_worked() {
    let system = Blueprint::scripted(Script::echoes).plugin("redact", REDACT.to_vec()).start().await;
    let client = system.client();
    let question = "Write to anna@example.com, card 4111 1111 1111 1111.";
    let mut answer = client.post(CHAT, &chat(question)).await.unwrap();
    let content = answer.collect().await.unwrap();
    let heard: Value = serde_json::from_slice(&content).unwrap();
    assert!(said(&heard).contains("Write to [EMAIL], card [CARD]."), "the engine was given: {heard}");

    let receipt = &answer.receipt().unwrap().receipt;
    assert_eq!(receipt.request_id, answer.request_id());
    assert_eq!((receipt.model_id, receipt.model_name.as_str()), (system.model_id, MODEL));
    assert_eq!(receipt.plugins, system.plugin_digests);
    assert_eq!(receipt.plugins, [strongroom_attestation::crypto::sha256(REDACT)]);
    assert_eq!(receipt.time, system.time.now().as_secs());
    assert_eq!(Some(receipt.completion_tokens), heard["usage"]["completion_tokens"].as_u64());
    assert!(receipt.covers(chat(question).to_string().as_bytes(), &content));
}

#[tokio::test]
async fn a_receipt_is_checked_offline_long_after() {
    let system = says("Good morning.").await;
    let (application, trust) = (system.application().await, system.trust.clone());
    let request = chat("Say good morning.").to_string();
    let response = application.post_text(CHAT, &request).await;
    let id = response.headers()["strongroom-request-id"].to_str().unwrap().to_owned();
    let content = response.bytes().await.unwrap();
    let file = application.get(&format!("/receipts/{id}")).await.bytes().await.unwrap();
    drop(system);

    let bundle = ReceiptBundle::from_json(&file).unwrap();
    assert_eq!(ReceiptBundle::from_json(bundle.to_json().to_string().as_bytes()).unwrap(), bundle);
    let checked = bundle.check(&trust, true, Some(request.as_bytes()), Some(&content)).unwrap();
    assert!(checked.simulated && checked.request_compared && checked.response_compared);
    assert_eq!((hex::encode(checked.receipt.request_id), checked.receipt.model_name.as_str()), (id, MODEL));
    for (request, response) in [(Some(&b"another question"[..]), None), (None, Some(&b"another answer"[..]))] {
        assert_eq!(bundle.check(&trust, true, request, response).unwrap_err().code(), "RECEIPT");
    }
    assert_eq!(bundle.check(&trust, false, None, None).unwrap_err().code(), "SIMULATED");
}

#[tokio::test]
async fn many_clients_share_few_quotes() {
    const CLIENTS: u64 = 40;
    let system = says("Good morning.").await;
    let before = system.source.quotes();
    let held = system.source.hold();
    let asking: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let client = system.client();
            tokio::spawn(async move { client.ask("Say good morning.").await.unwrap() })
        })
        .collect();
    while system.counter("attest_requests").await < CLIENTS {}
    drop(held);
    for one in asking {
        assert_eq!(said(&one.await.unwrap()), "Good morning.");
    }
    // The first quote was asked for by those who came first, the second by all others.
    let quotes = system.source.quotes() - before;
    assert!((1..=2).contains(&quotes), "{quotes} quotes for {CLIENTS} clients");
}

#[tokio::test]
async fn a_client_goes_on_over_a_change_of_epoch() {
    let system = says("Good morning.").await;
    let client = system.client();
    client.ask("Say good morning.").await.unwrap();
    let epoch = |session: &strongroom_client::Session| session.verified().statement().epoch;
    let session = client.keeper.session().await.unwrap();
    assert_eq!(epoch(&session), 2, "epoch 1 is that of boot");

    // The next epoch begins before the statement ends, and the old key goes on for a while.
    system.wait(EPOCH - 125).await;
    let before = client.keeper.session().await.unwrap();
    assert!(epoch(&before) == 2 && before.is_fresh());
    system.wait(10).await;
    let request = client.request("POST", CHAT, chat("Say good morning.").to_string().into_bytes());
    assert_eq!(before.send(&request).await.unwrap().status(), 200);

    // A verdict ends with its statement, however new it is; the keeper then asks again.
    system.wait(120).await;
    assert_eq!(before.send(&request).await.err().unwrap().code(), "STALE");
    assert_eq!(said(&client.ask("Say good morning.").await.unwrap()), "Good morning.");
    let after = client.keeper.session().await.unwrap();
    assert_eq!(epoch(&after), 3);
    assert_eq!(after.verified().instance_key().to_bytes(), before.verified().instance_key().to_bytes());
    let events = system.events.lock().unwrap().join("\n");
    assert!(events.contains("epoch 2") && events.contains("epoch 3"), "the operator hears of it");
}

#[tokio::test]
async fn a_lease_is_renewed_with_fresh_evidence() {
    let system = says("Good morning.").await;
    let [before] = &system.broker.leases().unwrap()[..] else { panic!("one lease") };
    let quotes = system.source.quotes();
    system.wait(1_801).await;
    let [after] = &system.broker.leases().unwrap()[..] else { panic!("one lease") };
    assert_eq!(after.lease, before.lease);
    assert!(after.in_force && after.expires > before.expires, "{after:?}");
    assert_eq!(system.source.quotes(), quotes + 1);
    // Past the end that the lease had at first.
    system.wait(3_000).await;
    assert_eq!(said(&system.client().ask("Say good morning.").await.unwrap()), "Good morning.");
}

#[tokio::test]
async fn api_keys_come_and_go_with_heartbeats() {
    let system = says("Good morning.").await;
    let made = system.broker.create_api_key("another-application").unwrap();
    let mut client = system.client();
    client.api_key = made.secret.to_string();
    let status = async || client.post(CHAT, &chat("Say good morning.")).await.unwrap().status();
    assert_eq!(status().await, 401, "not heard of yet");
    system.running.heartbeat().await;
    assert_eq!(status().await, 200);
    system.broker.revoke_api_key(&made.id).unwrap();
    system.running.heartbeat().await;
    assert_eq!(status().await, 401);
}

#[tokio::test]
async fn a_revoked_lease_ends_everything() {
    let gate = Gate::closed();
    let system = {
        let gate = gate.clone();
        Blueprint::scripted(move || Script::says("Good morning.").behind(&gate)).start().await
    };
    let client = system.client();
    let mut answer = client.post(CHAT, &streamed("Say good morning.")).await.unwrap();
    assert!(answer.next().await.unwrap().is_some(), "the answer has begun");
    assert_eq!(system.page("/readyz").await.0, 200);

    assert_eq!(system.broker.revoke(Revoke::All).unwrap().len(), 1);
    let broken = async {
        let error = answer.collect().await.unwrap_err();
        gate.open();
        error
    };
    let (error, ()) = tokio::join!(broken, system.running.heartbeat());
    assert!(matches!(error, ClientError::Truncated { .. }), "{error:?}");
    assert_eq!(system.running.lease_ended().await, End::Revoked);
    assert_eq!(system.page("/readyz").await, (503, "not ready: no model is loaded\n".to_owned()));
    assert_eq!(client.refusal("Say good morning.").await, "UNAVAILABLE");
    assert_eq!(system.client().refusal("Say good morning.").await, "UNAVAILABLE", "nor is there evidence");
}

#[tokio::test]
async fn a_silent_broker_pauses_serving_until_it_speaks() {
    let system = says("Good morning.").await;
    let client = system.client();
    client.ask("Say good morning.").await.unwrap();
    system.line.cut(true);
    system.wait(9).await;
    assert_eq!(system.page("/readyz").await.0, 200, "a hiccup");
    client.ask("Say good morning.").await.unwrap();
    system.wait(1).await;
    assert_eq!(system.page("/readyz").await.0, 503);
    assert_eq!(client.refusal("Say good morning.").await, "UNAVAILABLE");
    assert_eq!(system.counter("generation_requests").await, 2);

    system.line.cut(false);
    system.wait(1).await;
    assert_eq!(system.page("/readyz").await.0, 200);
    assert_eq!(said(&client.ask("Say good morning.").await.unwrap()), "Good morning.");
}

#[tokio::test]
async fn a_broker_that_stays_silent_ends_the_lease() {
    let system = says("Good morning.").await;
    system.line.cut(true);
    system.wait(3_600).await;
    assert_eq!(system.running.lease_ended().await, End::Expired);
    system.line.cut(false);
    system.running.heartbeat().await;
    assert_eq!(system.page("/readyz").await.0, 503);
}

#[tokio::test]
async fn another_replica_takes_over() {
    let system = says("Good morning.").await;
    let gateway = Gateway::before(&system.url).await;
    let client = system.client_at(&gateway.url);
    client.ask("Say good morning.").await.unwrap();
    let first = client.keeper.session().await.unwrap();

    let (second, _) = system.start(CountedSource::new(system.machine()).into()).await;
    let second = second.unwrap();
    gateway.divert(&format!("http://{}", second.address));
    assert_eq!(said(&client.ask("Say good morning.").await.unwrap()), "Good morning.");
    let other = client.keeper.session().await.unwrap();
    assert_ne!(other.verified().instance_key().to_bytes(), first.verified().instance_key().to_bytes());
    second.stop().await;
}

#[tokio::test]
async fn the_real_engine_on_a_released_model() {
    let system = Blueprint::real().start().await;
    let client = system.client();
    let mut body = chat("Say good morning.");
    body["max_tokens"] = 8.into();
    body["seed"] = 7.into();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut answer = client.post(CHAT, &body).await.unwrap();
        let content = answer.collect().await.unwrap();
        assert_eq!(answer.receipt().unwrap().receipt.model_id, system.model_id);
        let answer: Value = serde_json::from_slice(&content).unwrap();
        let tokens = answer["usage"]["completion_tokens"].as_u64().unwrap();
        assert!((1..=8).contains(&tokens), "{answer}");
        answers.push(said(&answer).to_owned());
    }
    assert_eq!(answers[0], answers[1], "the same seed");
    let loaded = system.events.lock().unwrap().iter().any(|event| event.starts_with("tiny is in memory"));
    assert!(loaded, "the operator hears of it");
}
