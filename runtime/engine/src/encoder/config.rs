//! An encoder's figures, from `config.json` and the files that sentence-transformers puts beside it, checked
//! once.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::EngineError;
use crate::files::{self, ModelFiles};
use crate::limits::{ENCODER_POSITIONS, ENCODER_ROW, HEADS, LAYERS, SEGMENT_KINDS, WIDTH};

/// The `model_type` that is read.
pub(super) const FAMILY: &str = "bert";

/// How rows become the vector of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The first one.
    First,
}

/// The shape of an encoder.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EncoderConfig {
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) feed_forward: usize,
    pub(super) heads: usize,
    pub(super) norm_epsilon: f32,
    /// Positions that have a vector.
    pub(super) positions: usize,
    pub(super) segment_kinds: usize,
    /// Tokens that a text may have, at most as many as positions.
    pub(super) limit: usize,
    pub(super) pooling: Pooling,
    /// Whether vectors are brought to length 1.
    pub(super) normalizes: bool,
}

impl EncoderConfig {
    /// From the `config.json` of the model, `sentence_bert_config.json`, and what `modules.json` leads to.
    pub(super) fn read(json: &Json, sentences: &Json, files: &dyn ModelFiles) -> Result<Self, EngineError> {
        let raw = Bert::deserialize(json).map_err(|error| malformed(error.to_string()))?;
        raw.check_features()?;
        let within = |what: &'static str, found: u64, limit: u64| {
            let fine = Some(found as usize).filter(|_| (1..=limit).contains(&found));
            fine.ok_or_else(|| malformed(format!("{what} is {found}, wanted 1 to {limit}")))
        };
        let positions = within("the number of positions", raw.max_position_embeddings, ENCODER_POSITIONS)?;
        let limit = match &sentences["max_seq_length"] {
            Json::Null => positions,
            found => within("max_seq_length", found.as_u64().unwrap_or(0), positions as u64)?,
        };
        if !(0.0..=1.0).contains(&raw.layer_norm_eps) {
            return Err(malformed(format!("the norm's epsilon is {}", raw.layer_norm_eps)));
        }
        let width = within("the width", raw.hidden_size, WIDTH)?;
        let (pooling, normalizes) = modules(files, width)?;
        let config = Self {
            layers: within("the number of layers", raw.num_hidden_layers, LAYERS)?,
            width,
            feed_forward: within("the feed-forward width", raw.intermediate_size, WIDTH)?,
            heads: within("the number of heads", raw.num_attention_heads, HEADS)?,
            norm_epsilon: raw.layer_norm_eps as f32,
            positions,
            segment_kinds: within("type_vocab_size", raw.type_vocab_size, SEGMENT_KINDS)?,
            limit,
            pooling,
            normalizes,
        };
        if !config.width.is_multiple_of(config.heads) {
            return Err(malformed(format!("{} heads in a width of {}", config.heads, config.width)));
        }
        let row = 6 * config.width + config.feed_forward;
        if row > ENCODER_ROW {
            return Err(malformed(format!("a row takes {row} numbers, the limit is {ENCODER_ROW}")));
        }
        Ok(config)
    }
}

/// The fields of `config.json` that matter; others are passed over, as its writers add them freely.
#[derive(Deserialize)]
struct Bert {
    num_hidden_layers: u64,
    hidden_size: u64,
    intermediate_size: u64,
    num_attention_heads: u64,
    layer_norm_eps: f64,
    max_position_embeddings: u64,
    type_vocab_size: u64,
    hidden_act: String,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

impl Bert {
    /// What BERT's relatives do otherwise is refused, not computed as if it were BERT.
    fn check_features(&self) -> Result<(), EngineError> {
        if self.hidden_act != "gelu" {
            return Err(EngineError::unsupported("the activation of an encoder", &*self.hidden_act));
        }
        if let Some(other) = self.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return Err(EngineError::unsupported("the kind of positions", other));
        }
        if self.is_decoder {
            return Err(EngineError::unsupported("an encoder used as a decoder", "is_decoder"));
        }
        Ok(())
    }
}

/// What `modules.json` of sentence-transformers says: pooling, and whether vectors are brought to length 1.
/// Without the file: the mean, at length 1.
fn modules(files: &dyn ModelFiles, width: usize) -> Result<(Pooling, bool), EngineError> {
    let Some(json) = files::json(files, "modules.json")? else { return Ok((Pooling::Mean, true)) };
    let modules = json.as_array().map(Vec::as_slice).unwrap_or_default();
    let kinds: Vec<&str> = modules.iter().map(kind).collect();
    match (kinds.as_slice(), modules) {
        (["Transformer", "Pooling"], [_, pooling]) => Ok((self::pooling(files, pooling, width)?, false)),
        (["Transformer", "Pooling", "Normalize"], [_, pooling, _]) => Ok((self::pooling(files, pooling, width)?, true)),
        _ => Err(EngineError::unsupported(
            "this list of modules",
            format!("{} (known: Transformer, Pooling, Normalize)", kinds.join(", ")),
        )),
    }
}

/// The last part of a module's Python name.
fn kind(module: &Json) -> &str {
    let name = module["type"].as_str().unwrap_or("(none)");
    name.rsplit('.').next().unwrap_or(name)
}

fn pooling(files: &dyn ModelFiles, module: &Json, width: usize) -> Result<Pooling, EngineError> {
    let path = format!("{}/config.json", module["path"].as_str().unwrap_or_default());
    let json = files::json(files, &path)?.ok_or_else(|| EngineError::missing_file(&path))?;
    for field in ["word_embedding_dimension", "embedding_dimension"] {
        if !json[field].is_null() && json[field].as_u64() != Some(width as u64) {
            return Err(malformed(format!("the pooling's {field} is {}, the model's width {width}", json[field])));
        }
    }
    let mode = |key: &str| key.strip_prefix("pooling_mode_").map(str::to_owned);
    let fields = json.as_object().into_iter().flatten();
    let mut modes: Vec<String> =
        fields.filter(|(_, value)| value.as_bool() == Some(true)).filter_map(|(key, _)| mode(key)).collect();
    modes.extend(json["pooling_mode"].as_str().map(str::to_owned));
    match modes.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["mean_tokens" | "mean"] => Ok(Pooling::Mean),
        ["cls_token" | "cls"] => Ok(Pooling::First),
        other => Err(EngineError::unsupported("the pooling", format!("{} (known: mean, cls)", other.join(", ")))),
    }
}

fn malformed(reason: impl Into<String>) -> EngineError {
    EngineError::malformed("the encoder's configuration", reason)
}
