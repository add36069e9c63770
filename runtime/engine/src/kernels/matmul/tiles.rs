//! Products with panels of BF16 in AMX's tiles.

#![expect(unsafe_code, reason = "calls of kernels at the level that was found")]

use super::super::amx::{self, Line, STRIP_TILES, TileRows, WeightTiles};
use super::super::layout::{LINE, PANEL};

/// The products of one or two panels with the groups of rows that begin with row `from`, as many as there are totals.
/// Only where [`Way::Tiles`](super::Way::Tiles) is the way. Not inlined, since other ways should not have its frame probed.
#[inline(never)]
pub(super) fn many(panels: &[(&[u8], &[u8])], rows: &TileRows, from: usize, totals: &mut [[[f32; PANEL]; 2]]) {
    let mut strip = [WeightTiles::ZERO; STRIP_TILES];
    let groups = from / rows.group()..(from + totals.len()) / rows.group();
    totals.fill([[0.0; PANEL]; 2]);
    for first in (0..rows.steps()).step_by(STRIP_TILES) {
        let strip = &mut strip[..STRIP_TILES.min(rows.steps() - first)];
        for (side, (weights, _)) in panels.iter().enumerate() {
            copy(weights, first, strip, side);
        }
        // SAFETY: the level has tiles, and nothing here has set them up.
        unsafe { amx::multiply(rows, groups.clone(), first, strip, totals) }
    }
}

/// Pairs lie as tiles want them, but those of two panels apart; the last tile may be short.
fn copy(weights: &[u8], first: usize, strip: &mut [WeightTiles], side: usize) {
    let mut lines = weights.as_chunks::<LINE>().0.iter().skip(first * strip[0].0[side].len());
    for line in strip.iter_mut().flat_map(|tiles| &mut tiles.0[side]) {
        *line = lines.next().map_or(Line::ZERO, |line| Line(*line));
    }
}
