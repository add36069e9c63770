//! `response_format`: what is answered follows it, whatever the model would say.

use serde_json::{Value, json};
use strongroom_engine::Script;

use super::{invalid, refusal, served, with};
use crate::support::system::{Blueprint, CHAT, said};

fn schema(schema: &Value) -> Value {
    json!({ "type": "json_schema", "json_schema": { "name": "answer", "strict": true, "schema": schema } })
}

#[tokio::test]
async fn what_a_model_babbles_is_a_document_of_the_schema() {
    let system = Blueprint::real().start().await;
    let application = system.application().await;
    let wanted = schema(&json!({
        "type": "object", "additionalProperties": false, "required": ["verdict", "reasons"],
        "properties": {
            "verdict": { "enum": ["granted", "refused"] },
            "reasons": { "type": "array", "maxItems": 2, "items": { "type": "string", "maxLength": 5 } },
        },
    }));
    for seed in 0..4 {
        let mut body: Value = serde_json::from_str(&with("response_format", wanted.clone())).unwrap();
        body["seed"] = seed.into();
        let answer: Value = application.post(CHAT, &body).await.json().await.unwrap();
        let document: Value = serde_json::from_str(said(&answer)).unwrap();
        assert!(["granted", "refused"].contains(&document["verdict"].as_str().unwrap()), "{document}");
        let reasons = document["reasons"].as_array().unwrap();
        assert!(reasons.len() <= 2 && reasons.iter().all(|reason| reason.as_str().unwrap().chars().count() <= 5));
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn an_object_is_an_object_and_ends_the_answer() {
    let system = Blueprint::scripted(|| Script::says("{\"good\": [\"morning\"]} and so on")).start().await;
    let application = system.application().await;
    let body = with("response_format", json!({ "type": "json_object" }));
    let answer: Value = application.post_text(CHAT, &body).await.json().await.unwrap();
    assert_eq!(said(&answer), "{\"good\": [\"morning\"]}");
    let body = with("response_format", json!({ "type": "text" }));
    let answer: Value = application.post_text(CHAT, &body).await.json().await.unwrap();
    assert_eq!(said(&answer), "{\"good\": [\"morning\"]} and so on");
}

#[tokio::test]
async fn formats_that_cannot_be_followed() {
    let (system, application) = served().await;
    let wants = "`response_format` of type `json_schema` wants `json_schema` with an object `schema`";
    let other = "`response_format` of type `xml` is not served; text, json_object and json_schema are";
    let large = json!({ "enum": ["x".repeat(70_000)] });
    let cases = [
        (json!({ "type": "json_schema" }), "invalid_value", wants),
        (json!({ "type": "xml" }), "unsupported_parameter", other),
        (schema(&large), "invalid_schema", "the schema has 70013 bytes, the limit is 65536"),
    ];
    for (format, code, message) in cases {
        let found = refusal(application.post_text(CHAT, &with("response_format", format)).await).await;
        assert_eq!(found, (400, invalid(code, Some("response_format"), message)));
    }
    // The library's own reason.
    let none = with("response_format", schema(&json!({ "type": "nothing" })));
    let (status, body) = refusal(application.post_text(CHAT, &none).await).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!("invalid_schema")));
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the schema cannot be followed: ") && message.contains("nothing"), "{message}");
    assert_eq!(system.counter("generation_requests").await, 0);
}
