//! Numbers rounded to BF16 (to the nearest even), in the order in which AMX takes them.
//!
//! Functions here may only be called where [`has_tiles`](super::super::level::Available::has_tiles) holds:
//! processors with AMX have what they are compiled for.

#![expect(unsafe_code, reason = "vectors of pairs are taken as vectors of integers, and stored")]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_and_si512, _mm512_cvtepi32_ps, _mm512_cvtne2ps_pbh, _mm512_fmadd_ps,
    _mm512_loadu_si512, _mm512_permutexvar_epi16, _mm512_set1_epi32, _mm512_srli_epi32, _mm512_storeu_si512,
};

use super::super::amx::{Line, WeightTiles};
use super::super::layout::{BLOCK, LINE, PANEL, Scales};
use super::unpack::{factors, for_layout, quads};
use super::{AHEAD, numbers, prefetch};

/// Words 0 to 15 of a vector beside words 16 to 31: what the two halves have of a lane becomes its pair.
const BESIDE: [u16; 32] = {
    let mut order = [0; 32];
    let mut lane = 0;
    while lane < PANEL {
        order[2 * lane] = lane as u16;
        order[2 * lane + 1] = (PANEL + lane) as u16;
        lane += 1;
    }
    order
};

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

/// Blocks `from..` of a panel into one side of a strip, a tile each, as many as the strip has or the panel.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
pub(in super::super) fn round_integers(
    bits: usize,
    form: Scales,
    weights: &[u8],
    scales: &[u8],
    from: usize,
    strip: &mut [WeightTiles],
    side: usize,
) {
    for_layout!(bits, form, round_side, weights, scales, from, strip, side);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
fn round_side<const BITS: usize, const FORM: u8>(
    weights: &[u8],
    scales: &[u8],
    from: usize,
    strip: &mut [WeightTiles],
    side: usize,
) {
    let (blocks, _) = weights.as_chunks::<LINE>().0.as_chunks::<BITS>();
    // SAFETY: 64 readable bytes; the load wants no alignment.
    let beside = unsafe { _mm512_loadu_si512(BESIDE.as_ptr().cast()) };
    for (index, (block, tiles)) in blocks.iter().skip(from).zip(strip).enumerate() {
        for line in block {
            prefetch(line.as_ptr().wrapping_add(AHEAD));
        }
        let (scale, offset) = factors::<FORM>(BITS, scales, from + index);
        let (targets, _) = tiles.0[side].as_chunks_mut::<2>();
        for (j, (quad, [first, second])) in quads(block).into_iter().zip(targets).enumerate() {
            let (scale, offset) = (scale[j / 4], offset[j / 4]);
            let columns = [
                column::<0>(quad, scale, offset),
                column::<8>(quad, scale, offset),
                column::<16>(quad, scale, offset),
                column::<24>(quad, scale, offset),
            ];
            put(first, _mm512_permutexvar_epi16(beside, round(columns[0], columns[1])));
            put(second, _mm512_permutexvar_epi16(beside, round(columns[2], columns[3])));
        }
    }
}

/// What the byte at a bit of each lane stands for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
fn column<const BIT: u32>(quad: __m512i, scale: __m512, offset: __m512) -> __m512 {
    let integers = _mm512_and_si512(_mm512_srli_epi32::<BIT>(quad), _mm512_set1_epi32(0xff));
    _mm512_fmadd_ps(_mm512_cvtepi32_ps(integers), scale, offset)
}

const _: () = assert!(size_of::<Line>() == LINE && BLOCK == 2 * PANEL, "a line has 32 columns of BF16");
