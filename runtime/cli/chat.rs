//! `strongroom chat`: a terminal chat over a verified channel.

use std::fs;
use std::io::BufRead;

use serde_json::{Value, json};
use strongroom_client::{Answer, ClientError, Keeper, OutgoingRequest};

use crate::arguments::Chat;
use crate::exit_code::Exit;
use crate::output::{Failure, Output};
use crate::trust;

pub(crate) async fn run(arguments: Chat, output: Output) -> Result<Exit, Failure> {
    let file = &arguments.api_key_file;
    let api_key = fs::read_to_string(file).map_err(|e| Failure::file(file, &e))?.trim().to_owned();
    let keeper = Keeper::new(trust::connector(&arguments.url, &arguments.trust)?);
    let session = keeper.session().await.map_err(|error| trust::failure(&error))?;
    output.checks(session.checks());
    if session.is_simulated() {
        output.note("SIMULATED PLATFORM: whoever runs this server can read what you type");
    }
    if !session.is_certified() {
        output.note(trust::UNCERTIFIED);
    }
    let mut chat = Conversation { keeper, api_key, model: String::new(), messages: Vec::new(), output };
    chat.model = match arguments.model {
        Some(model) => model,
        None => chat.first_model().await?,
    };
    if let Some(question) = &arguments.ask {
        chat.turn(question).await?;
        return Ok(Exit::Done);
    }
    output.note(format!("talking to {}; an empty line ends", chat.model));
    loop {
        output.piece("> ");
        let Some(question) = read_line().await? else { return Ok(Exit::Done) };
        if question.is_empty() {
            return Ok(Exit::Done);
        }
        chat.turn(&question).await?;
    }
}

struct Conversation {
    keeper: Keeper,
    api_key: String,
    model: String,
    messages: Vec<Value>,
    output: Output,
}

impl Conversation {
    async fn first_model(&self) -> Result<String, Failure> {
        let mut answer = self.send("GET", "/v1/models", Vec::new()).await?;
        let body: Value = json_body(&mut answer).await?;
        body["data"][0]["id"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Failure::new(Exit::Unavailable, "NO_MODEL", "the server serves no model"))
    }

    /// One question and its answer, shown as it comes.
    async fn turn(&mut self, question: &str) -> Result<(), Failure> {
        self.messages.push(json!({ "role": "user", "content": question }));
        let body = json!({ "model": self.model, "messages": self.messages, "stream": true }).to_string();
        let mut answer = self.send("POST", "/v1/chat/completions", body.into_bytes()).await?;
        if !answer.is_event_stream() {
            json_body(&mut answer).await?;
        }
        let (mut said, mut pending) = (String::new(), Vec::new());
        while let Some(bytes) = answer.next().await.map_err(|error| trust::failure(&error))? {
            pending.extend_from_slice(&bytes);
            while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = pending.drain(..end + 2).collect();
                let data = event.strip_prefix(b"data: ").and_then(|data| serde_json::from_slice::<Value>(data).ok());
                let piece = data.as_ref().and_then(|data| data["choices"][0]["delta"]["content"].as_str());
                said.push_str(piece.unwrap_or_default());
                self.output.piece(piece.unwrap_or_default());
            }
        }
        let id = hex::encode(answer.request_id());
        self.output.result(&json!({ "answer": said, "request_id": id }), "");
        self.messages.push(json!({ "role": "assistant", "content": said }));
        Ok(())
    }

    async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Answer, Failure> {
        let headers = vec![
            ("authorization".to_owned(), format!("Bearer {}", self.api_key)),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        let request = OutgoingRequest { method: method.into(), path: path.into(), headers, body };
        self.keeper.send(&request).await.map_err(|error: ClientError| trust::failure(&error))
    }
}

/// The body of an answer that is no stream; an error of the API becomes a failure.
async fn json_body(answer: &mut Answer) -> Result<Value, Failure> {
    let bytes = answer.collect().await.map_err(|error| trust::failure(&error))?;
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if (200..300).contains(&answer.status()) {
        return Ok(body);
    }
    let code = body["error"]["code"].as_str().unwrap_or("NO_ERROR").to_owned();
    let message = body["error"]["message"].as_str().unwrap_or("the server gave no reason").to_owned();
    let exit = if answer.status() >= 500 || answer.status() == 429 { Exit::Unavailable } else { Exit::Refused };
    Err(Failure::new(exit, code, message))
}

/// A line of standard input, without holding up the executor; `None` at its end.
async fn read_line() -> Result<Option<String>, Failure> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|length| (length > 0).then(|| line.trim().to_owned()))
    });
    let failed = |e: &dyn std::fmt::Display| Failure::new(Exit::Failed, "IO", e);
    read.await.map_err(|e| failed(&e))?.map_err(|e| failed(&e))
}
