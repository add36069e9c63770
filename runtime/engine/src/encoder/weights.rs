//! An encoder's weights in memory: packed for products, or kept as tables.

use std::ops::Range;

use candle_core::quantized::GgmlDType;
use half::{bf16, f16};

use super::names::Part;
use super::tensors::{Tensors, Which};
use crate::error::EngineError;
use crate::kernels::{Arena, ArenaBuilder, Cpu, Layout, Matrix, Product, lookup, pack};
use crate::weights::as_known;

/// Where weights go, one after the other.
pub(super) struct Store<'a, 'b> {
    tensors: &'a mut Tensors<'b>,
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

/// Rows that are looked up.
pub(super) enum Table {
    /// Numbers row by row, as in their file: a row is together.
    Numbers { kind: GgmlDType, row_bytes: usize, place: Range<usize> },
    /// Packed integers.
    Packed(Matrix),
}

impl<'a, 'b> Store<'a, 'b> {
    /// Reserves memory for all tensors of the files.
    pub(super) fn new(tensors: &'a mut Tensors<'b>, cpu: &'a mut Cpu) -> Result<Self, EngineError> {
        let sizes = tensors.matrices().into_iter().map(|(kind, rows, columns)| {
            // A table is no larger than a matrix.
            Layout::of(kind).bytes(rows, columns)
        });
        let arena = ArenaBuilder::new(sizes.sum()).map_err(EngineError::Memory)?;
        Ok(Self { tensors, cpu, arena })
    }

    /// A matrix and its bias.
    pub(super) fn dense(&mut self, part: Part, rows: usize, columns: usize) -> Result<Dense, EngineError> {
        let (kind, bytes) = self.tensors.matrix(part, rows, columns)?;
        let (kind, bytes) = as_known(kind, bytes, rows, columns)?;
        let matrix = self.packed(kind, &bytes, rows, columns)?;
        let bias = self.tensors.vector(part, Which::Bias, rows)?;
        Ok(Dense { matrix, bias })
    }

    /// A norm.
    pub(super) fn norm(&mut self, part: Part, width: usize) -> Result<Norm, EngineError> {
        let weights = self.tensors.vector(part, Which::Weight, width)?;
        let biases = self.tensors.vector(part, Which::Bias, width)?;
        Ok(Norm { weights, biases })
    }

    /// A table.
    pub(super) fn table(&mut self, part: Part, rows: usize, columns: usize) -> Result<Table, EngineError> {
        let (kind, bytes) = self.tensors.matrix(part, rows, columns)?;
        if !matches!(kind, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16) {
            let (kind, bytes) = as_known(kind, bytes, rows, columns)?;
            return Ok(Table::Packed(self.packed(kind, &bytes, rows, columns)?));
        }
        let (place, target) = self.arena.take(bytes.len()).map_err(EngineError::Memory)?;
        target.copy_from_slice(&bytes);
        Ok(Table::Numbers { kind, row_bytes: bytes.len() / rows.max(1), place })
    }

    /// How many rows a matrix has.
    pub(super) fn rows(&self, part: Part) -> Option<usize> {
        self.tensors.shape(part, Which::Weight)?.first().copied()
    }

    pub(super) fn freeze(self) -> Arena {
        self.arena.freeze()
    }

    fn packed(&mut self, kind: GgmlDType, bytes: &[u8], rows: usize, columns: usize) -> Result<Matrix, EngineError> {
        let layout = Layout::of(kind);
        let (place, target) = self.arena.take(layout.bytes(rows, columns)).map_err(EngineError::Memory)?;
        pack(&mut self.cpu.pool, kind, bytes, rows, columns, target);
        Ok(Matrix { layout, rows, columns, place })
    }
}

impl Table {
    /// A row as numbers; rows that it does not have are zero.
    pub(super) fn row(&self, arena: &Arena, index: usize, out: &mut [f32]) {
        let (kind, row_bytes, place) = match self {
            Self::Packed(matrix) => return lookup(arena, matrix, index, out),
            Self::Numbers { kind, row_bytes, place } => (kind, *row_bytes, place),
        };
        let start = index.saturating_mul(row_bytes);
        let row = arena.bytes(place).get(start..start.saturating_add(row_bytes)).unwrap_or_default();
        out.fill(0.0);
        match kind {
            GgmlDType::F16 => {
                row.as_chunks().0.iter().zip(out).for_each(|(bytes, out)| *out = f16::from_le_bytes(*bytes).to_f32());
            }
            GgmlDType::BF16 => {
                row.as_chunks().0.iter().zip(out).for_each(|(bytes, out)| *out = bf16::from_le_bytes(*bytes).to_f32());
            }
            // Nothing else is kept so.
            _ => row.as_chunks().0.iter().zip(out).for_each(|(bytes, out)| *out = f32::from_le_bytes(*bytes)),
        }
    }
}
