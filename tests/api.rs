//! What an application is told when it asks for something wrong: through the proxy, in
//! OpenAI's shape, word for word.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};
use strongroom_broker::Revoke;
use strongroom_engine::{Gate, Limits, Script};

mod answers;
mod deadlines;
mod embeddings;
mod formats;
mod going_away;
mod limits;
mod tools;

use crate::support::guests::{refuses, request_filter};
use crate::support::system::{Application, Blueprint, CHAT, MODEL, System, chat, http, said, streamed};

async fn served() -> (System, Application) {
    let system = Blueprint::scripted(|| Script::says("Good morning.")).start().await;
    let application = system.application().await;
    (system, application)
}

/// Status and body of a refusal, which must be JSON.
async fn refusal(response: reqwest::Response) -> (u16, Value) {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

/// What most refusals look like.
fn invalid(code: &str, param: Option<&str>, message: &str) -> Value {
    error("invalid_request_error", code, param, message)
}

fn error(kind: &str, code: &str, param: Option<&str>, message: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "code": code, "param": param } })
}

/// A chat with one field set otherwise.
fn with(field: &str, value: Value) -> String {
    let mut body = chat("Say good morning.");
    body[field] = value;
    body.to_string()
}

fn without(field: &str) -> String {
    let mut body = chat("Say good morning.");
    body.as_object_mut().unwrap().remove(field);
    body.to_string()
}

#[tokio::test]
async fn bodies_that_are_not_what_is_wanted() {
    let (system, application) = served().await;
    let cases = [
        ("hello".into(), "malformed_json", None, "the body is not JSON (line 1, column 1)"),
        (String::new(), "malformed_json", None, "the body ends too early to be JSON (line 1, column 0)"),
        (
            "{\"model\": \"tiny\"".into(),
            "malformed_json",
            None,
            "the body ends too early to be JSON (line 1, column 16)",
        ),
        ("[]".into(), "malformed_json", None, "the body is not what this endpoint takes (line 1, column 0)"),
        (without("model"), "missing_field", Some("model"), "the field `model` is missing"),
        (without("messages"), "missing_field", Some("messages"), "the field `messages` is missing"),
        (with("messages", json!([])), "invalid_value", Some("messages"), "`messages` is empty"),
        (
            with("messages", json!([{ "role": "user" }])),
            "missing_field",
            Some("content"),
            "the field `content` is missing",
        ),
        (
            with("messages", json!([{ "role": "emperor", "content": "x" }])),
            "invalid_value",
            Some("messages"),
            "a message's role is not one of system, developer, user, assistant, tool",
        ),
        (
            with("messages", json!([{ "role": "tool", "content": "x" }])),
            "invalid_value",
            Some("messages"),
            "a message of role `tool` wants `tool_call_id`",
        ),
        (
            with("messages", json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": {} }] }])),
            "unsupported_content",
            Some("messages"),
            "content of type `image_url` is not served; `text` is",
        ),
    ];
    for (body, code, param, message) in cases {
        let found = refusal(application.post_text(CHAT, &body).await).await;
        assert_eq!(found, (400, invalid(code, param, message)), "{body}");
    }
    assert_eq!(system.counter("generation_requests").await, 0);
}

#[tokio::test]
async fn parameters_that_are_not_served_or_out_of_range() {
    let (system, application) = served().await;
    let stops = "`stop` takes up to 4 strings, none of them empty";
    let cases = [
        (
            "no_such_thing",
            json!(1),
            "unsupported_parameter",
            "the parameter `no_such_thing` is not served; leave it out",
        ),
        ("n", json!(0), "invalid_value", "`n` is 0; 1 to 16 is wanted"),
        ("n", json!(17), "invalid_value", "`n` is 17; 1 to 16 is wanted"),
        ("min_p", json!(1.5), "invalid_value", "`min_p` is 1.5; 0 to 1 is wanted"),
        ("top_k", json!(-2), "invalid_value", "`top_k` is -2; -1 to 4294967295 is wanted"),
        ("presence_penalty", json!(3), "invalid_value", "`presence_penalty` is 3; -2 to 2 is wanted"),
        ("frequency_penalty", json!(-3), "invalid_value", "`frequency_penalty` is -3; -2 to 2 is wanted"),
        ("repetition_penalty", json!(0), "invalid_value", "`repetition_penalty` is 0; 0.01 to 10 is wanted"),
        ("logit_bias", json!({ "5": 101 }), "invalid_value", "`logit_bias` is 101; -100 to 100 is wanted"),
        ("logit_bias", json!({ "x": 1 }), "invalid_value", "`logit_bias` wants numbers of tokens as names"),
        ("seed", json!(0.5), "invalid_value", "`seed` wants a whole number of 64 bits"),
        ("temperature", json!(2.5), "invalid_value", "`temperature` is 2.5; 0 to 2 is wanted"),
        ("top_p", json!(-1), "invalid_value", "`top_p` is -1; 0 to 1 is wanted"),
        ("max_tokens", json!(0), "invalid_value", "`max_tokens` must be at least 1"),
        ("stop", json!(["a", "b", "c", "d", "e"]), "invalid_value", stops),
        ("stop", json!(""), "invalid_value", stops),
    ];
    for (name, value, code, message) in cases {
        let found = refusal(application.post_text(CHAT, &with(name, value)).await).await;
        assert_eq!(found, (400, invalid(code, Some(name), message)));
    }
    assert_eq!(system.counter("generation_requests").await, 0);
    // What asks for nothing, or for what happens anyway, is taken.
    for (name, value) in [
        ("tools", json!([])),
        ("logprobs", json!(false)),
        ("n", json!(1)),
        ("user", json!("u")),
        ("top_k", json!(-1)),
        ("top_p", json!(0)),
        ("seed", json!(-1)),
        ("logit_bias", json!({ "5": -100 })),
        ("response_format", json!({ "type": "text" })),
    ] {
        assert_eq!(application.post_text(CHAT, &with(name, value)).await.status(), 200, "{name}");
    }
}

#[tokio::test]
async fn the_content_type_is_wrong() {
    let (_system, application) = served().await;
    let wanted = (400, invalid("malformed_json", None, "the content type must be application/json"));
    for content_type in [Some("text/plain"), None] {
        let mut request = http().post(format!("{}{CHAT}", application.url)).bearer_auth(&application.api_key);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let response = request.body(chat("Say good morning.").to_string()).send().await.unwrap();
        assert_eq!(refusal(response).await, wanted);
    }
}

#[tokio::test]
async fn api_keys_that_are_missing_or_wrong() {
    let (system, application) = served().await;
    let missing = "no API key was given: send `Authorization: Bearer sk-strongroom-…` with a key that the tenant made";
    let wrong = "the API key is not known to this deployment: check it, or ask the tenant for a new one";
    let almost = format!("Bearer {}x", application.api_key);
    let cases = [
        (None, "missing_api_key", missing),
        (Some("Basic dTpw"), "missing_api_key", missing),
        (Some("Bearer sk-strongroom-wrong"), "invalid_api_key", wrong),
        (Some("Bearer "), "missing_api_key", missing),
        (Some(almost.as_str()), "invalid_api_key", wrong),
    ];
    for (authorization, code, message) in cases {
        for (method, path) in
            [("POST", CHAT), ("POST", "/v1/completions"), ("GET", "/v1/models"), ("GET", "/v1/models/tiny")]
        {
            let mut request = http().request(method.parse().unwrap(), format!("{}{path}", application.url));
            request = request.header(CONTENT_TYPE, "application/json");
            if let Some(authorization) = authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            // Who asks comes first: nothing is said about the body.
            let found = refusal(request.body("not JSON").send().await.unwrap()).await;
            assert_eq!(found, (401, invalid(code, None, message)), "{authorization:?} {path}");
        }
    }
    assert_eq!(system.counter("generation_requests").await, 0);
}

#[tokio::test]
async fn models_paths_and_methods_that_are_not_there() {
    let (_system, application) = served().await;
    let unknown =
        (404, invalid("model_not_found", Some("model"), "the model `gpt-9` is not served here; served: tiny"));
    assert_eq!(refusal(application.post_text(CHAT, &with("model", json!("gpt-9"))).await).await, unknown);
    let completion = json!({ "model": "gpt-9", "prompt": "x" });
    assert_eq!(refusal(application.post("/v1/completions", &completion).await).await, unknown);
    assert_eq!(refusal(application.get("/v1/models/gpt-9").await).await, unknown);

    let found = refusal(application.post("/v1/moderations", &json!({})).await).await;
    assert_eq!(found, (404, invalid("unknown_url", None, "no such endpoint: POST /v1/moderations")));
    let found = refusal(application.get(CHAT).await).await;
    assert_eq!(found, (405, invalid("method_not_allowed", None, "/v1/chat/completions does not take GET")));
    let found = refusal(application.post("/v1/models", &json!({})).await).await;
    assert_eq!(found, (405, invalid("method_not_allowed", None, "/v1/models does not take POST")));
    // The instance's other pages are not reached through the channel.
    assert_eq!(application.get("/metrics").await.status(), 404);
    assert_eq!(application.get("/v1/../metrics").await.status(), 404);
}

#[tokio::test]
async fn a_prompt_longer_than_the_context() {
    let (_system, application) = served().await;
    let long = "0 ".repeat(4_096);
    let message = "the prompt has 8211 tokens, at most 4095 fit into the model's context; shorten the prompt";
    let found = refusal(application.post(CHAT, &chat(&long)).await).await;
    assert_eq!(found, (400, invalid("context_length_exceeded", Some("messages"), message)));
    let message = "the prompt has 8192 tokens, at most 4095 fit into the model's context; shorten the prompt";
    let found = refusal(application.post("/v1/completions", &json!({ "model": MODEL, "prompt": long })).await).await;
    assert_eq!(found, (400, invalid("context_length_exceeded", Some("prompt"), message)));
}

#[tokio::test]
async fn the_queue_is_full() {
    let gate = Gate::closed();
    let system = {
        let gate = gate.clone();
        let limits = Limits { max_streams: 1, queue: 1 };
        Blueprint::scripted(move || Script::says("Good morning.").limits(limits).behind(&gate)).start().await
    };
    let application = system.application().await;
    let first = application.post(CHAT, &streamed("Say good morning.")).await;
    let second = application.post(CHAT, &streamed("Say good morning.")).await;
    let third = application.post(CHAT, &chat("Say good morning.")).await;
    assert_eq!(third.headers()[RETRY_AFTER], "1");
    let wanted = error("rate_limit_error", "busy", None, "all places are taken; try again in a moment");
    assert_eq!(refusal(third).await, (429, wanted));

    gate.open();
    for waiting in [first, second] {
        assert_eq!(waiting.status(), 200);
        assert!(waiting.text().await.unwrap().ends_with("data: [DONE]\n\n"));
    }
    let answer: Value = application.post(CHAT, &chat("Say good morning.")).await.json().await.unwrap();
    assert_eq!(said(&answer), "Good morning.");
}

async fn with_plugin(name: &'static str, wasm: Vec<u8>) -> (u16, Value) {
    let system = Blueprint::scripted(Script::echoes).plugin(name, wasm).start().await;
    let application = system.application().await;
    let found = refusal(application.post(CHAT, &chat("a secret prompt")).await).await;
    assert_eq!(refusal(application.post(CHAT, &streamed("a secret prompt")).await).await, found);
    assert_eq!(system.counter("generation_requests").await, 0, "the engine sees nothing of it");
    found
}

#[tokio::test]
async fn a_plugin_traps() {
    let message = "plugin `trap` failed (the plugin failed: wasm trap: wasm `unreachable` instruction executed); \
                   the request was not processed";
    let wanted = error("server_error", "plugin_failed", None, message);
    assert_eq!(with_plugin("trap", request_filter("", "unreachable")).await, (500, wanted));
}

#[tokio::test]
async fn a_plugin_does_not_end() {
    let message = "plugin `loop` failed (the plugin used up its 1000000000 units of work); \
                   the request was not processed";
    let wanted = error("server_error", "plugin_failed", None, message);
    let wasm = request_filter("", "(loop $again (br $again)) unreachable");
    assert_eq!(with_plugin("loop", wasm).await, (500, wanted));
}

#[tokio::test]
async fn a_plugin_refuses() {
    let message = "refused by plugin `strict`: not during the holidays";
    let wanted = invalid("content_policy", None, message);
    assert_eq!(with_plugin("strict", refuses("not during the holidays")).await, (451, wanted));
}

#[tokio::test]
async fn the_engine_fails() {
    let system = Blueprint::scripted(Script::fails).start().await;
    let application = system.application().await;
    let wanted = error("server_error", "internal", None, "the server failed to answer; nothing was returned");
    assert_eq!(refusal(application.post(CHAT, &chat("Say good morning.")).await).await, (500, wanted));
    let mut response = application.post(CHAT, &streamed("Say good morning.")).await;
    let mut text = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        text.extend(piece);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("\"code\":\"TRUNCATED\"") && !text.contains("[DONE]"), "{text}");
}

#[tokio::test]
async fn there_is_no_lease() {
    let (system, application) = served().await;
    assert_eq!(application.post(CHAT, &chat("Say good morning.")).await.status(), 200);
    system.broker.revoke(Revoke::All).unwrap();
    system.running.heartbeat().await;
    let response = application.post(CHAT, &chat("Say good morning.")).await;
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    let message = "unavailable: sending the request: the server answered 503 Service Unavailable";
    assert_eq!(refusal(response).await, (503, error("server_error", "UNAVAILABLE", None, message)));
}
