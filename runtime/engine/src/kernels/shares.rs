//! How a step's attention is shared out among threads.
//!
//! The queries of a sequence that one key-value head is for are computed in tiles. A row of its own that sees
//! many positions, as in decoding, is split at fixed positions into spans for any thread, whose sums are merged
//! afterwards (Dao, Haziza, Massa and Sizov, "Flash-Decoding for long-context inference", 2023). Where a row is
//! split depends on its position alone, so that what attention gives depends neither on threads nor on other parts.

use std::ops::Range;

use super::attention::{Attention, Query, TILE};
use super::kv_page::PAGE;

/// Pages of a span: some 10 µs of work, and eight spans for 4096 positions.
const SPAN: usize = 16;
/// What a partial sum has beside the values: the largest score, and the sum of the weights.
pub(super) const BESIDE: usize = 2;

/// How a step's attention is shared out, and the sums of spans; kept for its memory.
#[derive(Default)]
pub(crate) struct Shares {
    pub(super) pieces: Vec<Piece>,
    pub(super) merges: Vec<Merge>,
    /// For each query of a tile, and each of its spans: largest score, sum of the weights, weighed values.
    pub(super) partials: Vec<f32>,
}

/// What one thread computes at once: some pages for a tile.
pub(super) struct Piece {
    pub(super) tile: Tile,
    pub(super) pages: Range<usize>,
    /// Where the sums go, if others are to be added: those of the first query, and from one query to the next.
    pub(super) partial: Option<(usize, usize)>,
}

/// A tile whose spans lie in so many partial sums for each query, from here on.
pub(super) struct Merge {
    pub(super) tile: Tile,
    pub(super) first: usize,
    pub(super) spans: usize,
}

/// Queries of one sequence and key-value head that are computed side by side.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) part: usize,
    pub(super) kv_head: usize,
    pub(super) number: usize,
}

impl Shares {
    pub(super) fn plan(&mut self, attention: &Attention, parts: &[Query]) {
        self.pieces.clear();
        self.merges.clear();
        let record = attention.width + BESIDE;
        let mut partials = 0;
        for (number, part) in parts.iter().enumerate() {
            let tiles = (part.rows.len() * attention.heads / attention.kv_heads).div_ceil(TILE);
            // Later rows see more: they come first, so that no thread is left with the longest.
            for (tile, kv_head) in
                (0..tiles).rev().flat_map(|tile| (0..attention.kv_heads).map(move |head| (tile, head)))
            {
                let tile = Tile { part: number, kv_head, number: tile };
                let rows = Rows::of(attention, part, tile);
                let pages = rows.pages();
                let spans = pages.end.div_ceil(SPAN) - pages.start / SPAN;
                if part.rows.len() > 1 || spans == 1 {
                    self.pieces.push(Piece { tile, pages, partial: None });
                    continue;
                }
                for (index, span) in (pages.start / SPAN..pages.end.div_ceil(SPAN)).enumerate() {
                    let pages = pages.start.max(span * SPAN)..pages.end.min((span + 1) * SPAN);
                    let partial = Some((partials + index * record, spans * record));
                    self.pieces.push(Piece { tile, pages, partial });
                }
                self.merges.push(Merge { tile, first: partials, spans });
                partials += rows.queries.len() * spans * record;
            }
        }
        self.partials.resize(partials, 0.0);
    }
}

/// A tile's queries: which they are, and where.
pub(super) struct Rows<'a> {
    pub(super) attention: &'a Attention,
    pub(super) part: &'a Query,
    pub(super) kv_head: usize,
    /// By number, among those of the part and key-value head.
    pub(super) queries: Range<usize>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(attention: &'a Attention, part: &'a Query, tile: Tile) -> Self {
        let all = part.rows.len() * attention.heads / attention.kv_heads;
        // Tiles of one size, give or take one, rather than full ones and a small rest.
        let start = |tile: usize| tile * all / all.div_ceil(TILE);
        Self { attention, part, kv_head: tile.kv_head, queries: start(tile.number)..start(tile.number + 1) }
    }

    /// Where the tile's query with this number lies in the rows.
    pub(super) fn place(&self, at: usize) -> Range<usize> {
        let Attention { heads, kv_heads, width, .. } = *self.attention;
        let (group, query) = (heads / kv_heads, self.queries.start + at);
        let row = self.part.rows.start + query / group;
        let start = (row * heads + self.kv_head * group + query % group) * width;
        start..start + width
    }

    /// The positions that it sees.
    pub(super) fn seen(&self, at: usize) -> Range<usize> {
        let group = self.attention.heads / self.attention.kv_heads;
        let end = self.part.position + (self.queries.start + at) / group + 1;
        self.attention.window.map_or(0, |window| end.saturating_sub(window))..end
    }

    /// The pages that any of them sees. Later queries see from later on, and further.
    fn pages(&self) -> Range<usize> {
        let last = self.queries.len().saturating_sub(1);
        self.seen(0).start / PAGE..self.seen(last).end.div_ceil(PAGE)
    }
}
