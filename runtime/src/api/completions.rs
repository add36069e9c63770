//! `POST /v1/completions`: a plain prompt, no template.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use strongroom_plugins as plugin;

use super::deadline::Deadline;
use super::error::ApiError;
use super::generate::{self, Piece, Task};
use super::identity::Tenant;
use super::openai::{self, CompletionRequest, Usage};
use super::receipts::ReceiptSlot;
use super::stream::{self, Shape};
use super::{App, extraction, identity};
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
    let request: CompletionRequest = openai::parse(&body)?;
    request.common.check(&request.other)?;
    let model = identity::model_of(&served, &request.model)?;
    let writer = identity::writer_of(model)?;
    extraction::check(&app, request.logprobs, "logprobs", &request.common, false, &served.plugins)?;

    let (plugins, text) = (served.plugins.clone(), writer.text().clone());
    // Plugins see the prompt as the one message of a user.
    let message = plugin::Message { role: "user".into(), content: request.prompt };
    let chat = plugin::ChatRequest { model: request.model, messages: vec![message] };
    let prompt = generate::off_executor(move || {
        let chat = plugins.on_request(chat)?;
        let prompt: String = chat.messages.into_iter().map(|message| message.content).collect();
        text.encode_completion(&prompt).map_err(|_| ApiError::internal())
    })
    .await?;

    let task = Task { prompt, parameter: "prompt", logprobs: request.logprobs, constraint: None, deadline, tenant };
    let running = generate::begin(&app, model, &served.plugins, task, &request.common, slot)?;
    let mut shape = TextShape {
        id: format!("cmpl-{}", generate::random_id()?),
        model: model.name.clone(),
        created: app.clock.now(),
        logprobs: request.logprobs.is_some(),
        offsets: vec![0; request.common.choices()],
    };
    if request.common.stream {
        let usage = request.common.stream_options.is_some_and(|options| options.include_usage);
        return stream::respond(app, served.plugins.clone(), running, shape, usage).await;
    }
    let (choices, usage) = running.collect(&app).await?;
    let choices = generate::filtered(served.plugins.clone(), choices).await?;
    let numbered = choices.iter().enumerate();
    let choices: Vec<Value> =
        numbered.map(|(number, choice)| shape.choice(number, &choice.piece, Some(choice.reason))).collect();
    let mut body = shape.body(&choices);
    body["usage"] = json!(usage);
    Ok(Json(body).into_response())
}

/// How completions look; a chunk has the shape of a whole answer.
struct TextShape {
    id: String,
    model: String,
    created: u64,
    logprobs: bool,
    /// Characters of each answer so far.
    offsets: Vec<usize>,
}

impl TextShape {
    fn body(&self, choices: &[Value]) -> Value {
        json!({
            "id": self.id, "object": "text_completion", "created": self.created, "model": self.model,
            "choices": choices,
        })
    }

    fn choice(&mut self, number: usize, piece: &Piece, reason: Option<&str>) -> Value {
        let offset = self.offsets.get_mut(number).filter(|_| self.logprobs);
        let logprobs = offset.map(|offset| extraction::of_completion(&piece.logprobs, offset));
        json!({ "index": number, "text": piece.text, "logprobs": logprobs, "finish_reason": reason })
    }
}

impl Shape for TextShape {
    fn first(&mut self) -> Vec<Value> {
        Vec::new()
    }

    fn piece(&mut self, choice: usize, piece: &Piece) -> Vec<Value> {
        let choice = self.choice(choice, piece, None);
        vec![self.body(&[choice])]
    }

    fn ended(&mut self, choice: usize, reason: &str) -> Vec<Value> {
        let choice = json!({ "index": choice, "text": "", "logprobs": null, "finish_reason": reason });
        vec![self.body(&[choice])]
    }

    fn usage(&self, usage: Usage) -> Value {
        let mut body = self.body(&[]);
        body["usage"] = json!(usage);
        body
    }
}
