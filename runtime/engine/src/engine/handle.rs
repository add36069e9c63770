//! The handle that the server holds, and what it sends and receives. The model itself belongs
//! to one thread (`schedule.rs`); everything here is a message to or from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::logprobs::TokenLogprobs;
use super::sampling::SplitMix64;
use super::schedule;
use crate::error::{EngineError, SubmitError};
use crate::limits::{LOGIT_BIASES, LOGPROBS, STOP_BYTES, STOP_TEXTS};
use crate::load::{AnyModel, Loaded};
use crate::scripted::Script;
use crate::text::{Constraint, TextModel};

/// How much an engine takes on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sequences that are computed together.
    pub max_streams: usize,
    /// Requests that may wait for a place; one more is refused as busy.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_streams: 8, queue: 32 }
    }
}

/// What to generate.
#[derive(Clone)]
pub struct GenerationRequest {
    /// The prompt's tokens, from [`TextModel`].
    pub prompt: Vec<u32>,
    /// Tokens to generate at most; the context's end comes first where it is nearer.
    pub max_tokens: usize,
    /// 0 takes the likeliest token each time; 1 samples the model's own distribution.
    pub temperature: f32,
    /// Sample among the likeliest tokens whose probabilities add up to this; 1 is all.
    pub top_p: f32,
    /// Sample among this many of the likeliest tokens; 0 is all.
    pub top_k: usize,
    /// Leave out tokens that are less likely than this share of the likeliest; 0 leaves out none.
    pub min_p: f32,
    /// Taken off the score of each token that the answer has already, once.
    pub presence_penalty: f32,
    /// The same, for each time that it has it.
    pub frequency_penalty: f32,
    /// Makes tokens of prompt and answer less likely when above 1, which does nothing.
    pub repetition_penalty: f32,
    /// Tokens and what is added to their scores.
    pub logit_bias: Vec<(u32, f32)>,
    /// Wants log probabilities: of each token of the answer, and of so many of the likeliest.
    pub logprobs: Option<usize>,
    /// How many answers, each a stream of its own.
    pub choices: usize,
    /// Equal seeds, requests and models give equal samples on an idle engine. The first answer is
    /// drawn with it, further ones with numbers that follow from it.
    pub seed: u64,
    /// Texts that end the answer, and are not part of it.
    pub stop: Vec<String>,
    /// What the answer must be; it ends when it is whole.
    pub constraint: Option<Constraint>,
    /// The answer goes on over tokens that end a turn: for measurements.
    pub ignores_end: bool,
    /// Whose request it is. Streams are shared out evenly among owners, and what was computed of a prompt's
    /// beginning serves later prompts of the same owner, never others'. Without one nothing is kept.
    pub owner: Option<Arc<str>>,
}

impl GenerationRequest {
    /// The likeliest answer, of at most `max_tokens` tokens.
    #[must_use]
    pub fn greedy(prompt: Vec<u32>, max_tokens: usize) -> Self {
        Self {
            prompt,
            max_tokens,
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            repetition_penalty: 1.0,
            logit_bias: Vec::new(),
            logprobs: None,
            choices: 1,
            seed: 0,
            stop: Vec::new(),
            constraint: None,
            ignores_end: false,
            owner: None,
        }
    }

    /// The seed of one of its answers.
    pub(crate) fn seed_of(&self, choice: usize) -> u64 {
        let mut random = SplitMix64(self.seed);
        (0..choice).fold(self.seed, |_, _| random.next())
    }
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its turn, or a stop text came.
    Stop,
    /// `max_tokens` or the context's end was reached.
    Length,
    /// The engine was stopped.
    Cancelled,
    /// The model failed; the text so far is not an answer.
    Failed,
}

/// What a generation yields: for each answer texts, and one `Done` as its last.
#[derive(Clone, PartialEq)]
pub enum Event {
    /// The next part of an answer.
    Text {
        /// Which answer, from 0.
        choice: usize,
        /// Whole characters; empty only when there are log probabilities.
        text: String,
        /// Those of the tokens that this text completes, where wanted.
        logprobs: Vec<TokenLogprobs>,
    },
    /// The end of an answer.
    Done {
        /// Which answer, from 0.
        choice: usize,
        /// Why.
        reason: FinishReason,
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Those of them that an earlier prompt of the same owner had computed.
        cached_tokens: usize,
        /// Tokens generated, without the one that ends a turn.
        completion_tokens: usize,
    },
}

/// Prompts and answers stay out of logs: only the shape is printed.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text { choice, text, .. } => write!(f, "Text({choice}, {} bytes)", text.len()),
            Self::Done { choice, reason, prompt_tokens, completion_tokens, .. } => {
                write!(f, "Done({choice}, {reason:?}, {prompt_tokens} + {completion_tokens} tokens)")
            }
        }
    }
}

/// A generation under way. Dropping it cancels the work.
pub struct Generation {
    events: UnboundedReceiver<Event>,
    produced: Arc<AtomicUsize>,
}

impl Generation {
    /// The next event; `None` after the last `Done`, or (without it) when the engine's thread died.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The same for callers outside an async runtime.
    pub fn next_blocking(&mut self) -> Option<Event> {
        self.events.blocking_recv()
    }

    /// Tokens generated so far, of all answers together, whether or not their events were taken. After every
    /// `Done` it is the sum of their `completion_tokens`.
    #[must_use]
    pub fn produced(&self) -> usize {
        self.produced.load(Ordering::Acquire)
    }
}

/// A handle on a running engine; clones are handles on the same one. When the last is dropped,
/// running generations finish and the model is dropped.
#[derive(Clone)]
pub struct EngineHandle {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Job>,
    done: watch::Receiver<()>,
}

/// What handles and the engine's thread both see.
pub(crate) struct Shared {
    pub(crate) text: Arc<TextModel>,
    pub(crate) limits: Limits,
    pub(crate) stopping: AtomicBool,
    pub(crate) context: usize,
    in_flight: AtomicUsize,
}

/// A request on its way to the engine's thread.
pub(crate) struct Job {
    pub(crate) request: GenerationRequest,
    /// Which of the request's answers this is.
    pub(crate) choice: usize,
    pub(crate) events: UnboundedSender<Event>,
    /// Counts the tokens of all the request's answers.
    pub(crate) produced: Arc<AtomicUsize>,
    pub(crate) place: Place,
}

/// A taken place among streams and queue; dropping it frees it.
pub(crate) struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl EngineHandle {
    /// Starts the thread that owns the loaded model.
    ///
    /// # Errors
    /// [`EngineError::Thread`] when the operating system gives no thread.
    pub fn spawn(loaded: Loaded, limits: Limits) -> Result<Self, EngineError> {
        let Loaded { text, model } = loaded;
        let context = text.context_length();
        match model {
            AnyModel::Kernels(model) => Self::start(*model, text, limits, context),
            AnyModel::Candle(model) => Self::start(*model, text, limits, context),
        }
    }

    /// An engine that says what the script says, through the same queue, tokenizer, stop texts
    /// and cancellation as a real one. For tests and demonstrations of what lies around it.
    ///
    /// # Errors
    /// [`EngineError::Thread`] when the operating system gives no thread.
    pub fn scripted(script: Script) -> Result<Self, EngineError> {
        let (model, text, limits) = script.into_parts()?;
        let context = text.context_length();
        Self::start(model, text, limits, context)
    }

    fn start<F: schedule::Forward>(
        model: F,
        text: Arc<TextModel>,
        limits: Limits,
        context: usize,
    ) -> Result<Self, EngineError> {
        let limits = Limits { max_streams: limits.max_streams.max(1), queue: limits.queue };
        let shared = Arc::new(Shared {
            text,
            limits,
            stopping: AtomicBool::new(false),
            context,
            in_flight: AtomicUsize::new(0),
        });
        let (commands, receiver) = mpsc::channel();
        let (alive, done) = watch::channel(());
        let for_thread = shared.clone();
        std::thread::Builder::new()
            .name("strongroom-engine".into())
            .spawn(move || {
                // Locals are dropped last to first, also when the thread panics: `stopped` wakes
                // when all else is gone.
                let _alive = alive;
                let (shared, jobs) = (for_thread, receiver);
                schedule::run(model, &shared, &jobs);
            })
            .map_err(EngineError::Thread)?;
        Ok(Self { shared, commands, done })
    }

    /// The tokenizer and chat template.
    #[must_use]
    pub fn text(&self) -> &Arc<TextModel> {
        &self.shared.text
    }

    /// Generations that run or wait.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Acquire)
    }

    /// Hands a request to the engine.
    ///
    /// # Errors
    /// See [`SubmitError`]; nothing was started then.
    pub fn submit(&self, request: GenerationRequest) -> Result<Generation, SubmitError> {
        self.check(&request)?;
        let places = self.take_places(request.choices)?;
        let (sender, events) = unbounded_channel();
        let produced = Arc::new(AtomicUsize::new(0));
        let requests = std::iter::repeat_n(request, places.len());
        for ((choice, place), request) in places.into_iter().enumerate().zip(requests) {
            let job = Job { request, choice, events: sender.clone(), produced: produced.clone(), place };
            // When one cannot be sent the thread is gone, and those before it with it.
            self.commands.send(job).map_err(|_| SubmitError::Stopped)?;
        }
        Ok(Generation { events, produced })
    }

    /// Ends every generation as cancelled and drops the model. Returns at once; [`Self::stopped`]
    /// waits for it.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        // An idle thread sleeps on its channel: an empty job wakes it, and is never run.
        let (events, _) = unbounded_channel();
        self.shared.in_flight.fetch_add(1, Ordering::AcqRel);
        let place = Place(self.shared.clone());
        let request = GenerationRequest::greedy(Vec::new(), 0);
        // An error means that the thread is gone already, which is what was wanted.
        let _ = self.commands.send(Job { request, choice: 0, events, produced: Arc::default(), place });
    }

    /// Waits until the engine's thread has ended and the model's memory was given back.
    pub async fn stopped(&self) {
        let mut done = self.done.clone();
        // Nothing is ever sent: the channel closes when the thread ends.
        let _ = done.changed().await;
    }

    /// Whether a request could be taken on, if there were places enough.
    ///
    /// # Errors
    /// Those of [`Self::submit`] but [`SubmitError::Busy`].
    pub fn check(&self, request: &GenerationRequest) -> Result<(), SubmitError> {
        if self.shared.stopping.load(Ordering::Acquire) {
            return Err(SubmitError::Stopped);
        }
        let invalid = |reason| Err(SubmitError::Invalid { reason });
        let limit = self.shared.context.saturating_sub(1);
        if request.prompt.len() > limit {
            return Err(SubmitError::PromptTooLong { tokens: request.prompt.len(), limit });
        }
        if request.prompt.is_empty() {
            return invalid("the prompt is empty");
        }
        if request.prompt.iter().any(|&token| token as usize >= self.shared.text.vocabulary()) {
            return invalid("the prompt has a token outside the vocabulary");
        }
        if !(request.temperature >= 0.0 && request.temperature.is_finite()) {
            return invalid("temperature must be 0 or more");
        }
        if !(request.top_p > 0.0 && request.top_p <= 1.0) {
            return invalid("top_p must be above 0 and at most 1");
        }
        if !(0.0..=1.0).contains(&request.min_p) {
            return invalid("min_p must be 0 to 1");
        }
        if !(request.presence_penalty.is_finite() && request.frequency_penalty.is_finite()) {
            return invalid("presence_penalty and frequency_penalty must be numbers");
        }
        if !(request.repetition_penalty > 0.0 && request.repetition_penalty.is_finite()) {
            return invalid("repetition_penalty must be above 0");
        }
        let known = |token: u32| (token as usize) < self.shared.text.vocabulary();
        if request.logit_bias.len() > LOGIT_BIASES {
            return invalid("logit_bias names too many tokens");
        }
        if request.logit_bias.iter().any(|&(token, bias)| !known(token) || !bias.is_finite()) {
            return invalid("logit_bias names a token outside the vocabulary, or no number for it");
        }
        if request.logprobs.is_some_and(|likeliest| likeliest > LOGPROBS) {
            return invalid("too many of the likeliest tokens are wanted");
        }
        if request.choices == 0 || request.choices > self.places() {
            return invalid("n must be at least 1 and at most what the server can run and queue");
        }
        if request.stop.len() > STOP_TEXTS || request.stop.iter().any(|stop| stop.len() > STOP_BYTES) {
            return invalid("too many or too long stop texts");
        }
        Ok(())
    }

    /// All of them or none: a request is never half started.
    fn take_places(&self, wanted: usize) -> Result<Vec<Place>, SubmitError> {
        let Limits { max_streams, queue } = self.shared.limits;
        let room = |taken: usize| taken.checked_add(wanted).filter(|&taken| taken <= self.places());
        self.shared
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, room)
            .map(|_| (0..wanted).map(|_| Place(self.shared.clone())).collect())
            .map_err(|_| SubmitError::Busy { streams: max_streams, queue })
    }

    fn places(&self) -> usize {
        let Limits { max_streams, queue } = self.shared.limits;
        max_streams.saturating_add(queue)
    }
}
