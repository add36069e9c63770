//! Continuous batching. One thread owns the model; in each step it computes, in one forward
//! pass, the next token of every stream that is decoding and a chunk of the prompts of those
//! that are not there yet. Streams join and leave between steps.
//!
//! ```text
//! jobs ─► waiting ─► running ─┬─ decoding: one row each ──┐
//!            (queue)          └─ prompt: rows up to budget ┴─► forward ─► sample ─► events
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::handle::{FinishReason, Job, Shared};
use super::scores::Scores;
use super::sequence::Sequence;
use crate::error::EngineError;
use crate::limits::{PREFILL_ALONE, PREFILL_SHARED};

/// A model that can be stepped. The real transformers and the scripted one are this.
pub(crate) trait Forward: Send + 'static {
    /// What it keeps of a sequence between steps.
    type Cache;

    /// A cache for a sequence that begins with these tokens, and how many of them are in it already:
    /// what the same owner's sequences left.
    fn cache(&self, owner: Option<&Arc<str>>, tokens: &[u32]) -> Result<(Self::Cache, usize), EngineError>;

    /// Computes every part, appends to its cache, and writes for each that wants it, in order, the
    /// scores of the token after its last.
    fn forward(&mut self, parts: &mut [Part<'_, Self::Cache>], scores: &mut Scores) -> Result<(), EngineError>;

    /// How many of so many tokens of an owner are remembered once they are computed.
    fn remembered(&self, _tokens: usize) -> usize {
        0
    }

    /// Pages of memory that caches could still take.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Pages that a cache, or a new one, needs for so many rows more.
    fn pages_for(&self, _cache: Option<&Self::Cache>, _rows: usize) -> usize {
        0
    }
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
    let mut scores = Scores::default();
    while receive(jobs, &mut waiting, running.is_empty()) {
        if shared.stopping.load(Ordering::Acquire) {
            break;
        }
        running.retain(|sequence| !sequence.is_abandoned());
        admit(&model, shared, &mut waiting, &mut running);
        step(&mut model, shared, &mut running, &mut scores);
    }
    // Caches and model go before anybody is told.
    drop(model);
    let cancelled: Vec<_> = running.into_iter().map(Sequence::without_cache).collect();
    let waiting = waiting.into_iter().chain(jobs.try_iter());
    let waiting = waiting.map(|job| Sequence::new(job, (), 0, &shared.text, shared.context));
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

/// Moves waiting jobs to free streams, as long as there is memory for their prompts. Whose owner has the
/// fewest streams comes first; among equals, who came first. A beginning that one of the owner's streams is
/// just computing is waited for rather than computed twice: the choices of a request begin alike.
fn admit<F: Forward>(model: &F, shared: &Shared, waiting: &mut VecDeque<Job>, running: &mut Vec<Sequence<F::Cache>>) {
    waiting.retain(|job| !job.events.is_closed());
    while running.len() < shared.limits.max_streams {
        let is_computed = |job: &Job| running.iter().any(|sequence| is_computing_for(model, sequence, job));
        let (places, owners): (Vec<usize>, Vec<_>) = waiting
            .iter()
            .enumerate()
            .filter(|(_, job)| !is_computed(job))
            .map(|(index, job)| (index, job.request.owner.as_deref()))
            .unzip();
        let running_owners = || running.iter().map(|sequence| sequence.owner.as_deref());
        let Some(&next) = next_in_line(owners.into_iter(), running_owners).and_then(|next| places.get(next)) else {
            return;
        };
        let Some(job) = waiting.get(next) else { return };
        let pages = model.pages_for(None, job.request.prompt.len() + 1);
        if !running.is_empty() && pages > model.room() {
            return;
        }
        let Some(job) = waiting.remove(next) else { return };
        match model.cache(job.request.owner.as_ref(), &job.request.prompt) {
            Ok((cache, fed)) => {
                let sequence = Sequence::new(job, cache, fed, &shared.text, shared.context);
                if sequence.is_complete() {
                    sequence.finish(FinishReason::Length);
                } else {
                    running.push(sequence);
                }
            }
            Err(_) => Sequence::new(job, (), 0, &shared.text, shared.context).finish(FinishReason::Failed),
        }
    }
}

/// Whether a sequence is about to compute what would then be remembered for the job.
fn is_computing_for<F: Forward>(model: &F, sequence: &Sequence<F::Cache>, job: &Job) -> bool {
    // The last token of a prompt is always computed.
    let (_, prompt) = job.request.prompt.split_last().unwrap_or((&0, &[]));
    sequence.owner.is_some()
        && sequence.owner == job.request.owner
        && model.remembered(sequence.in_common(prompt)) > sequence.fed()
}

/// Which of the waiting comes first, by whose they and the running are.
fn next_in_line<'a, R: Iterator<Item = Option<&'a str>>>(
    waiting: impl Iterator<Item = Option<&'a str>>,
    running: impl Fn() -> R,
) -> Option<usize> {
    let streams = |owner: Option<&str>| running().filter(|other| *other == owner).count();
    waiting.map(streams).enumerate().min_by_key(|&(_, streams)| streams).map(|(index, _)| index)
}

/// Which sequences move in the next step, and by how many tokens. Each that is decoding moves by one;
/// prompts share what is left, the oldest first.
fn plan<F: Forward>(model: &F, running: &[Sequence<F::Cache>]) -> Vec<(usize, usize)> {
    let mut room = model.room();
    let mut budget = if running.iter().any(Sequence::is_decoding) { PREFILL_SHARED } else { PREFILL_ALONE };
    let mut planned = Vec::with_capacity(running.len());
    for is_decoding in [true, false] {
        for (index, sequence) in running.iter().enumerate().filter(|(_, it)| it.is_decoding() == is_decoding) {
            let count = if is_decoding { 1 } else { sequence.plan(budget) };
            let pages = model.pages_for(Some(&sequence.cache), count);
            if pages > room {
                break;
            }
            room -= pages;
            if !is_decoding {
                budget -= count;
            }
            if count > 0 {
                planned.push((index, count));
            }
        }
    }
    planned.sort_unstable();
    planned
}

/// The plan, for which the youngest sequences give up their memory where there is not enough: for all
/// that are decoding, or for any to move. The oldest always can: memory holds one whole context.
fn plan_with_room<F: Forward>(
    model: &F,
    running: &mut [Sequence<F::Cache>],
) -> Result<Vec<(usize, usize)>, EngineError> {
    loop {
        let planned = plan(model, running);
        let is_left_out = |index: usize| planned.iter().all(|&(moving, _)| moving != index);
        let is_stuck = planned.is_empty()
            || running.iter().enumerate().any(|(index, sequence)| sequence.is_decoding() && is_left_out(index));
        let youngest = running.iter().rposition(Sequence::is_begun).filter(|&index| index > 0);
        match youngest {
            Some(index) if is_stuck => running[index].rewind(model.cache(None, &[])?.0),
            _ => return Ok(planned),
        }
    }
}

/// One forward pass, and what follows from it.
fn step<F: Forward>(model: &mut F, shared: &Shared, running: &mut Vec<Sequence<F::Cache>>, scores: &mut Scores) {
    if running.is_empty() {
        return;
    }
    let Ok(planned) = plan_with_room(model, running) else {
        return running.drain(..).for_each(|sequence| sequence.finish(FinishReason::Failed));
    };
    let mut parts = Vec::with_capacity(planned.len());
    let mut wanting = Vec::with_capacity(planned.len());
    let mut moving = planned.iter().peekable();
    for (index, sequence) in running.iter_mut().enumerate() {
        if let Some(&(_, count)) = moving.next_if(|(moving, _)| *moving == index) {
            let (tokens, cache, wants_scores) = sequence.take(count);
            parts.push(Part { tokens, cache, wants_scores });
            wanting.extend(wants_scores.then_some(index));
        }
    }
    let outcome = model.forward(&mut parts, scores);
    drop(parts);
    let mut ends: Vec<(usize, FinishReason)> = Vec::new();
    match outcome {
        Ok(()) => {
            for (index, scores) in wanting.into_iter().zip(scores.rows()) {
                match running[index].advance(scores, &shared.text) {
                    Ok(None) => {}
                    Ok(Some(reason)) => ends.push((index, reason)),
                    Err(_) => ends.push((index, FinishReason::Failed)),
                }
            }
        }
        // Which part was to blame is unknown, and every cache may be half written.
        Err(_) => ends.extend(planned.iter().map(|&(index, _)| (index, FinishReason::Failed))),
    }
    for &(index, reason) in ends.iter().rev() {
        running.remove(index).finish(reason);
    }
}

/// What a forward pass scores, part by part.
#[cfg(test)]
pub(crate) fn scores_of<F: Forward>(
    model: &mut F,
    parts: &mut [Part<'_, F::Cache>],
) -> Result<Vec<Option<Vec<f32>>>, EngineError> {
    let mut scores = Scores::default();
    model.forward(parts, &mut scores)?;
    let mut rows = scores.rows().map(<[f32]>::to_vec);
    Ok(parts.iter().map(|part| if part.wants_scores { rows.next() } else { None }).collect())
}

#[cfg(test)]
mod tests {
    use super::next_in_line;

    #[test]
    fn an_owner_with_many_requests_leaves_streams_to_others() {
        let (bank, hospital) = (Some("bank"), Some("hospital"));
        let next = |waiting: &[Option<&'static str>], running: &[Option<&'static str>]| {
            next_in_line(waiting.iter().copied(), || running.iter().copied())
        };
        assert_eq!(next(&[bank, bank, hospital], &[bank]), Some(2));
        assert_eq!(next(&[bank, bank, hospital], &[bank, hospital]), Some(0), "among equals, who came first");
        assert_eq!(next(&[bank, None], &[None, None, bank]), Some(0));
        assert_eq!(next(&[], &[bank]), None);
    }
}
