//! What a tenant may take: each way to be refused, what is given back, and that others do not notice.

use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};
use strongroom_engine::{Gate, Limits, Script};

use super::answers::{asking, events};
use super::{error, invalid, refusal};
use crate::support::system::{Application, Blueprint, CHAT, MODEL, System, chat};

/// Tokens of the chat that [`asking`] asks, and of the answer to it.
pub(super) const PROMPT: u64 = 34;
pub(super) const ANSWER: u64 = 11;

async fn limited(limits: &'static str) -> (System, Application) {
    let system = Blueprint::scripted(|| Script::says("Good morning.")).configured(limits).start().await;
    let application = system.application().await;
    (system, application)
}

/// Another key, which stands for `tenant`.
async fn key_of(system: &System, application: &Application, tenant: &str) -> Application {
    let api_key = system.broker.create_api_key(tenant).unwrap().secret.to_string();
    system.running.heartbeat().await;
    Application { url: application.url.clone(), api_key }
}

fn header(response: &reqwest::Response, name: &str) -> String {
    response.headers().get(name).map_or("none", |value| value.to_str().unwrap()).to_owned()
}

/// Limit, rest and reset, as an answer tells them.
fn told(response: &reqwest::Response, unit: &str) -> [String; 3] {
    ["limit", "remaining", "reset"].map(|what| header(response, &format!("x-ratelimit-{what}-{unit}")))
}

/// How the tokens stand. A body that is refused takes none.
pub(super) async fn tokens(application: &Application) -> [String; 3] {
    told(&application.post_text(CHAT, "hello").await, "tokens")
}

fn reached(unit: &str, message: &str) -> (u16, Value) {
    (429, error(unit, "rate_limit_exceeded", None, message))
}

#[tokio::test]
async fn requests_of_a_minute() {
    let (system, application) = limited("[[limits]]\nrequests_per_minute = 2\n").await;
    for left in ["1", "0"] {
        let response = application.post(CHAT, &asking(&json!({}))).await;
        assert_eq!(told(&response, "requests"), ["2", left, "00061s"]);
        assert_eq!((response.status().as_u16(), told(&response, "tokens")[0].as_str()), (200, "none"));
    }
    let message = "your limit is 2 requests per minute: 0 are left, and this request may take 1; try again in 61 s";
    for stream in [false, true] {
        let response = application.post(CHAT, &asking(&json!({ "stream": stream }))).await;
        assert_eq!(
            (header(&response, RETRY_AFTER.as_str()), told(&response, "requests")[1].as_str()),
            ("61".into(), "0")
        );
        assert_eq!(refusal(response).await, reached("requests", message));
    }
    assert_eq!(system.counter("generation_requests").await, 2, "the engine sees nothing of it");
    // What asks the engine for nothing is not counted.
    assert_eq!(application.get("/v1/models").await.status(), 200);

    system.wait(60).await;
    let completion = json!({ "model": MODEL, "prompt": "x" });
    assert_eq!(header(&application.post("/v1/completions", &completion).await, RETRY_AFTER.as_str()), "1");
    system.wait(1).await;
    assert_eq!(application.post("/v1/completions", &completion).await.status(), 200);
}

#[tokio::test]
async fn tokens_of_a_minute() {
    let (system, application) = limited("[[limits]]\ntokens_per_minute = 1000\n").await;
    let whole = application.post(CHAT, &asking(&json!({ "max_tokens": 900 }))).await;
    // A whole answer tells what is left after it.
    let left = 1000 - PROMPT - ANSWER;
    assert_eq!(told(&whole, "tokens"), ["1000".to_owned(), format!("0{left}"), "00061s".to_owned()]);
    let usage: Value = whole.json().await.unwrap();
    assert_eq!(usage["usage"]["total_tokens"], PROMPT + ANSWER);

    let asked = PROMPT + 940;
    let message = format!(
        "your limit is 1000 tokens per minute: {left} are left, and this request may take {asked}; try again in 61 s"
    );
    let response = application.post(CHAT, &asking(&json!({ "max_tokens": 940 }))).await;
    assert_eq!(header(&response, RETRY_AFTER.as_str()), "61");
    assert_eq!(refusal(response).await, reached("tokens", &message));
    // Each answer may have as many; the prompt is one.
    let (asked, several) = (PROMPT + 3 * 310, asking(&json!({ "max_tokens": 310, "n": 3 })));
    let message = format!(
        "your limit is 1000 tokens per minute: {left} are left, and this request may take {asked}; try again in 61 s"
    );
    assert_eq!(refusal(application.post(CHAT, &several).await).await, reached("tokens", &message));

    // A stream tells what is held back for it, and gives the rest back with its end.
    let stream = application.post(CHAT, &asking(&json!({ "max_tokens": 800, "stream": true }))).await;
    assert_eq!(told(&stream, "tokens")[1], format!("0{}", left - PROMPT - 800));
    events(stream).await;
    assert_eq!(tokens(&application).await[1], format!("0{}", left - PROMPT - ANSWER));
    system.wait(61).await;
    assert_eq!(tokens(&application).await, ["1000", "1000", "00000s"]);
}

#[tokio::test]
async fn tokens_and_requests_of_a_day() {
    let lines = "[[limits]]\nrequests_per_day = 3\ntokens_per_day = 700\ntokens_per_minute = 700\n";
    let (system, application) = limited(lines).await;
    // Without `max_tokens` the configuration's 512 are held back.
    let left = 700 - PROMPT - ANSWER;
    assert_eq!(application.post(CHAT, &asking(&json!({}))).await.status(), 200);
    system.wait(61).await;
    let (asked, more) = (PROMPT + 660, asking(&json!({ "max_tokens": 660 })));
    let message = format!(
        "your limit is 700 tokens per day: {left} are left, and this request may take {asked}; try again in 86939 s"
    );
    let response = application.post(CHAT, &more).await;
    // The headers are of the minute, where there is a limit for it.
    assert_eq!(
        (told(&response, "tokens"), told(&response, "requests")),
        (["700", "700", "00000s"].map(str::to_owned), ["3", "2", "86939s"].map(str::to_owned))
    );
    assert_eq!(refusal(response).await, reached("tokens", &message));
    for status in [200, 200, 429] {
        assert_eq!(application.post(CHAT, &asking(&json!({ "max_tokens": 1 }))).await.status(), status);
    }
}

#[tokio::test]
async fn a_request_that_no_limit_would_ever_allow() {
    let (_system, application) = limited("[[limits]]\ntokens_per_minute = 1000\n").await;
    let message = |asked: u64| {
        format!(
            "your limit is 1000 tokens per minute, and this request may take {asked}, prompt and answers together: it \
             can never be taken; ask for fewer tokens, or send less at once"
        )
    };
    for (fields, asked) in [
        (json!({ "max_tokens": 1001 - PROMPT }), 1001),
        (json!({ "max_tokens": 500, "n": 2, "stream": true }), PROMPT + 1000),
        // No more than the context has room for is ever held back.
        (json!({ "max_tokens": 1_000_000 }), 4096),
    ] {
        let response = application.post(CHAT, &asking(&fields)).await;
        assert_eq!(header(&response, RETRY_AFTER.as_str()), "none");
        assert_eq!(refusal(response).await, (400, invalid("request_exceeds_limit", None, &message(asked))));
    }
    assert_eq!(application.post(CHAT, &asking(&json!({ "max_tokens": 1000 - PROMPT }))).await.status(), 200);
    // What is wrong with a request by itself is said first.
    let response = application.post(CHAT, &chat(&"0 ".repeat(4096))).await;
    assert_eq!(refusal(response).await.1["error"]["code"], "context_length_exceeded");
}

#[tokio::test]
async fn what_is_not_taken_on_or_not_finished_gives_back_what_it_did_not_use() {
    let gate = Gate::closed();
    let system = {
        let gate = gate.clone();
        let limits = Limits { max_streams: 1, queue: 0 };
        let script = move || Script::says("Good morning.").limits(limits).behind(&gate);
        let lines = "[[limits]]\nrequests_per_minute = 9\ntokens_per_minute = 1000\n";
        Blueprint::scripted(script).configured(lines).start().await
    };
    let application = system.application().await;
    let held = application.post(CHAT, &asking(&json!({ "stream": true, "max_tokens": 100 }))).await;
    let left = format!("0{}", 1000 - PROMPT - 100);
    assert_eq!((told(&held, "requests")[1].as_str(), told(&held, "tokens")[1].as_str()), ("8", left.as_str()));
    // Busy: nothing was taken on.
    let busy = application.post(CHAT, &asking(&json!({ "max_tokens": 100 }))).await;
    assert_eq!((told(&busy, "requests")[1].as_str(), told(&busy, "tokens")[1].as_str()), ("8", left.as_str()));
    assert_eq!(refusal(busy).await.1["error"]["code"], "busy");
    gate.open();
    events(held).await;
    assert_eq!(tokens(&application).await[1], format!("0{}", 1000 - PROMPT - ANSWER));
}

#[tokio::test]
async fn an_answer_that_comes_too_late_counts_as_far_as_it_went() {
    let gate = Gate::closed();
    let system = {
        let gate = gate.clone();
        let script = move || Script::says("Good morning.").behind(&gate);
        Blueprint::scripted(script).configured("[[limits]]\ntokens_per_minute = 1000\n").start().await
    };
    let application = system.application().await;
    let request = crate::support::system::http().post(format!("{}{CHAT}", application.url));
    let request = request.bearer_auth(&application.api_key).header("x-request-timeout-ms", "30");
    let late = request.json(&asking(&json!({ "max_tokens": 100 }))).send().await.unwrap();
    // No token of the answer was made. Its prompt counts.
    assert_eq!((late.status().as_u16(), told(&late, "tokens")[1].clone()), (504, format!("0{}", 1000 - PROMPT)));
    gate.open();
}

#[tokio::test]
async fn two_keys_of_a_tenant_share_and_other_tenants_have_their_own() {
    let lines = "[[limits]]\nrequests_per_minute = 2\n[[limits]]\ntenant = \"batch\"\nrequests_per_minute = 10\n";
    let (system, application) = limited(lines).await;
    let same = key_of(&system, &application, "an-application").await;
    let other = key_of(&system, &application, "another-application").await;
    let batch = key_of(&system, &application, "batch").await;
    let ask = async |application: &Application| {
        // What a request says of itself does not matter.
        let response = application.post(CHAT, &asking(&json!({ "user": "somebody-else" }))).await;
        let [limit, left, _] = told(&response, "requests");
        (response.status().as_u16(), limit, left)
    };
    let found = |status: u16, limit: &str, left: &str| (status, limit.to_owned(), left.to_owned());
    assert_eq!(ask(&application).await, found(200, "02", "01"));
    assert_eq!(ask(&same).await, found(200, "02", "00"));
    assert_eq!(ask(&application).await, found(429, "02", "00"));
    assert_eq!(ask(&same).await, found(429, "02", "00"));
    // As if nobody had asked for anything; and no longer or shorter than others' answers.
    assert_eq!(ask(&other).await, found(200, "02", "01"));
    assert_eq!(ask(&batch).await, found(200, "10", "09"));
}

#[tokio::test]
async fn tokens_of_embeddings() {
    let lines = "[[limits]]\nrequests_per_minute = 9\ntokens_per_minute = 20\n";
    let system = Blueprint::encoder().configured(lines).start().await;
    let application = system.application().await;
    let embed =
        async |input: Value| application.post("/v1/embeddings", &json!({ "model": MODEL, "input": input })).await;
    // Two special tokens are around each text.
    let answer = embed(json!([[6, 7, 8], [6]])).await;
    assert_eq!(told(&answer, "tokens"), ["20", "12", "00061s"]);
    let message = "your limit is 20 tokens per minute: 12 are left, and this request may take 13; try again in 61 s";
    let response = embed(json!(vec![6; 11])).await;
    assert_eq!(header(&response, RETRY_AFTER.as_str()), "61");
    assert_eq!(refusal(response).await, reached("tokens", message));
    let message = "your limit is 20 tokens per minute, and this request may take 21, prompt and answers together: it \
                   can never be taken; ask for fewer tokens, or send less at once";
    let found = refusal(embed(json!(vec![6; 19])).await).await;
    assert_eq!(found, (400, invalid("request_exceeds_limit", None, message)));
    assert_eq!(told(&embed(json!(vec![6; 10])).await, "tokens")[1], "00");
    assert_eq!(system.counter("generation_requests").await, 2);
}
