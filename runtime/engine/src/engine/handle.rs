//! The handle that the server holds, and what it sends and receives. The model itself belongs
//! to one thread (`schedule.rs`); everything here is a message to or from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::schedule;
use crate::error::{EngineError, SubmitError};
use crate::limits::{STOP_BYTES, STOP_TEXTS};
use crate::load::{AnyModel, Loaded};
use crate::scripted::Script;
use crate::text::TextModel;

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
#[derive(Clone, PartialEq)]
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
    /// Equal seeds, requests and models give equal samples on an idle engine.
    pub seed: u64,
    /// Texts that end the answer, and are not part of it.
    pub stop: Vec<String>,
}

impl GenerationRequest {
    /// The likeliest answer, of at most `max_tokens` tokens.
    #[must_use]
    pub fn greedy(prompt: Vec<u32>, max_tokens: usize) -> Self {
        Self { prompt, max_tokens, temperature: 0.0, top_p: 1.0, top_k: 0, seed: 0, stop: Vec::new() }
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

/// What a generation yields: texts, and one `Done` as the last.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The next part of the answer, whole characters only.
    Text(String),
    /// The end.
    Done {
        /// Why.
        reason: FinishReason,
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens generated, without the one that ends a turn.
        completion_tokens: usize,
    },
}

/// Prompts and answers stay out of logs: only the shape is printed.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Done { reason, prompt_tokens, completion_tokens } => {
                write!(f, "Done({reason:?}, {prompt_tokens} + {completion_tokens} tokens)")
            }
        }
    }
}

/// A generation under way. Dropping it cancels the work.
pub struct Generation {
    events: UnboundedReceiver<Event>,
}

impl Generation {
    /// The next event; `None` after `Done`, or (without a `Done`) when the engine's thread died.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The same for callers outside an async runtime.
    pub fn next_blocking(&mut self) -> Option<Event> {
        self.events.blocking_recv()
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
    pub(crate) events: UnboundedSender<Event>,
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
        let place = self.take_place()?;
        let (sender, events) = unbounded_channel();
        self.commands.send(Job { request, events: sender, place }).map_err(|_| SubmitError::Stopped)?;
        Ok(Generation { events })
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
        let _ = self.commands.send(Job { request, events, place });
    }

    /// Waits until the engine's thread has ended and the model's memory was given back.
    pub async fn stopped(&self) {
        let mut done = self.done.clone();
        // Nothing is ever sent: the channel closes when the thread ends.
        let _ = done.changed().await;
    }

    fn check(&self, request: &GenerationRequest) -> Result<(), SubmitError> {
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
        if request.stop.len() > STOP_TEXTS || request.stop.iter().any(|stop| stop.len() > STOP_BYTES) {
            return invalid("too many or too long stop texts");
        }
        Ok(())
    }

    fn take_place(&self) -> Result<Place, SubmitError> {
        let Limits { max_streams, queue } = self.shared.limits;
        let places = max_streams.saturating_add(queue);
        self.shared
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| (taken < places).then_some(taken + 1))
            .map(|_| Place(self.shared.clone()))
            .map_err(|_| SubmitError::Busy { streams: max_streams, queue })
    }
}
