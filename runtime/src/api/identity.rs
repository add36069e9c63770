//! Who asks, and which models they may see.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path};
use serde_json::{Value, json};

use strongroom_engine::{EncoderHandle, EngineHandle};

use super::App;
use super::error::ApiError;
use crate::model::{Engine, ServedModel};
use crate::roster::Phase;
use crate::serving::Served;

/// A tenant by the name that the broker's credentials give it. Only an API key makes one: shares of the
/// engine and what it remembers go by it, never by what a request says of itself.
#[derive(Clone)]
pub(crate) struct Tenant(pub(crate) Arc<str>);

/// The tenant that holds the request's API key. The gateway asks before it hands a request
/// on, so nothing about a request is acted on before this (protocol.md A17).
pub(crate) fn tenant(app: &App, authorization: Option<&str>) -> Result<Tenant, ApiError> {
    let key = authorization.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(ApiError::missing_key)?;
    app.instance.tenant_of(key.trim()).map(|name| Tenant(name.into())).ok_or_else(ApiError::wrong_key)
}

/// The model of this name.
pub(super) fn model_of<'a>(served: &'a Served, name: &str) -> Result<&'a ServedModel, ApiError> {
    let known: Vec<&str> = served.models.iter().map(|model| model.name.as_str()).collect();
    let found = served.models.iter().find(|model| model.name == name).map(Arc::as_ref);
    found.ok_or_else(|| match served.roster.phase(name) {
        None => ApiError::model_not_found(name, &known),
        Some(Phase::Unloaded | Phase::Unloading) => ApiError::model_unloaded(name),
        // It has no right to answer at present, or the live epoch does not name it yet.
        Some(Phase::Loading | Phase::Loaded) => ApiError::model_loading(name),
    })
}

/// The engine of a model that writes.
pub(super) fn writer_of(model: &ServedModel) -> Result<&EngineHandle, ApiError> {
    match &model.engine {
        Engine::Writes(engine) => Ok(engine),
        Engine::Embeds(_) => Err(ApiError::wrong_endpoint(&model.name, &endpoints(model))),
    }
}

/// The engine of a model that embeds.
pub(super) fn encoder_of(model: &ServedModel) -> Result<&EncoderHandle, ApiError> {
    match &model.engine {
        Engine::Embeds(engine) => Ok(engine),
        Engine::Writes(_) => Err(ApiError::wrong_endpoint(&model.name, &endpoints(model))),
    }
}

/// What a model answers.
fn endpoints(model: &ServedModel) -> Vec<&'static str> {
    match &model.engine {
        Engine::Writes(engine) if engine.text().has_chat_template() => {
            vec!["/v1/chat/completions", "/v1/completions"]
        }
        Engine::Writes(_) => vec!["/v1/completions"],
        Engine::Embeds(_) => vec!["/v1/embeddings"],
    }
}

/// `GET /v1/models`.
pub(super) async fn models(Extension(served): Extension<Arc<Served>>) -> Json<Value> {
    let data: Vec<Value> = served.models.iter().map(|model| describe(model)).collect();
    Json(json!({ "object": "list", "data": data }))
}

/// `GET /v1/models/{name}`.
pub(super) async fn model(
    Extension(served): Extension<Arc<Served>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    model_of(&served, &name).map(|model| Json(describe(model)))
}

fn describe(model: &ServedModel) -> Value {
    let (context, dimensions) = match &model.engine {
        Engine::Writes(engine) => (engine.text().context_length(), None),
        Engine::Embeds(engine) => (engine.text().context_length(), Some(engine.text().dimensions())),
    };
    let mut described = json!({
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": "tenant",
        "strongroom_model_id": hex::encode(model.id),
        "strongroom_version": model.version,
        "strongroom_endpoints": endpoints(model),
        "context_length": context,
    });
    if let Some(dimensions) = dimensions {
        described["dimensions"] = dimensions.into();
    }
    described
}
