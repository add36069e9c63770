//! Rows as tiles take them. Two tiles make a group; the rows are spread so that all tiles have the same height, give or
//! take what the last group lacks. A tile lies in one stretch: lines a row apart would fall into the same few
//! places of the cache.

#![expect(unsafe_code, reason = "rows are rounded on several threads, by a kernel at the level that was found")]

use std::ops::Range;

use super::super::Cpu;
use super::super::layout::BLOCK;
use super::super::pool::Shards;
use super::{HEIGHT, Line};

/// Columns of a tile of rows.
pub(super) const COLUMNS: usize = BLOCK;

/// Rows of equal length, rounded to BF16 when they are to be multiplied in tiles.
#[derive(Default)]
pub(in super::super) struct TileRows {
    /// By group, tile of the group, 32 columns, row.
    lines: Vec<Line>,
    /// Tiles in the length of a row.
    steps: usize,
    height: usize,
}

impl TileRows {
    /// Takes rows of `columns` numbers. Memory of former rows is used again. Only where
    /// [`has_tiles`](super::super::level::Available::has_tiles) holds.
    pub(in super::super) fn fill(&mut self, cpu: &mut Cpu, numbers: &[f32], columns: usize) {
        let count = numbers.len().checked_div(columns).unwrap_or(0);
        let tiles = 2 * count.div_ceil(2 * HEIGHT);
        self.steps = columns.div_ceil(COLUMNS);
        self.height = count.div_ceil(tiles.max(1));
        let (height, a_tile) = (self.height, self.steps * self.height);
        self.lines.resize(tiles * a_tile, Line::ZERO);
        let lines = Shards::new(&mut self.lines[..]);
        cpu.pool.each(tiles, &|tile| {
            // SAFETY: each tile has a part of its own, and is given out once.
            let lines = unsafe { lines.part(tile * a_tile..(tile + 1) * a_tile) };
            for place in 0..height {
                let of_row = lines.iter_mut().skip(place).step_by(height);
                match numbers.chunks_exact(columns).nth(tile * height + place) {
                    // SAFETY: the level has tiles, as the caller says.
                    Some(row) => unsafe { super::super::avx512::round_row(row, of_row) },
                    // A row that only fills the group.
                    None => of_row.for_each(|line| *line = Line::ZERO),
                }
            }
        });
    }

    /// These lines: by group, tile of the group, 32 columns, row.
    pub(super) fn of(lines: Vec<Line>, steps: usize, height: usize) -> Self {
        Self { lines, steps, height }
    }

    /// Rows of a tile.
    pub(super) fn height(&self) -> usize {
        self.height
    }

    /// Rows of a group.
    pub(in super::super) fn group(&self) -> usize {
        2 * self.height
    }

    /// Tiles in the length of a row.
    pub(in super::super) fn steps(&self) -> usize {
        self.steps
    }

    /// Bytes from a group's tiles to the next one's.
    pub(super) fn group_bytes(&self) -> usize {
        2 * self.steps * self.height * size_of::<Line>()
    }

    /// The lines from the first of these columns' tiles to the last, of the first or second tile of these groups.
    ///
    /// # Panics
    /// When there are no such groups or columns.
    pub(super) fn tiles(&self, groups: Range<usize>, tile: usize, steps: Range<usize>) -> &[Line] {
        assert!(steps.end <= self.steps, "columns beyond the rows'");
        let start = |group: usize| ((2 * group + tile) * self.steps + steps.start) * self.height;
        &self.lines[start(groups.start)..start(groups.end - 1) + steps.len() * self.height]
    }
}
