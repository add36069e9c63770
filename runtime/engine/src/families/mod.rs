//! The families of models that this engine computes, a file each. All are transformers with a
//! residual stream; a family says in a [`Recipe`] what it does differently from Llama.

mod gemma2;
mod gemma3;
mod llama;
mod mistral;
mod phi3;
#[cfg(test)]
mod phi3_tests;
mod qwen2;
mod qwen3;

#[cfg(test)]
mod tests;

use serde_json::Value as Json;

use crate::config::Rotation;
use crate::encoder;
use crate::error::EngineError;
use crate::gguf::Metadata;

/// All of them.
const FAMILIES: [&Family; 7] =
    [&llama::LLAMA, &mistral::MISTRAL, &qwen2::QWEN2, &qwen3::QWEN3, &gemma2::GEMMA2, &gemma3::GEMMA3, &phi3::PHI3];

/// A family of models.
pub(crate) struct Family {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// What GGUF calls it in `general.architecture`, if it has a name of its own there.
    pub(crate) gguf: Option<&'static str>,
    /// What `config.json` calls it in `model_type`.
    pub(crate) json: &'static str,
    /// Which coordinates a GGUF file of it rotates together; safetensors always rotate halves.
    pub(crate) rotation: Rotation,
    /// Writes into the recipe what its figures say.
    pub(crate) read: fn(&Figures<'_>, &Shape, &mut Recipe) -> Result<(), EngineError>,
}

/// Figures that recipes depend on.
pub(crate) struct Shape {
    pub(crate) layers: u64,
    pub(crate) width: u64,
    pub(crate) heads: u64,
    pub(crate) head_width: u64,
}

/// How a model computes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recipe {
    /// What embeddings are multiplied with.
    pub(crate) embedding_scale: f32,
    /// Added to every norm's weights, where a file has them less one.
    pub(crate) norm_offset: f32,
    /// Query and key heads are normalised one by one before they are rotated.
    pub(crate) has_head_norms: bool,
    /// What attention and feed-forward give is normalised before it is added to the stream.
    pub(crate) has_post_norms: bool,
    /// Query, key and value are one matrix, and gate and up another.
    pub(crate) is_fused: bool,
    pub(crate) activation: Activation,
    /// Factor of the attention's scores.
    pub(crate) score_scale: f32,
    /// The largest score of attention, towards which scores are bent.
    pub(crate) score_cap: Option<f32>,
    /// The same for the scores of tokens.
    pub(crate) output_cap: Option<f32>,
    /// Layers that see only so many positions.
    pub(crate) window: Option<Window>,
    /// Which of two sets of frequency divisors a file has (see [`LongRotation`]).
    pub(crate) long_rotation: Option<LongRotation>,
}

/// A function between two matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x / (1 + e⁻ˣ)`.
    Silu,
    /// GELU, by tanh.
    Gelu,
}

/// Layers with a sliding window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    /// Positions that a row sees, itself included.
    pub(crate) positions: usize,
    /// Every so many layers, the last sees everything; with 0, none does.
    pub(crate) global_every: usize,
    /// The base of the rotation in layers with the window; its frequencies are not scaled.
    pub(crate) rotation_base: Option<f64>,
}

/// Divisors of the rotation's frequencies for short and for long contexts (Ding et al., "LongRoPE", 2024).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LongRotation {
    /// Positions up to which the short ones are meant.
    pub(crate) original: usize,
    /// What cosines and sines are multiplied with.
    pub(crate) magnitude: f32,
    /// The divisors, where they are in the configuration; GGUF has them as tensors.
    pub(crate) divisors: Option<Divisors>,
}

/// One for each pair of a head's coordinates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Divisors {
    pub(crate) short: Vec<f32>,
    pub(crate) long: Vec<f32>,
}

/// Refuses divisors by which nothing can be divided.
pub(crate) fn check_divisors(divisors: &[f32]) -> Result<(), EngineError> {
    match divisors.iter().find(|divisor| !(divisor.is_normal() && **divisor > 0.0)) {
        None => Ok(()),
        Some(bad) => {
            let reason = format!("a divisor of the rotation's frequencies is {bad}");
            Err(EngineError::malformed("the model's configuration", reason))
        }
    }
}

impl Recipe {
    /// Llama's.
    fn plain(shape: &Shape) -> Self {
        Self {
            embedding_scale: 1.0,
            norm_offset: 0.0,
            has_head_norms: false,
            has_post_norms: false,
            is_fused: false,
            activation: Activation::Silu,
            score_scale: 1.0 / (shape.head_width as f32).sqrt(),
            score_cap: None,
            output_cap: None,
            window: None,
            long_rotation: None,
        }
    }

    /// Whether it is Llama's, with or without biases: what candle's model computes.
    pub(crate) fn is_plain(&self, head_width: usize) -> bool {
        let shape = Shape { layers: 0, width: 0, heads: 0, head_width: head_width as u64 };
        *self == Self::plain(&shape)
    }

    /// The window of a layer, if it has one.
    pub(crate) fn window_of(&self, layer: usize) -> Option<Window> {
        self.window.filter(|window| window.global_every == 0 || !(layer + 1).is_multiple_of(window.global_every))
    }
}

impl Family {
    /// The family that a GGUF file names.
    pub(crate) fn of_gguf(name: &str) -> Result<&'static Self, EngineError> {
        Self::find(name, |family| family.gguf == Some(name))
    }

    /// The family that a `config.json` names.
    pub(crate) fn of_json(name: &str) -> Result<&'static Self, EngineError> {
        Self::find(name, |family| family.json == name)
    }

    fn find(name: &str, is_it: impl Fn(&Self) -> bool) -> Result<&'static Self, EngineError> {
        FAMILIES.into_iter().find(|family| is_it(family)).ok_or_else(|| unknown(name))
    }

    /// How a model of this family computes.
    pub(crate) fn recipe(&self, figures: &Figures<'_>, shape: &Shape) -> Result<Recipe, EngineError> {
        let mut recipe = Recipe::plain(shape);
        (self.read)(figures, shape, &mut recipe)?;
        Ok(recipe)
    }
}

/// The error of a family that is not known, with those that are.
pub(crate) fn unknown(name: &str) -> EngineError {
    let known: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
    let known = format!("{}, and {} for embeddings", known.join(", "), encoder::FAMILY);
    EngineError::UnknownArchitecture { found: name.chars().take(64).collect(), known }
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// A model's figures, in either kind of file.
pub(crate) enum Figures<'a> {
    /// GGUF metadata, and what its keys begin with.
    Gguf(&'a Metadata, &'a str),
    /// `config.json`.
    Json(&'a Json),
}

impl Figures<'_> {
    /// A positive number, if the file has one under its kind's name for it.
    pub(crate) fn number(&self, gguf: &str, json: &str) -> Result<Option<f64>, EngineError> {
        let number = match self {
            Self::Gguf(metadata, prefix) => metadata.float(&format!("{prefix}.{gguf}"))?,
            Self::Json(config) => config[json].as_f64(),
        };
        match number {
            Some(number) if !(number.is_finite() && number > 0.0 && number < 1e12) => {
                let name = if matches!(self, Self::Gguf(..)) { gguf } else { json };
                Err(EngineError::malformed("the model's configuration", format!("{name} is {number}")))
            }
            number => Ok(number),
        }
    }

    /// A positive integer of at most 2³², if the file has one.
    pub(crate) fn count(&self, gguf: &str, json: &str) -> Result<Option<usize>, EngineError> {
        let count = match self {
            Self::Gguf(metadata, prefix) => metadata.integer(&format!("{prefix}.{gguf}"))?,
            Self::Json(config) => config[json].as_u64(),
        };
        Ok(count.filter(|count| (1..=1 << 32).contains(count)).map(|count| count as usize))
    }

    /// Refuses a `config.json` with another activation; GGUF has no word on it.
    fn want_activation(&self, wanted: &[&str]) -> Result<(), EngineError> {
        let Self::Json(config) = self else { return Ok(()) };
        let found = config["hidden_activation"].as_str().or(config["hidden_act"].as_str());
        match found {
            Some(found) if !wanted.contains(&found) => Err(EngineError::unsupported("the activation", found)),
            _ => Ok(()),
        }
    }
}

/// Some configurations can ask for a window in some layers, which no published model of them does.
fn no_window(figures: &Figures<'_>) -> Result<(), EngineError> {
    match figures {
        Figures::Json(config) if config["use_sliding_window"].as_bool() == Some(true) => {
            Err(EngineError::unsupported("attention", "a sliding window"))
        }
        _ => Ok(()),
    }
}
