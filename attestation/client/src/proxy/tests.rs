//! The local port as an SDK sees it.

use serde_json::Value;

use super::*;
use crate::connect::Connector;
use crate::receipt::ReceiptBundle;
use crate::test_instance::{Behaviour, EVENTS, Instance, WHOLE, plain_trust_file, question};

struct Local {
    instance: Instance,
    address: String,
    http: reqwest::Client,
}

impl Local {
    async fn new() -> Self {
        let instance = Instance::new();
        let connector = instance.connector().await;
        Self::over(instance, connector).await
    }

    async fn over(instance: Instance, connector: Connector) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(Proxy::new(Keeper::new(connector)).serve(listener, std::future::pending()));
        Local { instance, address, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn ask(&self, stream: bool) -> reqwest::Response {
        self.http
            .post(format!("{}/v1/chat/completions", self.address))
            .header("authorization", "Bearer sk-canary")
            .header("content-type", "application/json")
            .header("user-agent", "an-sdk/1")
            .header("x-request-id", "of-the-application")
            .header("x-request-timeout-ms", "1000")
            .body(question(stream).body)
            .send()
            .await
            .unwrap()
    }

    async fn fetch(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.address)).send().await.unwrap()
    }
}

fn own_header(response: &reqwest::Response, name: &str) -> String {
    response.headers()[name].to_str().unwrap().to_owned()
}

/// What came of a body before it ended or broke, and whether it broke.
async fn read(mut response: reqwest::Response) -> (String, bool) {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return (String::from_utf8(bytes).unwrap(), false),
            Err(_) => return (String::from_utf8(bytes).unwrap(), true),
        }
    }
}

async fn error_code(response: reqwest::Response) -> String {
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert!(error["message"].is_string() && error["type"].is_string() && error["param"].is_null());
    error["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_whole_answer_and_its_receipt() {
    let local = Local::new().await;
    let response = local.ask(false).await;
    assert_eq!(response.status(), 200);
    assert_eq!(own_header(&response, "content-type"), "application/json");
    assert_eq!(own_header(&response, "strongroom-simulated"), "1");
    let id = own_header(&response, "strongroom-request-id");
    assert_eq!(own_header(&response, "x-request-id"), "of-the-application");
    assert_eq!(response.text().await.unwrap(), WHOLE);

    let receipt = local.fetch(&format!("/receipts/{id}")).await.bytes().await.unwrap();
    let checked = ReceiptBundle::from_json(&receipt)
        .unwrap()
        .check(&plain_trust_file(), true, Some(&question(false).body), Some(WHOLE.as_bytes()))
        .unwrap();
    assert_eq!(hex::encode(checked.receipt.request_id), id);
    assert_eq!(local.fetch("/receipts/00").await.status(), 404);
}

#[tokio::test]
async fn only_the_needed_headers_go_inside() {
    let local = Local::new().await;
    local.ask(false).await;
    let [seen] = &local.instance.requests()[..] else { panic!("one request") };
    let names: Vec<&str> = seen.head.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"authorization") && names.contains(&"content-type"));
    assert!(names.contains(&"x-request-timeout-ms"));
    assert!(!names.contains(&"user-agent") && !names.contains(&"host") && !names.contains(&"x-request-id"));
}

#[tokio::test]
async fn a_stream_ends_in_done() {
    let local = Local::new().await;
    let response = local.ask(true).await;
    let id = own_header(&response, "strongroom-request-id");
    assert_eq!(read(response).await, (EVENTS.concat(), false));
    assert_eq!(local.fetch(&format!("/receipts/{id}")).await.status(), 200);
}

#[tokio::test]
async fn a_stream_that_is_cut_off_ends_in_an_error_and_breaks() {
    for (behaviour, code) in [
        (Behaviour::StripFinalChunk, "TRUNCATED"),
        (Behaviour::BreakConnection, "TRUNCATED"),
        (Behaviour::NoReceipt, "RECEIPT"),
        (Behaviour::ReceiptForOtherBytes, "RECEIPT"),
    ] {
        let local = Local::new().await;
        local.instance.behave(behaviour);
        let response = local.ask(true).await;
        assert_eq!(response.status(), 200);
        let id = own_header(&response, "strongroom-request-id");
        let (text, broke) = read(response).await;
        assert!(broke, "{behaviour:?}");
        assert!(!text.contains("[DONE]"), "{behaviour:?}: {text}");
        let last = text.trim_end().rsplit("\n\n").next().unwrap().strip_prefix("data: ").unwrap().to_owned();
        let error: Value = serde_json::from_str(&last).unwrap();
        assert_eq!(error["error"]["code"], code, "{behaviour:?}");
        assert_eq!(local.fetch(&format!("/receipts/{id}")).await.status(), 404);
    }
}

#[tokio::test]
async fn a_whole_answer_that_is_cut_off_is_an_error_only() {
    for (behaviour, code) in [
        (Behaviour::StripFinalChunk, "TRUNCATED"),
        (Behaviour::FlipBit, "MALFORMED"),
        (Behaviour::NoReceipt, "RECEIPT"),
    ] {
        let local = Local::new().await;
        local.instance.behave(behaviour);
        let response = local.ask(false).await;
        assert_eq!(response.status(), 502);
        assert_eq!(error_code(response).await, code);
    }
}

#[tokio::test]
async fn nothing_is_sent_before_a_verdict() {
    let instance = Instance::new();
    let connector = Connector::new(&instance.serve().await, plain_trust_file(), false)
        .unwrap()
        .with_clock(instance.clock())
        .with_http(reqwest::Client::builder().no_proxy().build().unwrap());
    let local = Local::over(instance, connector).await;
    assert_eq!(local.fetch("/verdict").await.status(), 503);
    let response = local.ask(false).await;
    assert_eq!(response.status(), 502);
    assert_eq!(error_code(response).await, "SIMULATED");
    assert!(local.instance.outer_bytes().is_empty());
    let verdict: Value = local.fetch("/verdict").await.json().await.unwrap();
    assert_eq!(verdict["code"], "SIMULATED");
    assert!(verdict["checks"].as_array().unwrap().len() > 10);
}

#[tokio::test]
async fn the_verdict_and_health_can_be_read() {
    let local = Local::new().await;
    assert_eq!(local.fetch("/healthz").await.status(), 200);
    local.ask(false).await;
    let verdict: Value = local.fetch("/verdict").await.json().await.unwrap();
    assert_eq!((&verdict["verdict"], &verdict["simulated"]), (&"accepted".into(), &true.into()));
    assert_eq!(verdict["checks"][0]["state"], "pass");
}

#[tokio::test]
async fn an_unavailable_instance_says_when_to_come_again() {
    let local = Local::new().await;
    local.instance.attest_down(true);
    let response = local.ask(false).await;
    assert_eq!((response.status().as_u16(), own_header(&response, "retry-after").as_str()), (503, "7"));
    assert_eq!(error_code(response).await, "UNAVAILABLE");
}

#[tokio::test]
async fn inner_refusals_pass_through() {
    let local = Local::new().await;
    local.instance.behave(Behaviour::Inner(401, "invalid_api_key"));
    let response = local.ask(false).await;
    assert_eq!(response.status(), 401);
    assert!(response.text().await.unwrap().contains("invalid_api_key"));
}

#[tokio::test]
async fn other_paths_and_other_hosts_are_refused() {
    let local = Local::new().await;
    assert_eq!(local.fetch("/metrics").await.status(), 404);
    let rebound = local
        .http
        .post(format!("{}/v1/chat/completions", local.address))
        .header("host", "evil.example")
        .body(question(false).body)
        .send()
        .await
        .unwrap();
    assert_eq!(rebound.status(), 403);
    assert!(local.instance.outer_bytes().is_empty());
}

#[tokio::test]
async fn binding_beyond_this_machine_needs_to_be_said() {
    let everywhere = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(bind(everywhere, false).await, Err(ClientError::Misuse(_))));
    assert!(bind(everywhere, true).await.is_ok());
}
