//! From scores to the next token.
//!
//! ```text
//! scores ─► schema ─► logit_bias ─► repetition, frequency, presence penalties ─┬─► temperature 0: the likeliest
//!                                                                    └─► temperature ─► top_k ─► top_p ─► min_p ─► draw
//! ```
//!
//! Bias and penalties change what is likely, so they count at temperature 0 too, and they are
//! meant in units of the model's own scores, so they come before the temperature: OpenAI and vLLM
//! define them so. The temperature comes before the cuts, as with OpenAI, vLLM and the usual Python
//! libraries, so that `top_p` is a share of the distribution that is drawn from (llama.cpp cuts
//! first by default). The cuts go in llama.cpp's order; `top_k` and `min_p` leave the same tokens in
//! any order, and the mass that `top_p` shares out is that of what `top_k` left.

use toktrie::SimpleVob;

use super::handle::GenerationRequest;
use super::penalties::Penalties;
use crate::error::EngineError;

/// Tokens whose score lies further than this below the best are left out: together they weigh
/// less than 10⁻⁷ even in the largest vocabulary, and leaving them out makes sorting cheap.
const TAIL: f32 = 30.0;

/// How one sequence picks its tokens. Its buffers are kept from token to token.
pub(crate) struct Sampler {
    temperature: f32,
    top_p: f32,
    top_k: usize,
    min_p: f32,
    bias: Vec<(u32, f32)>,
    penalties: Penalties,
    random: SplitMix64,
    /// Scores after bias and penalties, where there are any.
    altered: Vec<f32>,
    /// Tokens and their weights; the likeliest weighs 1.
    candidates: Vec<(u32, f32)>,
}

impl Sampler {
    pub(crate) fn new(request: &GenerationRequest, seed: u64) -> Self {
        Self {
            temperature: request.temperature,
            top_p: request.top_p,
            top_k: request.top_k,
            min_p: request.min_p,
            bias: request.logit_bias.clone(),
            penalties: Penalties::new(request),
            random: SplitMix64(seed),
            altered: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// The next token, one of those `allowed` where only some are. Scores that are not numbers are
    /// passed over; if none is a number, the model is broken and says so.
    pub(crate) fn pick(&mut self, scores: &[f32], allowed: Option<&SimpleVob>) -> Result<u32, EngineError> {
        let token = if self.bias.is_empty() && !self.penalties.count() && allowed.is_none() {
            self.choose(scores)?
        } else {
            let mut altered = std::mem::take(&mut self.altered);
            altered.clear();
            altered.extend_from_slice(scores);
            if let Some(allowed) = allowed {
                forbid(&mut altered, allowed);
            }
            for &(token, bias) in &self.bias {
                alter(&mut altered, token, |score| score + bias);
            }
            self.penalties.apply(&mut altered);
            let token = self.choose(&altered);
            self.altered = altered;
            token?
        };
        self.penalties.note(token);
        Ok(token)
    }

    fn choose(&mut self, scores: &[f32]) -> Result<u32, EngineError> {
        let best = likeliest(scores).ok_or(EngineError::NotFinite)?;
        if self.temperature <= 0.0 {
            return Ok(best);
        }
        self.cut(scores, scores[best as usize]);
        let total: f32 = self.candidates.iter().map(|&(_, weight)| weight).sum();
        let mut point = self.random.unit() * total;
        for &(token, weight) in &self.candidates {
            point -= weight;
            if point < 0.0 {
                return Ok(token);
            }
        }
        // Rounding left a crumb: it belongs to the last candidate.
        Ok(self.candidates.last().map_or(best, |&(token, _)| token))
    }

    /// Leaves in `candidates` what may be drawn, the likeliest first. `top` is the best score.
    fn cut(&mut self, scores: &[f32], top: f32) {
        let temperature = self.temperature;
        self.candidates.clear();
        self.candidates.extend(
            scores
                .iter()
                .enumerate()
                .map(|(token, &score)| (token as u32, (score - top) / temperature))
                .filter(|&(_, below)| below.is_finite() && below >= -TAIL)
                .map(|(token, below)| (token, below.exp())),
        );
        // The token breaks ties, so that equal seeds give equal answers.
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if self.top_k > 0 && self.top_k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(self.top_k - 1, order);
            self.candidates.truncate(self.top_k);
        }
        self.candidates.sort_unstable_by(order);
        let total: f32 = self.candidates.iter().map(|&(_, weight)| weight).sum();
        let mut wanted = self.top_p.min(1.0) * total;
        let nucleus = self.candidates.iter().position(|&(_, weight)| {
            wanted -= weight;
            wanted <= 0.0
        });
        self.candidates.truncate(nucleus.map_or(self.candidates.len(), |last| last + 1));
        let likely = self.candidates.partition_point(|&(_, weight)| weight >= self.min_p);
        self.candidates.truncate(likely.max(1));
    }
}

/// Takes every token but those allowed out of the draw.
fn forbid(scores: &mut [f32], allowed: &SimpleVob) {
    for (words, scores) in allowed.as_slice().iter().zip(scores.chunks_mut(u32::BITS as usize)) {
        for (bit, score) in scores.iter_mut().enumerate() {
            if words & (1 << bit) == 0 {
                *score = f32::NEG_INFINITY;
            }
        }
    }
    let known = scores.len().min(allowed.len());
    scores[known..].fill(f32::NEG_INFINITY);
}

/// Changes the score of a token, unless it is forbidden or no token at all. What was a number
/// stays one.
pub(super) fn alter(scores: &mut [f32], token: u32, change: impl Fn(f32) -> f32) {
    if let Some(score) = scores.get_mut(token as usize)
        && score.is_finite()
    {
        *score = change(*score).clamp(f32::MIN, f32::MAX);
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

    fn request() -> GenerationRequest {
        GenerationRequest { temperature: 1.0, ..GenerationRequest::greedy(vec![0], 1) }
    }

    fn counts(request: &GenerationRequest) -> [usize; 5] {
        let mut sampler = Sampler::new(request, 7);
        let mut counts = [0; 5];
        for _ in 0..4000 {
            counts[sampler.pick(&SCORES, None).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_best() {
        assert_eq!(Sampler::new(&GenerationRequest::greedy(vec![0], 1), 1).pick(&SCORES, None).unwrap(), 1);
    }

    #[test]
    fn sampling_follows_the_distribution() {
        let counts = counts(&request());
        // e⁰ : e² : e² : e¹ of a sum of 18.50
        for (token, share) in [(0, 0.054), (1, 0.399), (3, 0.399), (4, 0.147)] {
            let found = counts[token] as f32 / 4000.0;
            assert!((found - share).abs() < 0.03, "token {token}: {found}, wanted {share}");
        }
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        assert_eq!(counts(&GenerationRequest { top_k: 2, ..request() })[4], 0);
        let nucleus = counts(&GenerationRequest { top_p: 0.79, ..request() });
        assert!(nucleus[0] == 0 && nucleus[4] == 0 && nucleus[1] > 0 && nucleus[3] > 0, "{nucleus:?}");
        assert_eq!(counts(&GenerationRequest { top_p: 1e-9, ..request() })[1], 4000);
    }

    #[test]
    fn equal_seeds_give_equal_tokens_and_others_do_not() {
        let draw = |seed| {
            let mut sampler = Sampler::new(&GenerationRequest { temperature: 1.5, ..request() }, seed);
            (0..64).map(|_| sampler.pick(&SCORES, None).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }

    #[test]
    fn scores_that_are_no_numbers_are_an_error() {
        let error = Sampler::new(&request(), 1).pick(&[f32::NAN, f32::INFINITY], None).unwrap_err();
        assert!(matches!(error, EngineError::NotFinite));
        assert_eq!(Sampler::new(&request(), 1).pick(&[f32::NAN, 1.0], None).unwrap(), 1);
    }

    #[test]
    fn min_p_is_a_share_of_the_likeliest() {
        // e¹ / e² is 0.368, e⁰ / e² is 0.135.
        let left = |min_p| counts(&GenerationRequest { min_p, ..request() }).map(|count| count > 0);
        assert_eq!(left(0.13), [true, true, false, true, true]);
        assert_eq!(left(0.2), [false, true, false, true, true]);
        assert_eq!(left(0.4), [false, true, false, true, false]);
        assert_eq!(left(1.0), [false, true, false, true, false]);
    }

    #[test]
    fn what_is_not_allowed_is_never_picked() {
        let pick = |allowed: &[bool], request: &GenerationRequest| {
            Sampler::new(request, 1).pick(&SCORES, Some(&SimpleVob::from_slice(allowed))).ok()
        };
        let biased = GenerationRequest { logit_bias: vec![(1, 100.0)], ..request() };
        for request in [&request(), &biased, &GenerationRequest::greedy(vec![0], 1)] {
            assert_eq!(pick(&[true, false, true, false, false], request), Some(0));
            // A mask that says nothing of a token does not allow it.
            assert_eq!(pick(&[true], request), Some(0));
            assert_eq!(pick(&[false; 5], request), None);
        }
    }

    #[test]
    fn a_bias_counts_for_greedy_and_never_revives_the_forbidden() {
        let pick = |bias: &[(u32, f32)]| {
            let request = GenerationRequest { logit_bias: bias.to_vec(), ..GenerationRequest::greedy(vec![0], 1) };
            Sampler::new(&request, 1).pick(&SCORES, None).unwrap()
        };
        assert_eq!(pick(&[(0, 100.0)]), 0);
        assert_eq!(pick(&[(1, -100.0)]), 3);
        assert_eq!(pick(&[(2, 100.0)]), 1);
        assert_eq!(pick(&[(99, 100.0)]), 1, "no such token");
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config {
            cases: 300, failure_persistence: None, ..proptest::test_runner::Config::default()
        })]

        /// Whatever is asked for, what is drawn was allowed by every cut.
        #[test]
        fn what_is_drawn_passed_every_cut(
            scores in proptest::collection::vec(-20.0f32..20.0, 1..40),
            temperature in 0.1f32..3.0,
            (top_k, top_p, min_p) in (0usize..6, 0.05f32..=1.0, 0.0f32..=1.0),
            seed in 0u64..1000,
        ) {
            let request = GenerationRequest { temperature, top_k, top_p, min_p, ..request() };
            let token = Sampler::new(&request, seed).pick(&scores, None).unwrap() as usize;
            let weights: Vec<f32> = scores.iter().map(|score| (score / temperature).exp()).collect();
            let heavier: Vec<f32> = weights.iter().copied().filter(|weight| *weight > weights[token]).collect();
            proptest::prop_assert!(top_k == 0 || heavier.len() < top_k);
            let top = weights.iter().copied().fold(0.0, f32::max);
            proptest::prop_assert!(weights[token] >= top * min_p * 0.999);
            let total: f32 = weights.iter().sum();
            proptest::prop_assert!(top_k > 0 || heavier.iter().sum::<f32>() <= top_p * total * 1.001);
        }

        /// Without bias and penalties, temperature 0 is the plain maximum.
        #[test]
        fn greedy_is_the_maximum(scores in proptest::collection::vec(-20.0f32..20.0, 1..40)) {
            let request = GenerationRequest { top_k: 3, top_p: 0.5, min_p: 0.5, ..GenerationRequest::greedy(vec![0], 1) };
            let token = Sampler::new(&request, 1).pick(&scores, None).unwrap();
            proptest::prop_assert_eq!(Some(token), likeliest(&scores));
            proptest::prop_assert!(scores.iter().all(|score| *score <= scores[token as usize]));
        }
    }
}
