//! Numbers rounded to BF16 (to the nearest even), in the order in which AMX takes them.
//!
//! Functions here may only be called where [`has_tiles`](super::super::level::Available::has_tiles) holds:
//! processors with AMX have what they are compiled for.

#![expect(unsafe_code, reason = "vectors of pairs are taken as vectors of integers, and stored")]

use std::arch::x86_64::{__m512, __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_storeu_si512};

use super::super::amx::Line;
use super::super::layout::{BLOCK, LINE, PANEL};
use super::numbers;

/// Numbers as BF16: 16 of the first, then 16 of the second.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
fn round(first: __m512, second: __m512) -> __m512i {
    let rounded = _mm512_cvtne2ps_pbh(second, first);
    // SAFETY: both types are 64 bytes, of which every pattern is a value.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(rounded) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn put(target: &mut Line, vector: __m512i) {
    // SAFETY: room for 64 bytes; the store wants no alignment.
    unsafe { _mm512_storeu_si512(target.0.as_mut_ptr().cast(), vector) }
}

/// Columns of a row, 32 to a line; what is missing in the last is zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
pub(in super::super) fn round_row<'a>(row: &[f32], lines: impl Iterator<Item = &'a mut Line>) {
    for (columns, target) in row.chunks(BLOCK).zip(lines) {
        let mut whole = [0.0; BLOCK];
        whole[..columns.len()].copy_from_slice(columns);
        let (halves, _) = whole.as_chunks::<PANEL>();
        put(target, round(numbers(&halves[0]), numbers(&halves[1])));
    }
}

const _: () = assert!(size_of::<Line>() == LINE && BLOCK == 2 * PANEL, "a line has 32 columns of BF16");
