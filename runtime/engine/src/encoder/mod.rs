//! Encoders of BERT's kind: text in, one vector out. Texts of many requests are stacked row on row, without
//! padding, and computed together; attention alone takes them apart again.
//!
//! ```text
//! text ─► EncoderText: words ─► pieces ─► tokens ─┐
//! tokens of several requests, up to a bound of rows ┴─► Encoder ─► pooling ─► a vector for each text
//! ```

mod config;
mod handle;
mod model;
mod pieces;
mod text;
mod tiny;
mod weights;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::EngineError;
use crate::files::{self, ModelFiles};
use crate::load::{LoadOptions, Machine};
use crate::weights::{Adapter, SafetensorsWeights};
use config::EncoderConfig;
use model::Encoder;

pub use handle::EncoderHandle;
pub use text::EncoderText;
pub use tiny::tiny_encoder;

/// An encoder in memory, ready for [`EncoderHandle::spawn`].
pub struct LoadedEncoder {
    text: Arc<EncoderText>,
    model: Encoder,
}

impl LoadedEncoder {
    /// The tokenizer.
    #[must_use]
    pub fn text(&self) -> &Arc<EncoderText> {
        &self.text
    }

    /// How the model lies in this machine.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.model.machine()
    }
}

/// Whether a model is an encoder: the `model_type` of its `config.json` says so.
///
/// # Errors
/// When there is a `config.json` that cannot be read.
pub fn is_encoder(files: &dyn ModelFiles) -> Result<bool, EngineError> {
    let config = files::json(files, "config.json")?.unwrap_or_default();
    Ok(config["model_type"].as_str() == Some(config::FAMILY))
}

/// Loads an encoder, tensor by tensor. `progress` hears how many bytes of weights are done, and of how many.
///
/// # Errors
/// [`EngineError`], by cause; nothing of the model stays in memory then.
pub fn load_encoder(
    files: &dyn ModelFiles,
    options: &LoadOptions,
    progress: &dyn Fn(u64, u64),
) -> Result<LoadedEncoder, EngineError> {
    if Adapter::is_in(files) {
        return Err(EngineError::unsupported("an adapter of an encoder", "merge it, and seal the model anew"));
    }
    let required = |path: &str| files::json(files, path)?.ok_or_else(|| EngineError::missing_file(path));
    let optional = |path: &str| -> Result<Json, EngineError> { Ok(files::json(files, path)?.unwrap_or_default()) };
    let mut weights = SafetensorsWeights::open(files, progress)?;
    let sentences = optional("sentence_bert_config.json")?;
    if !optional("config_sentence_transformers.json")?["default_prompt_name"].is_null() {
        return Err(EngineError::unsupported("a prompt before each text", "default_prompt_name"));
    }
    let config = EncoderConfig::read(&required("config.json")?, &sentences, files)?;
    let limit = config.limit.min(options.max_context);
    let text = EncoderText::from_json(&required("tokenizer.json")?, &sentences, limit, config.width)?;
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let model = Encoder::load(config, &mut weights, text.vocabulary(), threads)?;
    Ok(LoadedEncoder { text: Arc::new(text), model })
}
