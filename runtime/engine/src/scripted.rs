//! A model that says what it is told to, for tests of everything around the engine: same
//! queue, tokenizer, stop texts, cancellation and token counts as a real one.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::engine::{Forward, Limits, Part, Scores};
use crate::error::EngineError;
use crate::load::{LoadOptions, load_text};
use crate::text::TextModel;
use crate::tiny::tiny_files;

/// What a scripted engine says.
pub struct Script {
    reply: Reply,
    limits: Limits,
    text: Option<Arc<TextModel>>,
    gate: Gate,
}

enum Reply {
    Text(String),
    Echo,
    Failure,
}

impl Script {
    /// Every request is answered with this text.
    #[must_use]
    pub fn says(text: impl Into<String>) -> Self {
        Self::new(Reply::Text(text.into()))
    }

    /// Every request is answered with its own prompt, special tokens left out.
    #[must_use]
    pub fn echoes() -> Self {
        Self::new(Reply::Echo)
    }

    /// Every request fails.
    #[must_use]
    pub fn fails() -> Self {
        Self::new(Reply::Failure)
    }

    fn new(reply: Reply) -> Self {
        Self { reply, limits: Limits::default(), text: None, gate: Gate::opened() }
    }

    /// Sets how much the engine takes on at once.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Uses this model's tokenizer and template instead of those of [`crate::tiny_model`].
    #[must_use]
    pub fn text(mut self, text: Arc<TextModel>) -> Self {
        self.text = Some(text);
        self
    }

    /// Makes the engine wait before each step until `gate` is open, so that a test can look at
    /// requests that run and wait.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = gate.clone();
        self
    }

    pub(crate) fn into_parts(self) -> Result<(ScriptedModel, Arc<TextModel>, Limits), EngineError> {
        let text = match self.text {
            Some(text) => text,
            None => Arc::new(load_text(&tiny_files(0)?, &LoadOptions::default())?),
        };
        let fails = matches!(self.reply, Reply::Failure);
        let reply = match self.reply {
            Reply::Text(reply) => Some(
                text.encode(&reply)
                    .map_err(|_| EngineError::unsupported("the script", "its text cannot be split into tokens"))?,
            ),
            Reply::Echo | Reply::Failure => None,
        };
        let model = ScriptedModel { reply, fails, text: text.clone(), gate: self.gate };
        Ok((model, text, self.limits))
    }
}

/// Holds a scripted engine back. Clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// A gate that lets nothing through yet.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }

    fn opened() -> Self {
        Self(Arc::new((Mutex::new(true), Condvar::new())))
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        let (is_open, changed) = &*self.0;
        *is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    fn pass(&self) {
        let (is_open, changed) = &*self.0;
        let mut guard = is_open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*guard {
            guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The score of what the script does not say: too low for every sampler, and yet there for an answer
/// that must follow a schema.
const FAR_BELOW: f32 = -10_000.0;

/// The model behind a script: it wants one token at a time.
pub(crate) struct ScriptedModel {
    /// `None` echoes the prompt.
    reply: Option<Vec<u32>>,
    fails: bool,
    text: Arc<TextModel>,
    gate: Gate,
}

#[derive(Default)]
pub(crate) struct ScriptedCache {
    prompt: Vec<u32>,
    said: usize,
}

impl Forward for ScriptedModel {
    type Cache = ScriptedCache;

    fn cache(&self, _owner: Option<&Arc<str>>, _tokens: &[u32]) -> Result<(ScriptedCache, usize), EngineError> {
        Ok((ScriptedCache::default(), 0))
    }

    fn forward(&mut self, parts: &mut [Part<'_, ScriptedCache>], scores: &mut Scores) -> Result<(), EngineError> {
        self.gate.pass();
        let width = self.text.vocabulary();
        let wanted = parts.iter().filter(|part| part.wants_scores).count();
        let mut rows = scores.rows_mut(wanted, width).chunks_exact_mut(width);
        for part in parts {
            let token = self.step(part)?;
            let Some((token, row)) = token.zip(if part.wants_scores { rows.next() } else { None }) else { continue };
            row.fill(FAR_BELOW);
            if let Some(score) = row.get_mut(token as usize) {
                *score = 0.0;
            }
        }
        Ok(())
    }
}

impl ScriptedModel {
    /// The next token of a part that wants scores.
    fn step(&self, part: &mut Part<'_, ScriptedCache>) -> Result<Option<u32>, EngineError> {
        let cache = &mut *part.cache;
        if cache.said == 0 {
            cache.prompt.extend(part.tokens.iter().filter(|&&token| !self.text.is_special(token)));
        }
        if !part.wants_scores {
            return Ok(None);
        }
        if self.fails {
            return Err(EngineError::NotFinite);
        }
        let reply = self.reply.as_ref().unwrap_or(&cache.prompt);
        let token = reply.get(cache.said).copied().unwrap_or_else(|| self.text.end_of_turn());
        cache.said += 1;
        Ok(Some(token))
    }
}
