//! An encoder's tensors in files of either kind.

use std::collections::HashSet;

use candle_core::quantized::GgmlDType;

use super::names::Part;
use crate::error::EngineError;
use crate::weights::{Bytes, GgufWeights, SafetensorsWeights, check_shape};

/// What is read of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Weight,
    Bias,
}

/// The tensors, wherever they lie.
pub(super) struct Tensors<'a> {
    files: Files<'a>,
    /// Names of those that were asked for.
    taken: HashSet<String>,
}

enum Files<'a> {
    Gguf(GgufWeights<'a>),
    /// And what all names begin with.
    Safetensors(SafetensorsWeights<'a>, &'static str),
}

impl<'a> Tensors<'a> {
    pub(super) fn of_gguf(weights: GgufWeights<'a>) -> Self {
        Self { files: Files::Gguf(weights), taken: HashSet::new() }
    }

    pub(super) fn of_safetensors(weights: SafetensorsWeights<'a>) -> Self {
        let is_prefixed = weights.shape("bert.embeddings.word_embeddings.weight").is_some();
        let files = Files::Safetensors(weights, if is_prefixed { "bert." } else { "" });
        Self { files, taken: HashSet::new() }
    }

    /// The forms and sizes (rows, columns) of all matrices that the files have.
    pub(super) fn matrices(&self) -> Vec<(GgmlDType, usize, usize)> {
        match &self.files {
            Files::Gguf(weights) => weights.matrices(),
            Files::Safetensors(weights, _) => weights.matrices(),
        }
    }

    /// The shape of a tensor, if the files have it.
    pub(super) fn shape(&self, part: Part, which: Which) -> Option<&[usize]> {
        self.shape_of(&self.name(part, which))
    }

    fn shape_of(&self, name: &str) -> Option<&[usize]> {
        match &self.files {
            Files::Gguf(weights) => weights.shape(name),
            Files::Safetensors(weights, _) => weights.shape(name),
        }
    }

    /// A matrix as the file has it, and in which form that is.
    pub(super) fn matrix(
        &mut self,
        part: Part,
        rows: usize,
        columns: usize,
    ) -> Result<(GgmlDType, Bytes), EngineError> {
        let name = self.checked(part, Which::Weight, &[rows, columns])?;
        match &mut self.files {
            Files::Gguf(weights) => weights.raw(&name),
            Files::Safetensors(weights, _) => weights.raw(&name),
        }
    }

    /// A vector as numbers.
    pub(super) fn vector(&mut self, part: Part, which: Which, length: usize) -> Result<Vec<f32>, EngineError> {
        let name = self.checked(part, which, &[length])?;
        let vector = match &mut self.files {
            Files::Gguf(weights) => weights.vector(&name)?,
            Files::Safetensors(weights, _) => weights.tensor(&name)?,
        };
        Ok(vector.to_vec1()?)
    }

    /// To be called when the encoder has all that it wants.
    ///
    /// # Errors
    /// A GGUF file with more than that. Its architecture is called BERT in relatives, too, and what they have
    /// besides would change every vector. (Safetensors of BERT have heads of its training in them.)
    pub(super) fn finish(&self) -> Result<(), EngineError> {
        let Files::Gguf(weights) = &self.files else { return Ok(()) };
        match weights.names().filter(|name| !self.taken.contains(*name)).min() {
            None => Ok(()),
            Some(name) => Err(EngineError::unsupported("a tensor that BERT does not have", name)),
        }
    }

    /// The name of a tensor that has this shape.
    fn checked(&mut self, part: Part, which: Which, wanted: &[usize]) -> Result<String, EngineError> {
        let name = self.name(part, which);
        check_shape(&name, self.shape_of(&name), wanted)?;
        self.taken.insert(name.clone());
        Ok(name)
    }

    fn name(&self, part: Part, which: Which) -> String {
        let suffix = match which {
            Which::Weight => "weight",
            Which::Bias => "bias",
        };
        match &self.files {
            Files::Gguf(_) => format!("{}.{suffix}", part.gguf_name()),
            Files::Safetensors(_, prefix) => format!("{prefix}{}.{suffix}", part.safetensors_name()),
        }
    }
}
