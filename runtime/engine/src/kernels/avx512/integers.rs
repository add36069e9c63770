//! Products with integers. `vpdpbusd` multiplies four unsigned bytes of a weight lane with four
//! signed ones of the row and adds them up: one instruction for 16 rows by 4 columns.

#![expect(unsafe_code, reason = "vector loads and stores")]
#![expect(clippy::needless_range_loop, reason = "indices name registers")]

use std::arch::x86_64::{
    __m512, __m512i, _mm_storeu_si128, _mm512_abs_ps, _mm512_add_epi32, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps,
    _mm512_cvtps_epi32, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_max_ps, _mm512_mul_ps,
    _mm512_reduce_add_epi32, _mm512_reduce_max_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_storeu_si512,
};

use super::super::amx::Products;
use super::super::layout::{BLOCK, LINE, PANEL, Scales};
use super::super::portable::{Factors, Quads};
use super::super::rows::{QUADS, Row};
use super::unpack::{HALVES, factors, for_layout, quads};
use super::{AHEAD, line, numbers, prefetch, store, vectors};

/// Rows that are multiplied with a panel in one pass.
pub(in super::super) const FEW_ROWS: usize = 8;
/// Blocks of a strip: its bytes and factors stay in the first-level cache.
pub(in super::super) const STRIP_BLOCKS: usize = 16;
/// Two panels beside each other, unpacked.
#[repr(C, align(64))]
pub(in super::super) struct Strip {
    pub(in super::super) quads: [[Quads; 2]; STRIP_BLOCKS],
    factors: [[Factors; 2]; STRIP_BLOCKS],
    blocks: usize,
}

impl Strip {
    pub(in super::super) fn new() -> Self {
        let factors = Factors { scale: [[0.0; PANEL]; 2], offset: [[0.0; PANEL]; 2] };
        Self { quads: [[[[0; LINE]; BLOCK / 4]; 2]; STRIP_BLOCKS], factors: [[factors; 2]; STRIP_BLOCKS], blocks: 0 }
    }

    /// Blocks that it has and rows of so many have, too, where it begins with block `from` of theirs. Columns beyond are padding.
    pub(in super::super) fn count(&self, blocks: usize, from: usize) -> usize {
        self.blocks.min(blocks.saturating_sub(from))
    }
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
    let count = strip.count(rows[0].scales.len(), from);
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

/// Brings sums that AMX made of blocks `at..` of a strip, which begins at block `from`, under their scales: the same
/// steps as in a tile of registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in super::super) fn add_products(
    has_halves: bool,
    strip: &Strip,
    from: usize,
    at: usize,
    products: &[[Products; 2]],
    rows: &[Row<'_>],
    totals: &mut [[[f32; PANEL]; 2]],
) {
    for (m, (row, totals)) in rows.iter().zip(totals).enumerate() {
        let mut sums = [numbers(&totals[0]), numbers(&totals[1])];
        for (index, products) in products.iter().enumerate() {
            let (factors, index) = (&strip.factors[at + index], from + at + index);
            let (scale, [first, second]) = (row.scales[index], row.sums[index]);
            let mut lanes = lanes_of(&products[0], m);
            if has_halves {
                scale_products(&mut sums, &mut lanes, factors, 0, (scale, first));
                scale_products(&mut sums, &mut lanes_of(&products[1], m), factors, 1, (scale, second));
            } else {
                scale_products(&mut sums, &mut lanes, factors, 0, (scale, first + second));
            }
        }
        store(&mut totals[0], sums[0]);
        store(&mut totals[1], sums[1]);
    }
}

/// The sums of a row, for both panels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn lanes_of(products: &Products, row: usize) -> [__m512i; 2] {
    let [first, second] = &products.0;
    // SAFETY: 64 readable bytes each; the loads want no alignment.
    unsafe { [_mm512_loadu_si512(first[row].as_ptr().cast()), _mm512_loadu_si512(second[row].as_ptr().cast())] }
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
