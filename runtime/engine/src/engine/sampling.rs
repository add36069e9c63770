//! From scores to the next token.

use crate::error::EngineError;

/// Tokens whose score lies further than this below the best are left out: together they weigh
/// less than 10⁻⁷ even in the largest vocabulary, and leaving them out makes sorting cheap.
const TAIL: f32 = 30.0;

/// How one sequence picks its tokens.
pub(crate) struct Sampler {
    temperature: f32,
    top_p: f32,
    top_k: usize,
    random: SplitMix64,
}

impl Sampler {
    pub(crate) fn new(temperature: f32, top_p: f32, top_k: usize, seed: u64) -> Self {
        Self { temperature, top_p, top_k, random: SplitMix64(seed) }
    }

    /// The next token. Scores that are not numbers are passed over; if none is a number, the
    /// model is broken and says so.
    pub(crate) fn pick(&mut self, scores: &[f32]) -> Result<u32, EngineError> {
        let best = likeliest(scores).ok_or(EngineError::NotFinite)?;
        if self.temperature <= 0.0 {
            return Ok(best);
        }
        let top = scores[best as usize];
        let mut candidates: Vec<(u32, f32)> = scores
            .iter()
            .enumerate()
            .map(|(token, &score)| (token as u32, (score - top) / self.temperature))
            .filter(|&(_, below)| below.is_finite() && below >= -TAIL)
            .map(|(token, below)| (token, below.exp()))
            .collect();
        // The token breaks ties, so that equal seeds give equal answers.
        candidates.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if self.top_k > 0 {
            candidates.truncate(self.top_k);
        }
        let total: f32 = candidates.iter().map(|&(_, weight)| weight).sum();
        let mut wanted = self.top_p.min(1.0) * total;
        let nucleus = candidates
            .iter()
            .position(|&(_, weight)| {
                wanted -= weight;
                wanted <= 0.0
            })
            .map_or(candidates.len(), |last| last + 1);
        candidates.truncate(nucleus);
        let total: f32 = candidates.iter().map(|&(_, weight)| weight).sum();
        let mut point = self.random.unit() * total;
        for &(token, weight) in &candidates {
            point -= weight;
            if point < 0.0 {
                return Ok(token);
            }
        }
        // Rounding left a crumb: it belongs to the last candidate.
        Ok(candidates.last().map_or(best, |&(token, _)| token))
    }
}

/// The first token with the highest finite score (a score of minus infinity forbids a token).
fn likeliest(scores: &[f32]) -> Option<u32> {
    let mut best: Option<(usize, f32)> = None;
    for (token, &score) in scores.iter().enumerate() {
        if score.is_finite() && best.is_none_or(|(_, top)| score > top) {
            best = Some((token, score));
        }
    }
    best.map(|(token, _)| token as u32)
}

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014). Sampling needs
/// repeatable, not secret, numbers.
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to below 1.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f32; 5] = [0.0, 2.0, f32::NEG_INFINITY, 2.0, 1.0];

    fn counts(mut sampler: Sampler) -> [usize; 5] {
        let mut counts = [0; 5];
        for _ in 0..4000 {
            counts[sampler.pick(&SCORES).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_best() {
        assert_eq!(Sampler::new(0.0, 1.0, 0, 1).pick(&SCORES).unwrap(), 1);
    }

    #[test]
    fn sampling_follows_the_distribution() {
        let counts = counts(Sampler::new(1.0, 1.0, 0, 7));
        // e⁰ : e² : e² : e¹ of a sum of 18.50
        for (token, share) in [(0, 0.054), (1, 0.399), (3, 0.399), (4, 0.147)] {
            let found = counts[token] as f32 / 4000.0;
            assert!((found - share).abs() < 0.03, "token {token}: {found}, wanted {share}");
        }
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        assert_eq!(counts(Sampler::new(1.0, 1.0, 2, 7))[4], 0);
        let nucleus = counts(Sampler::new(1.0, 0.79, 0, 7));
        assert!(nucleus[0] == 0 && nucleus[4] == 0 && nucleus[1] > 0 && nucleus[3] > 0, "{nucleus:?}");
        assert_eq!(counts(Sampler::new(1.0, 1e-9, 0, 7))[1], 4000);
    }

    #[test]
    fn equal_seeds_give_equal_tokens_and_others_do_not() {
        let draw = |seed| {
            let mut sampler = Sampler::new(1.5, 1.0, 0, seed);
            (0..64).map(|_| sampler.pick(&SCORES).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn scores_that_are_no_numbers_are_an_error() {
        let error = Sampler::new(1.0, 1.0, 0, 1).pick(&[f32::NAN, f32::INFINITY]).unwrap_err();
        assert!(matches!(error, EngineError::NotFinite));
        assert_eq!(Sampler::new(1.0, 1.0, 0, 1).pick(&[f32::NAN, 1.0]).unwrap(), 1);
    }
}
