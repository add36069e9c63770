//! Products with panels of integers.

#![expect(unsafe_code, reason = "calls of kernels at the level that was found")]

#[cfg(target_arch = "x86_64")]
use super::super::amx::{HEIGHT, Products, Shape, product};
#[cfg(target_arch = "x86_64")]
use super::super::layout::{BLOCK, LINE};
use super::super::layout::{PANEL, Scales};
use super::super::level::Level;
use super::super::portable;
use super::super::rows::{QUADS, Row, Rows};
#[cfg(target_arch = "x86_64")]
use super::IN_REGISTERS;
use super::{TOGETHER, in_passes};

/// The products of one or two panels of integers with rows `from..`, as many as there are totals.
pub(super) fn some<'a>(
    level: Level,
    bits: usize,
    scales: Scales,
    panels: &[(&[u8], &[u8])],
    rows: &'a Rows,
    from: usize,
    totals: &mut [[[f32; PANEL]; 2]],
) {
    let row: &dyn Fn(usize) -> Row<'a> = &|index| rows.row(from + index);
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(available) if available.has_tiles() && totals.len() > HEIGHT => {
            in_tiles(bits, scales, panels, rows, from, totals);
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) if totals.len() <= IN_REGISTERS => {
            use super::super::avx512::{FEW_ROWS, few};
            in_passes::<FEW_ROWS, Row<'a>>(panels, row, totals, |weights, factors, rows, out| {
                // SAFETY: the level says that the processor has these instructions.
                unsafe { few(bits, scales, weights, factors, rows, out) }
            });
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => {
            use super::super::avx512::{STRIP_BLOCKS, Strip, TILE_ROWS, fill_strip, tile};
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
            use super::super::avx2::{FEW_ROWS, few};
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

/// Blocks whose sums wait in the first-level cache for their scales.
#[cfg(target_arch = "x86_64")]
const WAITING: usize = 4;

/// The same by AMX's tiles. Not inlined: few rows should not have its frame probed.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn in_tiles(
    bits: usize,
    scales: Scales,
    panels: &[(&[u8], &[u8])],
    rows: &Rows,
    from: usize,
    totals: &mut [[[f32; PANEL]; 2]],
) {
    use super::super::avx512::{STRIP_BLOCKS, Strip, add_products, fill_strip};
    let has_halves = scales == Scales::NestedHalves;
    let parts = if has_halves { 2 } else { 1 };
    let mut strip = Strip::new();
    let mut products = [[Products::ZERO; 2]; WAITING];
    totals.fill([[0.0; PANEL]; 2]);
    let blocks = panels[0].0.len() / (bits * LINE);
    for first in (0..blocks).step_by(STRIP_BLOCKS) {
        for (side, (weights, factors)) in panels.iter().enumerate() {
            // SAFETY: the level says that the processor has these instructions.
            unsafe { fill_strip(bits, scales, weights, factors, first, &mut strip, side) }
        }
        for (index, totals) in totals.chunks_mut(HEIGHT).enumerate() {
            let start = from + index * HEIGHT;
            let these: [Row<'_>; HEIGHT] = std::array::from_fn(|at| rows.row(start + at.min(totals.len() - 1)));
            let these = &these[..totals.len()];
            // SAFETY: the level has tiles; the former shape was dropped.
            let shape = unsafe { Shape::new(totals.len(), BLOCK / parts) };
            let count = strip.count(these[0].scales.len(), first);
            for at in (0..count).step_by(WAITING) {
                let waiting = WAITING.min(count - at);
                for (block, products) in products.iter_mut().enumerate().take(waiting) {
                    let (values, pitch) = rows.values(start..start + totals.len(), first + at + block);
                    for (part, products) in products.iter_mut().enumerate().take(parts) {
                        let quad = part * QUADS / 2;
                        product(&shape, &values[quad..], pitch, &strip.quads[at + block], quad, products);
                    }
                }
                // SAFETY: as above.
                unsafe { add_products(has_halves, &strip, first, at, &products[..waiting], these, totals) }
            }
        }
    }
}
