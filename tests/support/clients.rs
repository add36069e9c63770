//! Those who ask: through the library, and through the proxy.

use std::future::pending;
use std::net::Ipv4Addr;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use strongroom_client::{Answer, ClientError, Keeper, OutgoingRequest, Proxy};

use super::system::MODEL;

/// The path of chats.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A client that uses the library.
pub(crate) struct Client {
    pub(crate) keeper: Keeper,
    pub(crate) api_key: String,
}

impl Client {
    /// Sends a request; the answer's head has come.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answer, ClientError> {
        self.keeper.send(&self.request("POST", path, body.to_string().into_bytes())).await
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: Vec<u8>) -> OutgoingRequest {
        let headers = vec![
            ("authorization".to_owned(), format!("Bearer {}", self.api_key)),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        OutgoingRequest { method: method.into(), path: path.into(), headers, body }
    }

    /// The whole answer to a question.
    pub(crate) async fn ask(&self, question: &str) -> Result<Value, ClientError> {
        let mut answer = self.post(CHAT, &chat(question)).await?;
        let content = answer.collect().await?;
        Ok(serde_json::from_slice(&content).unwrap())
    }

    /// Why a question got no answer.
    pub(crate) async fn refusal(&self, question: &str) -> &'static str {
        self.ask(question).await.unwrap_err().code()
    }
}

/// An application that speaks plain HTTP to the proxy on its machine.
pub(crate) struct Application {
    pub(crate) url: String,
    pub(crate) api_key: String,
}

impl Application {
    pub(crate) async fn over(client: Client) -> Self {
        let listener = strongroom_client::bind((Ipv4Addr::LOCALHOST, 0).into(), false).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(Proxy::new(client.keeper).serve(listener, pending()));
        Self { url, api_key: client.api_key }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        self.post_text(path, &body.to_string()).await
    }

    pub(crate) async fn post_text(&self, path: &str, body: &str) -> reqwest::Response {
        let request = http().post(format!("{}{path}", self.url)).header(CONTENT_TYPE, "application/json");
        request.header(AUTHORIZATION, format!("Bearer {}", self.api_key)).body(body.to_owned()).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        let request = http().get(format!("{}{path}", self.url));
        request.header(AUTHORIZATION, format!("Bearer {}", self.api_key)).send().await.unwrap()
    }
}

/// A chat of one question.
pub(crate) fn chat(question: &str) -> Value {
    json!({ "model": MODEL, "messages": [{ "role": "user", "content": question }] })
}

/// The same, streamed.
pub(crate) fn streamed(question: &str) -> Value {
    let mut body = chat(question);
    body["stream"] = true.into();
    body
}

/// What the model said in a whole answer.
pub(crate) fn said(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap()
}

/// An HTTP client that goes nowhere else.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
