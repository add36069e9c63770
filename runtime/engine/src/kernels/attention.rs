//! Attention to keys and values that lie in pages of 32 positions.
//!
//! A page of one layer and key-value head has the keys first, turned: for each coordinate the
//! 32 positions side by side, so that scores of all positions grow together without a sum across
//! lanes. The values follow, position by position. Both are 16-bit floats. Scores are never all
//! in memory: each page's are weighed at once against the largest so far (Milakov and Gimelshein,
//! "Online normalizer calculation for softmax", 2018).

#![expect(unsafe_code, reason = "outputs interleave by head, and kernels are called at the level that was found")]

use std::ops::Range;

use half::f16;

use super::Cpu;
use super::elementwise::exp;
use super::layout::PANEL;
use super::level::Level;
use super::pool::Shards;
use super::portable::single;

/// Positions of a page.
pub(crate) const PAGE: usize = 32;
/// Queries that are computed side by side.
pub(super) const TILE: usize = 8;
/// Width that a head has at most.
pub(crate) const HEAD_WIDTH: usize = 512;

/// How a layer attends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Attention {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    /// Of a head, at most [`HEAD_WIDTH`].
    pub(crate) width: usize,
    /// Factor of the scores.
    pub(crate) scale: f32,
    /// Scores are bent towards this largest one, where a model wants it.
    pub(crate) soft_cap: Option<f32>,
    /// Positions that a row sees, itself included; `None` is all.
    pub(crate) window: Option<usize>,
}

impl Attention {
    /// Width of a position's values in memory: whole vectors.
    pub(crate) fn stride(&self) -> usize {
        self.width.next_multiple_of(PANEL)
    }

    /// 16-bit numbers that a page of one layer and head takes.
    pub(crate) fn head_page(&self) -> usize {
        2 * PAGE * self.stride()
    }

    /// Those of a page of one layer.
    pub(crate) fn layer_page(&self) -> usize {
        self.kv_heads * self.head_page()
    }
}

/// Rows that attend to one sequence.
pub(crate) struct Query {
    /// Which of the step's rows they are.
    pub(crate) rows: Range<usize>,
    /// The position of the first of them; their own keys and values are in the pages already.
    pub(crate) position: usize,
}

/// Where pages lie: of a sequence, by its place among the step's, and a number of its pages, those of
/// the layer, [`Attention::layer_page`] long.
pub(crate) type Pages<'a> = dyn Fn(usize, usize) -> &'a [u16] + Sync + 'a;

/// A query as a kernel sees it.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) query: &'a [f32],
    /// Positions that it sees.
    pub(super) first: usize,
    pub(super) end: usize,
}

/// What a tile has added up so far.
pub(super) struct Sums {
    pub(super) largest: [f32; TILE],
    pub(super) total: [f32; TILE],
    pub(super) values: [[f32; HEAD_WIDTH]; TILE],
}

/// Writes a row's keys and values of one layer into its place of a page.
pub(crate) fn store(level: Level, attention: &Attention, page: &mut [u16], slot: usize, keys: &[f32], values: &[f32]) {
    let stride = attention.stride();
    let heads = keys.chunks_exact(attention.width).zip(values.chunks_exact(attention.width));
    let mut narrow = [0; HEAD_WIDTH];
    for (page, (keys, values)) in page.chunks_exact_mut(attention.head_page()).zip(heads) {
        let (key_page, value_page) = page.split_at_mut(PAGE * stride);
        let narrow = &mut narrow[..attention.width];
        halve(level, keys, narrow);
        key_page.chunks_exact_mut(PAGE).zip(&*narrow).for_each(|(coordinate, key)| coordinate[slot] = *key);
        halve(level, values, &mut value_page[slot * stride..slot * stride + attention.width]);
    }
}

/// As 16-bit floats; what is too large becomes the largest.
fn halve(level: Level, numbers: &[f32], target: &mut [u16]) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the level says that the processor has these instructions.
        Level::Avx512(_) if numbers.len().is_multiple_of(PANEL) => unsafe {
            super::avx512::attention::halve(numbers, target);
        },
        _ => {
            let largest = f16::MAX.to_f32();
            for (target, number) in target.iter_mut().zip(numbers) {
                *target = f16::from_f32(number.clamp(-largest, largest)).to_bits();
            }
        }
    }
}

/// Attends from every row of `queries` (heads × width numbers each) and writes to `out` in the
/// same shape.
///
/// # Panics
/// When rows or pages are missing.
pub(crate) fn attend(
    cpu: &mut Cpu,
    attention: &Attention,
    queries: &[f32],
    parts: &[Query],
    pages: &Pages<'_>,
    out: &mut [f32],
) {
    let level = cpu.level;
    let group = attention.heads / attention.kv_heads;
    let tiles = |part: &Query| (part.rows.len() * group).div_ceil(TILE);
    let work: usize = parts.iter().map(|part| tiles(part) * attention.kv_heads).sum();
    let out = Shards::new(out);
    cpu.pool.each(work, &|index| {
        let mut index = index;
        for (number, part) in parts.iter().enumerate() {
            let of_part = tiles(part) * attention.kv_heads;
            if index < of_part {
                // Later rows see more: they come first, so that no thread is left with the longest.
                let tile = tiles(part) - 1 - index / attention.kv_heads;
                let pages = |page: usize| pages(number, page);
                let work = Tile { attention, queries, part, kv_head: index % attention.kv_heads, tile };
                return work.compute(level, &pages, &out);
            }
            index -= of_part;
        }
    });
}

/// Queries of one sequence and key-value head that are computed side by side.
struct Tile<'a> {
    attention: &'a Attention,
    queries: &'a [f32],
    part: &'a Query,
    kv_head: usize,
    tile: usize,
}

impl Tile<'_> {
    fn compute<'p>(&self, level: Level, pages: &dyn Fn(usize) -> &'p [u16], out: &Shards<'_, f32>) {
        let Self { attention, queries, part, kv_head, tile } = *self;
        let (width, row_width) = (attention.width, attention.heads * attention.width);
        let group = attention.heads / attention.kv_heads;
        let all = part.rows.len() * group;
        // Tiles of one size, give or take one, rather than full ones and a small rest.
        let (count, start) = (all.div_ceil(TILE), |tile: usize| tile * all / all.div_ceil(TILE));
        debug_assert!(tile < count);
        let place = |query: usize| {
            let row = part.rows.start + query / group;
            row * row_width + (kv_head * group + query % group) * width
        };
        let range = start(tile)..start(tile + 1);
        let heads: [Head<'_>; TILE] = std::array::from_fn(|at| {
            let query = (range.start + at).min(range.end - 1);
            let end = part.position + query / group + 1;
            let first = attention.window.map_or(0, |window| end.saturating_sub(window));
            Head { query: &queries[place(query)..place(query) + width], first, end }
        });
        let heads = &heads[..range.len()];
        let (first, end) =
            heads.iter().fold((usize::MAX, 0), |(first, end), head| (first.min(head.first), end.max(head.end)));
        let mut sums =
            Sums { largest: [f32::NEG_INFINITY; TILE], total: [0.0; TILE], values: [[0.0; HEAD_WIDTH]; TILE] };
        for index in first / PAGE..end.div_ceil(PAGE) {
            let page = &pages(index)[kv_head * attention.head_page()..(kv_head + 1) * attention.head_page()];
            match level {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level says that the processor has these instructions.
                Level::Avx512(_) => unsafe {
                    super::avx512::attention::page(attention, heads, page, index * PAGE, &mut sums);
                },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level says that the processor has these instructions.
                Level::Avx2(_) => unsafe { super::avx2::page(attention, heads, page, index * PAGE, &mut sums) },
                _ => plain_page(attention, heads, page, index * PAGE, &mut sums),
            }
        }
        for (at, query) in range.enumerate() {
            // SAFETY: each row and head is in one tile, which is given out once.
            let out = unsafe { out.part(place(query)..place(query) + width) };
            let inverse = 1.0 / sums.total[at];
            out.iter_mut().zip(&sums.values[at]).for_each(|(out, value)| *out = value * inverse);
        }
    }
}

/// One page in plain Rust.
#[inline(always)]
pub(super) fn plain_page(attention: &Attention, heads: &[Head<'_>], page: &[u16], position: usize, sums: &mut Sums) {
    let stride = attention.stride();
    let (keys, values) = page.split_at(PAGE * stride);
    for (at, head) in heads.iter().enumerate() {
        let mut scores = [0f32; PAGE];
        for (key, &query) in keys.chunks_exact(PAGE).zip(head.query) {
            for (score, key) in scores.iter_mut().zip(key) {
                *score += single(key.to_le_bytes()) * query;
            }
        }
        for (slot, score) in scores.iter_mut().enumerate() {
            *score *= attention.scale;
            if let Some(cap) = attention.soft_cap {
                *score = cap * (*score / cap).tanh();
            }
            if !(head.first..head.end).contains(&(position + slot)) {
                *score = f32::NEG_INFINITY;
            }
        }
        let largest = scores.iter().fold(sums.largest[at], |largest, &score| largest.max(score));
        if largest == f32::NEG_INFINITY {
            continue;
        }
        let shrink = exp(sums.largest[at] - largest);
        sums.largest[at] = largest;
        sums.total[at] *= shrink;
        let total = &mut sums.values[at][..attention.width];
        total.iter_mut().for_each(|value| *value *= shrink);
        for (score, values) in scores.iter().zip(values.chunks_exact(stride)) {
            if *score > f32::NEG_INFINITY {
                let weight = exp(*score - largest);
                sums.total[at] += weight;
                total.iter_mut().zip(values).for_each(|(total, value)| *total += weight * single(value.to_le_bytes()));
            }
        }
    }
}
