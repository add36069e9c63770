//! `POST /v1/completions`: a plain prompt, no template.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use strongroom_plugins as plugin;

use super::error::ApiError;
use super::generate;
use super::openai::{self, CompletionRequest, Usage};
use super::receipts::ReceiptSlot;
use super::stream::{self, Shape};
use super::{App, identity};

pub(super) async fn create(
    State(app): State<App>,
    Extension(slot): Extension<ReceiptSlot>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    generate::want_json(&headers)?;
    let request: CompletionRequest = openai::parse(&body)?;
    request.common.check(&request.other)?;
    let served = app.serving.now().ok_or_else(ApiError::loading)?;
    let model = identity::model_of(&served, &request.model)?;

    let (plugins, text) = (served.plugins.clone(), model.engine.text().clone());
    // Plugins see the prompt as the one message of a user.
    let message = plugin::Message { role: "user".into(), content: request.prompt };
    let chat = plugin::ChatRequest { model: request.model, messages: vec![message] };
    let prompt = generate::off_executor(move || {
        let chat = plugins.on_request(chat)?;
        let prompt: String = chat.messages.into_iter().map(|message| message.content).collect();
        text.encode_completion(&prompt).map_err(|_| ApiError::internal())
    })
    .await?;

    let running = generate::begin(&app, model, &served.plugins, prompt, "prompt", &request.common, slot)?;
    let shape = TextShape { id: generate::answer_id("cmpl")?, model: model.name.clone(), created: app.clock.now() };
    if request.common.stream {
        let usage = request.common.stream_options.is_some_and(|options| options.include_usage);
        return stream::respond(app, served.plugins.clone(), running, shape, usage).await;
    }
    let (text, finished) = running.collect(&app).await?;
    let plugins = served.plugins.clone();
    let text = generate::off_executor(move || plugins.on_response(text)).await?;
    Ok(Json(shape.body(&text, Some(finished.reason), Some(finished.usage))).into_response())
}

/// How completions look; a chunk has the shape of a whole answer.
struct TextShape {
    id: String,
    model: String,
    created: u64,
}

impl TextShape {
    fn body(&self, text: &str, reason: Option<&str>, usage: Option<Usage>) -> Value {
        let mut body = json!({
            "id": self.id, "object": "text_completion", "created": self.created, "model": self.model,
            "choices": [{ "index": 0, "text": text, "logprobs": null, "finish_reason": reason }],
        });
        if let Some(usage) = usage {
            body["usage"] = json!(usage);
        }
        body
    }
}

impl Shape for TextShape {
    fn first(&self) -> Option<Value> {
        None
    }

    fn piece(&self, text: &str) -> Value {
        self.body(text, None, None)
    }

    fn last(&self, reason: &str) -> Value {
        self.body("", Some(reason), None)
    }

    fn usage(&self, usage: Usage) -> Value {
        let mut body = self.body("", None, Some(usage));
        body["choices"] = json!([]);
        body
    }
}
