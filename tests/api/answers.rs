//! Several answers, and log probabilities: whole and streamed.

use serde_json::{Value, json};
use strongroom_channel::receipt::{Finish, Receipt};
use strongroom_engine::{Gate, Limits, Script};

use super::{invalid, refusal};
use crate::support::system::{Application, Blueprint, CHAT, MODEL, System, chat, said};

/// The events of a stream, without its end.
pub(super) async fn events(response: reqwest::Response) -> Vec<Value> {
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    let events = text.strip_suffix("data: [DONE]\n\n").unwrap().split("\n\n");
    let events = events.filter(|event| event.starts_with("data: "));
    events.map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap()).collect()
}

/// A chat with these fields besides.
pub(super) fn asking(fields: &Value) -> Value {
    let mut body = chat("Say good morning.");
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// The receipt of the last answer, as the proxy keeps it.
async fn receipt(system: &System, body: &Value) -> (Receipt, Value) {
    let client = system.client();
    let mut answer = client.post(CHAT, body).await.unwrap();
    let content = answer.collect().await.unwrap();
    (answer.receipt().unwrap().receipt.clone(), serde_json::from_slice(&content).unwrap())
}

#[tokio::test]
async fn several_answers_are_numbered_and_counted_together() {
    let system = Blueprint::scripted(|| Script::says("Good morning.")).start().await;
    let application = system.application().await;
    let one: Value = application.post(CHAT, &chat("Say good morning.")).await.json().await.unwrap();
    let (prompt, completion) =
        (one["usage"]["prompt_tokens"].as_u64().unwrap(), one["usage"]["completion_tokens"].as_u64().unwrap());
    let usage = json!({
        "prompt_tokens": prompt, "completion_tokens": 3 * completion, "total_tokens": prompt + 3 * completion,
        "prompt_tokens_details": { "cached_tokens": 0 },
    });

    let three: Value = application.post(CHAT, &asking(&json!({ "n": 3 }))).await.json().await.unwrap();
    assert_eq!(three["usage"], usage);
    let choices = three["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 3);
    for (number, choice) in choices.iter().enumerate() {
        assert_eq!((&choice["index"], &choice["message"]["content"]), (&json!(number), &json!("Good morning.")));
        assert_eq!((&choice["finish_reason"], &choice["logprobs"]), (&json!("stop"), &Value::Null));
    }

    let fields = json!({ "n": 3, "stream": true, "stream_options": { "include_usage": true } });
    let streamed = events(application.post(CHAT, &asking(&fields)).await).await;
    let (mut texts, mut ends) = (vec![String::new(); 3], 0);
    for choice in streamed.iter().flat_map(|event| event["choices"].as_array().unwrap()) {
        let number = choice["index"].as_u64().unwrap() as usize;
        texts[number].push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        ends += usize::from(choice["finish_reason"] == "stop");
    }
    assert_eq!((texts, ends), (vec!["Good morning.".to_owned(); 3], 3));
    assert_eq!(streamed.last().unwrap()["usage"], usage);

    let completions = json!({ "model": MODEL, "prompt": "x", "n": 2 });
    let two: Value = application.post("/v1/completions", &completions).await.json().await.unwrap();
    assert_eq!(two["choices"][1]["text"], "Good morning.");
    assert_eq!(two["choices"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_prompt_that_begins_like_an_earlier_one_says_how_much_was_remembered() {
    let system = Blueprint::real().start().await;
    let application = system.application().await;
    let cached = async |question: &str| {
        let body = json!({ "model": MODEL, "prompt": question, "max_tokens": 2 });
        let answer: Value = application.post("/v1/completions", &body).await.json().await.unwrap();
        let usage = &answer["usage"];
        (usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap(), usage["prompt_tokens"].as_u64().unwrap())
    };
    let question = "the strongroom keeps a secret key and then a proof first ".repeat(6);
    let (first, tokens) = cached(&question).await;
    assert_eq!(first, 0);
    let (second, _) = cached(&(question.clone() + "and then?")).await;
    assert!(second > 0 && second % 32 == 0 && second <= tokens, "{second} of {tokens}");
    assert_eq!(cached(&format!("but {question}")).await.0, 0);
}

#[tokio::test]
async fn a_receipt_counts_all_answers_and_is_cut_when_one_is() {
    let system = Blueprint::scripted(|| Script::says("Good morning.")).start().await;
    let (whole, answer) = receipt(&system, &asking(&json!({ "n": 2 }))).await;
    assert_eq!(whole.completion_tokens, answer["usage"]["completion_tokens"].as_u64().unwrap());
    assert_eq!(whole.prompt_tokens, answer["usage"]["prompt_tokens"].as_u64().unwrap());
    assert_eq!(whole.finish, Finish::Stop);
    let (cut, _) = receipt(&system, &asking(&json!({ "n": 2, "max_tokens": 2 }))).await;
    assert_eq!((cut.completion_tokens, cut.finish), (4, Finish::Length));
}

#[tokio::test]
async fn several_answers_are_queued_together_or_refused() {
    let gate = Gate::closed();
    let system = {
        let gate = gate.clone();
        let limits = Limits { max_streams: 1, queue: 2 };
        Blueprint::scripted(move || Script::says("Good morning.").limits(limits).behind(&gate)).start().await
    };
    let application = system.application().await;
    let message = "n must be at least 1 and at most what the server can run and queue";
    let found = refusal(application.post(CHAT, &asking(&json!({ "n": 4 }))).await).await;
    assert_eq!(found, (400, invalid("invalid_value", None, message)));
    let waiting = application.post(CHAT, &asking(&json!({ "n": 2, "stream": true }))).await;
    assert_eq!(application.post(CHAT, &asking(&json!({ "n": 2 }))).await.status(), 429);
    let third = application.post(CHAT, &asking(&json!({ "stream": true }))).await;
    assert_eq!(third.status(), 200, "there was room for one");
    gate.open();
    assert!(events(waiting).await.len() > 4);
}

async fn with_logprobs() -> (System, Application) {
    let blueprint = Blueprint::scripted(|| Script::says("Good m🦀rning.")).configured("max_top_logprobs = 2\n");
    let system = blueprint.start().await;
    let application = system.application().await;
    (system, application)
}

#[tokio::test]
async fn log_probabilities_go_with_the_text() {
    let (_system, application) = with_logprobs().await;
    let fields = json!({ "logprobs": true, "top_logprobs": 2 });
    let answer: Value = application.post(CHAT, &asking(&fields)).await.json().await.unwrap();
    assert_eq!(said(&answer), "Good m🦀rning.");
    let content = answer["choices"][0]["logprobs"]["content"].as_array().unwrap().clone();
    let bytes: Vec<u8> = content
        .iter()
        .flat_map(|token| token["bytes"].as_array().unwrap().iter().map(|byte| byte.as_u64().unwrap() as u8))
        .collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), "Good m🦀rning.");
    assert_eq!(content.len() as u64, answer["usage"]["completion_tokens"].as_u64().unwrap());
    assert_eq!(content[0]["token"], "G");
    assert_eq!((&content[0]["logprob"], content[0]["top_logprobs"].as_array().unwrap().len()), (&json!(0.0), 2));

    // Streamed: the same tokens, each beside the text that it completes.
    let fields = json!({ "logprobs": true, "top_logprobs": 2, "stream": true });
    let mut streamed = Vec::new();
    for event in events(application.post(CHAT, &asking(&fields)).await).await {
        let choice = &event["choices"][0];
        let Some(tokens) = choice["logprobs"]["content"].as_array() else { continue };
        let bytes = tokens.iter().flat_map(|token| token["bytes"].as_array().unwrap());
        let bytes: Vec<u8> = bytes.map(|byte| byte.as_u64().unwrap() as u8).collect();
        assert_eq!(choice["delta"]["content"], String::from_utf8(bytes).unwrap());
        streamed.extend(tokens.clone());
    }
    assert_eq!(streamed, content);

    let completion = json!({ "model": MODEL, "prompt": "x", "logprobs": 1 });
    let answer: Value = application.post("/v1/completions", &completion).await.json().await.unwrap();
    let logprobs = &answer["choices"][0]["logprobs"];
    assert_eq!(logprobs["tokens"][0], "G");
    assert_eq!(logprobs["top_logprobs"][0], json!({ "G": 0.0 }));
    let offsets: Vec<u64> =
        logprobs["text_offset"].as_array().unwrap().iter().map(|place| place.as_u64().unwrap()).collect();
    assert!(offsets.is_sorted() && offsets[0] == 0 && *offsets.last().unwrap() == 12, "{offsets:?}");
}

#[tokio::test]
async fn log_probabilities_are_given_within_the_policy_only() {
    let (system, application) = with_logprobs().await;
    let both = "log probabilities and `logit_bias` are not served together: leave one of them out";
    let steered = "log probabilities are not served where a schema steers the answer";
    let cases = [
        (
            json!({ "top_logprobs": 3, "logprobs": true }),
            "invalid_value",
            "`top_logprobs` is 3; this deployment gives at most 2",
        ),
        (json!({ "top_logprobs": 1 }), "invalid_value", "`top_logprobs` wants `logprobs` to be true"),
        (json!({ "logprobs": true, "logit_bias": { "5": 1 } }), "unsupported_parameter", both),
        (json!({ "logprobs": true, "response_format": { "type": "json_object" } }), "unsupported_parameter", steered),
    ];
    for (fields, code, message) in cases {
        let found = refusal(application.post(CHAT, &asking(&fields)).await).await;
        assert_eq!(found, (400, invalid(code, Some("top_logprobs"), message)));
    }
    assert_eq!(system.counter("generation_requests").await, 0);

    // A deployment that says nothing gives none.
    let system = Blueprint::scripted(|| Script::says("x")).start().await;
    let application = system.application().await;
    let message = "this deployment gives no log probabilities (`max_top_logprobs` in its configuration)";
    let found = refusal(application.post(CHAT, &asking(&json!({ "logprobs": true }))).await).await;
    assert_eq!(found, (400, invalid("unsupported_parameter", Some("top_logprobs"), message)));
    let completion = json!({ "model": MODEL, "prompt": "x", "logprobs": 0 });
    let found = refusal(application.post("/v1/completions", &completion).await).await;
    assert_eq!(found, (400, invalid("unsupported_parameter", Some("logprobs"), message)));
}

#[tokio::test]
async fn seeds_and_penalties_reach_the_model() {
    let system = Blueprint::real().start().await;
    let application = system.application().await;
    let ask = async |fields: Value| -> Value {
        application.post(CHAT, &asking(&fields)).await.json::<Value>().await.unwrap()["choices"].clone()
    };
    let drawn = json!({ "seed": 7, "temperature": 1.5, "max_tokens": 12, "n": 2 });
    let first = ask(drawn.clone()).await;
    assert_eq!(first, ask(drawn).await);
    assert_ne!(first[0]["message"], first[1]["message"]);
    let greedy = ask(json!({ "temperature": 0, "max_tokens": 24 })).await;
    let penalised = json!({ "temperature": 0, "max_tokens": 24, "frequency_penalty": 2, "repetition_penalty": 5 });
    assert_ne!(greedy, ask(penalised).await);
}
