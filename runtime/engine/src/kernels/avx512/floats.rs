//! Products with floating-point numbers.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_and_si512, _mm512_castsi512_ps, _mm512_fmadd_ps, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_slli_epi32,
};

use super::super::layout::{LINE, Layout, PANEL};
use super::{halves, line, numbers, store};

/// Columns of two panels whose numbers stay in the first-level cache beside those of the rows.
pub(in super::super) const STRIP_COLUMNS: usize = 128;
/// Rows of a tile: with two panels there are as many sums as registers hold beside the weights.
pub(in super::super) const FLOAT_TILE_ROWS: usize = 12;

/// A column of a panel.
pub(in super::super) type Column = [f32; PANEL];

/// The products of a panel of floating-point numbers with up to four rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in super::super) fn few_floats(layout: Layout, weights: &[u8], rows: &[&[f32]], out: &mut [[f32; PANEL]]) {
    by_count!(rows, [1 2 3 | 4] => {
        if let Some(out) = out.first_chunk_mut() {
            few_float_rows(layout, weights, rows, out);
        }
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn few_float_rows<const M: usize>(layout: Layout, weights: &[u8], rows: &[&[f32]; M], out: &mut [[f32; PANEL]; M]) {
    let columns = rows[0].len();
    let rows = rows.map(|row| &row[..columns.min(row.len())]);
    // Even and odd columns apart, so that each sum waits for half as many others.
    let mut totals = [[_mm512_setzero_ps(); 2]; M];
    macro_rules! add {
        ($column:expr, $side:expr, $vector:expr) => {{
            let (column, vector) = ($column, $vector);
            for m in 0..M {
                totals[m][$side] = _mm512_fmadd_ps(vector, _mm512_set1_ps(rows[m][column]), totals[m][$side]);
            }
        }};
    }
    match layout {
        Layout::Bf16 => {
            let lines = weights.as_chunks::<LINE>().0;
            for (pair, bytes) in lines.iter().enumerate().take(columns / 2) {
                let [even, odd] = widen_pair(line(bytes));
                add!(2 * pair, 0, even);
                add!(2 * pair + 1, 1, odd);
            }
            if columns % 2 == 1 {
                add!(columns - 1, 0, widen_pair(line(&lines[columns / 2]))[0]);
            }
        }
        Layout::F16 => {
            for column in 0..columns {
                add!(column, column % 2, halves(weights, column * 2 * PANEL));
            }
        }
        Layout::F32 => {
            for (column, bytes) in weights.as_chunks::<LINE>().0.iter().enumerate().take(columns) {
                add!(column, column % 2, _mm512_castsi512_ps(line(bytes)));
            }
        }
        Layout::Integers { .. } => {}
    }
    for ([even, odd], out) in totals.into_iter().zip(out) {
        store(out, _mm512_fmadd_ps(odd, _mm512_set1_ps(1.0), even));
    }
}

/// A line of BF16 pairs as two vectors of single precision.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn widen_pair(pairs: __m512i) -> [__m512; 2] {
    let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
    [_mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs)), _mm512_castsi512_ps(_mm512_and_si512(pairs, upper))]
}

/// Columns `from..` of a panel of 16-bit numbers as single precision; how many there are.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in super::super) fn widen_strip(
    layout: Layout,
    weights: &[u8],
    from: usize,
    strip: &mut [Column; STRIP_COLUMNS],
) -> usize {
    if layout == Layout::Bf16 {
        let lines = weights.as_chunks::<LINE>().0.get(from / 2..).unwrap_or_default();
        for ([first, second], bytes) in strip.as_chunks_mut::<2>().0.iter_mut().zip(lines) {
            let [even, odd] = widen_pair(line(bytes));
            store(first, even);
            store(second, odd);
        }
        (2 * lines.len()).min(STRIP_COLUMNS)
    } else {
        let count = (weights.len() / (2 * PANEL)).saturating_sub(from).min(STRIP_COLUMNS);
        for (column, target) in strip.iter_mut().enumerate().take(count) {
            store(target, halves(weights, (from + column) * 2 * PANEL));
        }
        count
    }
}

/// Adds the products of columns of two panels, a line each, with the same columns of up to
/// [`FLOAT_TILE_ROWS`] rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in super::super) fn tile_floats(panels: [&[[u8; LINE]]; 2], rows: &[&[f32]], totals: &mut [[[f32; PANEL]; 2]]) {
    by_count!(rows, [1 2 3 4 5 6 7 8 9 10 11 | 12] => {
        if let Some(totals) = totals.first_chunk_mut() {
            tile_float_rows(panels, rows, totals);
        }
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn tile_float_rows<const M: usize>(
    [first, second]: [&[[u8; LINE]]; 2],
    rows: &[&[f32]; M],
    totals: &mut [[[f32; PANEL]; 2]; M],
) {
    let count = first.len().min(second.len()).min(rows[0].len());
    let mut taken: [&[f32]; M] = [&[]; M];
    for m in 0..M {
        taken[m] = &rows[m][..count];
    }
    // In place: an array that is given back, or taken by value, goes through memory.
    let mut sums = [[_mm512_setzero_ps(); 2]; M];
    for m in 0..M {
        sums[m] = [numbers(&totals[m][0]), numbers(&totals[m][1])];
    }
    for (index, (first, second)) in first[..count].iter().zip(&second[..count]).enumerate() {
        let weights = [_mm512_castsi512_ps(line(first)), _mm512_castsi512_ps(line(second))];
        for m in 0..M {
            let x = _mm512_set1_ps(taken[m][index]);
            sums[m][0] = _mm512_fmadd_ps(weights[0], x, sums[m][0]);
            sums[m][1] = _mm512_fmadd_ps(weights[1], x, sums[m][1]);
        }
    }
    for m in 0..M {
        store(&mut totals[m][0], sums[m][0]);
        store(&mut totals[m][1], sums[m][1]);
    }
}
