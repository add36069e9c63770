//! Continuous batching. One thread owns the model; in each step it computes, in one forward
//! pass, the next token of every stream that is decoding and a chunk of the prompts of those
//! that are not there yet. Streams join and leave between steps.
//!
//! ```text
//! jobs ─► waiting ─► running ─┬─ decoding: one row each ──┐
//!            (queue)          └─ prompt: rows up to budget ┴─► forward ─► sample ─► events
//! ```

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::handle::{FinishReason, Job, Shared};
use super::sequence::Sequence;
use crate::error::EngineError;
use crate::limits::{PREFILL_ALONE, PREFILL_SHARED};

/// A model that can be stepped. The real transformer and the scripted one are both this.
pub(crate) trait Forward: Send + 'static {
    /// What it keeps of a sequence between steps.
    type Cache;

    /// An empty cache.
    fn cache(&self) -> Result<Self::Cache, EngineError>;

    /// Computes every part, appends to its cache, and returns for each, in order, the scores of
    /// the token after its last, where wanted.
    fn forward(&mut self, parts: &mut [Part<'_, Self::Cache>]) -> Result<Vec<Option<Vec<f32>>>, EngineError>;
}

/// The next tokens of one sequence.
pub(crate) struct Part<'a, C> {
    /// At least one token.
    pub(crate) tokens: &'a [u32],
    /// What came before them.
    pub(crate) cache: &'a mut C,
    /// Whether the scores after the last token are wanted.
    pub(crate) wants_scores: bool,
}

/// Runs until [`Shared::stopping`] is set, or until every handle is gone and all work is done.
pub(crate) fn run<F: Forward>(mut model: F, shared: &Shared, jobs: &Receiver<Job>) {
    let mut waiting = VecDeque::new();
    let mut running: Vec<Sequence<F::Cache>> = Vec::new();
    while receive(jobs, &mut waiting, running.is_empty()) {
        if shared.stopping.load(Ordering::Acquire) {
            break;
        }
        running.retain(|sequence| !sequence.is_abandoned());
        admit(&model, shared, &mut waiting, &mut running);
        step(&mut model, shared, &mut running);
    }
    // Caches and model go before anybody is told.
    drop(model);
    let cancelled: Vec<_> = running.into_iter().map(Sequence::without_cache).collect();
    let waiting = waiting.into_iter().chain(jobs.try_iter());
    let waiting = waiting.map(|job| Sequence::new(job, (), &shared.text, shared.context));
    cancelled.into_iter().chain(waiting).for_each(|sequence| sequence.finish(FinishReason::Cancelled));
}

/// Takes what has arrived, sleeping when there is nothing else to do. False when nobody can
/// send any more and all is done.
fn receive(jobs: &Receiver<Job>, waiting: &mut VecDeque<Job>, idle: bool) -> bool {
    if idle && waiting.is_empty() {
        match jobs.recv() {
            Ok(job) => waiting.push_back(job),
            Err(_) => return false,
        }
    }
    loop {
        match jobs.try_recv() {
            Ok(job) => waiting.push_back(job),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return !(idle && waiting.is_empty()),
        }
    }
}

/// Moves waiting jobs to free streams, first come first served.
fn admit<F: Forward>(model: &F, shared: &Shared, waiting: &mut VecDeque<Job>, running: &mut Vec<Sequence<F::Cache>>) {
    waiting.retain(|job| !job.events.is_closed());
    while running.len() < shared.limits.max_streams {
        let Some(job) = waiting.pop_front() else { return };
        match model.cache() {
            Ok(cache) => {
                let sequence = Sequence::new(job, cache, &shared.text, shared.context);
                if sequence.is_complete() {
                    sequence.finish(FinishReason::Length);
                } else {
                    running.push(sequence);
                }
            }
            Err(_) => Sequence::new(job, (), &shared.text, shared.context).finish(FinishReason::Failed),
        }
    }
}

/// One forward pass, and what follows from it.
fn step<F: Forward>(model: &mut F, shared: &Shared, running: &mut Vec<Sequence<F::Cache>>) {
    if running.is_empty() {
        return;
    }
    let decoding = running.iter().any(Sequence::is_decoding);
    let mut budget = if decoding { PREFILL_SHARED } else { PREFILL_ALONE };
    let mut planned = Vec::with_capacity(running.len());
    let mut parts = Vec::with_capacity(running.len());
    for (index, sequence) in running.iter_mut().enumerate() {
        // A decoding stream always moves: only prompts share the budget.
        let count = if sequence.is_decoding() { 1 } else { sequence.plan(budget) };
        if !sequence.is_decoding() {
            budget -= count;
        }
        if count > 0 {
            let (tokens, cache, wants_scores) = sequence.take(count);
            parts.push(Part { tokens, cache, wants_scores });
            planned.push(index);
        }
    }
    let scores = model.forward(&mut parts);
    drop(parts);
    let mut ends: Vec<(usize, FinishReason)> = Vec::new();
    match scores {
        Ok(scores) => {
            for (&index, scores) in planned.iter().zip(&scores) {
                let Some(scores) = scores else { continue };
                match running[index].advance(scores, &shared.text) {
                    Ok(None) => {}
                    Ok(Some(reason)) => ends.push((index, reason)),
                    Err(_) => ends.push((index, FinishReason::Failed)),
                }
            }
        }
        // Which part was to blame is unknown, and every cache may be half written.
        Err(_) => ends.extend(planned.iter().map(|&index| (index, FinishReason::Failed))),
    }
    for &(index, reason) in ends.iter().rev() {
        running.remove(index).finish(reason);
    }
}
