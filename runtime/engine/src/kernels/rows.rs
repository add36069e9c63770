//! The rows that a matrix is multiplied with, and their 8-bit form: blocks of 32 with a scale.

#![expect(unsafe_code, reason = "rows are quantised on several threads, by kernels at the level that was found")]

use std::ops::Range;

use super::Cpu;
use super::layout::BLOCK;
use super::level::Level;
use super::pool::Shards;
use super::portable;

/// Quads of a block.
pub(super) const QUADS: usize = BLOCK / 4;
/// Rows from which handing them out to threads costs less than it saves.
const WORTH_SHARING: usize = 8;

/// Rows of equal length, quantised when integer matrices are to be multiplied with them.
#[derive(Default)]
pub(crate) struct Rows {
    /// Columns of a row, a multiple of [`BLOCK`] by padding with zeros.
    padded: usize,
    values: Vec<i32>,
    scales: Vec<f32>,
    /// Scale times sum, a half block of 16.
    sums: Vec<f32>,
    /// Columns of a row in pairs of BF16, the first in the lower half.
    pairs: Vec<u32>,
    /// Pairs of a row.
    paired: usize,
    #[cfg(target_arch = "x86_64")]
    pub(super) tiles: super::amx::TileRows,
}

/// One row's 8-bit form.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    /// Blocks of small integers, four bytes a number, the first in its lowest bits.
    pub(crate) values: &'a [[i32; QUADS]],
    /// A scale for each.
    pub(crate) scales: &'a [f32],
    /// For each half of a block its sum, times the scale.
    pub(crate) sums: &'a [[f32; 2]],
}

impl Rows {
    /// Takes rows of `columns` numbers. Memory of former rows is used again.
    pub(crate) fn fill(&mut self, cpu: &mut Cpu, rows: &[f32], columns: usize) {
        let padded = columns.next_multiple_of(BLOCK);
        let count = rows.len().checked_div(columns).unwrap_or(0);
        let blocks = count * padded / BLOCK;
        self.padded = padded;
        self.values.resize(blocks * QUADS, 0);
        self.scales.resize(blocks, 0.0);
        self.sums.resize(blocks * 2, 0.0);
        let a_row = padded / BLOCK;
        let level = cpu.level;
        let values = Shards::new(&mut self.values[..]);
        let (scales, sums) = (Shards::new(&mut self.scales[..]), Shards::new(&mut self.sums[..]));
        let quantize = |index: usize| {
            let row = &rows[index * columns..(index + 1) * columns];
            let blocks = index * a_row..(index + 1) * a_row;
            // SAFETY: each row has parts of its own, and is given out once.
            let (values, scales, sums) = unsafe {
                (
                    values.part(blocks.start * QUADS..blocks.end * QUADS),
                    scales.part(blocks.clone()),
                    sums.part(blocks.start * 2..blocks.end * 2),
                )
            };
            quantize(level, row, values, scales, sums);
        };
        if count < WORTH_SHARING { (0..count).for_each(quantize) } else { cpu.pool.each(count, &quantize) }
    }

    /// Takes rows of `columns` numbers as pairs of BF16, rounded to the nearest even.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn fill_pairs(&mut self, cpu: &mut Cpu, rows: &[f32], columns: usize) {
        let count = rows.len().checked_div(columns).unwrap_or(0);
        self.paired = columns.div_ceil(2);
        self.pairs.resize(count * self.paired, 0);
        let paired = self.paired;
        let pairs = Shards::new(&mut self.pairs[..]);
        let round = |index: usize| {
            // SAFETY: each row has a part of its own, and is given out once.
            let pairs = unsafe { pairs.part(index * paired..(index + 1) * paired) };
            for (pair, numbers) in pairs.iter_mut().zip(rows[index * columns..(index + 1) * columns].chunks(2)) {
                *pair = upper(numbers[0]) | upper(numbers.get(1).copied().unwrap_or(0.0)) << 16;
            }
        };
        if count < WORTH_SHARING { (0..count).for_each(round) } else { cpu.pool.each(count, &round) }
    }

    /// The pairs of the row of this number.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn pairs(&self, index: usize) -> &[u32] {
        &self.pairs[index * self.paired..(index + 1) * self.paired]
    }

    /// The integers of these rows from a block of each on, and from one row to the next.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn values(&self, rows: Range<usize>, block: usize) -> (&[i32], usize) {
        let pitch = self.padded / 4;
        (&self.values[rows.start * pitch + block * QUADS..rows.end * pitch], pitch)
    }

    /// The row of this number.
    #[inline]
    pub(crate) fn row(&self, index: usize) -> Row<'_> {
        let blocks = self.padded / BLOCK;
        let blocks = index * blocks..(index + 1) * blocks;
        Row {
            values: self.values[blocks.start * QUADS..blocks.end * QUADS].as_chunks().0,
            scales: &self.scales[blocks.clone()],
            sums: self.sums[blocks.start * 2..blocks.end * 2].as_chunks().0,
        }
    }
}

fn quantize(level: Level, row: &[f32], values: &mut [i32], scales: &mut [f32], sums: &mut [f32]) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the level says that the processor has these instructions.
        Level::Avx512(_) if row.len().is_multiple_of(BLOCK) => unsafe {
            super::avx512::quantize(row, values, scales, sums);
        },
        _ => portable::quantize(row, values, scales, sums),
    }
}

/// The upper half of a number, rounded to the nearest even.
#[cfg(target_arch = "x86_64")]
fn upper(number: f32) -> u32 {
    let bits = number.to_bits();
    // Not a number stays so, whichever bits it loses.
    if number.is_nan() { bits >> 16 | 0x40 } else { (bits + 0x7fff + (bits >> 16 & 1)) >> 16 }
}
