//! From files to a model that can run.

use std::sync::Arc;

use candle_core::Device;

use crate::candle_model;
use crate::config::ModelConfig;
use crate::error::EngineError;
use crate::files::{self, ModelFile, ModelFiles};
use crate::gguf::Header;
use crate::kernels::CacheFormat;
use crate::limits::{DEFAULT_CACHE_BYTES, DEFAULT_CONTEXT};
use crate::model::{Room, Transformer};
use crate::text::{self, TextModel};
use crate::weights::{Adapter, GgufWeights, SafetensorsWeights, Weights};

/// How to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Threads that compute; 0 is one a processor. (candle's arithmetic runs on a pool of its
    /// own, which `CANDLE_NUM_THREADS` and `RAYON_NUM_THREADS` set for the process.)
    pub threads: usize,
    /// Positions that a sequence may have at most; a model trained for fewer keeps its own
    /// limit. Each running stream may need a cache of this length.
    pub max_context: usize,
    /// Bytes that keys and values of all sequences together may take; a model always gets room for
    /// one sequence of its whole context.
    pub cache_bytes: usize,
    /// How they are kept; candle's arithmetic keeps them in single precision.
    pub cache: CacheFormat,
    /// What computes.
    pub arithmetic: Arithmetic,
}

/// What a model is computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arithmetic {
    /// Our own kernels for processors.
    #[default]
    Kernels,
    /// candle: slower on processors, the reference that the kernels are compared with.
    Candle,
    /// candle on the first NVIDIA GPU. Without one the model is not loaded.
    #[cfg(feature = "cuda")]
    Cuda,
}

impl Arithmetic {
    /// Where candle computes.
    fn candle_device(self) -> Result<Device, EngineError> {
        match self {
            Self::Kernels | Self::Candle => Ok(Device::Cpu),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::new_cuda(0)?),
        }
    }
}

impl LoadOptions {
    /// Threads that compute: as many as processors where no number was given.
    pub(crate) fn compute_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            max_context: DEFAULT_CONTEXT,
            cache_bytes: DEFAULT_CACHE_BYTES,
            cache: CacheFormat::default(),
            arithmetic: Arithmetic::default(),
        }
    }
}

/// A model in memory, ready for [`crate::EngineHandle::spawn`].
pub struct Loaded {
    pub(crate) text: Arc<TextModel>,
    pub(crate) model: AnyModel,
}

/// What a loaded model takes of its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// The instructions that it is computed with: `avx512-amx`, `avx512-bf16`, `avx512`,
    /// `avx2`, `portable`, or `candle`.
    pub instructions: &'static str,
    /// Threads that compute.
    pub threads: usize,
    /// Bytes of packed weights.
    pub weight_bytes: usize,
    /// Bytes that keys and values may take.
    pub cache_bytes: usize,
    /// Whether the system promised never to swap the weights out.
    pub is_locked: bool,
}

/// A model by what computes it.
pub(crate) enum AnyModel {
    Kernels(Box<Transformer>),
    Candle(Box<candle_model::Transformer>),
}

impl Loaded {
    /// The tokenizer and chat template.
    #[must_use]
    pub fn text(&self) -> &Arc<TextModel> {
        &self.text
    }

    /// How the model lies in this machine.
    #[must_use]
    pub fn machine(&self) -> Machine {
        match &self.model {
            AnyModel::Kernels(model) => model.machine(),
            AnyModel::Candle(_) => {
                Machine { instructions: "candle", threads: 0, weight_bytes: 0, cache_bytes: 0, is_locked: false }
            }
        }
    }
}

/// Loads a model, tensor by tensor. `progress` hears how many bytes of weights are done, and of
/// how many.
///
/// # Errors
/// [`EngineError`], by cause; nothing of the model stays in memory then.
pub fn load(files: &dyn ModelFiles, options: &LoadOptions, progress: &dyn Fn(u64, u64)) -> Result<Loaded, EngineError> {
    let threads = options.compute_threads();
    let (config, text, mut weights) = match Source::find(files)? {
        Source::Gguf(file) => {
            if Adapter::is_in(files) {
                let advice = "merge it before the conversion, or seal the model as safetensors";
                return Err(EngineError::unsupported("an adapter beside a GGUF file", advice));
            }
            let mut reader = files::open(files, &file.path)?;
            let header = Header::read(&mut reader, file.len)?;
            let config = ModelConfig::from_gguf(&header.metadata)?;
            let text = gguf_text(&header, &config, options)?;
            let weights = GgufWeights::new(file.path, reader, header.tensors, threads, progress);
            (config, text, Weights::Gguf(weights))
        }
        Source::Safetensors => {
            // The table of tensors is the smaller part: a file that cannot be read is told first.
            let weights = SafetensorsWeights::open(files, progress)?;
            let (config, text) = json_text(files, options)?;
            (config, text, Weights::Safetensors(weights))
        }
    };
    let (context, vocabulary) = (text.context_length(), text.vocabulary());
    let is_plain = config.recipe.is_plain(config.head_width);
    let model = match options.arithmetic {
        Arithmetic::Kernels => {
            let room = Room { threads, context, cache: options.cache_bytes, format: options.cache };
            AnyModel::Kernels(Box::new(Transformer::load(config, &mut weights, &room, vocabulary)?))
        }
        _ if !is_plain => {
            return Err(EngineError::unsupported("candle's arithmetic for this family", config.family.name));
        }
        arithmetic => {
            let device = arithmetic.candle_device()?;
            let model = candle_model::Transformer::load(config, &mut weights, context, vocabulary, device)?;
            AnyModel::Candle(Box::new(model))
        }
    };
    weights.finish()?;
    Ok(Loaded { text: Arc::new(text), model })
}

/// The tokenizer and template alone.
pub(crate) fn load_text(files: &dyn ModelFiles, options: &LoadOptions) -> Result<TextModel, EngineError> {
    match Source::find(files)? {
        Source::Gguf(file) => {
            let header = Header::read(&mut files::open(files, &file.path)?, file.len)?;
            let config = ModelConfig::from_gguf(&header.metadata)?;
            gguf_text(&header, &config, options)
        }
        Source::Safetensors => Ok(json_text(files, options)?.1),
    }
}

/// Which files make up the model.
pub(crate) enum Source {
    Gguf(ModelFile),
    Safetensors,
}

impl Source {
    pub(crate) fn find(files: &dyn ModelFiles) -> Result<Self, EngineError> {
        let mut gguf: Vec<ModelFile> = files.files().into_iter().filter(|file| file.path.ends_with(".gguf")).collect();
        match (gguf.pop(), gguf.is_empty()) {
            (Some(file), true) => Ok(Self::Gguf(file)),
            (Some(_), false) => Err(EngineError::unsupported("a model in several GGUF files", "more than one *.gguf")),
            (None, _) if SafetensorsWeights::are_in(files) => Ok(Self::Safetensors),
            (None, _) => {
                let mut names: Vec<String> = files.files().into_iter().map(|file| file.path).collect();
                names.sort();
                names.truncate(10);
                Err(EngineError::NoWeights { found: names.join(", ") })
            }
        }
    }
}

fn gguf_text(header: &Header, config: &ModelConfig, options: &LoadOptions) -> Result<TextModel, EngineError> {
    let parts = text::from_gguf(&header.metadata)?;
    TextModel::new(parts, config.family, context(config, options))
}

fn json_text(files: &dyn ModelFiles, options: &LoadOptions) -> Result<(ModelConfig, TextModel), EngineError> {
    let required = |path: &str| files::json(files, path)?.ok_or_else(|| EngineError::missing_file(path));
    let config = ModelConfig::from_json(&required("config.json")?)?;
    let tokenizer = required("tokenizer.json")?;
    let tokenizer_config = files::json(files, "tokenizer_config.json")?.unwrap_or_default();
    let generation = files::json(files, "generation_config.json")?.unwrap_or_default();
    let parts = text::from_json(&tokenizer, &tokenizer_config, &generation)?;
    let text = TextModel::new(parts, config.family, context(&config, options))?;
    Ok((config, text))
}

fn context(config: &ModelConfig, options: &LoadOptions) -> usize {
    config.context.min(options.max_context).max(2)
}
