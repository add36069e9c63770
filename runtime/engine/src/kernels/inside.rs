//! Attention inside whole texts: every position of a text sees every other, as encoders have it. The rows of
//! many texts lie stacked, without any between them.
//!
//! Each text and head is a piece of work of its own. Its keys are turned first, so that the scores of 16
//! positions lie side by side, as a panel of a matrix does; values lie so anyway. Both products, with the keys
//! and with the values, are then those of panels.

#![expect(unsafe_code, reason = "outputs interleave by head, and loops are compiled for the level that was found")]

use std::ops::Range;

use super::Cpu;
use super::elementwise::{at_each_level, exp, fold};
use super::layout::PANEL;
use super::level::Level;
use super::pool::Shards;

/// Queries that are computed side by side: as many as a tile of the products has.
const TOGETHER: usize = 12;
/// Columns that grow side by side: those of two panels.
const COLUMNS: usize = 2 * PANEL;

/// A line of a panel.
type Line = [f32; PANEL];

/// Rows of several texts, of heads × width numbers each.
pub(crate) struct Texts<'a> {
    pub(crate) heads: usize,
    pub(crate) width: usize,
    pub(crate) query: &'a [f32],
    pub(crate) key: &'a [f32],
    pub(crate) value: &'a [f32],
    /// The rows of each text; no two have one in common.
    pub(crate) rows: &'a [Range<usize>],
}

/// The rows of one text and head, taken out of the stack.
struct Head {
    length: usize,
    width: usize,
    /// Row by row, times the factor of the scores.
    query: Vec<f32>,
    /// A panel for every 16 positions, of a line for each coordinate; an even number of them.
    key: Vec<Line>,
    /// A panel for every 16 coordinates, of a line for each position; an even number of them.
    value: Vec<Line>,
}

/// Attends from every row of every text to all rows of the same text, and writes to `out` in the same shape.
///
/// # Panics
/// When rows are missing.
pub(crate) fn attend_inside(cpu: &mut Cpu, texts: &Texts<'_>, out: &mut [f32]) {
    let level = cpu.level;
    let (width, row_width) = (texts.width, texts.heads * texts.width);
    let out = Shards::new(out);
    cpu.pool.each(texts.rows.len() * texts.heads, &|index| {
        let (rows, head) = (&texts.rows[index / texts.heads], index % texts.heads);
        let taken = Head::take(texts, rows, head);
        let row = |index: usize| {
            let start = (rows.start + index) * row_width + head * width;
            // SAFETY: each row is of one text, and each text and head is given out once.
            unsafe { out.part(start..start + width) }
        };
        taken.attend(level, &mut |index, attended, scale| {
            row(index).iter_mut().zip(attended).for_each(|(out, number)| *out = number * scale);
        });
    });
}

impl Head {
    fn take(texts: &Texts<'_>, rows: &Range<usize>, head: usize) -> Self {
        let (length, width) = (rows.len(), texts.width);
        let place = |row: usize| (row * texts.heads + head) * width..(row * texts.heads + head + 1) * width;
        let scale = 1.0 / (width as f32).sqrt();
        let mut query = Vec::with_capacity(length * width);
        let mut key = vec![Line::default(); length.next_multiple_of(COLUMNS) / PANEL * width];
        let mut value = vec![Line::default(); width.next_multiple_of(COLUMNS) / PANEL * length];
        for (index, row) in rows.clone().enumerate() {
            query.extend(texts.query[place(row)].iter().map(|number| number * scale));
            let panel = &mut key[index / PANEL * width..][..width];
            for (line, number) in panel.iter_mut().zip(&texts.key[place(row)]) {
                line[index % PANEL] = *number;
            }
            let lines = value[index..].iter_mut().step_by(length);
            for (line, numbers) in lines.zip(texts.value[place(row)].chunks(PANEL)) {
                match numbers.as_array() {
                    Some(numbers) => *line = *numbers,
                    None => line[..numbers.len()].copy_from_slice(numbers),
                }
            }
        }
        Self { length, width, query, key, value }
    }

    /// Calls `put` with each row's number, the values that it sees, weighed for it, and what to multiply them by.
    fn attend(&self, level: Level, put: &mut dyn FnMut(usize, &[f32], f32)) {
        let Self { length, width, query, key, value } = self;
        let padded = length.next_multiple_of(COLUMNS);
        let mut scores = vec![0.0; TOGETHER * padded];
        let mut attended = vec![0.0; TOGETHER * width.next_multiple_of(COLUMNS)];
        for (tile, queries) in query.chunks(TOGETHER * width).enumerate() {
            let count = queries.len() / width;
            products(level, queries, *width, *width, key, &mut scores[..count * padded]);
            let mut totals = [0.0; TOGETHER];
            for (scores, total) in scores.chunks_exact_mut(padded).zip(&mut totals[..count]) {
                soften(level, &mut scores[..*length], total);
            }
            let stride = width.next_multiple_of(COLUMNS);
            let attended = &mut attended[..count * stride];
            products(level, &scores[..count * padded], padded, *length, value, attended);
            for ((index, row), total) in attended.chunks_exact(stride).enumerate().zip(totals) {
                put(tile * TOGETHER + index, row, 1.0 / total);
            }
        }
    }
}

/// The products of up to [`TOGETHER`] rows with panels of `lines` lines each. Rows begin `stride` numbers apart;
/// those of `out` have a place for every column of the panels.
fn products(level: Level, rows: &[f32], stride: usize, lines: usize, panels: &[Line], out: &mut [f32]) {
    let count = rows.len() / stride;
    let mut taken: [&[f32]; TOGETHER] = [&[]; TOGETHER];
    taken.iter_mut().zip(rows.chunks_exact(stride)).for_each(|(taken, row)| *taken = &row[..lines]);
    let columns = out.len() / count;
    for (index, both) in panels.chunks_exact(2 * lines).enumerate() {
        let mut totals = [[Line::default(); 2]; TOGETHER];
        tile(level, both.split_at(lines), &taken[..count], &mut totals[..count]);
        for (out, totals) in out.chunks_exact_mut(columns).zip(&totals) {
            if let ([first, second], _) = out[index * COLUMNS..(index + 1) * COLUMNS].as_chunks_mut() {
                (*first, *second) = (totals[0], totals[1]);
            }
        }
    }
}

/// Adds the products of two panels with rows.
fn tile(level: Level, panels: (&[Line], &[Line]), rows: &[&[f32]], totals: &mut [[Line; 2]]) {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => {
            use super::avx512::{lines, tile_floats};
            // SAFETY: the level says that the processor has these instructions.
            unsafe { tile_floats([lines(panels.0), lines(panels.1)], rows, totals) }
        }
        _ => plain_tile(level, panels, rows, totals),
    }
}

at_each_level! {
    /// The same in plain Rust.
    fn plain_tile(panels: (&[Line], &[Line]), rows: &[&[f32]], totals: &mut [[Line; 2]]) {
        for (row, total) in rows.iter().zip(totals) {
            let mut sums = *total;
            for ((first, second), x) in panels.0.iter().zip(panels.1).zip(*row) {
                for (sums, numbers) in sums.iter_mut().zip([first, second]) {
                    sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number * x);
                }
            }
            *total = sums;
        }
    }
}

at_each_level! {
    /// Scores become weights, of which the largest is 1; `total` becomes their sum.
    fn soften(scores: &mut [f32], total: &mut f32) {
        let larger = |a: f32, b: f32| if a > b { a } else { b };
        let mut largest = [f32::NEG_INFINITY; COLUMNS];
        let (chunks, rest) = scores.as_chunks_mut::<COLUMNS>();
        for chunk in &*chunks {
            largest.iter_mut().zip(chunk).for_each(|(largest, score)| *largest = larger(*score, *largest));
        }
        let largest = rest.iter().fold(fold(largest, larger), |largest, score| larger(*score, largest));
        let mut sums = [0f32; COLUMNS];
        for chunk in chunks {
            for (sum, score) in sums.iter_mut().zip(chunk) {
                *score = exp(*score - largest);
                *sum += *score;
            }
        }
        *total = fold(sums, |a, b| a + b);
        for score in rest {
            *score = exp(*score - largest);
            *total += *score;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SplitMix64;

    #[test]
    fn every_row_sees_its_own_text_and_nothing_else() {
        let (heads, width) = (3, 20);
        let row_width = heads * width;
        let rows = [0..1, 1..38, 38..40, 40..72, 72..137];
        let mut random = SplitMix64(11);
        let [query, key, value]: [Vec<f32>; 3] =
            std::array::from_fn(|_| (0..137 * row_width).map(|_| random.unit() * 4.0 - 2.0).collect());
        for level in Level::all() {
            let mut out = vec![f32::NAN; query.len()];
            let texts = Texts { heads, width, query: &query, key: &key, value: &value, rows: &rows };
            attend_inside(&mut Cpu::new(level, 2), &texts, &mut out);
            for text in &rows {
                for (row, head) in text.clone().flat_map(|row| (0..heads).map(move |head| (row, head))) {
                    let at =
                        |numbers: &[f32], row: usize, i: usize| f64::from(numbers[row * row_width + head * width + i]);
                    let weights: Vec<f64> = text
                        .clone()
                        .map(|other| (0..width).map(|i| at(&query, row, i) * at(&key, other, i)).sum::<f64>())
                        .map(|score| (score / (width as f64).sqrt()).exp())
                        .collect();
                    let total: f64 = weights.iter().sum();
                    for i in 0..width {
                        let sum: f64 = text.clone().zip(&weights).map(|(other, w)| w * at(&value, other, i)).sum();
                        let found = at(&out, row, i);
                        assert!(
                            (found - sum / total).abs() < 1e-5,
                            "{level:?}: row {row}, {found} for {}",
                            sum / total
                        );
                    }
                }
            }
        }
    }
}
