//! Encoders of BERT's kind: text in, one vector out. Texts of many requests are stacked row on row, without
//! padding, and computed together; attention alone takes them apart again.
//!
//! They are read from safetensors with the files that lie beside them (`json_config.rs`, `json_text.rs`), or
//! from one GGUF file (`gguf.rs`); what is computed is the same.
//!
//! ```text
//! text ─► EncoderText: words ─► pieces ─► tokens ─┐
//! tokens of several requests, up to a bound of rows ┴─► Encoder ─► pooling ─► a vector for each text
//! ```

mod config;
mod gguf;
mod handle;
mod json_config;
mod json_text;
mod model;
mod names;
mod pieces;
mod tensors;
mod text;
mod tiny;
mod tiny_gguf;
mod weights;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::EngineError;
use crate::files::{self, ModelFiles};
use crate::gguf::{Header, architecture};
use crate::load::{LoadOptions, Machine, Source};
use crate::weights::{Adapter, GgufWeights, SafetensorsWeights};
use config::EncoderConfig;
use model::Encoder;
use tensors::Tensors;

pub(crate) use config::FAMILY;
pub use handle::EncoderHandle;
pub use text::EncoderText;
pub use tiny::tiny_encoder;
pub use tiny_gguf::tiny_encoder_gguf;

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

/// Whether a model is an encoder: its GGUF file says so, or the `model_type` of its `config.json`.
///
/// # Errors
/// When that file cannot be read.
pub fn is_encoder(files: &dyn ModelFiles) -> Result<bool, EngineError> {
    if let Ok(Source::Gguf(file)) = Source::find(files) {
        let family = architecture(&mut files::open(files, &file.path)?, file.len)?;
        return Ok(family.as_deref() == Some(FAMILY));
    }
    let config = files::json(files, "config.json")?.unwrap_or_default();
    Ok(config["model_type"].as_str() == Some(FAMILY))
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
    let threads = options.compute_threads();
    let (config, text, mut tensors) = match Source::find(files)? {
        Source::Gguf(file) => {
            let mut reader = files::open(files, &file.path)?;
            let header = Header::read(&mut reader, file.len)?;
            let (config, text) = gguf::read(&header.metadata, options.max_context)?;
            let weights = GgufWeights::new(file.path, reader, header.tensors, threads, progress);
            (config, text, Tensors::of_gguf(weights))
        }
        Source::Safetensors => {
            // The table of tensors is the smaller part: a file that cannot be read is told first.
            let weights = SafetensorsWeights::open(files, progress)?;
            let (config, text) = from_json(files, options.max_context)?;
            (config, text, Tensors::of_safetensors(weights))
        }
    };
    let model = Encoder::load(config, &mut tensors, text.vocabulary(), threads)?;
    Ok(LoadedEncoder { text: Arc::new(text), model })
}

/// The figures and the tokenizer that lie beside safetensors.
fn from_json(files: &dyn ModelFiles, max_context: usize) -> Result<(EncoderConfig, EncoderText), EngineError> {
    let required = |path: &str| files::json(files, path)?.ok_or_else(|| EngineError::missing_file(path));
    let optional = |path: &str| -> Result<Json, EngineError> { Ok(files::json(files, path)?.unwrap_or_default()) };
    let sentences = optional("sentence_bert_config.json")?;
    if !optional("config_sentence_transformers.json")?["default_prompt_name"].is_null() {
        return Err(EngineError::unsupported("a prompt before each text", "default_prompt_name"));
    }
    let config = json_config::read(&required("config.json")?, &sentences, files)?.check()?;
    let parts = json_text::read(&required("tokenizer.json")?, &sentences)?;
    let text = EncoderText::new(parts, config.limit.min(max_context), config.width)?;
    Ok((config, text))
}
