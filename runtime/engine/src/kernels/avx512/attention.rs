//! Attention: 32 positions of eight queries at a time, from keys and values of 16 or 8 bits.

#![expect(unsafe_code, reason = "vector loads and stores")]
#![expect(clippy::needless_range_loop, reason = "indices name registers")]

use std::arch::x86_64::{
    __m512, _MM_FROUND_TO_NEAREST_INT, _mm_loadu_si128, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_ps,
    _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtph_ps, _mm512_cvtps_ph, _mm512_fmadd_ps, _mm512_fnmadd_ps,
    _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_add_ps,
    _mm512_reduce_max_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    _mm512_sub_ps,
};

use super::super::attention::{Attention, HEAD_WIDTH, Head, Sums, TILE};
use super::super::elementwise::{EXP_TERMS, LN_2_HIGH, LN_2_LOW};
use super::super::kv_page::{BLOCK, CacheFormat, HeadPage, PAGE};
use super::super::layout::PANEL;
use super::{numbers, store};

/// Vectors of values that are added up side by side.
const TOGETHER: usize = 2;

/// 16 numbers of so many bytes: 16-bit floats, or signed integers before their scale.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn sixteen<const BYTES: usize>(numbers: &[[u8; BYTES]; PANEL]) -> __m512 {
    if BYTES == 1 {
        // SAFETY: 16 readable bytes; the load wants no alignment.
        let integers = unsafe { _mm_loadu_si128(numbers.as_ptr().cast()) };
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(integers));
    }
    // SAFETY: 32 readable bytes, as numbers have one byte or two; the load wants no alignment.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) })
}

/// [`super::super::attention`]'s narrowing, 16 numbers at a time; whole vectors only.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in super::super) fn halve(numbers: &[f32], target: &mut [u8]) {
    let largest = _mm512_set1_ps(65504.0);
    let smallest = _mm512_set1_ps(-65504.0);
    for (numbers, target) in numbers.as_chunks::<PANEL>().0.iter().zip(target.as_chunks_mut::<{ 2 * PANEL }>().0) {
        // SAFETY: 16 readable numbers; the load wants no alignment.
        let numbers = unsafe { _mm512_loadu_ps(numbers.as_ptr()) };
        let clamped = _mm512_max_ps(_mm512_min_ps(numbers, largest), smallest);
        let narrow = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(clamped);
        // SAFETY: room for 32 bytes; the store wants no alignment.
        unsafe { _mm256_storeu_si256(target.as_mut_ptr().cast(), narrow) }
    }
}

/// Adds a page, whose first position is given, to the sums of each query.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
pub(in super::super) fn page(
    attention: &Attention,
    heads: &[Head<'_>],
    page: &HeadPage<'_>,
    position: usize,
    sums: &mut Sums,
) {
    match attention.format {
        CacheFormat::F16 => {
            by_count!(heads, [1 2 3 4 5 6 7 | 8] => page_of::<2, _>(attention, heads, page, position, sums));
        }
        CacheFormat::Int8 => {
            by_count!(heads, [1 2 3 4 5 6 7 | 8] => page_of::<1, _>(attention, heads, page, position, sums));
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn page_of<const BYTES: usize, const M: usize>(
    attention: &Attention,
    heads: &[Head<'_>; M],
    page: &HeadPage<'_>,
    position: usize,
    sums: &mut Sums,
) {
    let width = attention.width;
    let (keys, values) = (page.keys.as_chunks::<BYTES>().0, page.values.as_chunks::<BYTES>().0);
    let queries: [&[f32]; M] = std::array::from_fn(|m| &heads[m].query[..width]);
    let keys = &keys.as_chunks::<PANEL>().0.as_chunks::<2>().0[..width];
    let mut scores = [[_mm512_setzero_ps(); 2]; M];
    // Without scales, all coordinates are one block.
    let block = if BYTES == 1 { BLOCK } else { HEAD_WIDTH };
    for (index, keys) in keys.chunks(block).enumerate() {
        let mut of_block = [[_mm512_setzero_ps(); 2]; M];
        for (coordinate, key) in keys.iter().enumerate() {
            let key = [sixteen(&key[0]), sixteen(&key[1])];
            for m in 0..M {
                let query = _mm512_set1_ps(queries[m][index * block + coordinate]);
                of_block[m][0] = _mm512_fmadd_ps(key[0], query, of_block[m][0]);
                of_block[m][1] = _mm512_fmadd_ps(key[1], query, of_block[m][1]);
            }
        }
        if BYTES == 1 {
            let [first, second] = factors(&page.key_scales[index]);
            for m in 0..M {
                scores[m][0] = _mm512_fmadd_ps(of_block[m][0], first, scores[m][0]);
                scores[m][1] = _mm512_fmadd_ps(of_block[m][1], second, scores[m][1]);
            }
        } else {
            scores = of_block;
        }
    }
    let mut weights = [[0f32; PAGE]; M];
    let mut shrinks = [1f32; M];
    for m in 0..M {
        let seen = seen(&heads[m], position);
        if seen == 0 {
            continue;
        }
        let scale = _mm512_set1_ps(attention.scale);
        let mut capped = [_mm512_mul_ps(scores[m][0], scale), _mm512_mul_ps(scores[m][1], scale)];
        if let Some(cap) = attention.soft_cap {
            capped = [bend(capped[0], cap), bend(capped[1], cap)];
        }
        let nothing = _mm512_set1_ps(f32::NEG_INFINITY);
        let masks = [seen as u16, (seen >> 16) as u16];
        let masked =
            [_mm512_mask_blend_ps(masks[0], nothing, capped[0]), _mm512_mask_blend_ps(masks[1], nothing, capped[1])];
        let largest = _mm512_reduce_max_ps(_mm512_max_ps(masked[0], masked[1])).max(sums.largest[m]);
        shrinks[m] = crate::kernels::elementwise::exp(sums.largest[m] - largest);
        sums.largest[m] = largest;
        let mut total = _mm512_setzero_ps();
        for half in 0..2 {
            let weight = exp(_mm512_sub_ps(masked[half], _mm512_set1_ps(largest)));
            let weight = _mm512_mask_blend_ps(masks[half], _mm512_setzero_ps(), weight);
            total = _mm512_add_ps(total, weight);
            // SAFETY: `half` is 0 or 1: 16 numbers of the 32 lie behind it.
            unsafe { _mm512_storeu_ps(weights[m].as_mut_ptr().add(half * PANEL), weight) }
        }
        sums.total[m] = sums.total[m] * shrinks[m] + _mm512_reduce_add_ps(total);
    }
    let stride = attention.stride();
    for from in (0..stride).step_by(TOGETHER * PANEL) {
        // The last one may be single.
        let vectors = ((stride - from) / PANEL).min(TOGETHER);
        let mut totals = [[_mm512_setzero_ps(); TOGETHER]; M];
        for m in 0..M {
            for vector in 0..vectors {
                let place: &[f32] = &sums.values[m][from + vector * PANEL..from + (vector + 1) * PANEL];
                // SAFETY: the slice has 16 numbers; the load wants no alignment.
                let total = unsafe { _mm512_loadu_ps(place.as_ptr()) };
                totals[m][vector] = _mm512_mul_ps(total, _mm512_set1_ps(shrinks[m]));
            }
        }
        let mut weights = weights;
        if BYTES == 1 {
            let scales = factors(&page.value_scales[from / BLOCK]);
            for weights in &mut weights {
                for (weights, scales) in weights.as_chunks_mut::<PANEL>().0.iter_mut().zip(scales) {
                    store(weights, _mm512_mul_ps(numbers(weights), scales));
                }
            }
        }
        for (slot, value) in values.chunks_exact(stride).enumerate() {
            let (value, _) = value[from..].as_chunks::<PANEL>();
            let value = [sixteen(&value[0]), sixteen(&value[vectors - 1])];
            for m in 0..M {
                let weight = _mm512_set1_ps(weights[m][slot]);
                totals[m][0] = _mm512_fmadd_ps(value[0], weight, totals[m][0]);
                totals[m][1] = _mm512_fmadd_ps(value[1], weight, totals[m][1]);
            }
        }
        for m in 0..M {
            for vector in 0..vectors {
                let place: &mut [f32] = &mut sums.values[m][from + vector * PANEL..from + (vector + 1) * PANEL];
                // SAFETY: the slice has 16 numbers; the store wants no alignment.
                unsafe { _mm512_storeu_ps(place.as_mut_ptr(), totals[m][vector]) }
            }
        }
    }
}

/// The scales of a block of coordinates for the 32 positions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn factors(scales: &[[u8; 2]; PAGE]) -> [__m512; 2] {
    let (halves_of, _) = scales.as_chunks::<PANEL>();
    [sixteen(&halves_of[0]), sixteen(&halves_of[1])]
}

/// Which positions of a page, whose first is given, a query sees: bit by bit.
fn seen(head: &Head<'_>, position: usize) -> u32 {
    let below = |end: usize| {
        let count = end.saturating_sub(position).min(PAGE);
        ((1u64 << count) - 1) as u32
    };
    below(head.end) & !below(head.first)
}

/// e to the power of each, as [`super::super::elementwise::exp`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn exp(x: __m512) -> __m512 {
    let x = _mm512_max_ps(x, _mm512_set1_ps(-126.0));
    let n = _mm512_roundscale_ps::<0>(_mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E)));
    let rest = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2_HIGH), x);
    let rest = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2_LOW), rest);
    let mut sum = _mm512_set1_ps(EXP_TERMS[0]);
    for term in &EXP_TERMS[1..] {
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(*term));
    }
    _mm512_scalef_ps(sum, n)
}

/// `cap tanh(scores / cap)`, by way of e to the power of twice that.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")]
fn bend(scores: __m512, cap: f32) -> __m512 {
    let mut numbers = [0f32; PANEL];
    // SAFETY: room for 16 numbers; the store wants no alignment.
    unsafe { _mm512_storeu_ps(numbers.as_mut_ptr(), scores) }
    let bent = numbers.map(|score| cap * (score / cap).tanh());
    // SAFETY: 16 readable numbers; the load wants no alignment.
    unsafe { _mm512_loadu_ps(bent.as_ptr()) }
}

const _: () =
    assert!(TILE == 8 && PAGE == 2 * PANEL && BLOCK == TOGETHER * PANEL, "the loops above are written for these");
