//! Products of rows with matrices: who computes which panels, and by which kernel.

#![expect(unsafe_code, reason = "calls of kernels at the level that was found, and outputs that interleave by panel")]

mod floats;

use super::Cpu;
use super::arena::Arena;
use super::elementwise::add;
use super::layout::{BLOCK, LINE, Layout, Matrix, PANEL, Scales};
use super::level::Level;
use super::pool::Shards;
use super::portable;
use super::rows::{Row, Rows};

/// Rows for which totals are kept in little memory.
const FEW: usize = 4;
/// Rows up to which a panel of integers is unpacked in registers, again for every few rows; with
/// more it is unpacked once for all.
const IN_REGISTERS: usize = 32;
/// Rows that share an unpacked strip: a multiple of the tiles'.
const TOGETHER: usize = 120;
/// A multiple of the rows of every tile.
const WHOLE_TILES: usize = 12;

/// What happens to numbers in place.
pub(crate) type Then = fn(Level, &mut [f32]);

/// A matrix and the rows that its products go to.
pub(crate) struct Product<'a> {
    pub(crate) matrix: &'a Matrix,
    /// As many rows as the input has, of [`Matrix::rows`] numbers each.
    pub(crate) out: &'a mut [f32],
    /// What is added to each row: as many numbers, or none.
    pub(crate) bias: &'a [f32],
    /// What happens to the sums, while they are near.
    pub(crate) then: Option<Then>,
}

impl<'a> Product<'a> {
    /// The products alone.
    pub(crate) fn new(matrix: &'a Matrix, out: &'a mut [f32]) -> Self {
        Self { matrix, out, bias: &[], then: None }
    }
}

/// One product as threads share it.
struct Shared<'a> {
    matrix: &'a Matrix,
    bytes: &'a [u8],
    out: Shards<'a, f32>,
    bias: &'a [f32],
    then: Option<Then>,
    /// The first of its pairs of panels among those of all products.
    first: usize,
}

/// The rows that all products share, in both forms.
#[derive(Clone, Copy)]
struct Input<'a> {
    numbers: &'a [f32],
    columns: usize,
    count: usize,
    quantized: &'a Rows,
}

/// Multiplies the rows of `numbers`, of `columns` each, with every matrix. `rows` is scratch that is
/// kept from call to call.
///
/// # Panics
/// When an output has another size than the input's rows by the matrix's.
pub(crate) fn multiply<const N: usize>(
    cpu: &mut Cpu,
    arena: &Arena,
    numbers: &[f32],
    columns: usize,
    rows: &mut Rows,
    products: [Product<'_>; N],
) {
    let level = cpu.level;
    let count = numbers.len().checked_div(columns).unwrap_or(0);
    if count == 0 {
        return;
    }
    if products.iter().any(|product| matches!(product.matrix.layout, Layout::Integers { .. })) {
        rows.fill(cpu, numbers, columns);
    }
    #[cfg(target_arch = "x86_64")]
    if has_pairs(level) && products.iter().any(|product| product.matrix.layout == Layout::Bf16) {
        rows.fill_pairs(cpu, numbers, columns);
    }
    let input = Input { numbers, columns, count, quantized: rows };
    let mut pairs = 0;
    let shared = products.map(|Product { matrix, out, bias, then }| {
        assert_eq!((matrix.columns, out.len()), (columns, count * matrix.rows), "a product of other shapes");
        assert!(bias.is_empty() || bias.len() == matrix.rows, "a bias of another length");
        let first = pairs;
        pairs += matrix.panels().div_ceil(2);
        Shared { matrix, bytes: arena.bytes(&matrix.place), out: Shards::new(out), bias, then, first }
    });
    // Enough parts for threads to end together, not so many that taking them costs.
    let grain = (pairs / (cpu.pool.threads() * 16)).max(1);
    cpu.pool.each(pairs.div_ceil(grain), &|part| {
        for pair in part * grain..((part + 1) * grain).min(pairs) {
            let of_pair = shared.iter().rev().find(|product| product.first <= pair);
            if let Some(product) = of_pair {
                product.pair(level, input, 2 * (pair - product.first));
            }
        }
    });
}

impl Shared<'_> {
    /// The products of panel `start` and the one after it, if there is one.
    fn pair(&self, level: Level, input: Input<'_>, start: usize) {
        let size = self.matrix.layout.panel_bytes(input.columns);
        let weight_bytes = self.matrix.layout.weight_bytes(input.columns);
        let panels = (self.matrix.panels() - start).min(2);
        let both: [(&[u8], &[u8]); 2] = std::array::from_fn(|side| {
            let panel = (start + side.min(panels - 1)) * size;
            self.bytes[panel..panel + size].split_at(weight_bytes)
        });
        let panels = &both[..panels];
        // Clearing totals for many rows would cost more than multiplying few.
        if input.count <= FEW {
            let mut totals = [[[0.0; PANEL]; 2]; FEW];
            return self.some(level, input, 0, panels, start, &mut totals[..input.count]);
        }
        let mut totals = [[[0.0; PANEL]; 2]; TOGETHER];
        // Parts of about one size, of whole tiles.
        let parts = input.count.div_ceil(TOGETHER);
        let part = input.count.div_ceil(parts).next_multiple_of(WHOLE_TILES);
        for from in (0..input.count).step_by(part) {
            let together = (input.count - from).min(part);
            self.some(level, input, from, panels, start, &mut totals[..together]);
        }
    }

    /// Those with rows `from..`, as many as there are totals.
    fn some(
        &self,
        level: Level,
        input: Input<'_>,
        from: usize,
        panels: &[(&[u8], &[u8])],
        start: usize,
        totals: &mut [[[f32; PANEL]; 2]],
    ) {
        let mut bias = [[0.0; PANEL]; 2];
        let given = self.bias.get(start * PANEL..).unwrap_or_default();
        bias.as_flattened_mut().iter_mut().zip(given).for_each(|(place, bias)| *place = *bias);
        let numbers = &input.numbers[from * input.columns..];
        let is_biased = match self.matrix.layout {
            Layout::Integers { bits, scales } => {
                integers(level, bits, scales, panels, &|index| input.quantized.row(from + index), totals);
                false
            }
            #[cfg(target_arch = "x86_64")]
            Layout::Bf16 if has_pairs(level) => {
                pairs(panels, &|index| input.quantized.pairs(from + index), totals);
                false
            }
            #[cfg(target_arch = "x86_64")]
            layout if matches!(level, Level::Avx512(_)) && totals.len() > FEW => {
                totals.fill(bias);
                floats::many(layout, panels, numbers, input.columns, totals);
                true
            }
            layout => {
                floats::few(level, layout, panels, numbers, input.columns, totals);
                false
            }
        };
        if !(is_biased || given.is_empty()) {
            totals.iter_mut().for_each(|row| add(level, row.as_flattened_mut(), bias.as_flattened()));
        }
        if let Some(then) = self.then {
            then(level, totals.as_flattened_mut().as_flattened_mut());
        }
        self.write(start, panels.len(), from, totals);
    }

    fn write(&self, panel: usize, panels: usize, from: usize, totals: &[[[f32; PANEL]; 2]]) {
        let width = self.matrix.rows;
        let columns = panel * PANEL..((panel + panels) * PANEL).min(width);
        for (row, totals) in totals.iter().enumerate() {
            let start = (from + row) * width;
            // SAFETY: each pair of panels is given out once, and no two have columns in common.
            let out = unsafe { self.out.part(start + columns.start..start + columns.end) };
            match out.as_chunks_mut::<PANEL>() {
                // Two copies in registers: a loop of them would become a call.
                ([first, second], []) => (*first, *second) = (totals[0], totals[1]),
                _ => out.iter_mut().zip(totals.as_flattened()).for_each(|(out, total)| *out = *total),
            }
        }
    }
}

/// The products of one or two panels of integers with all rows.
fn integers<'a>(
    level: Level,
    bits: usize,
    scales: Scales,
    panels: &[(&[u8], &[u8])],
    row: &dyn Fn(usize) -> Row<'a>,
    totals: &mut [[[f32; PANEL]; 2]],
) {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) if totals.len() <= IN_REGISTERS => {
            use super::avx512::{FEW_ROWS, few};
            in_passes::<FEW_ROWS, Row<'a>>(panels, row, totals, |weights, factors, rows, out| {
                // SAFETY: the level says that the processor has these instructions.
                unsafe { few(bits, scales, weights, factors, rows, out) }
            });
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => {
            use super::avx512::{STRIP_BLOCKS, Strip, TILE_ROWS, fill_strip, tile};
            let mut strip = Strip::new();
            totals.fill([[0.0; PANEL]; 2]);
            let has_halves = scales == Scales::NestedHalves;
            let blocks = panels[0].0.len() / (bits * LINE);
            for from in (0..blocks).step_by(STRIP_BLOCKS) {
                for (side, (weights, factors)) in panels.iter().enumerate() {
                    // SAFETY: the level says that the processor has these instructions.
                    unsafe { fill_strip(bits, scales, weights, factors, from, &mut strip, side) }
                }
                for (index, totals) in totals.chunks_mut(TILE_ROWS).enumerate() {
                    let rows: [Row<'a>; TILE_ROWS] =
                        std::array::from_fn(|at| row(index * TILE_ROWS + at.min(totals.len() - 1)));
                    // SAFETY: as above.
                    unsafe { tile(has_halves, &strip, from, &rows[..totals.len()], totals) }
                }
            }
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(_) => {
            use super::avx2::{FEW_ROWS, few};
            in_passes::<FEW_ROWS, Row<'a>>(panels, row, totals, |weights, factors, rows, out| {
                // SAFETY: the level says that the processor has these instructions.
                unsafe { few(bits, scales, weights, factors, rows, out) }
            });
        }
        _ => {
            in_passes::<TOGETHER, Row<'a>>(panels, row, totals, |weights, factors, rows, out| {
                portable::integers(bits, scales, weights, factors, rows, out);
            });
        }
    }
}

/// Multiplies each panel with all rows, at most `N` at a time: passes of one size, give or take one, of
/// which the first has brought the panel near.
fn in_passes<const N: usize, R: Copy>(
    panels: &[(&[u8], &[u8])],
    row: &dyn Fn(usize) -> R,
    totals: &mut [[[f32; PANEL]; 2]],
    work: impl Fn(&[u8], &[u8], &[R], &mut [[f32; PANEL]]),
) {
    let passes = totals.len().div_ceil(N);
    for (side, (weights, factors)) in panels.iter().enumerate() {
        for pass in 0..passes {
            let (first, end) = (pass * totals.len() / passes, (pass + 1) * totals.len() / passes);
            let rows: [R; N] = std::array::from_fn(|at| row((first + at).min(end - 1)));
            let mut out = [[0.0; PANEL]; N];
            let out = &mut out[..end - first];
            work(weights, factors, &rows[..end - first], out);
            totals[first..end].iter_mut().zip(out).for_each(|(totals, out)| totals[side] = *out);
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_pairs(level: Level) -> bool {
    matches!(level, Level::Avx512(available) if available.has_pairs())
}

/// The products of one or two panels of BF16 with all rows, where [`has_pairs`] holds.
#[cfg(target_arch = "x86_64")]
fn pairs<'a>(panels: &[(&[u8], &[u8])], row: &dyn Fn(usize) -> &'a [u32], totals: &mut [[[f32; PANEL]; 2]]) {
    use super::avx512::{FEW_ROWS, STRIP_PAIRS, TILE_ROWS, few_pairs, tile_pairs};
    if totals.len() <= IN_REGISTERS {
        return in_passes::<FEW_ROWS, &[u32]>(panels, row, totals, |weights, _, rows, out| {
            // SAFETY: the level says that the processor has these instructions.
            unsafe { few_pairs(weights, rows, out) }
        });
    }
    totals.fill([[0.0; PANEL]; 2]);
    let both = [panels[0].0, panels[panels.len() - 1].0];
    for from in (0..row(0).len()).step_by(STRIP_PAIRS) {
        for (index, totals) in totals.chunks_mut(TILE_ROWS).enumerate() {
            let rows: [&[u32]; TILE_ROWS] = std::array::from_fn(|at| row(index * TILE_ROWS + at.min(totals.len() - 1)));
            // SAFETY: as above.
            unsafe { tile_pairs(both, from, &rows[..totals.len()], totals) }
        }
    }
}

const _: () = assert!(BLOCK * 2 == LINE, "a row's block is half a line");
