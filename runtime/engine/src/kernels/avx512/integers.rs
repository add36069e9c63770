//! Products with integers. `vpdpbusd` multiplies four unsigned bytes of a weight lane with four
//! signed ones of the row and adds them up: one instruction for 16 rows by 4 columns.

#![expect(unsafe_code, reason = "vector loads and stores")]
#![expect(clippy::needless_range_loop, reason = "indices name registers")]

use std::arch::x86_64::{
    __m128i, __m512, __m512i, _mm_loadu_si128, _mm_storeu_si128, _mm512_abs_ps, _mm512_add_epi32, _mm512_and_si512,
    _mm512_cvtepi8_epi32, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_cvtps_epi32,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_mask_add_epi8, _mm512_max_ps, _mm512_mul_ps, _mm512_or_si512,
    _mm512_reduce_add_epi32, _mm512_reduce_max_ps, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi16, _mm512_srli_epi16, _mm512_storeu_si512, _mm512_sub_ps,
};

use super::super::layout::{BLOCK, HALVES_BYTES, LINE, Layout, NESTED_BYTES, PANEL, SUPER, Scales};
use super::super::portable::{Factors, Quads};
use super::super::rows::{QUADS, Row};
use super::{AHEAD, halves, line, numbers, prefetch, store, vectors};

/// Rows that are multiplied with a panel in one pass.
pub(in super::super) const FEW_ROWS: usize = 8;
/// Blocks of a strip: its bytes and factors stay in the first-level cache.
pub(in super::super) const STRIP_BLOCKS: usize = 16;
/// Two panels beside each other, unpacked.
pub(in super::super) struct Strip {
    quads: [[Quads; 2]; STRIP_BLOCKS],
    factors: [[Factors; 2]; STRIP_BLOCKS],
    blocks: usize,
}

impl Strip {
    pub(in super::super) fn new() -> Self {
        let factors = Factors { scale: [[0.0; PANEL]; 2], offset: [[0.0; PANEL]; 2] };
        Self { quads: [[[[0; LINE]; BLOCK / 4]; 2]; STRIP_BLOCKS], factors: [[factors; 2]; STRIP_BLOCKS], blocks: 0 }
    }
}

/// 16 bytes at this place.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn sixteen(bytes: &[u8], at: usize) -> __m128i {
    let bytes: &[u8] = &bytes[at..at + PANEL];
    // SAFETY: the slice has 16 bytes; the load wants no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// The integers of a block, quad by quad.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn quads<const BITS: usize>(block: &[[u8; LINE]; BITS]) -> [__m512i; BLOCK / 4] {
    let mut quads = [_mm512_setzero_si512(); BLOCK / 4];
    if BITS == 8 {
        for (quad, bytes) in quads.iter_mut().zip(block) {
            *quad = line(bytes);
        }
        return quads;
    }
    let low = _mm512_set1_epi8(15);
    for i in 0..4 {
        let pairs = line(&block[i]);
        quads[i] = _mm512_and_si512(pairs, low);
        quads[4 + i] = _mm512_and_si512(_mm512_srli_epi16::<4>(pairs), low);
    }
    if BITS == 5 {
        let fifth = _mm512_set1_epi8(16);
        for (quad, bits) in quads.iter_mut().zip(block[4].as_chunks::<8>().0) {
            *quad = _mm512_mask_add_epi8(*quad, u64::from_le_bytes(*bits), *quad, fifth);
        }
    }
    if BITS == 6 {
        let upper = _mm512_set1_epi8(0x30);
        for h in 0..2 {
            let bits = line(&block[4 + h]);
            let two = [_mm512_slli_epi16::<4>(bits), _mm512_slli_epi16::<2>(bits), bits, _mm512_srli_epi16::<2>(bits)];
            for (quad, two) in quads[4 * h..].iter_mut().zip(two) {
                *quad = _mm512_or_si512(*quad, _mm512_and_si512(two, upper));
            }
        }
    }
    quads
}

/// Scale and offset vectors of a block's halves; equal ones where a form has one for both.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn factors<const FORM: u8>(bits: usize, scales: &[u8], index: usize) -> ([__m512; 2], [__m512; 2]) {
    let (group, inside) = (index / (SUPER / BLOCK), index % (SUPER / BLOCK));
    let zero = _mm512_set1_ps(-(Layout::zero(bits) as f32));
    match FORM {
        SYMMETRIC => {
            let scale = halves(scales, index * 2 * PANEL);
            ([scale; 2], [_mm512_mul_ps(scale, zero); 2])
        }
        OFFSET => {
            let at = index * 4 * PANEL;
            ([halves(scales, at); 2], [halves(scales, at + 2 * PANEL); 2])
        }
        NESTED => {
            let start = group * NESTED_BYTES;
            let inner = start + 4 * PANEL + inside * 2 * PANEL;
            let inner = [sixteen(scales, inner), sixteen(scales, inner + PANEL)];
            let scale = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(inner[0]));
            let scale = _mm512_mul_ps(halves(scales, start), scale);
            let offset = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(inner[1]));
            let offset = _mm512_mul_ps(halves(scales, start + 2 * PANEL), offset);
            ([scale; 2], [_mm512_sub_ps(_mm512_setzero_ps(), offset); 2])
        }
        _ => {
            let start = group * HALVES_BYTES;
            let inner = start + 2 * PANEL + inside * 2 * PANEL;
            let outer = halves(scales, start);
            let inner = [sixteen(scales, inner), sixteen(scales, inner + PANEL)];
            let scale = [
                _mm512_mul_ps(outer, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(inner[0]))),
                _mm512_mul_ps(outer, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(inner[1]))),
            ];
            (scale, [_mm512_mul_ps(scale[0], zero), _mm512_mul_ps(scale[1], zero)])
        }
    }
}

const SYMMETRIC: u8 = 0;
const OFFSET: u8 = 1;
const NESTED: u8 = 2;
const HALVES: u8 = 3;

/// Calls the function with the constants of an integer layout.
macro_rules! for_layout {
    ($bits:expr, $scales:expr, $function:ident $(::<$($more:tt),*>)?, $($argument:expr),*) => {
        match ($bits, $scales) {
            (4, Scales::Symmetric) => $function::<4, SYMMETRIC $($(, $more)*)?>($($argument),*),
            (4, Scales::Offset) => $function::<4, OFFSET $($(, $more)*)?>($($argument),*),
            (4, Scales::Nested) => $function::<4, NESTED $($(, $more)*)?>($($argument),*),
            (5, Scales::Symmetric) => $function::<5, SYMMETRIC $($(, $more)*)?>($($argument),*),
            (5, Scales::Offset) => $function::<5, OFFSET $($(, $more)*)?>($($argument),*),
            (5, Scales::Nested) => $function::<5, NESTED $($(, $more)*)?>($($argument),*),
            (6, Scales::NestedHalves) => $function::<6, HALVES $($(, $more)*)?>($($argument),*),
            (8, Scales::Symmetric) => $function::<8, SYMMETRIC $($(, $more)*)?>($($argument),*),
            (bits, scales) => unreachable!("no layout has {bits} bits with {scales:?} scales"),
        }
    };
}

/// The products of a panel with up to eight rows: the panel is read once, unpacked in registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in super::super) fn few(
    bits: usize,
    form: Scales,
    weights: &[u8],
    scales: &[u8],
    rows: &[Row<'_>],
    out: &mut [[f32; PANEL]],
) {
    by_count!(rows, [1 2 3 4 5 6 7 | 8] => {
        if let Some(out) = out.first_chunk_mut() {
            for_layout!(bits, form, few_rows::<_>, weights, scales, rows, out);
        }
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn few_rows<const BITS: usize, const FORM: u8, const M: usize>(
    weights: &[u8],
    scales: &[u8],
    rows: &[Row<'_>; M],
    out: &mut [[f32; PANEL]; M],
) {
    let (blocks, _) = weights.as_chunks::<LINE>().0.as_chunks::<BITS>();
    let count = blocks.len().min(rows[0].scales.len());
    let rows = cut(rows, 0, count);
    // Panels lie one behind the other, weights before scales: both of the next are asked for here.
    let of_block = scales.len() / count.max(1);
    let mut totals = [_mm512_setzero_ps(); M];
    for (index, block) in blocks[..count].iter().enumerate() {
        // What follows the last weights are this panel's scales, which are here already.
        let is_next = index * BITS * LINE + AHEAD >= weights.len();
        let distance = if is_next { AHEAD + scales.len() } else { AHEAD };
        for line in block {
            prefetch(line.as_ptr().wrapping_add(distance));
        }
        prefetch(scales.as_ptr().wrapping_add(weights.len() + scales.len() + index * of_block));
        let quads = quads(block);
        let (scale, offset) = factors::<FORM>(BITS, scales, index);
        for m in 0..M {
            let Row { values, scales, sums } = rows[m];
            let mut products = [_mm512_setzero_si512(); 2];
            for j in 0..4 {
                products[0] = _mm512_dpbusd_epi32(products[0], quads[j], _mm512_set1_epi32(values[index][j]));
                products[1] = _mm512_dpbusd_epi32(products[1], quads[4 + j], _mm512_set1_epi32(values[index][4 + j]));
            }
            let of_row = _mm512_set1_ps(scales[index]);
            if FORM == HALVES {
                for half in 0..2 {
                    let factor = _mm512_mul_ps(scale[half], of_row);
                    totals[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[half]), factor, totals[m]);
                    totals[m] = _mm512_fmadd_ps(offset[half], _mm512_set1_ps(sums[index][half]), totals[m]);
                }
            } else {
                let product = _mm512_cvtepi32_ps(_mm512_add_epi32(products[0], products[1]));
                totals[m] = _mm512_fmadd_ps(product, _mm512_mul_ps(scale[0], of_row), totals[m]);
                let sum = sums[index][0] + sums[index][1];
                totals[m] = _mm512_fmadd_ps(offset[0], _mm512_set1_ps(sum), totals[m]);
            }
        }
    }
    for (total, out) in totals.into_iter().zip(out) {
        store(out, total);
    }
}

/// Unpacks blocks `from..` of a panel into one side of a strip.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in super::super) fn fill_strip(
    bits: usize,
    form: Scales,
    weights: &[u8],
    scales: &[u8],
    from: usize,
    strip: &mut Strip,
    side: usize,
) {
    for_layout!(bits, form, fill_side, weights, scales, from, strip, side);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn fill_side<const BITS: usize, const FORM: u8>(
    weights: &[u8],
    scales: &[u8],
    from: usize,
    strip: &mut Strip,
    side: usize,
) {
    let (blocks, _) = weights.as_chunks::<LINE>().0.as_chunks::<BITS>();
    let blocks = blocks.get(from..).unwrap_or_default();
    strip.blocks = blocks.len().min(STRIP_BLOCKS);
    for (index, block) in blocks.iter().take(STRIP_BLOCKS).enumerate() {
        for line in block {
            prefetch(line.as_ptr().wrapping_add(AHEAD));
        }
        let unpacked = &mut strip.quads[index][side];
        for (target, quad) in unpacked.iter_mut().zip(quads(block)) {
            // SAFETY: room for 64 bytes; the store wants no alignment.
            unsafe { _mm512_storeu_si512(target.as_mut_ptr().cast(), quad) }
        }
        let (scale, offset) = factors::<FORM>(BITS, scales, from + index);
        let target = &mut strip.factors[index][side];
        for half in 0..2 {
            store(&mut target.scale[half], scale[half]);
            store(&mut target.offset[half], offset[half]);
        }
    }
}

/// Adds the products of a strip, which begins at block `from`, with up to [`TILE_ROWS`] rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in super::super) fn tile(
    has_halves: bool,
    strip: &Strip,
    from: usize,
    rows: &[Row<'_>],
    totals: &mut [[[f32; PANEL]; 2]],
) {
    by_count!(rows, [1 2 3 4 5 | 6] => match totals.first_chunk_mut() {
        Some(totals) if has_halves => tile_rows::<true, _>(strip, from, rows, totals),
        Some(totals) => tile_rows::<false, _>(strip, from, rows, totals),
        None => {}
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn tile_rows<const WITH_HALVES: bool, const M: usize>(
    strip: &Strip,
    from: usize,
    rows: &[Row<'_>; M],
    totals: &mut [[[f32; PANEL]; 2]; M],
) {
    let count = strip.blocks.min(rows[0].scales.len().saturating_sub(from));
    let rows = cut(rows, from, count);
    let mut sums = vectors(totals);
    for index in 0..count {
        let (quads, factors) = (&strip.quads[index], &strip.factors[index]);
        let mut products = [[_mm512_setzero_si512(); 2]; M];
        for j in 0..BLOCK / 4 {
            let weights = [line(&quads[0][j]), line(&quads[1][j])];
            for m in 0..M {
                let quad = _mm512_set1_epi32(rows[m].values[index][j]);
                products[m][0] = _mm512_dpbusd_epi32(products[m][0], weights[0], quad);
                products[m][1] = _mm512_dpbusd_epi32(products[m][1], weights[1], quad);
            }
            if WITH_HALVES && j == 3 {
                for m in 0..M {
                    let of_row = (rows[m].scales[index], rows[m].sums[index][0]);
                    scale_products(&mut sums[m], &mut products[m], factors, 0, of_row);
                }
            }
        }
        let half = usize::from(WITH_HALVES);
        for m in 0..M {
            let [first, second] = rows[m].sums[index];
            let sum = if WITH_HALVES { second } else { first + second };
            scale_products(&mut sums[m], &mut products[m], factors, half, (rows[m].scales[index], sum));
        }
    }
    for (totals, sums) in totals.iter_mut().zip(sums) {
        for (total, sum) in totals.iter_mut().zip(sums) {
            store(total, sum);
        }
    }
}

/// Blocks `from..from + count` of each row.
fn cut<'a, const M: usize>(rows: &[Row<'a>; M], from: usize, count: usize) -> [Row<'a>; M] {
    let blocks = from..from + count;
    rows.map(|Row { values, scales, sums }| Row {
        values: &values[blocks.clone()],
        scales: &scales[blocks.clone()],
        sums: &sums[blocks.clone()],
    })
}

/// Brings integer products under their scales, and begins new ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn scale_products(
    sums: &mut [__m512; 2],
    products: &mut [__m512i; 2],
    factors: &[Factors; 2],
    half: usize,
    (scale, sum): (f32, f32),
) {
    for side in 0..2 {
        let factor = _mm512_mul_ps(numbers(&factors[side].scale[half]), _mm512_set1_ps(scale));
        sums[side] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[side]), factor, sums[side]);
        sums[side] = _mm512_fmadd_ps(numbers(&factors[side].offset[half]), _mm512_set1_ps(sum), sums[side]);
        products[side] = _mm512_setzero_si512();
    }
}

/// [`super::portable::quantize`], 16 numbers at a time. Rows of whole blocks only.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in super::super) fn quantize(row: &[f32], values: &mut [i32], scales: &mut [f32], sums: &mut [f32]) {
    let (blocks, _) = row.as_chunks::<BLOCK>();
    let targets = values.as_chunks_mut::<QUADS>().0.iter_mut().zip(scales).zip(sums.as_chunks_mut::<2>().0);
    for (block, ((values, scale), sums)) in blocks.iter().zip(targets) {
        let (parts, _) = block.as_chunks::<PANEL>();
        let parts = [numbers(&parts[0]), numbers(&parts[1])];
        let largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(parts[0]), _mm512_abs_ps(parts[1])));
        *scale = largest / 127.0;
        let inverse = _mm512_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });
        for (half, (part, values)) in parts.into_iter().zip(values.as_chunks_mut::<{ QUADS / 2 }>().0).enumerate() {
            let integers = _mm512_cvtps_epi32(_mm512_mul_ps(part, inverse));
            // SAFETY: room for 16 bytes; the store wants no alignment.
            unsafe { _mm_storeu_si128(values.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(integers)) }
            sums[half] = _mm512_reduce_add_epi32(integers) as f32 * *scale;
        }
    }
}
