//! Products of rows with matrices: who computes which panels, and by which kernel.

#![expect(unsafe_code, reason = "outputs that interleave by panel")]

mod floats;
mod integers;
#[cfg(target_arch = "x86_64")]
mod pairs;
#[cfg(target_arch = "x86_64")]
mod tiles;

use std::ops::Range;

use super::Cpu;
use super::arena::Arena;
use super::elementwise::add;
use super::layout::{BLOCK, LINE, Layout, Matrix, PANEL};
use super::level::Level;
use super::pool::Shards;
use super::rows::Rows;

/// Rows for which totals are kept in little memory.
const FEW: usize = 4;
/// Rows up to which a panel of integers is unpacked in registers, again for every few rows; with
/// more it is unpacked once for all.
const IN_REGISTERS: usize = 32;
/// Rows that share an unpacked strip: a multiple of the tiles'.
const TOGETHER: usize = 120;
/// A multiple of the rows of every tile in registers.
const WHOLE_TILES: usize = 12;
/// Rows that share a strip copied for AMX.
#[cfg(target_arch = "x86_64")]
const MANY_TOGETHER: usize = 512;
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

/// How a matrix is multiplied, and with which form of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Floats,
    Integers,
    /// BF16, where its pairs have an instruction.
    #[cfg(target_arch = "x86_64")]
    Pairs,
    /// BF16 in AMX's tiles. How integers use them is their own kernel's affair.
    #[cfg(target_arch = "x86_64")]
    Tiles,
}

impl Way {
    fn of(level: Level, layout: Layout, count: usize) -> Self {
        match (level, layout) {
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512(available), Layout::Bf16) if available.has_tiles() && count > FEW => Self::Tiles,
            #[cfg(target_arch = "x86_64")]
            (Level::Avx512(available), Layout::Bf16) if available.has_pairs() => Self::Pairs,
            (_, Layout::Integers { .. }) => Self::Integers,
            _ => Self::Floats,
        }
    }
}

/// One product as threads share it.
struct Shared<'a> {
    matrix: &'a Matrix,
    way: Way,
    bytes: &'a [u8],
    out: Shards<'a, f32>,
    bias: &'a [f32],
    then: Option<Then>,
    /// The first of its pairs of panels among those of all products.
    first: usize,
}

/// The rows that all products share, in all forms that they take.
#[derive(Clone, Copy)]
struct Input<'a> {
    numbers: &'a [f32],
    columns: usize,
    count: usize,
    forms: &'a Rows,
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
    let mut pairs = 0;
    let shared = products.map(|Product { matrix, out, bias, then }| {
        assert_eq!((matrix.columns, out.len()), (columns, count * matrix.rows), "a product of other shapes");
        assert!(bias.is_empty() || bias.len() == matrix.rows, "a bias of another length");
        let (first, way) = (pairs, Way::of(level, matrix.layout, count));
        pairs += matrix.panels().div_ceil(2);
        Shared { matrix, way, bytes: arena.bytes(&matrix.place), out: Shards::new(out), bias, then, first }
    });
    let is_asked = |way| shared.iter().any(|product| product.way == way);
    if is_asked(Way::Integers) {
        rows.fill(cpu, numbers, columns);
    }
    #[cfg(target_arch = "x86_64")]
    if is_asked(Way::Pairs) {
        rows.fill_pairs(cpu, numbers, columns);
    }
    #[cfg(target_arch = "x86_64")]
    if is_asked(Way::Tiles) {
        rows.tiles.fill(cpu, numbers, columns);
    }
    let input = Input { numbers, columns, count, forms: rows };
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
        match (self.way, input.count) {
            (_, ..=FEW) => {
                let mut totals = [[[0.0; PANEL]; 2]; FEW];
                self.some(level, input, 0..input.count, panels, start, &mut totals[..input.count]);
            }
            #[cfg(target_arch = "x86_64")]
            (Way::Tiles, ..=TOGETHER) => {
                self.in_parts::<TOGETHER>(level, input, input.forms.tiles.group(), panels, start);
            }
            #[cfg(target_arch = "x86_64")]
            (Way::Tiles, _) => {
                self.in_parts::<MANY_TOGETHER>(level, input, input.forms.tiles.group(), panels, start);
            }
            _ => self.in_parts::<TOGETHER>(level, input, WHOLE_TILES, panels, start),
        }
    }

    /// In parts of about one size and at most `N` rows, each a multiple of `unit` but the last. Not inlined: a frame for
    /// many totals is probed page by page, which few rows should not wait for.
    #[inline(never)]
    fn in_parts<const N: usize>(
        &self,
        level: Level,
        input: Input<'_>,
        unit: usize,
        panels: &[(&[u8], &[u8])],
        start: usize,
    ) {
        let mut totals = [[[0.0; PANEL]; 2]; N];
        let units = input.count.div_ceil(unit);
        let part = units.div_ceil(units.div_ceil(N / unit)) * unit;
        for from in (0..input.count).step_by(part) {
            let rows = from..(from + part).min(input.count);
            let room = rows.len().next_multiple_of(unit);
            self.some(level, input, rows, panels, start, &mut totals[..room]);
        }
    }

    /// The products with some rows. There are totals for whole units of them.
    fn some(
        &self,
        level: Level,
        input: Input<'_>,
        rows: Range<usize>,
        panels: &[(&[u8], &[u8])],
        start: usize,
        room: &mut [[[f32; PANEL]; 2]],
    ) {
        let mut bias = [[0.0; PANEL]; 2];
        let given = self.bias.get(start * PANEL..).unwrap_or_default();
        bias.as_flattened_mut().iter_mut().zip(given).for_each(|(place, bias)| *place = *bias);
        let (from, layout) = (rows.start, self.matrix.layout);
        let totals = &mut room[..rows.len()];
        let numbers = &input.numbers[from * input.columns..];
        let is_biased = match (self.way, layout) {
            #[cfg(target_arch = "x86_64")]
            (Way::Tiles, _) => {
                tiles::many(panels, &input.forms.tiles, from, room);
                false
            }
            #[cfg(target_arch = "x86_64")]
            (Way::Pairs, _) => {
                pairs::some(panels, &|index| input.forms.pairs(from + index), totals);
                false
            }
            (_, Layout::Integers { bits, scales }) => {
                integers::some(level, bits, scales, panels, input.forms, from, totals);
                false
            }
            #[cfg(target_arch = "x86_64")]
            _ if matches!(level, Level::Avx512(_)) && totals.len() > FEW => {
                totals.fill(bias);
                floats::many(layout, panels, numbers, input.columns, totals);
                true
            }
            _ => {
                floats::few(level, layout, panels, numbers, input.columns, totals);
                false
            }
        };
        let totals = &mut room[..rows.len()];
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

const _: () = assert!(BLOCK * 2 == LINE, "a row's block is half a line");
