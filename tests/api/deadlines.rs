//! How long an answer may take, and the names of requests.

use serde_json::{Value, json};
use strongroom_engine::{Gate, Script};

use super::{error, invalid, refusal, served};
use crate::support::system::{Application, Blueprint, CHAT, chat, http, streamed};

async fn post(application: &Application, headers: &[(&str, &str)], body: &Value) -> reqwest::Response {
    let mut request = http().post(format!("{}{CHAT}", application.url)).bearer_auth(&application.api_key).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn an_answer_that_takes_too_long_gives_its_place_back() {
    let gate = Gate::closed();
    let system = {
        let gate = gate.clone();
        Blueprint::scripted(move || Script::says("Good morning.").behind(&gate)).start().await
    };
    let application = system.application().await;
    let timeout = [("x-request-timeout-ms", "30")];
    let message =
        "the answer was not complete within 30 ms, which were allowed; ask for fewer tokens, or allow more time";
    let wanted = error("server_error", "deadline_exceeded", None, message);
    let response = post(&application, &timeout, &chat("Say good morning.")).await;
    assert_eq!(refusal(response).await, (504, wanted));

    // A stream has begun: it is cut off, and never looks whole.
    let mut response = post(&application, &timeout, &streamed("Say good morning.")).await;
    let mut text = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        text.extend(piece);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("\"code\":\"TRUNCATED\"") && !text.contains("[DONE]"), "{text}");

    gate.open();
    let timeout = [("x-request-timeout-ms", "3600000")];
    assert_eq!(post(&application, &timeout, &chat("Say good morning.")).await.status(), 200);
}

#[tokio::test]
async fn a_time_that_is_none() {
    let (_system, application) = served().await;
    let message = "the header `x-request-timeout-ms` wants milliseconds, 1 to 3600000";
    let response = post(&application, &[("x-request-timeout-ms", "soon")], &chat("x")).await;
    assert_eq!(refusal(response).await, (400, invalid("invalid_value", Some("x-request-timeout-ms"), message)));
}

#[tokio::test]
async fn a_request_has_a_name_where_sdks_look_for_it() {
    let (_system, application) = served().await;
    let response = post(&application, &[], &chat("x")).await;
    let made = response.headers()["x-request-id"].clone();
    assert_eq!((made.len(), &made), (32, &response.headers()["strongroom-request-id"]));
    for body in [chat("x"), json!({})] {
        let response = post(&application, &[("x-request-id", "mine-7")], &body).await;
        assert_eq!(response.headers()["x-request-id"], "mine-7");
        assert_eq!(response.headers()["strongroom-request-id"].len(), 32);
    }
}
