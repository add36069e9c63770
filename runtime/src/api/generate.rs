//! From a checked request to a running generation, the same for chat and completions.

use axum::http::HeaderMap;
use strongroom_channel::receipt::Finish;
use strongroom_engine::{Constraint, Event, FinishReason, Generation, GenerationRequest, SubmitError, TokenLogprobs};
use tokio::sync::watch;

use super::App;
use super::deadline::Deadline;
use super::error::ApiError;
use super::identity::{self, Tenant};
use super::limits;
use super::openai::{Common, PromptTokens, Usage};
use super::receipts::{Facts, ReceiptSlot};
use crate::budgets::Reservation;
use crate::model::ServedModel;
use crate::plugins::Pipeline;

/// A generation that runs, and what its receipt will say.
pub(super) struct Running {
    generation: Generation,
    /// Answers that have not ended.
    open: usize,
    cached_tokens: u64,
    facts: Facts,
    slot: ReceiptSlot,
    breaks: watch::Receiver<bool>,
    deadline: Deadline,
    /// What the tenant's limits let it in for, until that is settled.
    reservation: Option<Reservation>,
}

/// What the engine is to do, apart from what [`Common`] says.
pub(super) struct Task {
    pub(super) prompt: Vec<u32>,
    /// The request's name for the prompt.
    pub(super) parameter: &'static str,
    /// How many of the likeliest tokens go with each log probability, where those are wanted.
    pub(super) logprobs: Option<usize>,
    /// What the answer must be.
    pub(super) constraint: Option<Constraint>,
    /// When the answer must be complete.
    pub(super) deadline: Deadline,
    /// Who asks.
    pub(super) tenant: Tenant,
}

/// A part of an answer.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) logprobs: Vec<TokenLogprobs>,
}

/// An answer that ended as it should.
pub(super) struct Choice {
    pub(super) piece: Piece,
    /// OpenAI's name of how it ended.
    pub(super) reason: &'static str,
}

/// What a running generation says next.
pub(super) enum Next {
    /// More of an answer.
    Text(usize, Piece),
    /// An answer ended, with OpenAI's name of how.
    Ended(usize, &'static str),
    /// All have ended.
    Done(Usage),
    /// The engine stopped in the middle: the answer is not complete and must not end as
    /// if it were.
    Broken,
    /// The deadline passed: the same for the answer.
    Late,
}

/// Submits a task to the model's engine.
pub(super) fn begin(
    app: &App,
    model: &ServedModel,
    plugins: &Pipeline,
    task: Task,
    common: &Common,
    slot: ReceiptSlot,
) -> Result<Running, ApiError> {
    let Task { prompt, parameter, logprobs, constraint, deadline, tenant } = task;
    let engine = identity::writer_of(model)?;
    let breaks = model.breaks().ok_or_else(|| ApiError::model_loading(&model.name))?;
    let limit = engine.text().context_length();
    let room = limit.saturating_sub(prompt.len());
    let asked = common.max_completion_tokens.or(common.max_tokens).unwrap_or(app.default_max_tokens);
    let request = GenerationRequest {
        logprobs,
        constraint,
        owner: Some(tenant.0.clone()),
        ..common.request(prompt, asked.min(room.max(1)))?
    };
    // What can never be answered is refused for that, and not told to come back.
    engine.check(&request).map_err(|error| refused(&error, parameter, model))?;
    let prompt_tokens = request.prompt.len() as u64;
    let answers = request.choices.saturating_mul(request.max_tokens) as u64;
    let reservation = app.budgets.reserve(&tenant.0, prompt_tokens.saturating_add(answers)).map_err(limits::refused)?;
    let generation = engine.submit(request).map_err(|error| refused(&error, parameter, model))?;
    app.metrics.requests.inc();
    let facts = Facts {
        model_id: model.id,
        model_name: model.name.clone(),
        plugins: plugins.digests(),
        prompt_tokens,
        completion_tokens: 0,
        finish: Finish::Stop,
    };
    Ok(Running {
        generation,
        open: common.choices(),
        cached_tokens: 0,
        facts,
        slot,
        breaks,
        deadline,
        reservation: Some(reservation),
    })
}

fn refused(error: &SubmitError, parameter: &str, model: &ServedModel) -> ApiError {
    match error {
        SubmitError::Busy { .. } => ApiError::busy(),
        SubmitError::Stopped => ApiError::model_unloaded(&model.name),
        SubmitError::PromptTooLong { tokens, limit } => ApiError::invalid(
            "context_length_exceeded",
            Some(parameter),
            format!("the prompt has {tokens} tokens, at most {limit} fit into the model's context; shorten the prompt"),
        ),
        SubmitError::Invalid { reason } => ApiError::invalid("invalid_value", None, *reason),
    }
}

impl Running {
    /// The next piece. After `Done` the receipt's facts are in their place.
    pub(super) async fn next(&mut self) -> Next {
        if self.open == 0 {
            self.slot.put(self.facts.clone());
            // Before the client knows: it may ask again at once.
            self.settle();
            return Next::Done(self.usage());
        }
        let event = tokio::select! {
            biased;
            // The lease ended or the broker fell silent; an error means that the model is gone.
            _ = self.breaks.changed() => return Next::Broken,
            // Before the event: who reads slowly would otherwise never be late.
            () = self.deadline.passed() => return Next::Late,
            event = self.generation.next() => event,
        };
        match event {
            Some(Event::Text { choice, text, logprobs }) => Next::Text(choice, Piece { text, logprobs }),
            Some(Event::Done { choice, reason, cached_tokens, completion_tokens, .. }) => {
                let ended = match reason {
                    FinishReason::Stop => Finish::Stop,
                    FinishReason::Length => Finish::Length,
                    FinishReason::Cancelled | FinishReason::Failed => return Next::Broken,
                };
                self.open -= 1;
                // Of the first answer: the others find what was computed for it.
                if choice == 0 {
                    self.cached_tokens = cached_tokens as u64;
                }
                self.facts.completion_tokens += completion_tokens as u64;
                // One answer that was cut makes a cut response.
                if ended == Finish::Length {
                    self.facts.finish = ended;
                }
                Next::Ended(choice, ended.as_str())
            }
            None => Next::Broken,
        }
    }

    /// The whole answers.
    pub(super) async fn collect(mut self, app: &App) -> Result<(Vec<Choice>, Usage), ApiError> {
        let mut choices: Vec<Choice> =
            std::iter::repeat_with(|| Choice { piece: Piece::default(), reason: "" }).take(self.open).collect();
        loop {
            match self.next().await {
                Next::Text(choice, piece) => {
                    let choice = choices.get_mut(choice).ok_or_else(ApiError::internal)?;
                    choice.piece.text.push_str(&piece.text);
                    choice.piece.logprobs.extend(piece.logprobs);
                }
                Next::Ended(choice, reason) => {
                    choices.get_mut(choice).ok_or_else(ApiError::internal)?.reason = reason;
                }
                Next::Done(usage) => return Ok((choices, usage)),
                Next::Broken if app.serving.now().is_none() => return Err(ApiError::loading()),
                Next::Broken => return Err(ApiError::internal()),
                Next::Late => return Err(self.deadline.error()),
            }
        }
    }

    /// What was computed counts, however it ended: also what nobody waited for, or what came too late.
    fn settle(&mut self) {
        if let Some(mut reservation) = self.reservation.take() {
            reservation.used(self.facts.prompt_tokens.saturating_add(self.generation.produced() as u64));
        }
    }

    fn usage(&self) -> Usage {
        let (prompt, completion) = (self.facts.prompt_tokens, self.facts.completion_tokens);
        Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: PromptTokens { cached_tokens: self.cached_tokens },
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.settle();
    }
}

/// What the plugins leave of the answers.
pub(super) async fn filtered(plugins: Pipeline, choices: Vec<Choice>) -> Result<Vec<Choice>, ApiError> {
    off_executor(move || {
        let filter = |mut choice: Choice| {
            choice.piece.text = plugins.on_response(choice.piece.text)?;
            Ok(choice)
        };
        choices.into_iter().map(filter).collect()
    })
    .await
}

/// The random part of an answer's id.
pub(super) fn random_id() -> Result<String, ApiError> {
    let mut id = [0u8; 12];
    getrandom::fill(&mut id).map_err(|_| ApiError::internal())?;
    Ok(hex::encode(id))
}

/// Runs `work` off the executor: templates, tokenizers and plugins take milliseconds.
pub(super) async fn off_executor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(ApiError::internal()))
}

/// Whether the body says that it is JSON; OpenAI's clients all do.
pub(super) fn want_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let json = headers
        .get(axum::http::header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"application/json"));
    if json {
        return Ok(());
    }
    Err(ApiError::invalid("malformed_json", None, "the content type must be application/json"))
}
