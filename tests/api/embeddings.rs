//! Embeddings, by a small encoder that is made here: sealed, released, loaded and asked through the channel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom_channel::receipt::Finish;
use strongroom_engine::{EncoderHandle, Limits, LoadOptions, MemoryFiles, Script, load_encoder};

use super::{error, invalid, refusal};
use crate::support::guests::{empties, refuses, response_filter};
use crate::support::system::{Application, Blueprint, CHAT, ENCODER, MODEL, System, chat};

const EMBEDDINGS: &str = "/v1/embeddings";
const REDACT: &[u8] = include_bytes!("../../examples/plugin-redact/redact.wasm");

async fn encoder() -> (System, Application) {
    let system = Blueprint::encoder().start().await;
    let application = system.application().await;
    (system, application)
}

fn input(input: &Value) -> Value {
    json!({ "model": MODEL, "input": input })
}

/// The engine itself, on the same files.
fn direct() -> EncoderHandle {
    let files = strongroom_engine::tiny_encoder(ENCODER).into_iter();
    let files = files.fold(MemoryFiles::new(), |files, (path, bytes)| files.with(path, bytes));
    let loaded = load_encoder(&files, &LoadOptions::default(), &|_, _| ()).unwrap();
    EncoderHandle::spawn(loaded, Limits::default()).unwrap()
}

async fn vectors(application: &Application, body: &Value) -> (Vec<Vec<f32>>, Value) {
    let response = application.post(EMBEDDINGS, body).await;
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("list"), &json!(MODEL)));
    let numbers = |(index, one): (usize, &Value)| -> Vec<f32> {
        assert_eq!((&one["object"], &one["index"]), (&json!("embedding"), &json!(index)));
        match &one["embedding"] {
            Value::String(text) => {
                let bytes = STANDARD.decode(text).unwrap();
                bytes.chunks_exact(4).map(|number| f32::from_le_bytes(number.try_into().unwrap())).collect()
            }
            numbers => serde_json::from_value(numbers.clone()).unwrap(),
        }
    };
    (answer["data"].as_array().unwrap().iter().enumerate().map(numbers).collect(), answer["usage"].clone())
}

#[tokio::test]
async fn every_form_of_the_same_texts_has_the_engines_own_vectors() {
    let (system, application) = encoder().await;
    let texts = ["The strongroom keeps the secret.", "a proof first"];
    let direct = direct();
    let tokens: Vec<Vec<u32>> = texts.iter().map(|text| direct.text().encode(text).unwrap()).collect();
    let count: usize = tokens.iter().map(Vec::len).sum();
    let wanted = direct.embed(tokens.clone()).await.unwrap();

    let (found, usage) = vectors(&application, &input(&json!(texts))).await;
    assert_eq!((&found, usage), (&wanted, json!({ "prompt_tokens": count, "total_tokens": count })));
    // Without the special tokens around them, as clients cut texts themselves.
    let inner: Vec<&[u32]> = tokens.iter().map(|tokens| &tokens[1..tokens.len() - 1]).collect();
    assert_eq!(vectors(&application, &input(&json!(inner))).await.0, wanted);
    for one in [json!(texts[0]), json!(inner[0]), json!([texts[0]])] {
        let (found, usage) = vectors(&application, &input(&one)).await;
        assert_eq!((found.len(), usage["prompt_tokens"].as_u64()), (1, Some(tokens[0].len() as u64)));
        let off = found[0].iter().zip(&wanted[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-6, "{off}");
    }
    let mut body = input(&json!(texts));
    for (field, value) in [("encoding_format", "base64"), ("user", "somebody")] {
        body[field] = value.into();
    }
    body["dimensions"] = 48.into();
    assert_eq!(vectors(&application, &body).await.0, wanted);
    assert_eq!(system.counter("generation_requests").await, 6);
}

/// Sealing sees a file like any other; what it is, the server finds in it.
#[tokio::test]
async fn a_gguf_file_of_an_encoder_answers_the_same() {
    let system = Blueprint::encoder_gguf().start().await;
    let application = system.application().await;
    let texts = ["The strongroom keeps the secret.", "a proof first"];
    let direct = direct();
    let tokens = texts.iter().map(|text| direct.text().encode(text).unwrap()).collect();
    let (found, _) = vectors(&application, &input(&json!(texts))).await;
    assert_eq!(found, direct.embed(tokens).await.unwrap());
    let models: Value = application.get("/v1/models").await.json().await.unwrap();
    assert_eq!(models["data"][0]["strongroom_endpoints"], json!([EMBEDDINGS]));
    assert_eq!(models["data"][0]["dimensions"], json!(48));
}

#[tokio::test]
async fn a_receipt_says_what_was_embedded() {
    let system = Blueprint::encoder().start().await;
    let (client, body) = (system.client(), input(&json!(["the secret", "the room"])));
    let mut answer = client.post(EMBEDDINGS, &body).await.unwrap();
    let content = answer.collect().await.unwrap();
    let heard: Value = serde_json::from_slice(&content).unwrap();
    let receipt = &answer.receipt().unwrap().receipt;
    assert_eq!((receipt.model_id, receipt.model_name.as_str()), (system.model_id, MODEL));
    assert_eq!(Some(receipt.prompt_tokens), heard["usage"]["prompt_tokens"].as_u64());
    assert_eq!((receipt.completion_tokens, receipt.finish), (0, Finish::Stop));
    assert!(receipt.covers(body.to_string().as_bytes(), &content));
}

#[tokio::test]
async fn models_say_what_they_answer() {
    let (system, application) = encoder().await;
    let wanted = json!({
        "id": MODEL, "object": "model", "created": 0, "owned_by": "tenant",
        "strongroom_model_id": hex::encode(system.model_id), "strongroom_version": 1, "context_length": 40,
        "strongroom_endpoints": ["/v1/embeddings"], "dimensions": 48,
    });
    let models: Value = application.get("/v1/models").await.json().await.unwrap();
    assert_eq!(models, json!({ "object": "list", "data": [wanted] }));

    let message = "the model `tiny` does not answer this; it answers /v1/embeddings";
    let wanted = (400, invalid("model_not_supported", Some("model"), message));
    assert_eq!(refusal(application.post(CHAT, &chat("Say good morning.")).await).await, wanted);
    let completion = json!({ "model": MODEL, "prompt": "x" });
    assert_eq!(refusal(application.post("/v1/completions", &completion).await).await, wanted);

    let system = Blueprint::scripted(|| Script::says("Good morning.")).start().await;
    let application = system.application().await;
    let message = "the model `tiny` does not answer this; it answers /v1/chat/completions, /v1/completions";
    let wanted = (400, invalid("model_not_supported", Some("model"), message));
    assert_eq!(refusal(application.post(EMBEDDINGS, &input(&json!("x"))).await).await, wanted);
    assert_eq!(system.counter("generation_requests").await, 0);
}

#[tokio::test]
async fn what_cannot_be_embedded() {
    let (system, application) = encoder().await;
    let with = |field: &str, value: Value| {
        let mut body = input(&json!("x"));
        body[field] = value;
        body
    };
    let empty = "`input` is empty, or has an empty text";
    let dimensions = "`dimensions` is 47; this model's embeddings have 48, and no other number";
    let float = "`input` has 2049 texts; 1 to 2048 are wanted";
    let long = "text 1 has 41 tokens, at most 40 fit into the model's context; shorten it";
    let special = "text 0 has 2, which is no token of a text";
    let cases = [
        (input(&json!("")), "invalid_value", Some("input"), empty),
        (input(&json!([])), "invalid_value", Some("input"), empty),
        (input(&json!(["x", ""])), "invalid_value", Some("input"), empty),
        (input(&json!([[6], []])), "invalid_value", Some("input"), empty),
        (input(&json!([6, 2])), "invalid_value", Some("input"), special),
        (input(&json!(vec!["x"; 2049])), "invalid_value", Some("input"), float),
        (input(&json!(["x", "a ".repeat(39)])), "context_length_exceeded", Some("input"), long),
        (input(&json!([vec![6], vec![6; 39]])), "context_length_exceeded", Some("input"), long),
        (with("dimensions", json!(47)), "invalid_value", Some("dimensions"), dimensions),
        (
            with("encoding_format", json!("int8")),
            "invalid_value",
            Some("encoding_format"),
            "`encoding_format` is float or base64",
        ),
        (
            with("input_type", json!("query")),
            "unsupported_parameter",
            Some("input_type"),
            "the parameter `input_type` is not served; leave it out",
        ),
        (json!({ "model": MODEL }), "missing_field", Some("input"), "the field `input` is missing"),
        (json!({ "input": "x" }), "missing_field", Some("model"), "the field `model` is missing"),
    ];
    for (body, code, param, message) in cases {
        let found = refusal(application.post(EMBEDDINGS, &body).await).await;
        assert_eq!(found, (400, invalid(code, param, message)), "{message}");
    }
    let found = refusal(application.post(EMBEDDINGS, &input(&json!({ "text": "x" }))).await).await;
    assert_eq!((found.0, &found.1["error"]["code"]), (400, &json!("malformed_json")));
    assert_eq!(system.counter("generation_requests").await, 0);
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_given_up() {
    let (_system, application) = encoder().await;
    let body = input(&json!(vec!["a ".repeat(38); 2048]));
    let request = crate::support::system::http().post(format!("{}{EMBEDDINGS}", application.url));
    let request = request.bearer_auth(&application.api_key).header("x-request-timeout-ms", "1").json(&body);
    let message =
        "the answer was not complete within 1 ms, which were allowed; ask for fewer tokens, or allow more time";
    let wanted = error("server_error", "deadline_exceeded", None, message);
    assert_eq!(refusal(request.send().await.unwrap()).await, (504, wanted));
    assert_eq!(vectors(&application, &input(&json!("x"))).await.0.len(), 1);
}

#[tokio::test]
async fn plugins_see_each_text() {
    let system = Blueprint::encoder().plugin("redact", REDACT.to_vec()).start().await;
    let application = system.application().await;
    let direct = direct();
    let seen = ["the room", "[EMAIL] keeps it"].map(|text| direct.text().encode(text).unwrap());
    let wanted = direct.embed(seen.to_vec()).await.unwrap();
    let body = input(&json!(["the room", "jane.doe@example.com keeps it"]));
    assert_eq!(vectors(&application, &body).await.0, wanted);
    // Tokens are nothing that it could read.
    let message = "`input` as tokens is not served where plugins read what is asked: send text";
    let found = refusal(application.post(EMBEDDINGS, &input(&json!([6, 7]))).await).await;
    assert_eq!(found, (400, invalid("unsupported_content", Some("input"), message)));
}

#[tokio::test]
async fn no_plugin_is_passed_by() {
    let answers = "embeddings are not served where a plugin reads the answers: it cannot read them";
    let cases = [
        (refuses("not today"), 451, invalid("content_policy", None, "refused by plugin `p`: not today")),
        (
            empties(),
            400,
            invalid("invalid_value", Some("input"), "a plugin made of the texts what is not as many texts"),
        ),
        (response_filter("unreachable"), 400, invalid("unsupported_endpoint", None, answers)),
    ];
    for (wasm, status, wanted) in cases {
        let system = Blueprint::encoder().plugin("p", wasm).start().await;
        let application = system.application().await;
        let found = refusal(application.post(EMBEDDINGS, &input(&json!(["a secret"]))).await).await;
        assert_eq!(found, (status, wanted));
        assert_eq!(system.counter("generation_requests").await, 0, "the engine sees nothing of it");
    }
}
