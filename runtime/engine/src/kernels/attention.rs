//! Attention to keys and values that lie in pages of 32 positions (`kv_page.rs`).
//!
//! Scores are never all in memory: each page's are weighed at once against the largest so far (Milakov and
//! Gimelshein, "Online normalizer calculation for softmax", 2018). What threads compute at once, `shares.rs` says.

#![expect(unsafe_code, reason = "outputs interleave by head, and kernels are called at the level that was found")]

use std::ops::Range;

use super::Cpu;
use super::elementwise::{at_each_level, exp};
use super::kv_page::{self, BLOCK, CacheFormat, HeadPage, PAGE};
use super::layout::PANEL;
use super::level::Level;
use super::pool::Shards;
use super::portable::single;
use super::shares::{BESIDE, Merge, Piece, Rows, Shares};

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
    /// How keys and values are kept.
    pub(crate) format: CacheFormat,
}

impl Attention {
    /// Width of a position's values in memory: whole vectors.
    pub(crate) fn stride(&self) -> usize {
        self.width.next_multiple_of(PANEL)
    }

    /// Bytes that a page of one layer and head takes.
    pub(crate) fn head_page(&self) -> usize {
        self.format.head_page(self.stride())
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
pub(crate) type Pages<'a> = dyn Fn(usize, usize) -> &'a [u8] + Sync + 'a;

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
pub(crate) fn store(level: Level, attention: &Attention, page: &mut [u8], slot: usize, keys: &[f32], values: &[f32]) {
    let heads = keys.chunks_exact(attention.width).zip(values.chunks_exact(attention.width));
    for (page, (keys, values)) in page.chunks_exact_mut(attention.head_page()).zip(heads) {
        kv_page::store(level, attention.format, attention.stride(), page, slot, keys, values);
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
    shares: &mut Shares,
    out: &mut [f32],
) {
    let level = cpu.level;
    shares.plan(attention, parts);
    let Shares { pieces, merges, partials } = shares;
    let record = attention.width + BESIDE;
    let out = Shards::new(out);
    {
        let partials = Shards::new(partials);
        cpu.pool.each(pieces.len(), &|index| {
            let Piece { tile, pages: range, partial } = &pieces[index];
            let rows = Rows::of(attention, &parts[tile.part], *tile);
            let page = |page: usize| pages(tile.part, page);
            let sums = rows.sums(level, queries, &page, range.clone());
            for at in 0..rows.queries.len() {
                let values = &sums.values[at][..attention.width];
                if let Some((first, step)) = partial {
                    let start = first + at * step;
                    // SAFETY: each query and span has a place of its own, and each piece is given out once.
                    let place = unsafe { partials.part(start..start + record) };
                    place[..BESIDE].copy_from_slice(&[sums.largest[at], sums.total[at]]);
                    place[BESIDE..].copy_from_slice(values);
                } else {
                    // SAFETY: each row and head is in one tile, which is in one piece, given out once.
                    let out = unsafe { out.part(rows.place(at)) };
                    let inverse = 1.0 / sums.total[at];
                    out.iter_mut().zip(values).for_each(|(out, value)| *out = value * inverse);
                }
            }
        });
    }
    cpu.pool.each(merges.len(), &|index| {
        let Merge { tile, first, spans } = &merges[index];
        let rows = Rows::of(attention, &parts[tile.part], *tile);
        let each = partials[*first..].chunks_exact(spans * record);
        for (at, partials) in each.enumerate().take(rows.queries.len()) {
            // SAFETY: each row and head is in one tile, which is merged once.
            merge(level, partials, unsafe { out.part(rows.place(at)) });
        }
    });
}

at_each_level! {
    /// The mean of the values of all spans, from the partial sums of one query.
    fn merge(partials: &[f32], out: &mut [f32]) {
        let width = out.len();
        let records = || partials.chunks_exact(width + BESIDE);
        let largest = records().fold(f32::NEG_INFINITY, |largest, record| largest.max(record[0]));
        let total: f32 = records().map(|record| exp(record[0] - largest) * record[1]).sum();
        out.fill(0.0);
        for record in records() {
            let factor = exp(record[0] - largest) / total;
            out.iter_mut().zip(&record[BESIDE..]).for_each(|(out, value)| *out += factor * value);
        }
    }
}

impl Rows<'_> {
    /// Adds up these pages.
    fn sums<'p>(&self, level: Level, queries: &[f32], page: &dyn Fn(usize) -> &'p [u8], pages: Range<usize>) -> Sums {
        let attention = self.attention;
        let heads: [Head<'_>; TILE] = std::array::from_fn(|at| {
            let at = at.min(self.queries.len() - 1);
            let Range { start: first, end } = self.seen(at);
            Head { query: &queries[self.place(at)], first, end }
        });
        let heads = &heads[..self.queries.len()];
        let mut sums =
            Sums { largest: [f32::NEG_INFINITY; TILE], total: [0.0; TILE], values: [[0.0; HEAD_WIDTH]; TILE] };
        for index in pages {
            let of_head = self.kv_head * attention.head_page()..(self.kv_head + 1) * attention.head_page();
            let page = HeadPage::new(attention.format, attention.stride(), &page(index)[of_head]);
            match level {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level says that the processor has these instructions.
                Level::Avx512(_) => unsafe {
                    super::avx512::attention::page(attention, heads, &page, index * PAGE, &mut sums);
                },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level says that the processor has these instructions.
                Level::Avx2(_) => unsafe { super::avx2::page(attention, heads, &page, index * PAGE, &mut sums) },
                _ => plain_page(attention, heads, &page, index * PAGE, &mut sums),
            }
        }
        sums
    }
}

/// One page in plain Rust.
#[inline(always)]
pub(super) fn plain_page(
    attention: &Attention,
    heads: &[Head<'_>],
    page: &HeadPage<'_>,
    position: usize,
    sums: &mut Sums,
) {
    match attention.format {
        CacheFormat::F16 => plain_numbers::<2>(attention, heads, page, position, sums),
        CacheFormat::Int8 => plain_numbers::<1>(attention, heads, page, position, sums),
    }
}

/// A page of numbers of so many bytes: 16-bit floats, or signed integers with scales.
#[inline(always)]
fn plain_numbers<const BYTES: usize>(
    attention: &Attention,
    heads: &[Head<'_>],
    page: &HeadPage<'_>,
    position: usize,
    sums: &mut Sums,
) {
    let (keys, values) = (page.keys.as_chunks::<BYTES>().0, page.values.as_chunks::<BYTES>().0);
    // Without scales, all coordinates are one block.
    let block = if BYTES == 1 { BLOCK } else { HEAD_WIDTH };
    let scaled = |scales: &[[[u8; 2]; PAGE]], block: usize, slot: usize| {
        if BYTES == 1 { single(scales[block][slot]) } else { 1.0 }
    };
    for (at, head) in heads.iter().enumerate() {
        let mut scores = [0f32; PAGE];
        for (index, (keys, queries)) in keys.chunks(block * PAGE).zip(head.query.chunks(block)).enumerate() {
            let mut of_block = [0f32; PAGE];
            for (key, &query) in keys.chunks_exact(PAGE).zip(queries) {
                for (score, key) in of_block.iter_mut().zip(key) {
                    *score += number(key) * query;
                }
            }
            for (slot, (score, of_block)) in scores.iter_mut().zip(of_block).enumerate() {
                *score += of_block * scaled(page.key_scales, index, slot);
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
        for (slot, (score, values)) in scores.iter().zip(values.chunks_exact(attention.stride())).enumerate() {
            if *score > f32::NEG_INFINITY {
                let weight = exp(*score - largest);
                sums.total[at] += weight;
                for (index, (total, values)) in total.chunks_mut(block).zip(values.chunks(block)).enumerate() {
                    let weight = weight * scaled(page.value_scales, index, slot);
                    total.iter_mut().zip(values).for_each(|(total, value)| *total += weight * number(value));
                }
            }
        }
    }
}

/// What the bytes of a number stand for, before its scale.
#[inline(always)]
fn number<const BYTES: usize>(bytes: &[u8; BYTES]) -> f32 {
    if BYTES == 1 { f32::from(bytes[0].cast_signed()) } else { single([bytes[0], bytes[BYTES - 1]]) }
}
