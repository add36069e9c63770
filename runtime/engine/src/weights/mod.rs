//! Weights, one tensor at a time: read, checked against the model's figures, brought into the
//! form that is fast to compute with, and the bytes they came from given back.

mod adapter;
mod gguf;
mod names;
mod packing;
mod safetensors;

use candle_core::quantized::GgmlDType;
use candle_core::{Device, Tensor};

use crate::candle_model::Linear;
use crate::error::EngineError;

pub(crate) use adapter::Adapter;
pub(crate) use gguf::{Bytes, GgufWeights};
pub(crate) use names::{LayerPart, Part};
pub(crate) use packing::as_known;
pub(crate) use safetensors::SafetensorsWeights;

/// The tensors of a model, wherever they lie.
pub(crate) enum Weights<'a> {
    Gguf(GgufWeights<'a>),
    Safetensors(SafetensorsWeights<'a>),
}

impl Weights<'_> {
    /// What a tensor is called in this kind of file.
    pub(crate) fn name(&self, part: Part) -> String {
        match self {
            Self::Gguf(_) => part.gguf_name(),
            Self::Safetensors(_) => part.safetensors_name(),
        }
    }

    /// The shape of a tensor, if the model has it.
    pub(crate) fn shape(&self, part: Part) -> Option<&[usize]> {
        match self {
            Self::Gguf(weights) => weights.shape(&part.gguf_name()),
            Self::Safetensors(weights) => weights.shape(&part.safetensors_name()),
        }
    }

    /// A matrix in the form of its file, and the form.
    pub(crate) fn raw(&mut self, part: Part, rows: usize, columns: usize) -> Result<(GgmlDType, Bytes), EngineError> {
        self.check(part, &[rows, columns])?;
        match self {
            Self::Gguf(weights) => weights.raw(&part.gguf_name()),
            Self::Safetensors(weights) => weights.raw(&part.safetensors_name()),
        }
    }

    /// Takes back what [`Self::raw`] gave, to use its memory again.
    pub(crate) fn keep(&mut self, bytes: Bytes) {
        if let Self::Gguf(weights) = self {
            weights.keep(bytes);
        }
    }

    /// The forms and sizes (rows, columns) of all matrices that the files have.
    pub(crate) fn matrices(&self) -> Vec<(GgmlDType, usize, usize)> {
        match self {
            Self::Gguf(weights) => weights.matrices(),
            Self::Safetensors(weights) => weights.matrices(),
        }
    }

    /// A vector as numbers.
    pub(crate) fn numbers(&mut self, part: Part, length: usize) -> Result<Vec<f32>, EngineError> {
        Ok(self.vector(part, length)?.to_vec1()?)
    }

    /// A vector as numbers, that some models of a family do not have.
    pub(crate) fn optional_numbers(&mut self, part: Part, length: usize) -> Result<Option<Vec<f32>>, EngineError> {
        if self.shape(part).is_none() {
            return Ok(None);
        }
        self.numbers(part, length).map(Some)
    }

    /// A matrix for candle to multiply with.
    pub(crate) fn matrix(&mut self, part: Part, rows: usize, columns: usize) -> Result<Linear, EngineError> {
        self.check(part, &[rows, columns])?;
        match self {
            Self::Gguf(weights) => weights.matrix(&part.gguf_name(), true),
            Self::Safetensors(weights) => Ok(Linear::dense(weights.matrix(&part.safetensors_name())?)),
        }
    }

    /// A table to look rows up in, which is left packed as it is.
    pub(crate) fn table(&mut self, part: Part, rows: usize, columns: usize) -> Result<Linear, EngineError> {
        self.check(part, &[rows, columns])?;
        match self {
            Self::Gguf(weights) => weights.matrix(&part.gguf_name(), false),
            Self::Safetensors(weights) => Ok(Linear::dense(weights.matrix(&part.safetensors_name())?)),
        }
    }

    /// A vector.
    pub(crate) fn vector(&mut self, part: Part, length: usize) -> Result<Tensor, EngineError> {
        self.check(part, &[length])?;
        match self {
            Self::Gguf(weights) => weights.vector(&part.gguf_name()),
            Self::Safetensors(weights) => weights.tensor(&part.safetensors_name()),
        }
    }

    /// A vector that some models of a family do not have.
    pub(crate) fn optional_vector(&mut self, part: Part, length: usize) -> Result<Option<Tensor>, EngineError> {
        if self.shape(part).is_none() {
            return Ok(None);
        }
        self.vector(part, length).map(Some)
    }

    /// To be called when the model has all that it wants.
    ///
    /// # Errors
    /// An adapter that was not applied whole.
    pub(crate) fn finish(&self) -> Result<(), EngineError> {
        match self {
            Self::Gguf(_) => Ok(()),
            Self::Safetensors(weights) => weights.finish(),
        }
    }

    fn check(&self, part: Part, wanted: &[usize]) -> Result<(), EngineError> {
        check_shape(&self.name(part), self.shape(part), wanted)
    }
}

/// Refuses a tensor that the files do not have, or have in another shape.
pub(crate) fn check_shape(name: &str, found: Option<&[usize]>, wanted: &[usize]) -> Result<(), EngineError> {
    let name = || name.to_owned();
    match found {
        None => Err(EngineError::MissingTensor { name: name() }),
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(EngineError::TensorShape { name: name(), found: found.to_vec(), wanted: wanted.to_vec() }),
    }
}

/// Where tensors are computed with.
pub(crate) const DEVICE: Device = Device::Cpu;

/// Tells how much of the weights has been read.
pub(crate) struct Progress<'a> {
    done: u64,
    total: u64,
    tell: &'a dyn Fn(u64, u64),
}

impl<'a> Progress<'a> {
    pub(crate) fn new(total: u64, tell: &'a dyn Fn(u64, u64)) -> Self {
        tell(0, total);
        Self { done: 0, total, tell }
    }

    fn add(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes).min(self.total);
        (self.tell)(self.done, self.total);
    }
}
