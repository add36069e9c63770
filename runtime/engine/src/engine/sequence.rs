//! One generation under way: its tokens, its cache, and what has been sent of its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::UnboundedSender;

use super::handle::{Event, FinishReason, Job, Place};
use super::logprobs::{Held, TokenLogprobs};
use super::sampling::Sampler;
use super::stop::StopFilter;
use crate::error::EngineError;
use crate::text::{Constraint, Decoder, TextModel};

/// A sequence in the batch.
pub(crate) struct Sequence<C> {
    /// What the model has computed of it.
    pub(crate) cache: C,
    /// Whose it is.
    pub(crate) owner: Option<Arc<str>>,
    /// The prompt and what was generated.
    tokens: Vec<u32>,
    /// How many of `tokens` are in the cache.
    fed: usize,
    cached: usize,
    prompt_tokens: usize,
    produced: usize,
    max_tokens: usize,
    ignores_end: bool,
    sampler: Sampler,
    decoder: Decoder,
    stop: StopFilter,
    stopped: bool,
    /// How many of the likeliest tokens go with each log probability, where those are wanted.
    logprobs: Option<usize>,
    held: Held,
    constraint: Option<Constraint>,
    choice: usize,
    events: UnboundedSender<Event>,
    /// Counts the tokens of all the request's answers.
    all_produced: Arc<AtomicUsize>,
    place: Place,
}

impl<C> Sequence<C> {
    /// `fed` tokens of the prompt are in the cache already.
    pub(crate) fn new(job: Job, cache: C, fed: usize, text: &TextModel, context: usize) -> Self {
        let Job { request, choice, events, produced, place } = job;
        let prompt_tokens = request.prompt.len();
        Self {
            cache,
            owner: request.owner.clone(),
            fed,
            cached: fed,
            prompt_tokens,
            produced: 0,
            max_tokens: request.max_tokens.min(context.saturating_sub(prompt_tokens)),
            ignores_end: request.ignores_end,
            sampler: Sampler::new(&request, request.seed_of(choice)),
            decoder: text.decoder(),
            stop: StopFilter::new(request.stop),
            stopped: false,
            logprobs: request.logprobs,
            held: Held::default(),
            constraint: request.constraint,
            choice,
            tokens: request.prompt,
            events,
            all_produced: produced,
            place,
        }
    }

    /// The same sequence with another cache, when the model's is no longer needed.
    pub(crate) fn without_cache(self) -> Sequence<()> {
        Sequence {
            cache: (),
            owner: self.owner,
            tokens: self.tokens,
            fed: self.fed,
            cached: self.cached,
            prompt_tokens: self.prompt_tokens,
            produced: self.produced,
            max_tokens: self.max_tokens,
            ignores_end: self.ignores_end,
            sampler: self.sampler,
            decoder: self.decoder,
            stop: self.stop,
            stopped: self.stopped,
            logprobs: self.logprobs,
            held: self.held,
            constraint: self.constraint,
            choice: self.choice,
            events: self.events,
            all_produced: self.all_produced,
            place: self.place,
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.events.is_closed()
    }

    /// It was asked for no token at all.
    pub(crate) fn is_complete(&self) -> bool {
        self.produced >= self.max_tokens
    }

    /// All but its last generated token are in the cache.
    pub(crate) fn is_decoding(&self) -> bool {
        self.produced > 0 && self.fed + 1 == self.tokens.len()
    }

    /// Something of it is in its cache.
    pub(crate) fn is_begun(&self) -> bool {
        self.fed > 0
    }

    /// How many of its tokens are in its cache.
    pub(crate) fn fed(&self) -> usize {
        self.fed
    }

    /// How many of its tokens these begin with.
    pub(crate) fn in_common(&self, tokens: &[u32]) -> usize {
        self.tokens.iter().zip(tokens).take_while(|(own, other)| own == other).count()
    }

    /// Gives its cache up for an empty one: it is computed again, when there is room. What was sent of
    /// its answer stays, and the next token is drawn as if nothing had happened.
    pub(crate) fn rewind(&mut self, empty: C) {
        self.cache = empty;
        self.fed = 0;
    }

    /// How many of its tokens come next, given room for `budget`.
    pub(crate) fn plan(&self, budget: usize) -> usize {
        (self.tokens.len() - self.fed).min(budget)
    }

    /// The next `count` tokens to compute, the cache to compute them into, and whether they
    /// are the last before a new token is due.
    pub(crate) fn take(&mut self, count: usize) -> (&[u32], &mut C, bool) {
        let (start, end) = (self.fed, self.fed + count);
        self.fed = end;
        (&self.tokens[start..end], &mut self.cache, end == self.tokens.len())
    }

    /// Picks the next token from `scores` and sends what text it gives.
    /// Returns the reason when this ended the generation.
    pub(crate) fn advance(&mut self, scores: &[f32], text: &TextModel) -> Result<Option<FinishReason>, EngineError> {
        // Rows of the output matrix beyond the vocabulary are padding.
        let known = scores.get(..text.vocabulary()).unwrap_or(scores);
        let allowed = self.constraint.as_mut().map(Constraint::allowed).transpose()?;
        let token = self.sampler.pick(known, allowed.as_ref())?;
        if text.ends_turn(token) && !self.ignores_end {
            return Ok(Some(FinishReason::Stop));
        }
        let whole = match &mut self.constraint {
            Some(constraint) => constraint.accept(token)?,
            None => false,
        };
        self.produced += 1;
        self.all_produced.fetch_add(1, Ordering::AcqRel);
        self.tokens.push(token);
        let piece = self.decoder.push(token);
        if let Some(count) = self.logprobs {
            let logprobs = TokenLogprobs::new(known, token, count, text);
            self.held.push(logprobs, piece.len(), self.decoder.holds());
        }
        let passed = self.stop.push(&piece);
        if passed.stopped {
            // Nothing of the decoder's rest may follow a stop text.
            self.decoder = text.decoder();
            self.stopped = true;
        }
        let logprobs = self.held.release(passed.text.len());
        self.send_text(passed.text, logprobs);
        if self.stopped || whole {
            return Ok(Some(FinishReason::Stop));
        }
        Ok(self.is_complete().then_some(FinishReason::Length))
    }

    /// Sends what was held back, and the end. A receiver that is gone is no error.
    pub(crate) fn finish(mut self, reason: FinishReason) {
        let rest = self.decoder.finish();
        let passed = self.stop.push(&rest);
        let held = if passed.stopped { String::new() } else { self.stop.finish() };
        let text = passed.text + &held;
        let logprobs = self.held.finish(text.len(), self.stopped || passed.stopped);
        self.send_text(text, logprobs);
        // Whoever sees the end may submit again at once: cache and place are free before it.
        drop(self.cache);
        drop(self.place);
        let _ = self.events.send(Event::Done {
            choice: self.choice,
            reason,
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached,
            completion_tokens: self.produced,
        });
    }

    fn send_text(&self, text: String, logprobs: Vec<TokenLogprobs>) {
        if !text.is_empty() || !logprobs.is_empty() {
            let _ = self.events.send(Event::Text { choice: self.choice, text, logprobs });
        }
    }
}
