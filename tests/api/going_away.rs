//! A client that goes away before its answer is whole: what was computed for it counts, the rest of its
//! reservation is given back, and its place is free. Nobody is told when a connection ends, so the tests ask until
//! the server has noticed.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_engine::{Gate, Limits, Script};

use super::answers::asking;
use super::limits::{ANSWER, PROMPT, tokens};
use super::refusal;
use crate::support::system::{Application, Blueprint, CHAT};

/// A server that never notices fails a test instead of holding it up.
const NOTICED: Duration = Duration::from_secs(60);

/// Asks until the tenant has so many tokens left.
async fn until(application: &Application, enough: impl Fn(u64) -> bool) -> u64 {
    let asked = async {
        loop {
            let left = tokens(application).await[1].parse().unwrap();
            if enough(left) {
                return left;
            }
        }
    };
    tokio::time::timeout(NOTICED, asked).await.expect("what was reserved is not given back")
}

/// Asks until there is a place for the request, and gives its usage.
async fn accepted(application: &Application, body: &Value) -> Value {
    let asked = async {
        loop {
            let response = application.post(CHAT, body).await;
            if response.status() == 200 {
                return response.json::<Value>().await.unwrap()["usage"].clone();
            }
            assert_eq!(refusal(response).await.1["error"]["code"], "busy");
        }
    };
    tokio::time::timeout(NOTICED, asked).await.expect("no place is given back")
}

#[tokio::test]
async fn whoever_goes_away_before_the_first_token_pays_for_the_prompt_alone() {
    let gate = Gate::closed();
    let system = {
        let gate = gate.clone();
        let limits = Limits { max_streams: 1, queue: 2 };
        let script = move || Script::says("Good morning.").limits(limits).behind(&gate);
        Blueprint::scripted(script).configured("[[limits]]\ntokens_per_minute = 1000\n").start().await
    };
    let application = system.application().await;
    let stream = asking(&json!({ "max_tokens": 200, "stream": true }));
    let running = application.post(CHAT, &stream).await;
    let waiting = application.post(CHAT, &stream).await;
    // The third wants its answer in one piece; it goes away as soon as the engine has it.
    let whole = asking(&json!({ "max_tokens": 200 }));
    tokio::select! {
        _ = application.post(CHAT, &whole) => panic!("the gate is closed"),
        () = async { while system.counter("generation_requests").await < 3 {} } => {}
    }
    let prompts = 3 * PROMPT;
    until(&application, |left| left == 1000 - prompts - 400).await;
    drop(waiting);
    until(&application, |left| left == 1000 - prompts - 200).await;
    // The engine is in the middle of it, and has nothing to say.
    drop(running);
    let left = until(&application, |left| left == 1000 - prompts).await;

    gate.open();
    // All that is left: beside any of the three it would not have fitted.
    accepted(&application, &asking(&json!({ "max_tokens": left - PROMPT }))).await;
    assert_eq!(tokens(&application).await[1], format!("0{}", left - PROMPT - ANSWER));
}

#[tokio::test]
async fn whoever_goes_away_in_the_middle_pays_for_what_was_computed() {
    let limits = Limits { max_streams: 1, queue: 0 };
    let script = move || Script::says("Good morning. ".repeat(100)).limits(limits);
    let system = Blueprint::scripted(script).configured("[[limits]]\ntokens_per_minute = 4000\n").start().await;
    let application = system.application().await;
    let long = json!({ "max_tokens": 3900 });
    let whole = accepted(&application, &asking(&long)).await["completion_tokens"].as_u64().unwrap();
    system.wait(61).await;

    let mut stream = application.post(CHAT, &asking(&json!({ "max_tokens": 3900, "stream": true }))).await;
    assert_eq!(stream.headers()["x-ratelimit-remaining-tokens"], "0066");
    let mut seen = String::new();
    while seen.matches("data: ").count() < 5 {
        seen.push_str(str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    drop(stream);
    let left = until(&application, |left| left > 66).await;
    // How far the engine came meanwhile is chance; that it is what counts is not. The first event is no token.
    let used = 4000 - PROMPT - left;
    let pieces = seen.matches("data: ").count() as u64 - 1;
    assert!((pieces..=whole).contains(&used), "{used} of {whole}, of which {pieces} came");

    accepted(&application, &asking(&json!({ "max_tokens": 2000 }))).await;
    assert_eq!(tokens(&application).await[1], format!("{:04}", left - PROMPT - whole));
}
