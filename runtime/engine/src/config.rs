//! A model's figures, from GGUF metadata or `config.json`, checked once.

mod rope_parameters;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::EngineError;
use crate::families::{Family, Figures, Recipe, Shape};
use crate::gguf::Metadata;
use crate::limits::{CACHE_POSITION_BYTES, CONTEXT, HEADS, LAYERS, WIDTH};

/// Which coordinates of a head are rotated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// Coordinate i with i + half the head.
    Halves,
    /// Coordinate 2i with 2i + 1: what converters make of Llama for GGUF.
    Pairs,
}

/// How the rotation's frequencies are stretched for long contexts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FrequencyScale {
    /// As trained.
    Plain,
    /// Positions divided by a factor.
    Linear(f64),
    /// Llama 3.1's smooth division of the low frequencies.
    Llama3 { factor: f64, low: f64, high: f64, original: f64 },
}

impl FrequencyScale {
    /// What becomes of a frequency.
    fn of(self, frequency: f64) -> f64 {
        match self {
            Self::Plain => frequency,
            Self::Linear(factor) => frequency / factor,
            Self::Llama3 { factor, low, high, original } => {
                let turns = original * frequency / std::f64::consts::TAU;
                if turns > high {
                    frequency
                } else if turns < low {
                    frequency / factor
                } else {
                    let smooth = (turns - low) / (high - low);
                    (1.0 - smooth) * frequency / factor + smooth * frequency
                }
            }
        }
    }
}

/// The shape of a transformer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelConfig {
    pub(crate) family: &'static Family,
    pub(crate) layers: usize,
    /// Width of the residual stream.
    pub(crate) width: usize,
    pub(crate) feed_forward: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_width: usize,
    pub(crate) norm_epsilon: f32,
    pub(crate) rotation: Rotation,
    pub(crate) rotation_base: f64,
    pub(crate) frequency_scale: FrequencyScale,
    /// Positions that the model was trained for.
    pub(crate) context: usize,
    /// What the family does differently from others.
    pub(crate) recipe: Recipe,
}

impl ModelConfig {
    /// From GGUF metadata.
    pub(crate) fn from_gguf(metadata: &Metadata) -> Result<Self, EngineError> {
        let name = metadata.text("general.architecture")?.unwrap_or("(none)");
        let family = Family::of_gguf(name)?;
        let figures = Figures::Gguf(metadata, name);
        let key = |rest: &str| format!("{name}.{rest}");
        let number = |rest: &str| {
            metadata
                .integer(&key(rest))?
                .ok_or_else(|| EngineError::malformed("the GGUF header", format!("no {}", key(rest))))
        };
        let heads = number("attention.head_count")?;
        let width = number("embedding_length")?;
        let head_width = match metadata.integer(&key("attention.key_length"))? {
            Some(width) => width,
            None => width.checked_div(heads).unwrap_or(0),
        };
        for (what, other) in [("attention.value_length", head_width), ("rope.dimension_count", head_width)] {
            if metadata.integer(&key(what))?.is_some_and(|found| found != other) {
                return Err(EngineError::unsupported("a head width that differs between its uses", key(what)));
            }
        }
        Raw {
            family,
            layers: number("block_count")?,
            width,
            feed_forward: number("feed_forward_length")?,
            heads,
            kv_heads: metadata.integer(&key("attention.head_count_kv"))?.unwrap_or(heads),
            head_width,
            norm_epsilon: metadata.float(&key("attention.layer_norm_rms_epsilon"))?.unwrap_or(1e-5),
            rotation: family.rotation,
            rotation_base: metadata.float(&key("rope.freq_base"))?.unwrap_or(10_000.0),
            frequency_scale: match metadata.text(&key("rope.scaling.type"))? {
                // The divisors of `longrope` are tensors, which are read with the others.
                None | Some("none" | "longrope") => FrequencyScale::Plain,
                Some("linear") => {
                    let factor = metadata.float(&key("rope.scaling.factor"))?.unwrap_or(1.0);
                    FrequencyScale::Linear(Some(factor).filter(|factor| (1e-3..=1e9).contains(factor)).ok_or_else(
                        || EngineError::malformed("the GGUF header", "the rotation's factor is out of range"),
                    )?)
                }
                Some(other) => return Err(EngineError::unsupported("rotation scaling", other)),
            },
            context: number("context_length")?,
        }
        .check(&figures)
    }

    /// From a `config.json` beside safetensors.
    pub(crate) fn from_json(json: &Json) -> Result<Self, EngineError> {
        let name = json.get("model_type").and_then(Json::as_str).unwrap_or("(none)");
        let family = Family::of_json(name)?;
        let json = &*rope_parameters::by_older_names(json)?;
        let config =
            HuggingFace::deserialize(json).map_err(|error| EngineError::malformed("config.json", error.to_string()))?;
        let is_long = config.rope_scaling.as_ref().is_some_and(Scaling::is_long);
        let config = Raw {
            family,
            layers: config.num_hidden_layers,
            width: config.hidden_size,
            feed_forward: config.intermediate_size,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads.unwrap_or(config.num_attention_heads),
            head_width: match config.head_dim {
                Some(width) => width,
                None => config.hidden_size.checked_div(config.num_attention_heads).unwrap_or(0),
            },
            norm_epsilon: config.rms_norm_eps,
            rotation: Rotation::Halves,
            rotation_base: config.rope_theta.unwrap_or(10_000.0),
            frequency_scale: config.rope_scaling.map_or(Ok(FrequencyScale::Plain), Scaling::meaning)?,
            context: config.max_position_embeddings,
        }
        .check(&Figures::Json(json))?;
        // Its divisors are for the family to read: one that does not would compute something else.
        if is_long && config.recipe.long_rotation.is_none() {
            return Err(EngineError::unsupported("rotation scaling", format!("longrope for {}", family.name)));
        }
        Ok(config)
    }

    /// How fast each pair of a head's coordinates turns, in radians a position; `factors` divide where a file
    /// brings them.
    pub(crate) fn frequencies(&self, base: f64, scale: FrequencyScale, factors: Option<&[f32]>) -> Vec<f64> {
        (0..self.head_width / 2)
            .map(|index| {
                let plain = base.powf(-2.0 * index as f64 / self.head_width as f64);
                let divisor = factors.and_then(|factors| factors.get(index)).map_or(1.0, |&factor| f64::from(factor));
                scale.of(plain) / divisor
            })
            .collect()
    }

    /// Columns of the query matrix's result.
    pub(crate) fn query_width(&self) -> usize {
        self.heads * self.head_width
    }

    /// Columns of the key and value matrices' results.
    pub(crate) fn kv_width(&self) -> usize {
        self.kv_heads * self.head_width
    }
}

/// As a file says it.
struct Raw {
    family: &'static Family,
    layers: u64,
    width: u64,
    feed_forward: u64,
    heads: u64,
    kv_heads: u64,
    head_width: u64,
    norm_epsilon: f64,
    rotation: Rotation,
    rotation_base: f64,
    frequency_scale: FrequencyScale,
    context: u64,
}

impl Raw {
    fn check(self, figures: &Figures<'_>) -> Result<ModelConfig, EngineError> {
        let Self { layers, width, heads, head_width, .. } = self;
        let recipe = self.family.recipe(figures, &Shape { layers, width, heads, head_width })?;
        let within = |what: &'static str, found: u64, limit: u64| {
            if (1..=limit).contains(&found) {
                Ok(found as usize)
            } else {
                Err(EngineError::malformed(
                    "the model's configuration",
                    format!("{what} is {found}, wanted 1 to {limit}"),
                ))
            }
        };
        let fine = |what: &'static str, number: f64, range: std::ops::RangeInclusive<f64>| {
            if range.contains(&number) {
                Ok(number)
            } else {
                Err(EngineError::malformed("the model's configuration", format!("{what} is {number}")))
            }
        };
        let config = ModelConfig {
            family: self.family,
            layers: within("the number of layers", self.layers, LAYERS)?,
            width: within("the width", self.width, WIDTH)?,
            feed_forward: within("the feed-forward width", self.feed_forward, WIDTH)?,
            heads: within("the number of heads", self.heads, HEADS)?,
            kv_heads: within("the number of key-value heads", self.kv_heads, HEADS)?,
            head_width: within("the head width", self.head_width, 4096)?,
            norm_epsilon: fine("the norm's epsilon", self.norm_epsilon, 0.0..=1.0)? as f32,
            rotation: self.rotation,
            rotation_base: fine("the rotation's base", self.rotation_base, 1.0..=1e12)?,
            frequency_scale: self.frequency_scale,
            context: within("the context", self.context, CONTEXT)?,
            recipe,
        };
        if !config.heads.is_multiple_of(config.kv_heads) || !config.head_width.is_multiple_of(2) {
            return Err(EngineError::malformed(
                "the model's configuration",
                format!(
                    "{} heads over {} key-value heads of width {}",
                    config.heads, config.kv_heads, config.head_width
                ),
            ));
        }
        let position = [2, size_of::<f32>(), config.layers, config.kv_width()].into_iter().product::<usize>();
        if position > CACHE_POSITION_BYTES || config.query_width() as u64 > WIDTH {
            return Err(EngineError::malformed(
                "the model's configuration",
                format!("a position takes {position} bytes of cache and {} columns", config.query_width()),
            ));
        }
        Ok(config)
    }
}

/// The fields of `config.json` that matter; others are passed over, as its writers add them freely.
#[derive(Deserialize)]
struct HuggingFace {
    num_hidden_layers: u64,
    hidden_size: u64,
    intermediate_size: u64,
    num_attention_heads: u64,
    num_key_value_heads: Option<u64>,
    head_dim: Option<u64>,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<Scaling>,
    max_position_embeddings: u64,
}

#[derive(Deserialize)]
struct Scaling {
    rope_type: Option<String>,
    /// Its older name, which some files have besides.
    #[serde(rename = "type")]
    old_type: Option<String>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
}

impl Scaling {
    fn kind(&self) -> &str {
        self.rope_type.as_deref().or(self.old_type.as_deref()).unwrap_or("(none)")
    }

    fn is_long(&self) -> bool {
        matches!(self.kind(), "longrope" | "su")
    }

    fn meaning(self) -> Result<FrequencyScale, EngineError> {
        let figure = |number: Option<f64>| {
            number.filter(|number| (1e-3..=1e9).contains(number)).ok_or_else(|| {
                EngineError::malformed("config.json", "a figure of rope_scaling is missing or out of range")
            })
        };
        match self.kind() {
            _ if self.is_long() => Ok(FrequencyScale::Plain),
            "default" => Ok(FrequencyScale::Plain),
            "linear" => Ok(FrequencyScale::Linear(figure(self.factor)?)),
            "llama3" => Ok(FrequencyScale::Llama3 {
                factor: figure(self.factor)?,
                low: figure(self.low_freq_factor)?,
                high: figure(self.high_freq_factor)?,
                original: figure(self.original_max_position_embeddings)?,
            }),
            other => Err(EngineError::unsupported("rotation scaling", other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Json {
        serde_json::json!({
            "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128,
            "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 512, "torch_dtype": "bfloat16"
        })
    }

    #[test]
    fn a_config_json_is_read() {
        let config = ModelConfig::from_json(&config()).unwrap();
        assert_eq!((config.head_width, config.kv_width(), config.context), (16, 32, 512));
        assert_eq!(config.rotation, Rotation::Halves);
    }

    #[test]
    fn either_name_of_a_scaling_is_read() {
        for names in [&["type"][..], &["rope_type"], &["rope_type", "type"]] {
            let mut json = config();
            json["rope_scaling"] = serde_json::json!({ "factor": 4.0 });
            names.iter().for_each(|name| json["rope_scaling"][name] = "linear".into());
            let config = ModelConfig::from_json(&json).unwrap();
            assert_eq!(config.frequency_scale, FrequencyScale::Linear(4.0));
        }
    }

    #[test]
    fn settings_of_the_rotation_are_the_same_under_newer_names() {
        let (mut older, mut newer) = (config(), config());
        older["rope_theta"] = 1e6.into();
        older["rope_scaling"] = serde_json::json!({ "rope_type": "linear", "factor": 4.0 });
        newer["rope_parameters"] = serde_json::json!({ "rope_type": "linear", "factor": 4.0, "rope_theta": 1e6 });
        let [older, newer] = [older, newer].map(|json| ModelConfig::from_json(&json).unwrap());
        assert_eq!((older.rotation_base, older.frequency_scale), (newer.rotation_base, newer.frequency_scale));
        assert_eq!(newer.rotation_base, 1e6);
    }

    #[test]
    fn llama3_scaling_keeps_high_frequencies_and_divides_low_ones() {
        let scale = FrequencyScale::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
        assert_eq!(scale.of(1.0), 1.0);
        assert_eq!(scale.of(1e-6), 1e-6 / 8.0);
        let middle = 2.5 * std::f64::consts::TAU / 8192.0;
        assert!((scale.of(middle) - middle * (0.5 / 8.0 + 0.5)).abs() < 1e-12);
    }

    #[test]
    fn an_unknown_family_is_named_with_the_known_ones() {
        let mut json = config();
        json["model_type"] = "mamba".into();
        let message = ModelConfig::from_json(&json).unwrap_err().to_string();
        assert!(message.contains("mamba") && message.contains("llama, mistral, qwen2"), "{message}");
    }

    #[test]
    fn figures_out_of_range_are_refused() {
        for (field, value) in [
            ("num_attention_heads", serde_json::json!(0)),
            ("num_attention_heads", serde_json::json!(3)),
            ("num_hidden_layers", serde_json::json!(1_000_000)),
            ("rms_norm_eps", serde_json::json!(-1.0)),
            ("head_dim", serde_json::json!(15)),
            ("hidden_act", serde_json::json!("gelu")),
            ("use_sliding_window", serde_json::json!(true)),
            ("rope_scaling", serde_json::json!({"rope_type": "yarn", "factor": 4.0})),
            ("rope_scaling", serde_json::json!({"rope_type": "llama3", "factor": 8.0})),
            ("rope_scaling", serde_json::json!({"factor": 8.0})),
            ("rope_scaling", serde_json::json!({"type": "longrope", "short_factor": [1.0], "long_factor": [1.0]})),
            ("rope_parameters", serde_json::json!({"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0})),
        ] {
            let mut json = config();
            json[field] = value.clone();
            assert!(ModelConfig::from_json(&json).is_err(), "{field} = {value}");
        }
    }
}
