//! Products with BF16, whose pairs `vdpbf16ps` multiplies and adds: for processors on which that is
//! faster than widening. Rows are rounded to BF16, too.
//!
//! Functions here may only be called where [`has_pairs`](super::super::level::Available::has_pairs) holds.

#![expect(unsafe_code, reason = "vectors of integers are taken as vectors of pairs")]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_set1_epi32, _mm512_setzero_ps,
};

use super::super::layout::{LINE, PANEL};
use super::{AHEAD, line, prefetch, store, vectors};

/// Pairs of columns whose lines stay in the first-level cache.
pub(in super::super) const STRIP_PAIRS: usize = 128;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
fn add(sum: __m512, weights: __m512i, pair: u32) -> __m512 {
    let pair = _mm512_set1_epi32(pair.cast_signed());
    // SAFETY: both types are 64 bytes, of which every pattern is a value.
    let (weights, pair) =
        unsafe { (std::mem::transmute::<__m512i, __m512bh>(weights), std::mem::transmute::<__m512i, __m512bh>(pair)) };
    _mm512_dpbf16_ps(sum, weights, pair)
}

/// The products of a panel with up to eight rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
pub(in super::super) fn few_pairs(weights: &[u8], rows: &[&[u32]], out: &mut [[f32; PANEL]]) {
    // With more rows there are registers for fewer sums of each.
    if rows.len() <= 4 {
        by_count!(rows, [1 2 3 | 4] => {
            if let Some(out) = out.first_chunk_mut() {
                few_pair_rows::<_, 4>(weights, rows, out);
            }
        });
    } else {
        by_count!(rows, [5 6 7 | 8] => {
            if let Some(out) = out.first_chunk_mut() {
                few_pair_rows::<_, 2>(weights, rows, out);
            }
        });
    }
}

/// With `S` sums a row, so that each waits for as many others.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
fn few_pair_rows<const M: usize, const S: usize>(weights: &[u8], rows: &[&[u32]; M], out: &mut [[f32; PANEL]; M]) {
    let lines = weights.as_chunks::<LINE>().0;
    let count = lines.len().min(rows[0].len());
    let rows = rows.map(|row| &row[..count]);
    let mut sums = [[_mm512_setzero_ps(); S]; M];
    let (groups, rest) = lines[..count].as_chunks::<S>();
    for (group, lines) in groups.iter().enumerate() {
        for (side, bytes) in lines.iter().enumerate() {
            prefetch(bytes.as_ptr().wrapping_add(AHEAD));
            let weights = line(bytes);
            for m in 0..M {
                sums[m][side] = add(sums[m][side], weights, rows[m][S * group + side]);
            }
        }
    }
    for (side, bytes) in rest.iter().enumerate() {
        for m in 0..M {
            sums[m][side] = add(sums[m][side], line(bytes), rows[m][S * groups.len() + side]);
        }
    }
    for (sums, out) in sums.iter().zip(out) {
        let mut total = _mm512_setzero_ps();
        for sum in sums {
            total = _mm512_add_ps(total, *sum);
        }
        store(out, total);
    }
}

/// Adds the products of pairs `from..`, at most [`STRIP_PAIRS`], of two panels with up to
/// [`TILE_ROWS`](super::TILE_ROWS) rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
pub(in super::super) fn tile_pairs(panels: [&[u8]; 2], from: usize, rows: &[&[u32]], totals: &mut [[[f32; PANEL]; 2]]) {
    by_count!(rows, [1 2 3 4 5 | 6] => {
        if let Some(totals) = totals.first_chunk_mut() {
            tile_pair_rows(panels, from, rows, totals);
        }
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
fn tile_pair_rows<const M: usize>(
    panels: [&[u8]; 2],
    from: usize,
    rows: &[&[u32]; M],
    totals: &mut [[[f32; PANEL]; 2]; M],
) {
    let (first, second) = (&panels[0].as_chunks::<LINE>().0[from..], &panels[1].as_chunks::<LINE>().0[from..]);
    let count = first.len().min(second.len()).min(STRIP_PAIRS);
    let rows = rows.map(|row| &row[from..from + count]);
    let mut sums = vectors(totals);
    for (index, (first, second)) in first[..count].iter().zip(second).enumerate() {
        prefetch(first.as_ptr().wrapping_add(AHEAD));
        prefetch(second.as_ptr().wrapping_add(AHEAD));
        let weights = [line(first), line(second)];
        for m in 0..M {
            sums[m][0] = add(sums[m][0], weights[0], rows[m][index]);
            sums[m][1] = add(sums[m][1], weights[1], rows[m][index]);
        }
    }
    for (totals, sums) in totals.iter_mut().zip(sums) {
        for (total, sum) in totals.iter_mut().zip(sums) {
            store(total, sum);
        }
    }
}
