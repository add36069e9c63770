//! Attention inside whole texts: every position of a text sees every other, as encoders have it. The rows of
//! many texts lie stacked, without any between them.
//!
//! Each text and head is a piece of work of its own. Its keys are turned first, so that the scores of 32
//! positions grow side by side; then both products, with the keys and with the values, are one loop.

#![expect(unsafe_code, reason = "outputs interleave by head, and loops are compiled for the level that was found")]

use std::ops::Range;

use super::Cpu;
use super::elementwise::{at_each_level, exp};
use super::level::Level;
use super::pool::Shards;

/// Queries that are computed side by side.
const TOGETHER: usize = 4;
/// Columns that grow side by side: two of the widest registers.
const COLUMNS: usize = 32;

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
pub(crate) struct Head {
    length: usize,
    width: usize,
    /// Row by row, times the factor of the scores.
    query: Vec<f32>,
    /// Coordinate by coordinate, each filled up to whole [`COLUMNS`].
    key: Vec<f32>,
    /// Row by row, each filled up to whole [`COLUMNS`].
    value: Vec<f32>,
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
        let mut attended = vec![0.0; taken.value.len()];
        one_head(level, &taken, &mut attended);
        let stride = width.next_multiple_of(COLUMNS);
        for (row, attended) in rows.clone().zip(attended.chunks_exact(stride)) {
            let start = row * row_width + head * width;
            // SAFETY: each row is of one text, and each text and head is given out once.
            unsafe { out.part(start..start + width) }.copy_from_slice(&attended[..width]);
        }
    });
}

impl Head {
    fn take(texts: &Texts<'_>, rows: &Range<usize>, head: usize) -> Self {
        let (length, width) = (rows.len(), texts.width);
        let place = |row: usize| (row * texts.heads + head) * width..(row * texts.heads + head + 1) * width;
        let scale = 1.0 / (width as f32).sqrt();
        let query = rows.clone().flat_map(|row| texts.query[place(row)].iter().map(|number| number * scale)).collect();
        let padded = length.next_multiple_of(COLUMNS);
        let mut key = vec![0.0; width * padded];
        let stride = width.next_multiple_of(COLUMNS);
        let mut value = vec![0.0; length * stride];
        for (index, row) in rows.clone().enumerate() {
            key[index..].iter_mut().step_by(padded).zip(&texts.key[place(row)]).for_each(|(to, from)| *to = *from);
            value[index * stride..index * stride + width].copy_from_slice(&texts.value[place(row)]);
        }
        Self { length, width, query, key, value }
    }
}

at_each_level! {
    /// The values of a head, weighed for each query; rows are as wide as its values'.
    fn one_head(head: &Head, out: &mut [f32]) {
        let padded = head.length.next_multiple_of(COLUMNS);
        let stride = head.width.next_multiple_of(COLUMNS);
        let mut scores = vec![0.0; TOGETHER * padded];
        for (tile, out) in out.chunks_mut(TOGETHER * stride).enumerate() {
            // The last tile computes its last query several times over.
            let rows: [&[f32]; TOGETHER] = std::array::from_fn(|at| {
                let row = (tile * TOGETHER + at).min(head.length - 1);
                &head.query[row * head.width..(row + 1) * head.width]
            });
            for column in (0..padded).step_by(COLUMNS) {
                let sums = products(rows, &head.key, padded, column);
                for (scores, sums) in scores.chunks_exact_mut(padded).zip(&sums) {
                    scores[column..column + COLUMNS].copy_from_slice(sums);
                }
            }
            let mut inverse = [0.0; TOGETHER];
            for (scores, inverse) in scores.chunks_exact_mut(padded).zip(&mut inverse) {
                *inverse = 1.0 / soften(&mut scores[..head.length]);
            }
            let weights: [&[f32]; TOGETHER] = std::array::from_fn(|at| &scores[at * padded..][..head.length]);
            for column in (0..stride).step_by(COLUMNS) {
                let sums = products(weights, &head.value, stride, column);
                for ((out, sums), inverse) in out.chunks_exact_mut(stride).zip(&sums).zip(inverse) {
                    let out = &mut out[column..column + COLUMNS];
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum * inverse);
                }
            }
        }
    }
}

/// Some columns of the products of rows with a matrix, whose lines are `stride` numbers long.
#[inline(always)]
fn products(rows: [&[f32]; TOGETHER], matrix: &[f32], stride: usize, column: usize) -> [[f32; COLUMNS]; TOGETHER] {
    let mut sums = [[0f32; COLUMNS]; TOGETHER];
    let count = rows[0].len();
    let rows = rows.map(|row| &row[..count]);
    for (index, line) in matrix.chunks_exact(stride).take(count).enumerate() {
        let line = &line[column..column + COLUMNS];
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let factor = row[index];
            sums.iter_mut().zip(line).for_each(|(sum, number)| *sum += factor * number);
        }
    }
    sums
}

/// Scores become weights, of which the largest is 1; returns their sum.
#[inline(always)]
fn soften(scores: &mut [f32]) -> f32 {
    let mut largest = [f32::NEG_INFINITY; COLUMNS];
    let (chunks, rest) = scores.as_chunks_mut::<COLUMNS>();
    for chunk in &*chunks {
        largest.iter_mut().zip(chunk).for_each(|(largest, score)| *largest = largest.max(*score));
    }
    let largest = largest.iter().chain(&*rest).fold(f32::NEG_INFINITY, |largest, &score| largest.max(score));
    let mut sums = [0f32; COLUMNS];
    for chunk in chunks {
        for (sum, score) in sums.iter_mut().zip(chunk) {
            *score = exp(*score - largest);
            *sum += *score;
        }
    }
    let mut total: f32 = sums.iter().sum();
    for score in rest {
        *score = exp(*score - largest);
        total += *score;
    }
    total
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
