//! An encoder's tensors: checked against its figures, packed for products or kept as tables.

use std::ops::Range;

use candle_core::quantized::GgmlDType;
use half::{bf16, f16};

use crate::error::EngineError;
use crate::kernels::{Arena, ArenaBuilder, Cpu, Layout, Matrix, Product, pack};
use crate::weights::SafetensorsWeights;

/// Where tensors go, one after the other.
pub(super) struct Store<'a, 'b> {
    weights: &'a mut SafetensorsWeights<'b>,
    /// What all names begin with.
    prefix: &'static str,
    cpu: &'a mut Cpu,
    arena: ArenaBuilder,
}

/// A matrix and what is added to its products.
pub(super) struct Dense {
    pub(super) matrix: Matrix,
    pub(super) bias: Vec<f32>,
}

impl Dense {
    /// The products of rows with it, and what is added.
    pub(super) fn product<'a>(&'a self, out: &'a mut [f32]) -> Product<'a> {
        Product { bias: &self.bias, ..Product::new(&self.matrix, out) }
    }
}

/// The weights of a norm.
pub(super) struct Norm {
    pub(super) weights: Vec<f32>,
    pub(super) biases: Vec<f32>,
}

/// Rows that are looked up, in the form of their file.
pub(super) struct Table {
    kind: GgmlDType,
    row_bytes: usize,
    place: Range<usize>,
}

impl<'a, 'b> Store<'a, 'b> {
    /// Reserves memory for all tensors of the files.
    pub(super) fn new(weights: &'a mut SafetensorsWeights<'b>, cpu: &'a mut Cpu) -> Result<Self, EngineError> {
        let is_prefixed = weights.shape("bert.embeddings.word_embeddings.weight").is_some();
        let sizes = weights.matrices().into_iter().map(|(kind, rows, columns)| {
            // A table is no larger than a matrix.
            Layout::of(kind).bytes(rows, columns)
        });
        let arena = ArenaBuilder::new(sizes.sum()).map_err(EngineError::Memory)?;
        Ok(Self { weights, prefix: if is_prefixed { "bert." } else { "" }, cpu, arena })
    }

    /// The matrix and the bias of this name.
    pub(super) fn dense(&mut self, name: &str, rows: usize, columns: usize) -> Result<Dense, EngineError> {
        let (kind, bytes) = self.raw(&format!("{name}.weight"), rows, columns)?;
        let layout = Layout::of(kind);
        let (place, target) = self.arena.take(layout.bytes(rows, columns)).map_err(EngineError::Memory)?;
        pack(&mut self.cpu.pool, kind, &bytes, rows, columns, target);
        let bias = self.vector(&format!("{name}.bias"), rows)?;
        Ok(Dense { matrix: Matrix { layout, rows, columns, place }, bias })
    }

    /// The norm of this name.
    pub(super) fn norm(&mut self, name: &str, width: usize) -> Result<Norm, EngineError> {
        let weights = self.vector(&format!("{name}.weight"), width)?;
        let biases = self.vector(&format!("{name}.bias"), width)?;
        Ok(Norm { weights, biases })
    }

    /// The table of this name.
    pub(super) fn table(&mut self, name: &str, rows: usize, columns: usize) -> Result<Table, EngineError> {
        let (kind, bytes) = self.raw(name, rows, columns)?;
        let (place, target) = self.arena.take(bytes.len()).map_err(EngineError::Memory)?;
        target.copy_from_slice(&bytes);
        Ok(Table { kind, row_bytes: bytes.len() / rows.max(1), place })
    }

    /// How many rows a matrix has.
    pub(super) fn rows(&self, name: &str) -> Option<usize> {
        self.weights.shape(&self.name(name))?.first().copied()
    }

    pub(super) fn freeze(self) -> Arena {
        self.arena.freeze()
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn raw(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<(GgmlDType, crate::weights::Bytes), EngineError> {
        self.check(name, &[rows, columns])?;
        self.weights.raw(&self.name(name))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, EngineError> {
        self.check(name, &[length])?;
        Ok(self.weights.tensor(&self.name(name))?.to_vec1()?)
    }

    fn check(&self, name: &str, wanted: &[usize]) -> Result<(), EngineError> {
        let name = self.name(name);
        match self.weights.shape(&name) {
            None => Err(EngineError::MissingTensor { name }),
            Some(found) if found == wanted => Ok(()),
            Some(found) => Err(EngineError::TensorShape { name, found: found.to_vec(), wanted: wanted.to_vec() }),
        }
    }
}

impl Table {
    /// A row as numbers; rows that it does not have are zero.
    pub(super) fn row(&self, arena: &Arena, index: usize, out: &mut [f32]) {
        let start = index.saturating_mul(self.row_bytes);
        let row = arena.bytes(&self.place).get(start..start.saturating_add(self.row_bytes)).unwrap_or_default();
        out.fill(0.0);
        match self.kind {
            GgmlDType::F16 => {
                row.as_chunks().0.iter().zip(out).for_each(|(bytes, out)| *out = f16::from_le_bytes(*bytes).to_f32());
            }
            GgmlDType::BF16 => {
                row.as_chunks().0.iter().zip(out).for_each(|(bytes, out)| *out = bf16::from_le_bytes(*bytes).to_f32());
            }
            // Nothing else is in such files.
            _ => row.as_chunks().0.iter().zip(out).for_each(|(bytes, out)| *out = f32::from_le_bytes(*bytes)),
        }
    }
}
