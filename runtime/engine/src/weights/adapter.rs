//! LoRA adapters (Hu et al., arXiv:2106.09685) as Hugging Face's PEFT writes them:
//! `adapter_config.json`, and pairs of thin matrices in `adapter_model.safetensors`. Each pair is added
//! to the matrix that it is for while that is loaded, so that an adapted model runs as fast as any.

use std::collections::BTreeSet;

use candle_core::Tensor;
use serde::Deserialize;

use super::SafetensorsWeights;
use crate::error::EngineError;
use crate::files::{self, ModelFiles};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What PEFT puts before the names of the model.
const PREFIX: &str = "base_model.model.";
/// Ranks beyond this are no adapter but a model.
const RANK_MAX: usize = 4096;

/// What the configuration says that changes the arithmetic. The rest is about training.
#[derive(Deserialize)]
struct Config {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    rank_pattern: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    alpha_pattern: serde_json::Map<String, serde_json::Value>,
}

/// An adapter that is being applied.
pub(crate) struct Adapter {
    scale: f64,
    rank: usize,
    weights: SafetensorsWeights<'static>,
    /// Names of its tensors that were not added to a matrix yet.
    left: BTreeSet<String>,
}

impl Adapter {
    /// Whether there is one beside a model.
    pub(crate) fn is_in(files: &dyn ModelFiles) -> bool {
        files.files().iter().any(|file| file.path == CONFIG || file.path == WEIGHTS)
    }

    /// The adapter in `files`.
    ///
    /// # Errors
    /// One of its two files is missing or malformed, or it is of a kind that is not known: nothing of it
    /// is passed over.
    pub(crate) fn open(files: &dyn ModelFiles) -> Result<Self, EngineError> {
        let config = files::json(files, CONFIG)?.ok_or_else(|| EngineError::missing_file(CONFIG))?;
        let config: Config = serde_json::from_value(config)
            .map_err(|error| EngineError::malformed("an adapter", format!("{CONFIG}: {error}")))?;
        let unknown = |what: &str| EngineError::unsupported("an adapter of this kind", format!("{CONFIG}: {what}"));
        if config.peft_type != "LORA" {
            return Err(unknown(&format!("peft_type {:?}, known is \"LORA\"", config.peft_type)));
        }
        if config.use_dora || config.fan_in_fan_out {
            return Err(unknown("use_dora or fan_in_fan_out"));
        }
        if !config.rank_pattern.is_empty() || !config.alpha_pattern.is_empty() {
            return Err(unknown("rank_pattern or alpha_pattern"));
        }
        if !(1..=RANK_MAX).contains(&config.r) || !config.lora_alpha.is_finite() {
            return Err(EngineError::malformed("an adapter", format!("{CONFIG}: r is {}, 1 to 4096 wanted", config.r)));
        }
        let rank = config.r as f64;
        let scale = config.lora_alpha / if config.use_rslora { rank.sqrt() } else { rank };
        let weights = SafetensorsWeights::open_file(files, WEIGHTS)?;
        let left = weights.names().map(str::to_owned).collect();
        Ok(Self { scale, rank: config.r, weights, left })
    }

    /// `matrix`, called `name` in the model, with what this adapter adds to it.
    pub(crate) fn apply(&mut self, name: &str, matrix: Tensor) -> Result<Tensor, EngineError> {
        let Some(stem) = name.strip_suffix(".weight") else { return Ok(matrix) };
        let half = |letter: &str| format!("{PREFIX}{stem}.lora_{letter}.weight");
        let (a, b) = (half("A"), half("B"));
        if !self.left.contains(&a) && !self.left.contains(&b) {
            return Ok(matrix);
        }
        let (rows, columns) = matrix.dims2()?;
        let a = self.take(&a, &[self.rank, columns])?;
        let b = self.take(&b, &[rows, self.rank])?;
        Ok((matrix + (b.matmul(&a)? * self.scale)?)?)
    }

    /// Says that everything was applied.
    ///
    /// # Errors
    /// A tensor that is for nothing in this model: an adapter of another one.
    pub(crate) fn finish(&self) -> Result<(), EngineError> {
        match self.left.first() {
            None => Ok(()),
            Some(name) => Err(EngineError::unsupported(
                "an adapter of another model, or for parts other than its matrices",
                format!("{WEIGHTS} has {name}"),
            )),
        }
    }

    fn take(&mut self, name: &str, wanted: &[usize]) -> Result<Tensor, EngineError> {
        match self.weights.shape(name) {
            None => return Err(EngineError::MissingTensor { name: name.to_owned() }),
            Some(found) if found != wanted => {
                let (found, wanted) = (found.to_vec(), wanted.to_vec());
                return Err(EngineError::TensorShape { name: name.to_owned(), found, wanted });
            }
            Some(_) => {}
        }
        self.left.remove(name);
        self.weights.tensor(name)
    }
}
