//! A block of integers, and its scales, in registers.

#![expect(unsafe_code, reason = "vector loads")]

use std::arch::x86_64::{
    __m128i, __m512, __m512i, _mm_loadu_si128, _mm512_and_si512, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps,
    _mm512_cvtepu8_epi32, _mm512_mask_add_epi8, _mm512_mul_ps, _mm512_or_si512, _mm512_set1_epi8, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi16, _mm512_srli_epi16, _mm512_sub_ps,
};

use super::super::layout::{BLOCK, HALVES_BYTES, LINE, Layout, NESTED_BYTES, PANEL, SUPER};
use super::{halves, line};

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
pub(super) fn quads<const BITS: usize>(block: &[[u8; LINE]; BITS]) -> [__m512i; BLOCK / 4] {
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
pub(super) fn factors<const FORM: u8>(bits: usize, scales: &[u8], index: usize) -> ([__m512; 2], [__m512; 2]) {
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

pub(super) const SYMMETRIC: u8 = 0;
pub(super) const OFFSET: u8 = 1;
pub(super) const NESTED: u8 = 2;
pub(super) const HALVES: u8 = 3;

/// Calls the function, of a module beside this one, with the constants of an integer layout.
macro_rules! for_layout {
    ($bits:expr, $scales:expr, $function:ident $(::<$($more:tt),*>)?, $($argument:expr),*) => {
        match ($bits, $scales) {
            (4, Scales::Symmetric) => $function::<4, { super::unpack::SYMMETRIC } $($(, $more)*)?>($($argument),*),
            (4, Scales::Offset) => $function::<4, { super::unpack::OFFSET } $($(, $more)*)?>($($argument),*),
            (4, Scales::Nested) => $function::<4, { super::unpack::NESTED } $($(, $more)*)?>($($argument),*),
            (5, Scales::Symmetric) => $function::<5, { super::unpack::SYMMETRIC } $($(, $more)*)?>($($argument),*),
            (5, Scales::Offset) => $function::<5, { super::unpack::OFFSET } $($(, $more)*)?>($($argument),*),
            (5, Scales::Nested) => $function::<5, { super::unpack::NESTED } $($(, $more)*)?>($($argument),*),
            (6, Scales::NestedHalves) => $function::<6, { super::unpack::HALVES } $($(, $more)*)?>($($argument),*),
            (8, Scales::Symmetric) => $function::<8, { super::unpack::SYMMETRIC } $($(, $more)*)?>($($argument),*),
            (bits, scales) => unreachable!("no layout has {bits} bits with {scales:?} scales"),
        }
    };
}

pub(super) use for_layout;
