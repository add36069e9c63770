//! Log probabilities: of the model's own distribution, before bias, penalties, temperature and
//! cuts, so that they tell what the model thinks and not what was asked of the sampler.

use std::collections::VecDeque;

use crate::text::TextModel;

/// A token and how likely it was.
#[derive(Clone, PartialEq)]
pub struct ScoredToken {
    /// Its bytes; for a special token, its name.
    pub bytes: Vec<u8>,
    /// The natural logarithm of its probability.
    pub logprob: f32,
}

/// A token of an answer, and what else it could have been.
#[derive(Clone, PartialEq)]
pub struct TokenLogprobs {
    /// The one that was picked.
    pub token: ScoredToken,
    /// The likeliest, as many as were asked for, the best first. The picked one need not be among them.
    pub likeliest: Vec<ScoredToken>,
}

impl TokenLogprobs {
    /// Of `picked` among `scores`, with `count` likeliest.
    pub(crate) fn new(scores: &[f32], picked: u32, count: usize, text: &TextModel) -> Self {
        let top = scores.iter().copied().filter(|score| score.is_finite()).fold(f32::NEG_INFINITY, f32::max);
        // Scores lie close together: a sum over a large vocabulary wants more than 24 bits.
        let finite = scores.iter().filter(|score| score.is_finite());
        let total: f64 = finite.map(|&score| f64::from(score - top).exp()).sum();
        let scored = |token: u32| {
            let score = scores.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY);
            let logprob = (f64::from(score - top) - total.ln()) as f32;
            ScoredToken { bytes: text.token_bytes(token).to_vec(), logprob }
        };
        Self { token: scored(picked), likeliest: best(scores, count).into_iter().map(scored).collect() }
    }
}

/// The `count` tokens with the highest finite scores, the best first, the lower number first of equals.
fn best(scores: &[f32], count: usize) -> Vec<u32> {
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
    for (token, &score) in (0u32..).zip(scores) {
        let is_full = best.len() == count;
        if !score.is_finite() || (is_full && best.last().is_none_or(|&(_, least)| score <= least)) {
            continue;
        }
        let at = best.partition_point(|&(_, other)| other >= score);
        best.insert(at, (token, score));
        best.truncate(count);
    }
    best.into_iter().map(|(token, _)| token).collect()
}

/// What waits for its text. Text is held back while it may still become a stop text or a whole
/// character; a token's log probabilities go out with the text that completes it.
#[derive(Default)]
pub(crate) struct Held {
    waiting: VecDeque<Waiting>,
    /// Bytes of text decoded so far, and of those sent.
    decoded: usize,
    sent: usize,
}

struct Waiting {
    /// The text that the token is part of, as places in the answer.
    start: usize,
    end: usize,
    logprobs: TokenLogprobs,
}

impl Held {
    /// A token gave `length` bytes of text; it is `unfinished` when its own are not whole yet.
    pub(crate) fn push(&mut self, logprobs: TokenLogprobs, length: usize, unfinished: bool) {
        let start = self.decoded;
        self.decoded += length;
        // An unfinished one belongs to the next character, which is longer than nothing.
        let end = self.decoded + usize::from(unfinished);
        self.waiting.push_back(Waiting { start, end, logprobs });
    }

    /// So many bytes more were sent: what is complete with them.
    pub(crate) fn release(&mut self, length: usize) -> Vec<TokenLogprobs> {
        self.sent += length;
        self.take(|token, sent| token.end <= sent)
    }

    /// The answer ended after `length` bytes more; with a stop text, what lies behind its beginning
    /// is not part of it.
    pub(crate) fn finish(&mut self, length: usize, stopped: bool) -> Vec<TokenLogprobs> {
        self.sent += length;
        self.take(|token, sent| !stopped || token.start < sent || token.end <= sent)
    }

    fn take(&mut self, ready: impl Fn(&Waiting, usize) -> bool) -> Vec<TokenLogprobs> {
        let mut taken = Vec::new();
        while let Some(token) = self.waiting.pop_front_if(|token| ready(token, self.sent)) {
            taken.push(token.logprobs);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_in_order() {
        let scores = [1.0, 3.0, f32::NAN, 3.0, f32::NEG_INFINITY, 2.0];
        assert!(best(&scores, 0).is_empty());
        assert_eq!(best(&scores, 1), [1]);
        assert_eq!(best(&scores, 3), [1, 3, 5]);
        assert_eq!(best(&scores, 20), [1, 3, 5, 0]);
    }

    proptest::proptest! {
        #[test]
        fn the_search_finds_what_sorting_finds(scores in proptest::collection::vec(-9i8..9, 0..30), count in 0usize..8) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let mut sorted: Vec<u32> = (0..scores.len() as u32).collect();
            sorted.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
            sorted.truncate(count);
            proptest::prop_assert_eq!(best(&scores, count), sorted);
        }
    }

    fn token(name: u8) -> TokenLogprobs {
        TokenLogprobs { token: ScoredToken { bytes: vec![name], logprob: 0.0 }, likeliest: Vec::new() }
    }

    fn names(tokens: &[TokenLogprobs]) -> String {
        tokens.iter().map(|token| char::from(token.token.bytes[0])).collect()
    }

    #[test]
    fn a_token_goes_with_the_text_that_completes_it() {
        let mut held = Held::default();
        held.push(token(b'a'), 2, false);
        assert_eq!(names(&held.release(1)), "");
        assert_eq!(names(&held.release(1)), "a");
        // Two tokens make one character of three bytes.
        held.push(token(b'b'), 0, true);
        assert_eq!(names(&held.release(0)), "");
        held.push(token(b'c'), 3, false);
        assert_eq!(names(&held.release(3)), "bc");
    }

    #[test]
    fn what_lies_behind_a_stop_text_is_dropped() {
        let mut held = Held::default();
        held.push(token(b'a'), 3, false);
        held.push(token(b'b'), 3, false);
        assert_eq!(names(&held.finish(2, true)), "a");
        let mut held = Held::default();
        held.push(token(b'a'), 3, false);
        held.push(token(b'b'), 0, true);
        assert_eq!(names(&held.finish(3, false)), "ab");
    }
}
