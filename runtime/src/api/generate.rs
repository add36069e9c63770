//! From a checked request to a running generation, the same for chat and completions.

use axum::http::HeaderMap;
use strongroom_channel::receipt::Finish;
use strongroom_engine::{Event, FinishReason, Generation, GenerationRequest, SubmitError};
use tokio::sync::watch;

use super::App;
use super::error::ApiError;
use super::openai::{Common, Usage};
use super::receipts::{Facts, ReceiptSlot};
use crate::model::ServedModel;
use crate::plugins::Pipeline;

/// A generation that runs, and what its receipt will say.
pub(super) struct Running {
    generation: Generation,
    facts: Facts,
    slot: ReceiptSlot,
    breaks: watch::Receiver<u64>,
}

/// A generation that ended as it should.
pub(super) struct Finished {
    /// OpenAI's name of how it ended.
    pub(super) reason: &'static str,
    pub(super) usage: Usage,
}

/// What a running generation says next.
pub(super) enum Next {
    Text(String),
    Done(Finished),
    /// The engine stopped in the middle: the answer is not complete and must not end as
    /// if it were.
    Broken,
}

/// Submits `prompt` to the model's engine; `parameter` is the request's name for it.
pub(super) fn begin(
    app: &App,
    model: &ServedModel,
    plugins: &Pipeline,
    prompt: Vec<u32>,
    parameter: &'static str,
    common: &Common,
    slot: ReceiptSlot,
) -> Result<Running, ApiError> {
    let limit = model.engine.text().context_length();
    let room = limit.saturating_sub(prompt.len());
    let asked = common.max_completion_tokens.or(common.max_tokens);
    let request = GenerationRequest {
        max_tokens: asked.unwrap_or(app.default_max_tokens).min(room.max(1)),
        temperature: common.temperature.unwrap_or(1.0),
        top_p: common.top_p.unwrap_or(1.0),
        top_k: common.top_k.unwrap_or(0),
        seed: common.seed.map_or_else(random_seed, Ok)?,
        stop: common.stops()?,
        prompt,
    };
    let generation = model.engine.submit(request).map_err(|error| match error {
        SubmitError::Busy { .. } => ApiError::busy(),
        SubmitError::Stopped => ApiError::loading(),
        SubmitError::PromptTooLong { tokens, limit } => ApiError::invalid(
            "context_length_exceeded",
            Some(parameter),
            format!("the prompt has {tokens} tokens, at most {limit} fit into the model's context; shorten the prompt"),
        ),
        SubmitError::Invalid { reason } => ApiError::invalid("invalid_value", None, reason),
    })?;
    app.metrics.requests.inc();
    let facts = Facts {
        model_id: model.id,
        model_name: model.name.clone(),
        plugins: plugins.digests(),
        prompt_tokens: 0,
        completion_tokens: 0,
        finish: Finish::Error,
    };
    Ok(Running { generation, facts, slot, breaks: app.serving.breaks() })
}

impl Running {
    /// The next piece. After `Done` the receipt's facts are in their place.
    pub(super) async fn next(&mut self) -> Next {
        let event = tokio::select! {
            biased;
            // The lease ended or the broker fell silent; an error means that the server is gone.
            _ = self.breaks.changed() => return Next::Broken,
            event = self.generation.next() => event,
        };
        match event {
            Some(Event::Text(text)) => Next::Text(text),
            Some(Event::Done { reason, prompt_tokens, completion_tokens }) => {
                let ended = match reason {
                    FinishReason::Stop => Finish::Stop,
                    FinishReason::Length => Finish::Length,
                    FinishReason::Cancelled | FinishReason::Failed => return Next::Broken,
                };
                self.facts.prompt_tokens = prompt_tokens as u64;
                self.facts.completion_tokens = completion_tokens as u64;
                self.facts.finish = ended;
                self.slot.put(self.facts.clone());
                let total_tokens = prompt_tokens + completion_tokens;
                Next::Done(Finished {
                    reason: ended.as_str(),
                    usage: Usage { prompt_tokens, completion_tokens, total_tokens },
                })
            }
            None => Next::Broken,
        }
    }

    /// The whole answer.
    pub(super) async fn collect(mut self, app: &App) -> Result<(String, Finished), ApiError> {
        let mut text = String::new();
        loop {
            match self.next().await {
                Next::Text(piece) => text.push_str(&piece),
                Next::Done(finished) => return Ok((text, finished)),
                Next::Broken if app.serving.now().is_none() => return Err(ApiError::loading()),
                Next::Broken => return Err(ApiError::internal()),
            }
        }
    }
}

fn random_seed() -> Result<u64, ApiError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|_| ApiError::internal())?;
    Ok(u64::from_le_bytes(seed))
}

/// An id for an answer, random.
pub(super) fn answer_id(prefix: &str) -> Result<String, ApiError> {
    let mut id = [0u8; 12];
    getrandom::fill(&mut id).map_err(|_| ApiError::internal())?;
    Ok(format!("{prefix}-{}", hex::encode(id)))
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
