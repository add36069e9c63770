//! An application that knows nothing of Strongroom: plain OpenAI over HTTP to the proxy.

use std::time::Instant;

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::exit_code::Exit;
use crate::output::{Failure, Output};

/// Tokens of an answer at most: the demo is short.
const MAX_TOKENS: u32 = 120;

/// The application.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    api_key: String,
    model: Value,
}

/// What came back.
pub(super) struct Answer {
    pub(super) text: String,
    /// The proxy's name for it; its receipt is found by it.
    pub(super) request_id: String,
}

impl Client {
    /// An application of `proxy`, which asks the first model that is served.
    pub(super) async fn new(proxy: &str, api_key: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().no_proxy().build().map_err(|e| Failure::new(Exit::Failed, "IO", e))?;
        let mut client = Self { http, base: format!("{proxy}/v1"), api_key: api_key.to_owned(), model: Value::Null };
        client.model = client.get("models").await?["data"][0]["id"].take();
        Ok(client)
    }

    /// The answer whole.
    pub(super) async fn whole(&self, question: &str) -> Result<Answer, Failure> {
        let response = self.post(question, false).await?;
        let request_id = request_id(&response);
        let body: Value = response.json().await.map_err(|e| broken(&e))?;
        let text = body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        Ok(Answer { text, request_id })
    }

    /// The answer piece by piece, shown as it comes.
    pub(super) async fn stream(&self, question: &str, output: Output) -> Result<Answer, Failure> {
        let begun = Instant::now();
        let response = self.post(question, true).await?;
        let request_id = request_id(&response);
        output.note(format!("     we ask: {question}\n"));
        let (mut text, mut pending, mut pieces, mut first) = (String::new(), Vec::new(), 0u32, None);
        let mut stream = response.bytes_stream();
        while let Some(bytes) = stream.next().await {
            pending.extend_from_slice(&bytes.map_err(|e| broken(&e))?);
            while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = pending.drain(..end + 2).collect();
                let Some(piece) = piece(&event)? else { continue };
                first.get_or_insert_with(|| begun.elapsed());
                pieces += 1;
                output.piece(&piece);
                text.push_str(&piece);
            }
        }
        let seconds = (begun.elapsed() - first.unwrap_or_default()).as_secs_f64();
        let first = first.unwrap_or_default().as_secs_f64();
        let rate = f64::from(pieces) / seconds.max(0.001);
        output.piece("\n");
        output.note(format!("     first piece after {first:.2} s, then {rate:.1} pieces a second"));
        if text.is_empty() {
            return Err(Failure::new(Exit::Failed, "EMPTY_ANSWER", "the model said nothing"));
        }
        Ok(Answer { text, request_id })
    }

    /// The code with which a streamed question fails.
    pub(super) async fn failure_code(&self, question: &str) -> Result<String, Failure> {
        let response = match self.post(question, true).await {
            Ok(response) => response,
            Err(failure) => return Ok(failure.code),
        };
        let mut all = Vec::new();
        let mut stream = response.bytes_stream();
        // A body that breaks off after the error event is what is expected here.
        while let Some(Ok(bytes)) = stream.next().await {
            all.extend_from_slice(&bytes);
        }
        let text = String::from_utf8_lossy(&all);
        let error = text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).find_map(|data| {
            let event: Value = serde_json::from_str(data).ok()?;
            event["error"]["code"].as_str().map(str::to_owned)
        });
        Ok(error.unwrap_or_else(|| "NO_ERROR".into()))
    }

    async fn post(&self, question: &str, stream: bool) -> Result<reqwest::Response, Failure> {
        let body = json!({
            "model": self.model,
            "messages": [{ "role": "user", "content": question }],
            "max_tokens": MAX_TOKENS, "temperature": 0, "stream": stream,
        });
        let request = self.http.post(format!("{}/chat/completions", self.base)).bearer_auth(&self.api_key);
        let response = request.json(&body).send().await.map_err(|e| broken(&e))?;
        refuse(response).await
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self.http.get(format!("{}/{path}", self.base)).bearer_auth(&self.api_key);
        refuse(request.send().await.map_err(|e| broken(&e))?).await?.json().await.map_err(|e| broken(&e))
    }
}

/// An error in OpenAI's shape becomes a failure with its code.
async fn refuse(response: reqwest::Response) -> Result<reqwest::Response, Failure> {
    if response.status().is_success() {
        return Ok(response);
    }
    let body: Value = response.json().await.map_err(|e| broken(&e))?;
    let code = body["error"]["code"].as_str().unwrap_or("NO_ERROR").to_owned();
    Err(Failure::new(Exit::Refused, code, body["error"]["message"].as_str().unwrap_or_default()))
}

fn piece(event: &[u8]) -> Result<Option<String>, Failure> {
    let Some(data) = event.strip_prefix(b"data: ") else { return Ok(None) };
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return Ok(None) };
    if let Some(code) = value["error"]["code"].as_str() {
        let message = value["error"]["message"].as_str().unwrap_or_default();
        return Err(Failure::new(Exit::Refused, code, message));
    }
    let text = value["choices"][0]["delta"]["content"].as_str();
    Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
}

fn request_id(response: &reqwest::Response) -> String {
    let id = response.headers().get("strongroom-request-id").and_then(|id| id.to_str().ok());
    id.unwrap_or_default().to_owned()
}

fn broken(error: &reqwest::Error) -> Failure {
    Failure::new(Exit::Unavailable, "PROXY", error)
}
