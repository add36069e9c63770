//! Penalties for saying the same again.

use std::collections::HashMap;

use super::handle::GenerationRequest;
use super::sampling::alter;

/// The penalties of one sequence, and what they are for.
pub(crate) struct Penalties {
    presence: f32,
    frequency: f32,
    repetition: f32,
    /// How often each token was generated; those of the prompt alone stand here with 0.
    seen: HashMap<u32, u32>,
}

impl Penalties {
    pub(crate) fn new(request: &GenerationRequest) -> Self {
        let (presence, frequency) = (request.presence_penalty, request.frequency_penalty);
        let mut penalties = Self { presence, frequency, repetition: request.repetition_penalty, seen: HashMap::new() };
        // Only the repetition penalty looks at the prompt: as vLLM and the usual Python libraries have it.
        if penalties.repeats() {
            penalties.seen.extend(request.prompt.iter().map(|&token| (token, 0)));
        }
        penalties
    }

    /// Whether there are any.
    pub(crate) fn count(&self) -> bool {
        self.presence != 0.0 || self.frequency != 0.0 || self.repeats()
    }

    /// `repetition` divides a score above 0 and multiplies one below (Keskar and others, "CTRL", 2019);
    /// `frequency` is taken off for each time, `presence` once.
    pub(crate) fn apply(&self, scores: &mut [f32]) {
        for (&token, &times) in &self.seen {
            alter(scores, token, |score| {
                let score = if score > 0.0 { score / self.repetition } else { score * self.repetition };
                let presence = if times > 0 { self.presence } else { 0.0 };
                score - self.frequency * times as f32 - presence
            });
        }
    }

    /// A token was generated.
    pub(crate) fn note(&mut self, token: u32) {
        if self.count() {
            *self.seen.entry(token).or_default() += 1;
        }
    }

    fn repeats(&self) -> bool {
        self.repetition != 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(request: &GenerationRequest, generated: &[u32]) -> Vec<f32> {
        let mut penalties = Penalties::new(request);
        generated.iter().for_each(|&token| penalties.note(token));
        let mut scores = vec![4.0, -4.0, 4.0, f32::NEG_INFINITY];
        penalties.apply(&mut scores);
        scores
    }

    fn request() -> GenerationRequest {
        GenerationRequest::greedy(vec![0, 0, 1, 3], 1)
    }

    #[test]
    fn repetition_counts_prompt_and_answer_and_never_how_often() {
        let request = GenerationRequest { repetition_penalty: 2.0, ..request() };
        assert_eq!(after(&request, &[]), [2.0, -8.0, 4.0, f32::NEG_INFINITY]);
        assert_eq!(after(&request, &[2, 2, 0]), [2.0, -8.0, 2.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn frequency_and_presence_count_the_answer_only() {
        let frequency = GenerationRequest { frequency_penalty: 0.5, ..request() };
        assert_eq!(after(&frequency, &[]), [4.0, -4.0, 4.0, f32::NEG_INFINITY]);
        assert_eq!(after(&frequency, &[2, 2, 1, 3]), [4.0, -4.5, 3.0, f32::NEG_INFINITY]);
        let presence = GenerationRequest { presence_penalty: -1.0, ..request() };
        assert_eq!(after(&presence, &[2, 2]), [4.0, -4.0, 5.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn nothing_asked_for_is_nothing_kept() {
        let mut penalties = Penalties::new(&request());
        penalties.note(1);
        assert!(!penalties.count() && penalties.seen.is_empty());
    }
}
