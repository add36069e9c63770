//! An encoder's figures from `config.json` and the files that sentence-transformers puts beside it.

use serde::Deserialize;
use serde_json::Value as Json;

use super::config::{Figures, Pooling, malformed};
use crate::error::EngineError;
use crate::files::{self, ModelFiles};

/// From the `config.json` of the model, `sentence_bert_config.json`, and what `modules.json` leads to.
pub(super) fn read(json: &Json, sentences: &Json, files: &dyn ModelFiles) -> Result<Figures, EngineError> {
    let raw = Bert::deserialize(json).map_err(|error| malformed(error.to_string()))?;
    raw.check_features()?;
    let (pooling, normalizes) = modules(files, raw.hidden_size)?;
    Ok(Figures {
        layers: raw.num_hidden_layers,
        width: raw.hidden_size,
        feed_forward: raw.intermediate_size,
        heads: raw.num_attention_heads,
        norm_epsilon: raw.layer_norm_eps,
        positions: raw.max_position_embeddings,
        segment_kinds: raw.type_vocab_size,
        limit: match &sentences["max_seq_length"] {
            Json::Null => None,
            found => Some(found.as_u64().unwrap_or(0)),
        },
        pooling,
        normalizes,
    })
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
fn modules(files: &dyn ModelFiles, width: u64) -> Result<(Pooling, bool), EngineError> {
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

fn pooling(files: &dyn ModelFiles, module: &Json, width: u64) -> Result<Pooling, EngineError> {
    let path = format!("{}/config.json", module["path"].as_str().unwrap_or_default());
    let json = files::json(files, &path)?.ok_or_else(|| EngineError::missing_file(&path))?;
    for field in ["word_embedding_dimension", "embedding_dimension"] {
        if !json[field].is_null() && json[field].as_u64() != Some(width) {
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
