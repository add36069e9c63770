//! A page: 32 positions' keys and values of one layer and key-value head, as 16-bit floats or as 8-bit
//! integers with scales.
//!
//! ```text
//! keys, turned:   for each coordinate the 32 positions, so that scores grow together, without a sum across lanes
//! values:         position by position
//! (integers) scales of the keys, then of the values: for each block of coordinates those of the 32 positions
//! ```
//!
//! A position is written once and never again, so its scales are its own: a scale for the same coordinate of
//! all 32 positions would have to change as positions arrive.

#![expect(unsafe_code, reason = "numbers are narrowed at the level that was found")]

use half::f16;

use super::elementwise::at_each_level;
use super::layout::PANEL;
use super::level::Level;

/// Positions of a page.
pub(crate) const PAGE: usize = 32;
/// Coordinates of a position that share a scale, where they are integers.
pub(super) const BLOCK: usize = 32;
/// Bytes of a scale, a 16-bit float.
const SCALE: usize = 2;

/// How keys and values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheFormat {
    /// 16-bit floats.
    #[default]
    F16,
    /// 8-bit integers, and for every 32 coordinates of a position a scale of 16 bits: 17 bytes for 32.
    Int8,
}

impl CacheFormat {
    /// Bytes of a number.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::Int8 => 1,
        }
    }

    /// Bytes of the scales of one side, keys or values, of a page with heads of this stride.
    const fn scales(self, stride: usize) -> usize {
        match self {
            Self::F16 => 0,
            Self::Int8 => stride.div_ceil(BLOCK) * PAGE * SCALE,
        }
    }

    /// Bytes of one head's part of a page, for heads of this stride.
    pub(super) const fn head_page(self, stride: usize) -> usize {
        2 * (PAGE * stride * self.bytes() + self.scales(stride))
    }
}

/// One head's part of a page.
pub(super) struct HeadPage<'a> {
    pub(super) keys: &'a [u8],
    pub(super) values: &'a [u8],
    /// Of each block, where numbers are integers.
    pub(super) key_scales: &'a [[[u8; SCALE]; PAGE]],
    pub(super) value_scales: &'a [[[u8; SCALE]; PAGE]],
}

impl<'a> HeadPage<'a> {
    /// The parts of what [`CacheFormat::head_page`] says the length of.
    #[inline(always)]
    pub(super) fn new(format: CacheFormat, stride: usize, bytes: &'a [u8]) -> Self {
        let (keys, rest) = bytes.split_at(PAGE * stride * format.bytes());
        let (values, rest) = rest.split_at(PAGE * stride * format.bytes());
        let (key_scales, value_scales) = rest.split_at(format.scales(stride));
        let blocks = |bytes: &'a [u8]| bytes.as_chunks::<SCALE>().0.as_chunks::<PAGE>().0;
        Self { keys, values, key_scales: blocks(key_scales), value_scales: blocks(value_scales) }
    }
}

/// Writes one head's keys and values of a position into their place.
pub(super) fn store(
    level: Level,
    format: CacheFormat,
    stride: usize,
    page: &mut [u8],
    slot: usize,
    keys: &[f32],
    values: &[f32],
) {
    let (width, side) = (keys.len(), PAGE * stride);
    let mut narrow = [0; super::attention::HEAD_WIDTH * 2];
    match format {
        CacheFormat::F16 => {
            let narrow = &mut narrow[..2 * width];
            let (key_page, value_page) = page.split_at_mut(2 * side);
            halve(level, keys, narrow);
            let places = key_page.as_chunks_mut::<2>().0.chunks_exact_mut(PAGE);
            places.zip(narrow.as_chunks::<2>().0).for_each(|(coordinate, key)| coordinate[slot] = *key);
            halve(level, values, &mut value_page[2 * slot * stride..2 * (slot * stride + width)]);
        }
        CacheFormat::Int8 => {
            let narrow = &mut narrow[..width];
            let (key_page, rest) = page.split_at_mut(side);
            let (value_page, scales) = rest.split_at_mut(side);
            let (key_scales, value_scales) = scales.split_at_mut(format.scales(stride));
            quantize(level, keys, narrow, &mut key_scales[SCALE * slot..]);
            key_page.chunks_exact_mut(PAGE).zip(&*narrow).for_each(|(coordinate, key)| coordinate[slot] = *key);
            let values_at = slot * stride..slot * stride + width;
            quantize(level, values, &mut value_page[values_at], &mut value_scales[SCALE * slot..]);
        }
    }
}

/// As 16-bit floats; what is too large becomes the largest.
fn halve(level: Level, numbers: &[f32], target: &mut [u8]) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the level says that the processor has these instructions.
        Level::Avx512(_) if numbers.len().is_multiple_of(PANEL) => unsafe {
            super::avx512::attention::halve(numbers, target);
        },
        _ => {
            let largest = f16::MAX.to_f32();
            for (target, number) in target.as_chunks_mut::<2>().0.iter_mut().zip(numbers) {
                *target = f16::from_f32(number.clamp(-largest, largest)).to_le_bytes();
            }
        }
    }
}

/// As 8-bit integers, -127 to 127, with a scale for each block; `scales` begins with the first one's place.
fn quantize(level: Level, numbers: &[f32], target: &mut [u8], scales: &mut [u8]) {
    let blocks = numbers.chunks(BLOCK).zip(target.chunks_mut(BLOCK));
    for ((numbers, target), scales) in blocks.zip(scales.chunks_mut(PAGE * SCALE)) {
        let largest = numbers.iter().fold(0f32, |largest, number| largest.max(number.abs()));
        let scale = f16::from_f32(largest.min(f16::MAX.to_f32()) / 127.0);
        scales[..SCALE].copy_from_slice(&scale.to_le_bytes());
        // By the scale as it is kept, so that its rounding costs nothing.
        let scale = scale.to_f32();
        round(level, numbers, if scale > 0.0 { 1.0 / scale } else { 0.0 }, target);
    }
}

at_each_level! {
    /// Each number times the factor, rounded, as a signed byte.
    fn round(numbers: &[f32], factor: f32, target: &mut [u8]) {
        for (target, number) in target.iter_mut().zip(numbers) {
            *target = ((number * factor).round_ties_even().clamp(-127.0, 127.0) as i8).cast_unsigned();
        }
    }
}
