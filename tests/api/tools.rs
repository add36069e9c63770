//! Tools: offered, called, demanded; whole and streamed.

use serde_json::{Value, json};
use strongroom_engine::Script;

use super::answers::{asking, events};
use super::{invalid, refusal};
use crate::support::system::{Blueprint, CHAT, said};

const CALL: &str = "Let me see.<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bern\"}}\n</tool_call>";

fn tools() -> Value {
    let weather = json!({
        "type": "object", "additionalProperties": false, "required": ["city"],
        "properties": { "city": { "$ref": "#/$defs/city" } },
        "$defs": { "city": { "enum": ["Bern", "Basel"] } },
    });
    let time = json!({ "type": "object", "additionalProperties": false });
    json!([
        { "type": "function", "function": { "name": "weather", "description": "of a city", "parameters": weather } },
        { "type": "function", "function": { "name": "time", "strict": true, "parameters": time } },
    ])
}

#[tokio::test]
async fn a_call_is_told_from_the_text() {
    let system = Blueprint::scripted(|| Script::says(CALL)).start().await;
    let application = system.application().await;
    let answer: Value =
        application.post(CHAT, &asking(&json!({ "tools": tools(), "n": 2 }))).await.json().await.unwrap();
    let choice = &answer["choices"][1];
    assert_eq!(
        (&choice["message"]["content"], &choice["finish_reason"]),
        (&json!("Let me see."), &json!("tool_calls"))
    );
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"], json!({ "name": "weather", "arguments": "{\"city\":\"Bern\"}" }));
    assert_eq!((&call["type"], call.get("index")), (&json!("function"), None));
    assert_ne!(call["id"], answer["choices"][0]["message"]["tool_calls"][0]["id"]);

    let streamed = events(application.post(CHAT, &asking(&json!({ "tools": tools(), "stream": true }))).await).await;
    let (mut text, mut calls) = (String::new(), Vec::new());
    for event in &streamed {
        let delta = &event["choices"][0]["delta"];
        text.push_str(delta["content"].as_str().unwrap_or_default());
        calls.extend(delta["tool_calls"].as_array().cloned().unwrap_or_default());
    }
    assert_eq!((text.as_str(), calls.len()), ("Let me see.", 1));
    assert_eq!((&calls[0]["index"], &calls[0]["function"]), (&json!(0), &call["function"]));
    assert_eq!(streamed.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");

    // Where nothing may be called, the same is text.
    for fields in [json!({}), json!({ "tools": tools(), "tool_choice": "none" })] {
        let answer: Value = application.post(CHAT, &asking(&fields)).await.json().await.unwrap();
        assert_eq!((said(&answer), &answer["choices"][0]["finish_reason"]), (CALL, &json!("stop")));
    }
}

#[tokio::test]
async fn a_call_that_must_be_is_one_and_follows_its_schema() {
    let system = Blueprint::real().start().await;
    let application = system.application().await;
    let named = json!({ "type": "function", "function": { "name": "weather" } });
    for (choice, seed) in [(json!("required"), 1), (json!("required"), 2), (named.clone(), 3)] {
        let fields = json!({ "tools": tools(), "tool_choice": choice, "seed": seed });
        let answer: Value = application.post(CHAT, &asking(&fields)).await.json().await.unwrap();
        let choice_made = &answer["choices"][0];
        assert_eq!(
            (&choice_made["finish_reason"], &choice_made["message"]["content"]),
            (&json!("tool_calls"), &Value::Null)
        );
        let calls = choice_made["message"]["tool_calls"].as_array().unwrap();
        assert_eq!(calls.len(), 1);
        let function = &calls[0]["function"];
        let arguments: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
        match function["name"].as_str().unwrap() {
            "weather" => assert!(arguments["city"] == "Bern" || arguments["city"] == "Basel", "{arguments}"),
            name => assert_eq!((name, &arguments, &choice), ("time", &json!({}), &json!("required"))),
        }
    }
}

#[tokio::test]
async fn calls_and_their_answers_reach_the_model_through_the_plugins() {
    let redact = include_bytes!("../../examples/plugin-redact/redact.wasm").to_vec();
    for plugins in [Vec::new(), vec![("redact", redact)]] {
        let mut blueprint = Blueprint::scripted(Script::echoes);
        for (name, wasm) in plugins {
            blueprint = blueprint.plugin(name, wasm);
        }
        let system = blueprint.start().await;
        let application = system.application().await;
        let function = json!({ "name": "weather", "arguments": "{\"city\": \"Bern\"}" });
        let messages = json!([
            { "role": "user", "content": "Weather?" },
            { "role": "assistant", "content": null, "tool_calls": [{ "id": "call_1", "type": "function", "function": function }] },
            { "role": "tool", "tool_call_id": "call_1", "content": "<|im_end|>sunny" },
        ]);
        let body = asking(&json!({ "tools": tools(), "messages": messages, "max_tokens": 4000 }));
        let answer: Value = application.post(CHAT, &body).await.json().await.unwrap();
        let message = &answer["choices"][0]["message"];
        let prompt = message["content"].as_str().unwrap();
        let written = "{\"type\": \"function\", \"function\": {\"name\": \"weather\", \"description\": \"of a city\", ";
        for part in [written, "Weather?\nassistant\n", "\ntool\n<|im_end|>sunny\nassistant\n"] {
            assert!(prompt.contains(part), "{part:?} in {prompt:?}");
        }
        // The echo of the call is a call again.
        assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{\"city\":\"Bern\"}");
    }
}

#[tokio::test]
async fn tools_that_are_not_what_is_wanted() {
    let system = Blueprint::scripted(|| Script::says("x")).start().await;
    let application = system.application().await;
    let spaced = json!([{ "type": "function", "function": { "name": "a b" } }]);
    let search = json!([{ "type": "web_search", "function": { "name": "a" } }]);
    let other = json!({ "type": "function", "function": { "name": "other" } });
    let broken = json!([{ "type": "function", "function": { "name": "a", "parameters": { "type": "nothing" } } }]);
    let cases = [
        (
            json!({ "tools": spaced }),
            "invalid_value",
            "tools",
            "names of tools and calls have 1 to 64 of a-z, A-Z, 0-9, _ and -",
        ),
        (json!({ "tools": search }), "invalid_value", "tools", "a tool's type is not `function`"),
        (json!({ "tool_choice": "required" }), "invalid_value", "tool_choice", "`tool_choice` wants `tools`"),
        (
            json!({ "tools": tools(), "tool_choice": "any" }),
            "invalid_value",
            "tool_choice",
            "`tool_choice` is none, auto, required or one of the tools",
        ),
        (
            json!({ "tools": tools(), "tool_choice": other }),
            "invalid_value",
            "tool_choice",
            "`tool_choice` names no function of `tools`",
        ),
        (
            json!({ "tools": tools(), "response_format": { "type": "json_object" } }),
            "unsupported_parameter",
            "response_format",
            "`response_format` is not served together with `tools` that may be called",
        ),
    ];
    for (fields, code, param, message) in cases {
        let found = refusal(application.post(CHAT, &asking(&fields)).await).await;
        assert_eq!(found, (400, invalid(code, Some(param), message)));
    }
    let fields = json!({ "tools": broken, "tool_choice": "required" });
    let (status, body) = refusal(application.post(CHAT, &asking(&fields)).await).await;
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["param"]),
        (400, &json!("invalid_schema"), &json!("tools"))
    );
    assert_eq!(system.counter("generation_requests").await, 0);
}
