//! `POST /v1/chat/completions`, streaming and not.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use strongroom_engine::{ChatMessage, Constraint, TextModel};
use strongroom_plugins as plugin;

use super::conversation::Conversation;
use super::deadline::Deadline;
use super::error::ApiError;
use super::format::ResponseFormat;
use super::generate::{self, Choice, Piece, Task};
use super::identity::Tenant;
use super::openai::{self, ChatRequest, Usage};
use super::receipts::ReceiptSlot;
use super::stream::{self, Shape};
use super::tools::{Part, Reader, ToolUse};
use super::{App, extraction, format, identity};
use crate::serving::Served;

pub(super) async fn create(
    State(app): State<App>,
    Extension(served): Extension<Arc<Served>>,
    Extension(slot): Extension<ReceiptSlot>,
    Extension(tenant): Extension<Tenant>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    generate::want_json(&headers)?;
    let deadline = Deadline::new(&headers, app.answer_time)?;
    let request: ChatRequest = openai::parse(&body)?;
    request.common.check(&request.other)?;
    let model = identity::model_of(&served, &request.model)?;
    let writer = identity::writer_of(model)?;
    let logprobs = logprobs(&request)?;
    let ChatRequest { messages, tools, tool_choice, parallel_tool_calls, response_format, common, .. } = request;
    let schema = response_format.map(ResponseFormat::schema).transpose()?.flatten();
    let conversation = Conversation::read(messages, tools.unwrap_or_default())?;
    let steered = schema.is_some() || !conversation.tools.is_empty();
    extraction::check(&app, logprobs, "top_logprobs", &common, steered, &served.plugins)?;

    let (plugins, text) = (served.plugins.clone(), writer.text().clone());
    let chat = plugin::ChatRequest { model: request.model, messages: conversation.into_plugins() };
    let prepared = generate::off_executor(move || {
        let conversation = Conversation::from_plugins(plugins.on_request(chat)?.messages)?;
        let tools = ToolUse::new(conversation.tools, tool_choice.as_ref(), parallel_tool_calls, &text)?;
        prepare(&text, &conversation.messages, tools, schema)
    })
    .await?;

    let Prepared { prompt, constraint, tools } = prepared;
    let task = Task { prompt, parameter: "messages", logprobs, constraint, deadline, tenant };
    let running = generate::begin(&app, model, &served.plugins, task, &common, slot)?;
    let id = generate::random_id()?;
    let reader = |choice| Reader::new(format!("{id}_{choice}"), tools.as_ref());
    let mut shape = ChatShape {
        readers: (0..common.choices()).map(reader).collect(),
        id: format!("chatcmpl-{id}"),
        model: model.name.clone(),
        created: app.clock.now(),
        logprobs: logprobs.is_some(),
    };
    if common.stream {
        let usage = common.stream_options.is_some_and(|options| options.include_usage);
        return stream::respond(app, served.plugins.clone(), running, shape, usage).await;
    }
    let (choices, usage) = running.collect(&app).await?;
    let choices = generate::filtered(served.plugins.clone(), choices).await?;
    Ok(Json(shape.whole(&choices, usage)).into_response())
}

/// What the model is given.
struct Prepared {
    prompt: Vec<u32>,
    constraint: Option<Constraint>,
    tools: Option<ToolUse>,
}

fn prepare(
    text: &TextModel,
    messages: &[ChatMessage],
    tools: Option<ToolUse>,
    schema: Option<Map<String, Value>>,
) -> Result<Prepared, ApiError> {
    if schema.is_some() && tools.is_some() {
        let message = "`response_format` is not served together with `tools` that may be called";
        return Err(ApiError::invalid("unsupported_parameter", Some("response_format"), message));
    }
    let (opening, constraint) = match (tools.as_ref().and_then(ToolUse::forced), schema) {
        (Some((opening, schema)), _) => (opening, Some(format::compile(text, &schema, "tools")?)),
        (None, Some(schema)) => ("", Some(format::compile(text, &schema, "response_format")?)),
        (None, None) => ("", None),
    };
    let offered = tools.as_ref().map(|tools| tools.tools.as_slice()).unwrap_or_default();
    let prompt = text.encode_tool_chat(messages, offered, opening).map_err(|error| {
        ApiError::invalid("chat_template", Some("messages"), format!("the model's chat template refused: {error}"))
    })?;
    Ok(Prepared { prompt, constraint, tools })
}

/// How many of the likeliest tokens are wanted with each log probability, if those are.
fn logprobs(request: &ChatRequest) -> Result<Option<usize>, ApiError> {
    match (request.logprobs, request.top_logprobs) {
        (Some(true), count) => Ok(count.or(Some(0))),
        (_, None | Some(0)) => Ok(None),
        (_, Some(_)) => {
            let message = "`top_logprobs` wants `logprobs` to be true";
            Err(ApiError::invalid("invalid_value", Some("top_logprobs"), message))
        }
    }
}

/// How chat answers look.
struct ChatShape {
    id: String,
    model: String,
    created: u64,
    logprobs: bool,
    /// One for each answer.
    readers: Vec<Reader>,
}

impl ChatShape {
    fn whole(&mut self, choices: &[Choice], usage: Usage) -> Value {
        let logprobs: Vec<Option<Value>> = choices.iter().map(|choice| self.logprobs(&choice.piece)).collect();
        let numbered = self.readers.iter_mut().zip(choices).zip(logprobs).enumerate();
        let choices: Vec<Value> = numbered
            .map(|(number, ((reader, choice), logprobs))| {
                let message = message(reader, &choice.piece.text);
                json!({
                    "index": number, "message": message, "logprobs": logprobs,
                    "finish_reason": reader.reason(choice.reason),
                })
            })
            .collect();
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": choices, "usage": usage,
        })
    }

    fn logprobs(&self, piece: &Piece) -> Option<Value> {
        self.logprobs.then(|| extraction::of_chat(&piece.logprobs))
    }

    /// A chunk about one answer.
    fn chunk(&self, choice: usize, delta: &Value, logprobs: Option<Value>, reason: Option<&str>) -> Value {
        let mut choice = json!({ "index": choice, "delta": delta, "finish_reason": reason });
        if let Some(logprobs) = logprobs {
            choice["logprobs"] = logprobs;
        }
        self.event(&[choice])
    }

    fn event(&self, choices: &[Value]) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": choices,
        })
    }

    /// Chunks of what a reader said. A call is one chunk: it is known to be one when it is whole.
    fn told(&self, choice: usize, parts: Vec<Part>, mut logprobs: Option<Value>) -> Vec<Value> {
        let delta = |part| match part {
            Part::Text(text) => json!({ "content": text }),
            Part::Call(index, mut call) => {
                call["index"] = index.into();
                json!({ "tool_calls": [call] })
            }
        };
        parts.into_iter().map(|part| self.chunk(choice, &delta(part), logprobs.take(), None)).collect()
    }
}

/// The message of a whole answer.
fn message(reader: &mut Reader, text: &str) -> Value {
    let (mut content, mut calls) = (String::new(), Vec::new());
    for part in reader.push(text).into_iter().chain(reader.finish()) {
        match part {
            Part::Text(text) => content.push_str(&text),
            Part::Call(_, call) => calls.push(call),
        }
    }
    if calls.is_empty() {
        return json!({ "role": "assistant", "content": content, "refusal": null });
    }
    let content = (!content.trim().is_empty()).then_some(content);
    json!({ "role": "assistant", "content": content, "refusal": null, "tool_calls": calls })
}

impl Shape for ChatShape {
    fn first(&mut self) -> Vec<Value> {
        let delta = json!({ "role": "assistant", "content": "" });
        (0..self.readers.len()).map(|choice| self.chunk(choice, &delta, None, None)).collect()
    }

    fn piece(&mut self, choice: usize, piece: &Piece) -> Vec<Value> {
        let parts = self.readers.get_mut(choice).map(|reader| reader.push(&piece.text)).unwrap_or_default();
        self.told(choice, parts, self.logprobs(piece))
    }

    fn ended(&mut self, choice: usize, reason: &str) -> Vec<Value> {
        let Some(reader) = self.readers.get_mut(choice) else { return Vec::new() };
        let parts = reader.finish();
        let reason = reader.reason(reason);
        let mut events = self.told(choice, parts, None);
        events.push(self.chunk(choice, &json!({}), None, Some(reason)));
        events
    }

    fn usage(&self, usage: Usage) -> Value {
        let mut event = self.event(&[]);
        event["usage"] = json!(usage);
        event
    }
}
