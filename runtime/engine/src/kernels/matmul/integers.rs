//! Products with panels of integers.

#![expect(unsafe_code, reason = "calls of kernels at the level that was found")]

#[cfg(target_arch = "x86_64")]
use super::super::layout::LINE;
use super::super::layout::{PANEL, Scales};
use super::super::level::Level;
use super::super::portable;
use super::super::rows::Row;
#[cfg(target_arch = "x86_64")]
use super::IN_REGISTERS;
use super::{TOGETHER, in_passes};

/// The products of one or two panels of integers with all rows.
pub(super) fn some<'a>(
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
