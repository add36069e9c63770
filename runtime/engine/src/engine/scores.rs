//! The scores of the tokens that may come next, for all sequences of a step, in memory that is kept.

/// Rows of scores.
#[derive(Default)]
pub(crate) struct Scores {
    numbers: Vec<f32>,
    width: usize,
}

impl Scores {
    /// Makes room for so many rows of `width` scores, to be written.
    pub(crate) fn rows_mut(&mut self, count: usize, width: usize) -> &mut [f32] {
        self.width = width;
        self.numbers.resize(count * width, 0.0);
        &mut self.numbers
    }

    /// The rows, in the order of the parts that wanted them.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.numbers.chunks_exact(self.width.max(1))
    }
}
