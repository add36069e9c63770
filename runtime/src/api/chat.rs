//! `POST /v1/chat/completions`, streaming and not.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use strongroom_engine::ChatMessage;
use strongroom_plugins as plugin;

use super::error::ApiError;
use super::generate::{self, Finished};
use super::openai::{self, ChatRequest, Usage};
use super::receipts::ReceiptSlot;
use super::stream::{self, Shape};
use super::{App, identity};

/// Roles that a message may have.
const ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];

pub(super) async fn create(
    State(app): State<App>,
    Extension(slot): Extension<ReceiptSlot>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    generate::want_json(&headers)?;
    let request: ChatRequest = openai::parse(&body)?;
    request.common.check(&request.other)?;
    let served = app.serving.now().ok_or_else(ApiError::loading)?;
    let model = identity::model_of(&served, &request.model)?;

    let messages = messages(request.messages)?;
    let (plugins, text) = (served.plugins.clone(), model.engine.text().clone());
    let chat = plugin::ChatRequest { model: request.model, messages };
    let prompt = generate::off_executor(move || {
        let chat = plugins.on_request(chat)?;
        let messages: Vec<ChatMessage> =
            chat.messages.into_iter().map(|m| ChatMessage { role: m.role, content: m.content }).collect();
        text.encode_chat(&messages, true).map_err(|error| {
            ApiError::invalid("chat_template", Some("messages"), format!("the model's chat template refused: {error}"))
        })
    })
    .await?;

    let running = generate::begin(&app, model, &served.plugins, prompt, "messages", &request.common, slot)?;
    let shape = ChatShape { id: generate::answer_id("chatcmpl")?, model: model.name.clone(), created: app.clock.now() };
    if request.common.stream {
        let usage = request.common.stream_options.is_some_and(|options| options.include_usage);
        return stream::respond(app, served.plugins.clone(), running, shape, usage).await;
    }
    let (text, finished) = running.collect(&app).await?;
    let plugins = served.plugins.clone();
    let text = generate::off_executor(move || plugins.on_response(text)).await?;
    Ok(Json(shape.whole(&text, &finished)).into_response())
}

fn messages(messages: Vec<openai::Message>) -> Result<Vec<plugin::Message>, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::invalid("invalid_value", Some("messages"), "`messages` is empty"));
    }
    messages
        .into_iter()
        .map(|message| {
            if !ROLES.contains(&message.role.as_str()) {
                let known = ROLES.join(", ");
                let text = format!("a message's role is not one of {known}");
                return Err(ApiError::invalid("invalid_value", Some("messages"), text));
            }
            // What newer clients call developer, the models know as system.
            let role = if message.role == "developer" { "system".into() } else { message.role };
            Ok(plugin::Message { role, content: message.content.into_text()? })
        })
        .collect()
}

/// How chat answers look.
struct ChatShape {
    id: String,
    model: String,
    created: u64,
}

impl ChatShape {
    fn whole(&self, text: &str, finished: &Finished) -> Value {
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": [{
                "index": 0, "message": { "role": "assistant", "content": text, "refusal": null },
                "logprobs": null, "finish_reason": finished.reason,
            }],
            "usage": finished.usage,
        })
    }

    fn chunk(&self, choices: &Value, usage: Option<Usage>) -> Value {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = json!(usage);
        }
        chunk
    }
}

impl Shape for ChatShape {
    fn first(&self) -> Option<Value> {
        let delta = json!({ "role": "assistant", "content": "" });
        Some(self.chunk(&json!([{ "index": 0, "delta": delta, "finish_reason": null }]), None))
    }

    fn piece(&self, text: &str) -> Value {
        self.chunk(&json!([{ "index": 0, "delta": { "content": text }, "finish_reason": null }]), None)
    }

    fn last(&self, reason: &str) -> Value {
        self.chunk(&json!([{ "index": 0, "delta": {}, "finish_reason": reason }]), None)
    }

    fn usage(&self, usage: Usage) -> Value {
        self.chunk(&json!([]), Some(usage))
    }
}
