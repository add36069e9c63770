//! How likely a text is to a model: what perplexity is made of.

use crate::engine::{Forward, Part, Scores};
use crate::error::EngineError;
use crate::load::{AnyModel, Loaded};

impl Loaded {
    /// The natural logarithms of the probabilities of `tokens[from..]`, each given all before it. `from` is at
    /// least 1.
    ///
    /// # Errors
    /// [`EngineError`] when the tokens pass the model's context, or arithmetic fails.
    pub fn log_probabilities(&mut self, tokens: &[u32], from: usize) -> Result<Vec<f64>, EngineError> {
        match &mut self.model {
            AnyModel::Kernels(model) => log_probabilities(model.as_mut(), tokens, from.max(1)),
            AnyModel::Candle(model) => log_probabilities(model.as_mut(), tokens, from.max(1)),
        }
    }
}

fn log_probabilities<F: Forward>(model: &mut F, tokens: &[u32], from: usize) -> Result<Vec<f64>, EngineError> {
    let (mut cache, _) = model.cache(None, &[])?;
    let mut scores = Scores::default();
    let mut found = Vec::new();
    let mut next = 0;
    for end in from..tokens.len() {
        let tokens_before = tokens.get(next..end).unwrap_or_default();
        next = end;
        model.forward(&mut [Part { tokens: tokens_before, cache: &mut cache, wants_scores: true }], &mut scores)?;
        let Some(row) = scores.rows().next() else { return Err(EngineError::NotFinite) };
        let largest = row.iter().fold(f32::NEG_INFINITY, |largest, score| largest.max(*score));
        let total: f64 = row.iter().map(|score| f64::from(score - largest).exp()).sum();
        let score = tokens.get(end).and_then(|&token| row.get(token as usize)).ok_or(EngineError::NotFinite)?;
        found.push(f64::from(score - largest) - total.ln());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use crate::files::MemoryFiles;
    use crate::load::{LoadOptions, load};
    use crate::tiny::tiny_model;

    #[test]
    fn probabilities_add_up_and_do_not_depend_on_where_one_begins() {
        let files = MemoryFiles::new().with("tiny.gguf", tiny_model(7));
        let mut loaded = load(&files, &LoadOptions::default(), &|_, _| ()).unwrap();
        let tokens: Vec<u32> = (0..40).map(|index| index * 31 % 250).collect();
        let all = loaded.log_probabilities(&tokens, 1).unwrap();
        assert_eq!(all.len(), 39);
        let rest = loaded.log_probabilities(&tokens, 30).unwrap();
        assert!(all[29..].iter().zip(&rest).all(|(a, b)| (a - b).abs() < 0.05), "{all:?} {rest:?}");
        let vocabulary = u32::try_from(loaded.text().vocabulary()).unwrap();
        let total: f64 =
            (0..vocabulary).map(|token| loaded.log_probabilities(&[1, 2, token], 2).unwrap()[0].exp()).sum();
        assert!((total - 1.0).abs() < 1e-4, "{total}");
    }
}
