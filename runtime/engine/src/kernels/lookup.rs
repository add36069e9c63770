//! Single rows of a packed matrix as numbers: what a token's embedding is.

use super::arena::Arena;
use super::layout::{BLOCK, LINE, Layout, Matrix, PANEL};
use super::portable::{factors, single, unpack};

/// Row `row` of a matrix; rows that it does not have are zero.
pub(crate) fn lookup(arena: &Arena, matrix: &Matrix, row: usize, out: &mut [f32]) {
    out.fill(0.0);
    if row >= matrix.rows {
        return;
    }
    let (layout, lane) = (matrix.layout, row % PANEL);
    let size = layout.panel_bytes(matrix.columns);
    let panel = &arena.bytes(&matrix.place)[row / PANEL * size..][..size];
    let (weights, scales) = panel.split_at(layout.weight_bytes(matrix.columns));
    match layout {
        Layout::Integers { bits, scales: form } => {
            let mut quads = [[0; LINE]; BLOCK / 4];
            for (index, (block, out)) in weights.chunks_exact(bits * LINE).zip(out.chunks_mut(BLOCK)).enumerate() {
                unpack(bits, block, &mut quads);
                let factors = factors(form, bits, scales, index);
                for (column, out) in out.iter_mut().enumerate() {
                    let half = column / 16;
                    let integer = quads[column / 4][lane * 4 + column % 4];
                    *out = f32::from(integer) * factors.scale[half][lane] + factors.offset[half][lane];
                }
            }
        }
        Layout::F32 => {
            for (column, out) in weights.chunks_exact(4 * PANEL).zip(out) {
                *out = f32::from_le_bytes(column.as_chunks().0[lane]);
            }
        }
        Layout::F16 => {
            for (column, out) in weights.chunks_exact(2 * PANEL).zip(out) {
                *out = single(column.as_chunks().0[lane]);
            }
        }
        Layout::Bf16 => {
            for (pair, out) in weights.chunks_exact(LINE).zip(out.chunks_mut(2)) {
                for (second, out) in out.iter_mut().enumerate() {
                    let upper: [u8; 2] = pair.as_chunks().0[lane * 2 + second];
                    *out = f32::from_bits(u32::from(u16::from_le_bytes(upper)) << 16);
                }
            }
        }
    }
}
