//! The plain kernels, compiled for AVX2, FMA and F16C.
//!
//! Every function here may only be called with the [`super::level::Available`] that
//! [`Level::Avx2`](super::Level) carries.

use super::layout::{Layout, PANEL, Scales};
use super::portable;
use super::rows::Row;

/// [`portable::integers`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn integers(
    bits: usize,
    form: Scales,
    weights: &[u8],
    scales: &[u8],
    rows: &[Row<'_>],
    out: &mut [[f32; PANEL]],
) {
    // Constants let the compiler make a loop of each layout.
    match bits {
        4 => portable::integers(4, form, weights, scales, rows, out),
        5 => portable::integers(5, form, weights, scales, rows, out),
        6 => portable::integers(6, form, weights, scales, rows, out),
        _ => portable::integers(8, form, weights, scales, rows, out),
    }
}

/// [`portable::floats`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn floats(layout: Layout, weights: &[u8], row: &[f32], out: &mut [f32; PANEL]) {
    portable::floats(layout, weights, row, out);
}
