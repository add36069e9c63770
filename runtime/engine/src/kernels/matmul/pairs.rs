//! Products with panels of BF16 where pairs have an instruction.

#![expect(unsafe_code, reason = "calls of kernels at the level that was found")]

use super::super::avx512::{FEW_ROWS, STRIP_PAIRS, TILE_ROWS, few_pairs, tile_pairs};
use super::super::layout::PANEL;
use super::{IN_REGISTERS, in_passes};

/// The products of one or two panels of BF16 with all rows, where [`Way::Pairs`] is the way.
pub(super) fn some<'a>(panels: &[(&[u8], &[u8])], row: &dyn Fn(usize) -> &'a [u32], totals: &mut [[[f32; PANEL]; 2]]) {
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
