//! Kernels for AVX2, FMA and F16C: half a panel, eight rows, in each register. Products of bytes are
//! added as 16-bit numbers (`vpmaddubsw`) as long as they fit.
//!
//! Every function here may only be called with the [`super::level::Available`] that
//! [`Level::Avx2`](super::Level) carries.

#![expect(unsafe_code, reason = "vector loads and stores")]
#![expect(clippy::needless_range_loop, reason = "indices name registers")]

use std::arch::x86_64::{
    __m256, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm256_abs_epi8, _mm256_add_epi16, _mm256_add_epi32,
    _mm256_and_si256, _mm256_castsi256_ps, _mm256_cmpeq_epi8, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps,
    _mm256_cvtepu8_epi32, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_or_si256, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_set1_epi64x, _mm256_set1_ps, _mm256_setr_epi8, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_sign_epi8, _mm256_slli_epi16, _mm256_slli_epi32, _mm256_srli_epi16, _mm256_storeu_ps, _mm256_sub_ps,
    _mm256_xor_si256,
};

use super::attention::{Attention, Head, Sums, plain_page};
use super::kv_page::HeadPage;
use super::layout::{BLOCK, HALVES_BYTES, LINE, Layout, NESTED_BYTES, PANEL, SUPER, Scales};
use super::rows::Row;

/// Rows that are multiplied with a panel in one pass.
pub(super) const FEW_ROWS: usize = 4;
/// Lanes of a register, half a panel.
const LANES: usize = PANEL / 2;

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(bytes: &[u8; LINE / 2]) -> __m256i {
    // SAFETY: 32 readable bytes; the load wants no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Eight half-precision numbers at this place.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halves(bytes: &[u8], at: usize) -> __m256 {
    let bytes: &[u8] = &bytes[at..at + 2 * LANES];
    // SAFETY: the slice has 16 bytes; the load wants no alignment.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

/// Eight bytes at this place.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn eight(bytes: &[u8], at: usize) -> std::arch::x86_64::__m128i {
    let bytes: &[u8] = &bytes[at..at + LANES];
    // SAFETY: the slice has 8 bytes, as many as are loaded.
    unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
}

/// The integers of half a block's rows, quad by quad; those of 8 bits signed, less 128.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn quads<const BITS: usize>(block: &[[u8; LINE]; BITS], half: usize) -> [__m256i; BLOCK / 4] {
    let mut quads = [_mm256_setzero_si256(); BLOCK / 4];
    if BITS == 8 {
        for (quad, line) in quads.iter_mut().zip(block) {
            *quad = _mm256_xor_si256(load(&line.as_chunks().0[half]), _mm256_set1_epi8(-128));
        }
        return quads;
    }
    let low = _mm256_set1_epi8(15);
    for i in 0..4 {
        let pairs = load(&block[i].as_chunks().0[half]);
        quads[i] = _mm256_and_si256(pairs, low);
        quads[4 + i] = _mm256_and_si256(_mm256_srli_epi16::<4>(pairs), low);
    }
    if BITS == 5 {
        // Each of four bytes eight times, and of each time another bit.
        #[rustfmt::skip]
        let spread = _mm256_setr_epi8(
            0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3,
        );
        let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
        for (quad, bits) in quads.iter_mut().zip(block[4].as_chunks::<8>().0) {
            let [_, _, _, _, e, f, g, h] = *bits;
            let [a, b, c, d, ..] = *bits;
            let bits = if half == 0 { [a, b, c, d] } else { [e, f, g, h] };
            let bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(i32::from_le_bytes(bits)), spread);
            let is_set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
            *quad = _mm256_or_si256(*quad, _mm256_and_si256(is_set, _mm256_set1_epi8(16)));
        }
    }
    if BITS == 6 {
        let upper = _mm256_set1_epi8(0x30);
        for h in 0..2 {
            let bits = load(&block[4 + h].as_chunks().0[half]);
            let two = [_mm256_slli_epi16::<4>(bits), _mm256_slli_epi16::<2>(bits), bits, _mm256_srli_epi16::<2>(bits)];
            for (quad, two) in quads[4 * h..].iter_mut().zip(two) {
                *quad = _mm256_or_si256(*quad, _mm256_and_si256(two, upper));
            }
        }
    }
    quads
}

/// Scales and offsets of a block's halves of columns, for half its rows.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn factors(form: Scales, bits: usize, scales: &[u8], index: usize, half: usize) -> ([__m256; 2], [__m256; 2]) {
    let (group, inside) = (index / (SUPER / BLOCK), index % (SUPER / BLOCK));
    let zero = _mm256_set1_ps(-(Layout::zero(bits) as f32));
    let (of_halves, of_bytes) = (half * 2 * LANES, half * LANES);
    match form {
        Scales::Symmetric => {
            let scale = halves(scales, index * 2 * PANEL + of_halves);
            ([scale; 2], [_mm256_mul_ps(scale, zero); 2])
        }
        Scales::Offset => {
            let at = index * 4 * PANEL + of_halves;
            ([halves(scales, at); 2], [halves(scales, at + 2 * PANEL); 2])
        }
        Scales::Nested => {
            let start = group * NESTED_BYTES;
            let inner = start + 4 * PANEL + inside * 2 * PANEL + of_bytes;
            let scale = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(eight(scales, inner)));
            let offset = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(eight(scales, inner + PANEL)));
            let scale = _mm256_mul_ps(halves(scales, start + of_halves), scale);
            let offset = _mm256_mul_ps(halves(scales, start + 2 * PANEL + of_halves), offset);
            ([scale; 2], [_mm256_sub_ps(_mm256_setzero_ps(), offset); 2])
        }
        Scales::NestedHalves => {
            let start = group * HALVES_BYTES;
            let inner = start + 2 * PANEL + inside * 2 * PANEL + of_bytes;
            let outer = halves(scales, start + of_halves);
            let first = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight(scales, inner)));
            let second = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight(scales, inner + PANEL)));
            let scale = [_mm256_mul_ps(outer, first), _mm256_mul_ps(outer, second)];
            (scale, [_mm256_mul_ps(scale[0], zero), _mm256_mul_ps(scale[1], zero)])
        }
    }
}

/// The sum of the products of four quads with a row's, in every lane.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn four<const BITS: usize>(quads: &[__m256i], values: &[i32]) -> __m256i {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_si256(); 2];
    if BITS == 8 {
        // The signs go over to the row: 128 × 127 twice still fits into 16 bits, and no more does.
        for j in 0..4 {
            let signed = _mm256_sign_epi8(_mm256_set1_epi32(values[j]), quads[j]);
            let products = _mm256_maddubs_epi16(_mm256_abs_epi8(quads[j]), signed);
            sums[j % 2] = _mm256_add_epi32(sums[j % 2], _mm256_madd_epi16(products, ones));
        }
        return _mm256_add_epi32(sums[0], sums[1]);
    }
    // 63 × 127 four times fits.
    for j in 0..4 {
        let products = _mm256_maddubs_epi16(quads[j], _mm256_set1_epi32(values[j]));
        sums[j / 2] = _mm256_add_epi16(sums[j / 2], products);
    }
    _mm256_add_epi32(_mm256_madd_epi16(sums[0], ones), _mm256_madd_epi16(sums[1], ones))
}

/// The products of a panel with up to four rows.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn few(
    bits: usize,
    form: Scales,
    weights: &[u8],
    scales: &[u8],
    rows: &[Row<'_>],
    out: &mut [[f32; PANEL]],
) {
    match bits {
        4 => few_bits::<4>(form, weights, scales, rows, out),
        5 => few_bits::<5>(form, weights, scales, rows, out),
        6 => few_bits::<6>(form, weights, scales, rows, out),
        _ => few_bits::<8>(form, weights, scales, rows, out),
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn few_bits<const BITS: usize>(
    form: Scales,
    weights: &[u8],
    scales: &[u8],
    rows: &[Row<'_>],
    out: &mut [[f32; PANEL]],
) {
    by_count!(rows, [1 2 3 | 4] => {
        if let Some(out) = out.first_chunk_mut() {
            few_rows::<BITS, _>(form, weights, scales, rows, out);
        }
    });
}

#[target_feature(enable = "avx2,fma,f16c")]
fn few_rows<const BITS: usize, const M: usize>(
    form: Scales,
    weights: &[u8],
    scales: &[u8],
    rows: &[Row<'_>; M],
    out: &mut [[f32; PANEL]; M],
) {
    let (blocks, _) = weights.as_chunks::<LINE>().0.as_chunks::<BITS>();
    let count = blocks.len().min(rows[0].scales.len());
    let mut totals = [[_mm256_setzero_ps(); 2]; M];
    for (index, block) in blocks[..count].iter().enumerate() {
        for half in 0..2 {
            let quads = quads(block, half);
            let (scale, offset) = factors(form, BITS, scales, index, half);
            for m in 0..M {
                let (values, of_row, sums) = (&rows[m].values[index], rows[m].scales[index], rows[m].sums[index]);
                let mut total = totals[m][half];
                for part in 0..2 {
                    let products = four::<BITS>(&quads[4 * part..4 * part + 4], &values[4 * part..4 * part + 4]);
                    let factor = _mm256_mul_ps(scale[part], _mm256_set1_ps(of_row));
                    total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), factor, total);
                    // Integers of 8 bits have had their zero taken off.
                    if BITS != 8 {
                        total = _mm256_fmadd_ps(offset[part], _mm256_set1_ps(sums[part]), total);
                    }
                }
                totals[m][half] = total;
            }
        }
    }
    put(&totals, out);
}

/// The products of a panel of floating-point numbers with up to four rows.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn few_floats(layout: Layout, weights: &[u8], rows: &[&[f32]], out: &mut [[f32; PANEL]]) {
    by_count!(rows, [1 2 3 | 4] => {
        if let Some(out) = out.first_chunk_mut() {
            few_float_rows(layout, weights, rows, out);
        }
    });
}

#[target_feature(enable = "avx2,fma,f16c")]
fn few_float_rows<const M: usize>(layout: Layout, weights: &[u8], rows: &[&[f32]; M], out: &mut [[f32; PANEL]; M]) {
    let columns = rows[0].len();
    let mut totals = [[_mm256_setzero_ps(); 2]; M];
    macro_rules! add {
        ($column:expr, $half:expr, $vector:expr) => {{
            let (column, vector) = ($column, $vector);
            for m in 0..M {
                totals[m][$half] = _mm256_fmadd_ps(vector, _mm256_set1_ps(rows[m][column]), totals[m][$half]);
            }
        }};
    }
    let (lines, _) = weights.as_chunks::<LINE>();
    match layout {
        Layout::Bf16 => {
            let upper = _mm256_set1_epi32(0xffff_0000_u32.cast_signed());
            for (pair, line) in lines.iter().enumerate().take(columns.div_ceil(2)) {
                for half in 0..2 {
                    let pairs = load(&line.as_chunks().0[half]);
                    add!(2 * pair, half, _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs)));
                    if 2 * pair + 1 < columns {
                        add!(2 * pair + 1, half, _mm256_castsi256_ps(_mm256_and_si256(pairs, upper)));
                    }
                }
            }
        }
        Layout::F16 => {
            for column in 0..columns {
                for half in 0..2 {
                    add!(column, half, halves(weights, (column * PANEL + half * LANES) * 2));
                }
            }
        }
        Layout::F32 => {
            for (column, line) in lines.iter().enumerate().take(columns) {
                for half in 0..2 {
                    add!(column, half, _mm256_castsi256_ps(load(&line.as_chunks().0[half])));
                }
            }
        }
        Layout::Integers { .. } => {}
    }
    put(&totals, out);
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn put<const M: usize>(totals: &[[__m256; 2]; M], out: &mut [[f32; PANEL]; M]) {
    for (totals, out) in totals.iter().zip(out) {
        for (total, out) in totals.iter().zip(out.as_chunks_mut::<LANES>().0) {
            // SAFETY: room for 8 numbers; the store wants no alignment.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), *total) }
        }
    }
}

/// [`plain_page`], compiled for these instructions.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn page(attention: &Attention, heads: &[Head<'_>], page: &HeadPage<'_>, position: usize, sums: &mut Sums) {
    plain_page(attention, heads, page, position, sums);
}
