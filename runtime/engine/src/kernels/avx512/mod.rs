//! Kernels for AVX-512 with VNNI.
//!
//! Every function here is compiled for these instructions and may only be called with the
//! [`super::level::Available`] that [`Level::Avx512`](super::Level) carries.

#![expect(unsafe_code, reason = "vector loads and stores")]

pub(super) mod attention;
mod floats;
mod integers;
mod pairs;
mod rounded;
mod unpack;

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _mm_prefetch, _mm256_loadu_si256, _mm512_cvtph_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::layout::{LINE, PANEL};

pub(super) use floats::{FLOAT_TILE_ROWS, STRIP_COLUMNS, few_floats, tile_floats, widen_strip};
pub(super) use integers::{FEW_ROWS, STRIP_BLOCKS, Strip, add_products, few, fill_strip, quantize, tile};
pub(super) use pairs::{STRIP_PAIRS, few_pairs, tile_pairs};
pub(super) use rounded::round_row;

/// Rows that a tile of a product has at most.
pub(super) const TILE_ROWS: usize = 6;
/// Bytes that weights are asked for ahead of their use.
const AHEAD: usize = 4096;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn line(bytes: &[u8; LINE]) -> __m512i {
    // SAFETY: 64 readable bytes; the load wants no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn numbers(numbers: &[f32; PANEL]) -> __m512 {
    // SAFETY: 16 readable numbers; the load wants no alignment.
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn store(target: &mut [f32; PANEL], vector: __m512) {
    // SAFETY: room for 16 numbers; the store wants no alignment.
    unsafe { _mm512_storeu_ps(target.as_mut_ptr(), vector) }
}

/// Columns of single precision as lines of bytes.
pub(super) fn lines(columns: &[[f32; PANEL]]) -> &[[u8; LINE]] {
    // SAFETY: a column has the 64 bytes of a line, every pattern of which is a value.
    unsafe { std::slice::from_raw_parts(columns.as_ptr().cast(), columns.len()) }
}

/// 16 half-precision numbers at this place.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn halves(bytes: &[u8], at: usize) -> __m512 {
    let bytes: &[u8] = &bytes[at..at + 2 * PANEL];
    // SAFETY: the slice has 32 bytes; the load wants no alignment.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) })
}

/// Asks for the line at an address that will be read soon.
#[inline]
#[target_feature(enable = "avx512f")]
fn prefetch(line: *const u8) {
    _mm_prefetch::<_MM_HINT_T0>(line.cast());
}

/// Totals in registers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn vectors<const M: usize>(totals: &[[[f32; PANEL]; 2]; M]) -> [[__m512; 2]; M] {
    let mut vectors = [[_mm512_setzero_ps(); 2]; M];
    // Loops rather than closures: what takes a closure is compiled for the bare target, and could
    // not take up code that is compiled for more.
    for (vectors, totals) in vectors.iter_mut().zip(totals) {
        for (vector, total) in vectors.iter_mut().zip(totals) {
            *vector = numbers(total);
        }
    }
    vectors
}
