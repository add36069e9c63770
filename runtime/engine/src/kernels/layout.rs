//! How a matrix lies in memory: panels of 16 rows, made of blocks of 32 columns.
//!
//! A block's 512 weights take [`Layout::bits`] lines of 64 bytes. Line 0 to 3 hold their low four
//! bits: lane `r` (4 bytes) of line `i` is row `r`, columns `4i..4i + 4` in the low halves and
//! `16 + 4i..20 + 4i` in the high ones. What is above four bits follows:
//!
//! - 5 bits: one line, of which 8 bytes are the fifth bits of quad `j` (columns `4j..4j + 4`),
//!   bit `4r + t` for row `r`, column `4j + t`;
//! - 6 bits: two lines, of which the first has two bits each of quads 0 to 3 and the second of
//!   quads 4 to 7, quad `4h + k` at bit `2k` of each byte;
//! - 8 bits: no halves; lane `r` of line `j` is row `r`, columns `4j..4j + 4`.
//!
//! All blocks of a panel come first, then their scales: both are read front to back. Weights are
//! unsigned; [`Scales`] says what a row's scales make of them. Matrices of floating-point numbers
//! have panels, too: 16 rows of a column side by side (BF16: of a pair of columns).

use std::ops::Range;

use candle_core::quantized::GgmlDType;

/// Rows of a panel: lanes of 32 bits in the widest registers.
pub(crate) const PANEL: usize = 16;
/// Columns of a block.
pub(crate) const BLOCK: usize = 32;
/// Bytes of a line.
pub(crate) const LINE: usize = 64;
/// Columns that share the outer scale of a two-level packing.
pub(crate) const SUPER: usize = 256;

/// What makes numbers of a block's small unsigned integers `q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scales {
    /// `d (q - zero)`: a 16-bit float `d` a row and block.
    Symmetric,
    /// `d q + m`: two of them.
    Offset,
    /// `d s q - n t`: 16-bit `d` and `n` a row and 256 columns, 8-bit `s` and `t` a row and block.
    Nested,
    /// `d s (q - zero)`: 16-bit `d` a row and 256 columns, signed 8-bit `s` a row and 16 columns.
    NestedHalves,
}

impl Scales {
    /// Bytes of the scales of a panel with so many blocks.
    fn bytes(self, blocks: usize) -> usize {
        let supers = blocks / (SUPER / BLOCK);
        match self {
            Self::Symmetric => blocks * 2 * PANEL,
            Self::Offset => blocks * 4 * PANEL,
            Self::Nested => supers * NESTED_BYTES,
            Self::NestedHalves => supers * HALVES_BYTES,
        }
    }
}

/// Bytes of the scales of 16 rows by 256 columns: `d`, `n`, then `s`, `t` a block.
pub(crate) const NESTED_BYTES: usize = 4 * PANEL + 8 * 2 * PANEL;
/// The same with `d`, then two `s` a block.
pub(crate) const HALVES_BYTES: usize = 2 * PANEL + 8 * 2 * PANEL;

/// The form of a matrix's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Small integers with scales.
    Integers { bits: usize, scales: Scales },
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision, in pairs of columns.
    Bf16,
}

impl Layout {
    /// What a file's packing becomes. Nothing is lost but by those without a layout of their own,
    /// which become integers of 8 bits.
    pub(crate) fn of(kind: GgmlDType) -> Self {
        let integers = |bits, scales| Self::Integers { bits, scales };
        match kind {
            GgmlDType::F32 => Self::F32,
            GgmlDType::F16 => Self::F16,
            GgmlDType::BF16 => Self::Bf16,
            GgmlDType::Q4_0 => integers(4, Scales::Symmetric),
            GgmlDType::Q4_1 => integers(4, Scales::Offset),
            GgmlDType::Q4K => integers(4, Scales::Nested),
            GgmlDType::Q5_0 => integers(5, Scales::Symmetric),
            GgmlDType::Q5_1 => integers(5, Scales::Offset),
            GgmlDType::Q5K => integers(5, Scales::Nested),
            GgmlDType::Q6K => integers(6, Scales::NestedHalves),
            _ => integers(8, Scales::Symmetric),
        }
    }

    /// What a symmetric packing subtracts from its integers.
    pub(crate) const fn zero(bits: usize) -> i32 {
        1 << (bits - 1)
    }

    /// Columns that a panel has room for.
    pub(crate) fn padded(self, columns: usize) -> usize {
        match self {
            Self::Integers { scales: Scales::Nested | Scales::NestedHalves, .. } => columns.next_multiple_of(SUPER),
            Self::Integers { .. } => columns.next_multiple_of(BLOCK),
            Self::F32 | Self::F16 => columns,
            Self::Bf16 => columns.next_multiple_of(2),
        }
    }

    /// Bytes of a panel's weights, whole lines.
    pub(crate) fn weight_bytes(self, columns: usize) -> usize {
        let columns = self.padded(columns);
        match self {
            Self::Integers { bits, .. } => columns / BLOCK * bits * LINE,
            Self::F32 => columns * 4 * PANEL,
            Self::F16 | Self::Bf16 => (columns * 2 * PANEL).next_multiple_of(LINE),
        }
    }

    /// Bytes of a panel, whole lines.
    pub(crate) fn panel_bytes(self, columns: usize) -> usize {
        let scales = match self {
            Self::Integers { scales, .. } => scales.bytes(self.padded(columns) / BLOCK),
            _ => 0,
        };
        self.weight_bytes(columns) + scales.next_multiple_of(LINE)
    }

    /// Bytes of a matrix.
    pub(crate) fn bytes(self, rows: usize, columns: usize) -> usize {
        rows.div_ceil(PANEL) * self.panel_bytes(columns)
    }
}

/// A matrix in an [`super::Arena`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matrix {
    pub(crate) layout: Layout,
    /// Outputs.
    pub(crate) rows: usize,
    /// Inputs.
    pub(crate) columns: usize,
    /// Where its panels lie.
    pub(crate) place: Range<usize>,
}

impl Matrix {
    /// Panels, the last of which may be filled up with zeros.
    pub(crate) fn panels(&self) -> usize {
        self.rows.div_ceil(PANEL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_hardly_larger_than_its_file() {
        for (kind, most) in [
            (GgmlDType::Q4_0, 1.0),
            (GgmlDType::Q4_1, 1.0),
            (GgmlDType::Q5_0, 1.0),
            (GgmlDType::Q5_1, 1.0),
            (GgmlDType::Q8_0, 1.0),
            (GgmlDType::Q6K, 1.0),
            (GgmlDType::Q4K, 1.028),
            (GgmlDType::Q5K, 1.023),
            (GgmlDType::BF16, 1.0),
        ] {
            let (rows, columns) = (64, 2048);
            let file = rows * columns / kind.block_size() * kind.type_size();
            let ratio = Layout::of(kind).bytes(rows, columns) as f64 / file as f64;
            assert!(ratio <= most, "{kind:?}: {ratio}");
        }
    }
}
