//! Products with panels of floating-point numbers.

#![expect(unsafe_code, reason = "calls of kernels at the level that was found")]

#[cfg(target_arch = "x86_64")]
use super::super::layout::LINE;
use super::super::layout::{Layout, PANEL};
use super::super::level::Level;
use super::super::portable;
#[cfg(target_arch = "x86_64")]
use super::FEW;
use super::in_passes;

/// Columns of single precision between which sums stay in registers; lines come from the second-level cache
/// as fast as they are needed.
#[cfg(target_arch = "x86_64")]
const NEAR_COLUMNS: usize = 384;

/// The products of one or two panels of floating-point numbers with all rows, of `columns` each.
pub(super) fn few(
    level: Level,
    layout: Layout,
    panels: &[(&[u8], &[u8])],
    numbers: &[f32],
    columns: usize,
    totals: &mut [[[f32; PANEL]; 2]],
) {
    let row = |index: usize| &numbers[index * columns..(index + 1) * columns];
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => {
            in_passes::<FEW, &[f32]>(panels, &row, totals, |weights, _, rows, out| {
                // SAFETY: the level says that the processor has these instructions.
                unsafe { super::super::avx512::few_floats(layout, weights, rows, out) }
            });
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(_) => {
            use super::super::avx2::{FEW_ROWS, few_floats};
            in_passes::<FEW_ROWS, &[f32]>(panels, &row, totals, |weights, _, rows, out| {
                // SAFETY: the level says that the processor has these instructions.
                unsafe { few_floats(layout, weights, rows, out) }
            });
        }
        _ => {
            in_passes::<1, &[f32]>(panels, &row, totals, |weights, _, rows, out| {
                portable::floats(layout, weights, rows[0], &mut out[0]);
            });
        }
    }
}

/// Adds the products of one or two panels of floating-point numbers with all rows, of `columns` each. Only where
/// the level is [`Level::Avx512`].
#[cfg(target_arch = "x86_64")]
pub(super) fn many(
    layout: Layout,
    panels: &[(&[u8], &[u8])],
    numbers: &[f32],
    columns: usize,
    totals: &mut [[[f32; PANEL]; 2]],
) {
    use super::super::avx512::{STRIP_COLUMNS, lines, widen_strip};
    let both = [panels[0].0, panels[panels.len() - 1].0];
    if layout == Layout::F32 {
        let both = both.map(|weights| weights.as_chunks::<LINE>().0);
        for from in (0..columns).step_by(NEAR_COLUMNS) {
            let end = (from + NEAR_COLUMNS).min(columns);
            strip(both.map(|lines| &lines[from..end]), numbers, columns, from, totals);
        }
        return;
    }
    let mut wide = [[[0.0; PANEL]; STRIP_COLUMNS]; 2];
    for from in (0..columns).step_by(STRIP_COLUMNS) {
        let mut count = 0;
        for (weights, wide) in both.into_iter().zip(&mut wide) {
            // SAFETY: the level, at which alone this is called, says that the processor has these instructions.
            count = unsafe { widen_strip(layout, weights, from, wide) };
        }
        strip([0, 1].map(|side| lines(&wide[side][..count])), numbers, columns, from, totals);
    }
}

/// Adds the products of a strip of two panels, columns `from..`, with all rows: in tiles of one size, give or
/// take one. Only where the level is [`Level::Avx512`].
#[cfg(target_arch = "x86_64")]
fn strip(panels: [&[[u8; LINE]]; 2], numbers: &[f32], columns: usize, from: usize, totals: &mut [[[f32; PANEL]; 2]]) {
    use super::super::avx512::{FLOAT_TILE_ROWS, tile_floats};
    let (count, tiles) = (totals.len(), totals.len().div_ceil(FLOAT_TILE_ROWS));
    for tile in 0..tiles {
        let (first, end) = (tile * count / tiles, (tile + 1) * count / tiles);
        let mut rows: [&[f32]; FLOAT_TILE_ROWS] = [&[]; FLOAT_TILE_ROWS];
        for (row, index) in rows.iter_mut().zip(first..end) {
            *row = &numbers[index * columns + from..(index + 1) * columns];
        }
        // SAFETY: the level, at which alone this is called, says that the processor has these instructions.
        unsafe { tile_floats(panels, &rows[..end - first], &mut totals[first..end]) }
    }
}
