//! Models that come and go while the server runs, and a server that drains: what the operator may ask for,
//! and what clients see of it.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use strongroom_attestation::crypto::sha256;
use strongroom_broker::Revoke;
use strongroom_client::{ClientError, Session};
use strongroom_enclave_loader::release::{End, LeaseId};
use strongroom_engine::{Gate, Script};

use crate::support::source::CountedSource;
use crate::support::system::{Blueprint, CHAT, Client, MODEL, SECOND, SOCKET, System, http, said};

impl System {
    /// What the server says to the operator: a question without a body, an order with one.
    async fn operator(&self, what: &str, body: Option<Value>) -> Result<Value, (String, u64)> {
        let http = reqwest::Client::builder().no_proxy().unix_socket(self.dir.path().join(SOCKET)).build().unwrap();
        let url = format!("http://localhost/v1/{what}");
        let request = match body {
            None => http.get(url),
            Some(body) => http.post(url).json(&body),
        };
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        match answer.get("error") {
            None => Ok(answer),
            Some(error) => {
                assert!(!error["message"].as_str().unwrap().is_empty(), "{answer}");
                Err((error["code"].as_str().unwrap().to_owned(), error["exit"].as_u64().unwrap()))
            }
        }
    }
}

/// A question to one of the models.
fn question(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Say good morning." }] })
}

/// Status, and what was said or the error's code.
async fn ask(client: &Client, model: &str) -> (u16, String) {
    let mut answer = client.post(CHAT, &question(model)).await.unwrap();
    let (status, content) = (answer.status(), answer.collect().await.unwrap());
    let content: Value = serde_json::from_slice(&content).unwrap();
    let text = if status == 200 { said(&content) } else { content["error"]["code"].as_str().unwrap() };
    (status, text.to_owned())
}

async fn says() -> System {
    Blueprint::scripted(|| Script::says("Good morning.")).operated().start().await
}

fn answered() -> (u16, String) {
    (200, "Good morning.".into())
}

fn unloaded() -> (u16, String) {
    (503, "model_unloaded".into())
}

fn named(model: &str) -> Option<Value> {
    Some(json!({ "model": model }))
}

/// The epoch, and how many models its statement names.
fn stated(session: &Session) -> (u64, usize) {
    let statement = session.verified().statement();
    (statement.epoch, statement.workload.models.len())
}

/// The state of each model, as the operator is told.
async fn states(system: &System) -> Vec<String> {
    let status = system.operator("status", None).await.unwrap();
    status["models"].as_array().unwrap().iter().map(|model| model["state"].as_str().unwrap().to_owned()).collect()
}

fn in_force(system: &System) -> Vec<LeaseId> {
    let leases = system.broker.leases().unwrap().into_iter().filter(|lease| lease.in_force);
    leases.map(|lease| LeaseId::parse(&lease.lease).unwrap()).collect()
}

#[tokio::test]
async fn a_model_is_loaded_on_demand_under_a_lease_of_its_own_and_named_by_a_new_epoch() {
    let system = says().await;
    let client = system.client();
    assert_eq!(ask(&client, SECOND).await, unloaded());
    assert_eq!(ask(&client, "third").await, (404, "model_not_found".into()));
    let before = client.keeper.session().await.unwrap();
    assert_eq!((stated(&before), states(&system).await), ((2, 1), vec!["loaded".into(), "unloaded".into()]));
    let quotes = system.source.quotes();
    let [first] = in_force(&system)[..] else { panic!("one lease") };

    assert_eq!(system.operator("load", named(SECOND)).await, Ok(json!({ "loaded": SECOND })));
    assert_eq!(system.source.quotes(), quotes + 1, "fresh evidence");
    assert_eq!(states(&system).await, ["loaded", "loaded"]);
    // A client that verified the epoch before verifies again: that key opens nothing any more.
    let request = client.request("POST", CHAT, question(MODEL).to_string().into_bytes());
    assert!(before.send(&request).await.is_err());
    for model in [MODEL, SECOND] {
        assert_eq!(ask(&client, model).await, answered());
    }
    let after = client.keeper.session().await.unwrap();
    assert_eq!(stated(&after), (3, 2));
    let statement = after.verified().statement();
    assert_eq!(statement.workload.lease_id, Some(*first.as_bytes()), "the first lease is the statement's");
    assert_eq!(in_force(&system).len(), 2);
    let mut answer = client.post(CHAT, &question(SECOND)).await.unwrap();
    answer.collect().await.unwrap();
    let receipt = &answer.receipt().unwrap().receipt;
    assert!(receipt.model_id != system.model_id && statement.workload.models.contains(&receipt.model_id));

    // Both leases are renewed, and the first model's clients never notice.
    system.wait(3_700).await;
    assert_eq!(in_force(&system).len(), 2);
    assert_eq!((ask(&client, MODEL).await, ask(&client, SECOND).await), (answered(), answered()));
}

#[tokio::test]
async fn what_is_not_configured_or_there_already_is_not_loaded() {
    let system = says().await;
    for (what, body, code, exit) in [
        ("load", named("third"), "UNKNOWN_MODEL", 2),
        ("unload", named("third"), "UNKNOWN_MODEL", 2),
        ("load", named(MODEL), "MODEL_LOADED", 3),
        ("unload", named(SECOND), "MODEL_NOT_LOADED", 3),
        ("unload", named(MODEL), "LAST_MODEL", 3),
        ("load", Some(json!({ "path": "/models/other" })), "PARSE", 4),
        ("prompts", None, "PARSE", 4),
    ] {
        assert_eq!(system.operator(what, body).await, Err((code.to_owned(), exit)), "{what}");
    }
    assert_eq!((ask(&system.client(), MODEL).await, in_force(&system).len()), (answered(), 1));
    let events = system.events.lock().unwrap().join("\n");
    for event in ["load tiny: MODEL_LOADED", "unload tiny: LAST_MODEL", "load: UNKNOWN_MODEL", "unknown: PARSE"] {
        assert!(events.contains(event), "{event} in {events}");
    }
    assert!(!events.contains("third"), "a name that is not configured is somebody's text");
}

#[tokio::test]
async fn an_unloaded_model_is_gone_and_its_lease_runs_out() {
    let system = says().await;
    let client = system.client();
    system.operator("load", named(SECOND)).await.unwrap();
    assert_eq!(ask(&client, SECOND).await, answered());
    assert_eq!(system.operator("unload", named(SECOND)).await, Ok(json!({ "unloaded": SECOND })));
    assert!(system.events.lock().unwrap().iter().any(|event| event.starts_with("second is unloaded")));
    assert_eq!((ask(&client, SECOND).await, ask(&client, MODEL).await), (unloaded(), answered()));
    assert_eq!(stated(&client.keeper.session().await.unwrap()), (4, 1));

    // It can come again, and the first model can go then, and with it the first lease.
    system.operator("load", named(SECOND)).await.unwrap();
    system.operator("unload", named(MODEL)).await.unwrap();
    assert_eq!((ask(&client, MODEL).await, ask(&client, SECOND).await), (unloaded(), answered()));
    assert_eq!(in_force(&system).len(), 2, "nobody can give a lease back");
    system.wait(3_700).await;
    let [left] = in_force(&system)[..] else { panic!("one lease") };
    assert_eq!(ask(&client, SECOND).await, answered());
    let session = client.keeper.session().await.unwrap();
    assert_eq!(session.verified().statement().workload.lease_id, Some(*left.as_bytes()));
}

#[tokio::test]
async fn the_end_of_one_lease_ends_its_models_only_and_the_last_ends_everything() {
    let system = says().await;
    let client = system.client();
    let [first] = in_force(&system)[..] else { panic!("one lease") };
    system.operator("load", named(SECOND)).await.unwrap();
    let second = in_force(&system).into_iter().find(|lease| *lease != first).unwrap();
    system.broker.revoke(Revoke::One(second)).unwrap();
    system.running.heartbeat().await;
    assert_eq!((ask(&client, MODEL).await, ask(&client, SECOND).await), (answered(), unloaded()));
    assert_eq!(stated(&client.keeper.session().await.unwrap()), (4, 1));

    // The first may end before one that was granted later: that one then stands in the statement.
    system.operator("load", named(SECOND)).await.unwrap();
    system.broker.revoke(Revoke::One(first)).unwrap();
    system.running.heartbeat().await;
    assert_eq!((ask(&client, MODEL).await, ask(&client, SECOND).await), (unloaded(), answered()));
    let session = client.keeper.session().await.unwrap();
    let [third] = in_force(&system)[..] else { panic!("one lease") };
    assert_eq!(session.verified().statement().workload.lease_id, Some(*third.as_bytes()));
    assert_eq!(stated(&session), (6, 1));
    // Under what is left, the first one can come again.
    system.operator("load", named(MODEL)).await.unwrap();
    assert_eq!(ask(&client, MODEL).await, answered());

    system.broker.revoke(Revoke::All).unwrap();
    system.running.heartbeat().await;
    assert_eq!(system.running.lease_ended().await, End::Revoked);
    assert_eq!(system.page("/readyz").await.0, 503);
}

#[tokio::test]
async fn a_broker_that_refuses_or_is_silent_changes_nothing() {
    let system = says().await;
    let client = system.client();
    let stricter = system.policy.replace("second = 1", "second = 2");
    assert_ne!(stricter, system.policy);
    system.broker.activate_policy(&stricter).unwrap();
    assert_eq!(system.operator("load", named(SECOND)).await, Err(("POLICY".into(), 3)));
    system.line.cut(true);
    assert_eq!(system.operator("load", named(SECOND)).await, Err(("UNAVAILABLE".into(), 5)));
    system.line.cut(false);
    assert_eq!((ask(&client, MODEL).await, ask(&client, SECOND).await), (answered(), unloaded()));
    assert_eq!((stated(&client.keeper.session().await.unwrap()), in_force(&system).len()), ((2, 1), 1));
    system.broker.activate_policy(&system.policy).unwrap();
    system.operator("load", named(SECOND)).await.unwrap();
    assert_eq!(ask(&client, SECOND).await, answered());
}

/// A system whose answers wait at a gate, and a stream of `model` that has begun.
async fn streaming(configured: &'static str, model: &str) -> (System, Client, Gate, strongroom_client::Answer) {
    let gate = Gate::closed();
    let script = gate.clone();
    let blueprint = Blueprint::scripted(move || Script::says("Good morning.").behind(&script));
    let system = blueprint.operated().configured(configured).start().await;
    if model == SECOND {
        system.operator("load", named(SECOND)).await.unwrap();
    }
    let client = system.client();
    let mut body = question(model);
    body["stream"] = true.into();
    let mut answer = client.post(CHAT, &body).await.unwrap();
    assert!(answer.next().await.unwrap().is_some(), "the answer has begun");
    (system, client, gate, answer)
}

#[tokio::test]
async fn unloading_lets_answers_that_run_end_and_takes_no_new_one() {
    let (system, client, gate, mut answer) = streaming("", SECOND).await;
    let unload = system.operator("unload", named(SECOND));
    let meanwhile = async {
        while states(&system).await[1] != "unloading" {}
        assert_eq!(ask(&client, SECOND).await, unloaded());
        assert_eq!(system.operator("load", named(SECOND)).await, Err(("CHANGING".into(), 5)));
        assert_eq!(system.operator("unload", named(SECOND)).await, Err(("CHANGING".into(), 5)));
        gate.open();
        answer.collect().await.unwrap()
    };
    let (done, rest) = tokio::join!(unload, meanwhile);
    assert!(done.is_ok() && String::from_utf8_lossy(&rest).ends_with("data: [DONE]\n\n"));
    assert_eq!(answer.receipt().unwrap().receipt.model_name, SECOND);
    assert_eq!(states(&system).await, ["loaded", "unloaded"]);
}

#[tokio::test]
async fn unloading_waits_no_longer_than_configured() {
    let (system, _client, gate, mut answer) = streaming("drain_seconds = 5\n", SECOND).await;
    let unload = system.operator("unload", named(SECOND));
    let broken = async {
        while states(&system).await[1] != "unloading" {}
        system.time.advance(5);
        let error = answer.collect().await.unwrap_err();
        gate.open();
        error
    };
    let (done, error) = tokio::join!(unload, broken);
    assert!(done.is_ok() && matches!(error, ClientError::Truncated { .. }), "{error:?}");
}

#[tokio::test]
async fn draining_lets_a_stream_end_and_takes_nothing_new() {
    let (system, client, gate, mut answer) = streaming("", MODEL).await;
    let drained = system.operator("drain", Some(json!({}))).await.unwrap();
    assert_eq!(drained, json!({ "draining": true, "running": 1 }));
    assert_eq!(system.page("/readyz").await, (503, "not ready: draining\n".to_owned()));
    assert_eq!(client.refusal("Say good morning.").await, "UNAVAILABLE");
    let url = format!("{}/.well-known/ohttp-gateway", system.url);
    let request = http().post(url).header("content-type", "message/ohttp-chunked-req").body(vec![3; 100]);
    let refused = request.send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    assert!(refused.text().await.unwrap().contains("urn:strongroom:error:draining"));
    assert_eq!(system.operator("load", named(SECOND)).await, Err(("DRAINING".into(), 3)));
    assert_eq!(system.operator("status", None).await.unwrap()["state"], "draining");

    gate.open();
    answer.collect().await.unwrap();
    assert!(answer.receipt().is_some());
    drop(answer);
    system.running.drained().await;
    let socket = system.dir.path().join(SOCKET);
    system.running.stop().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn draining_waits_no_longer_than_configured() {
    let (system, _client, gate, mut answer) = streaming("drain_seconds = 5\n", MODEL).await;
    system.running.drain().await;
    system.time.advance(4);
    let looks = async {
        for _ in 0..20 {
            assert_eq!(system.operator("status", None).await.unwrap()["running"], 1);
        }
    };
    tokio::select! {
        () = system.running.drained() => panic!("a second is left"),
        () = looks => {}
    }
    system.time.advance(1);
    system.running.drained().await;
    let broken = async {
        let error = answer.collect().await.unwrap_err();
        gate.open();
        error
    };
    let (error, ()) = tokio::join!(broken, system.running.stop());
    assert!(matches!(error, ClientError::Truncated { .. }), "{error:?}");
}

#[tokio::test]
async fn over_a_kbs_and_with_gpus_too() {
    let system = Blueprint::scripted(|| Script::says("Good morning.")).operated().over_kbs().start().await;
    system.operator("load", named(SECOND)).await.unwrap();
    assert_eq!(ask(&system.client(), SECOND).await, answered());
    system.operator("unload", named(MODEL)).await.unwrap();
    assert_eq!(ask(&system.client(), MODEL).await, unloaded());

    // The devices answer a challenge of the new epoch's keys.
    let system = Blueprint::scripted(|| Script::says("Good morning.")).operated().gpus(1).start().await;
    system.operator("load", named(SECOND)).await.unwrap();
    let client = system.client();
    assert_eq!(ask(&client, SECOND).await, answered());
    assert_eq!(stated(&client.keeper.session().await.unwrap()), (3, 2));
}

#[tokio::test]
async fn the_real_engine_is_warm_before_it_is_asked_and_loads_on_demand() {
    let system = Blueprint::real().operated().start().await;
    system.operator("load", named(SECOND)).await.unwrap();
    assert_eq!(ask(&system.client(), SECOND).await.0, 200);
    let events = system.events.lock().unwrap().join("\n");
    let at = |event: &str| events.find(event).unwrap_or_else(|| panic!("{event} in {events}"));
    assert!(at("tiny is in memory") < at("tiny is warm") && at("tiny is warm") < at("ready on"));
    assert!(at("second is warm") < at("epoch 3"));
}

#[tokio::test]
async fn the_socket_is_its_owners_alone() {
    let site = Blueprint::scripted(|| Script::says("Good morning.")).operated().prepare().await;
    let socket = site.dir.path().join(SOCKET);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let open = site.dir.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = site.config.clone();
    config.admin = Some(open.join("admin.sock"));
    let source = || CountedSource::new(site.machine_of_any_kind()).into();
    let error = site.start_configured(config, source(), None).await.0.err().unwrap();
    assert_eq!((error.code().as_str(), error.exit_code()), ("ADMIN_SOCKET", 1));
    assert!(site.line.carried().is_empty(), "before anything is asked for");

    // One that a server left behind is replaced; another file is not.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let (running, _) = site.start(source()).await;
    let running = running.unwrap();
    assert_eq!(mode(&socket), 0o600);
    let error = site.start(source()).await.0.err().unwrap();
    assert!(error.to_string().contains("another server listens"), "{error}");
    running.stop().await;
    assert!(!socket.exists());
    std::fs::write(&socket, sha256(b"something")).unwrap();
    let error = site.start(source()).await.0.err().unwrap();
    assert!(error.to_string().contains("not overwritten"), "{error}");
}
