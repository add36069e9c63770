//! The handle that the server holds, and the one thread that owns the encoder. A request is all of its texts;
//! each step takes texts of every running request in turn, until its rows are full.
//!
//! ```text
//! requests ─► waiting ─► running ─► a text of each in turn, up to the bound of rows ─► vectors
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};

use tokio::sync::{oneshot, watch};

use super::LoadedEncoder;
use super::model::Encoder;
use super::text::EncoderText;
use crate::engine::Limits;
use crate::error::{EmbedError, EngineError};
use crate::limits::ENCODER_ROWS;

/// A handle on a running encoder; clones are handles on the same one. When the last is dropped, running
/// requests finish and the model is dropped.
#[derive(Clone)]
pub struct EncoderHandle {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Option<Job>>,
    done: watch::Receiver<()>,
}

/// What handles and the thread both see.
struct Shared {
    text: Arc<EncoderText>,
    limits: Limits,
    stopping: AtomicBool,
    in_flight: AtomicUsize,
}

type Answer = Result<Vec<Vec<f32>>, EmbedError>;

/// A request, as it waits and runs.
struct Job {
    /// Each with its special tokens.
    texts: Vec<Vec<u32>>,
    /// Those of the first texts.
    vectors: Vec<Vec<f32>>,
    answer: oneshot::Sender<Answer>,
    place: Place,
}

/// A taken place; dropping it frees it.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl EncoderHandle {
    /// Starts the thread that owns the loaded encoder. `limits` count requests, however many texts they have.
    ///
    /// # Errors
    /// [`EngineError::Thread`] when the operating system gives no thread.
    pub fn spawn(loaded: LoadedEncoder, limits: Limits) -> Result<Self, EngineError> {
        let LoadedEncoder { text, model } = loaded;
        let limits = Limits { max_streams: limits.max_streams.max(1), queue: limits.queue };
        let (stopping, in_flight) = (AtomicBool::new(false), AtomicUsize::new(0));
        let shared = Arc::new(Shared { text, limits, stopping, in_flight });
        let (commands, receiver) = mpsc::channel();
        let (alive, done) = watch::channel(());
        let for_thread = shared.clone();
        std::thread::Builder::new()
            .name("strongroom-encoder".into())
            .spawn(move || {
                // Locals are dropped last to first, also when the thread panics: `stopped` wakes when all
                // else is gone.
                let _alive = alive;
                let (shared, jobs) = (for_thread, receiver);
                run(model, &shared, &jobs);
            })
            .map_err(EngineError::Thread)?;
        Ok(Self { shared, commands, done })
    }

    /// The tokenizer.
    #[must_use]
    pub fn text(&self) -> &Arc<EncoderText> {
        &self.shared.text
    }

    /// Requests that run or wait.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Acquire)
    }

    /// A vector for each text, in their order. Texts are tokens from [`EncoderText`], special ones around them.
    /// Dropping the future cancels the work.
    ///
    /// # Errors
    /// See [`EmbedError`]; there is no partial answer.
    pub async fn embed(&self, texts: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.submit(texts)?.await.unwrap_or(Err(EmbedError::Stopped))
    }

    /// The same for callers outside an async runtime.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn embed_blocking(&self, texts: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.submit(texts)?.blocking_recv().unwrap_or(Err(EmbedError::Stopped))
    }

    /// Ends every request as stopped and drops the model. Returns at once; [`Self::stopped`] waits for it.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        // An idle thread sleeps on its channel. An error means that it is gone already.
        let _ = self.commands.send(None);
    }

    /// Waits until the thread has ended and the model's memory was given back.
    pub async fn stopped(&self) {
        let mut done = self.done.clone();
        // Nothing is ever sent: the channel closes when the thread ends.
        let _ = done.changed().await;
    }

    fn submit(&self, texts: Vec<Vec<u32>>) -> Result<oneshot::Receiver<Answer>, EmbedError> {
        if self.shared.stopping.load(Ordering::Acquire) {
            return Err(EmbedError::Stopped);
        }
        let (limit, vocabulary) = (self.shared.text.context_length(), self.shared.text.vocabulary());
        for text in &texts {
            if text.is_empty() {
                return Err(EmbedError::Empty);
            }
            if text.len() > limit {
                return Err(EmbedError::TooLong { tokens: text.len(), limit });
            }
            if let Some(&token) = text.iter().find(|&&token| token as usize >= vocabulary) {
                return Err(EmbedError::Token { token });
            }
        }
        let place = self.take_place()?;
        let (answer, receiver) = oneshot::channel();
        let job = Job { vectors: Vec::with_capacity(texts.len()), texts, answer, place };
        self.commands.send(Some(job)).map_err(|_| EmbedError::Stopped)?;
        Ok(receiver)
    }

    fn take_place(&self) -> Result<Place, EmbedError> {
        let Limits { max_streams, queue } = self.shared.limits;
        let places = max_streams.saturating_add(queue);
        self.shared
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| (taken < places).then_some(taken + 1))
            .map(|_| Place(self.shared.clone()))
            .map_err(|_| EmbedError::Busy { places })
    }
}

impl Job {
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn is_complete(&self) -> bool {
        self.vectors.len() == self.texts.len()
    }

    /// A receiver that is gone is no error.
    fn finish(self, end: Result<(), EmbedError>) {
        // Whoever sees the end may ask again at once: the place is free before it.
        drop(self.place);
        let _ = self.answer.send(end.map(|()| self.vectors));
    }
}

/// Runs until [`Shared::stopping`] is set, or until every handle is gone and all work is done.
fn run(mut model: Encoder, shared: &Shared, jobs: &Receiver<Option<Job>>) {
    let (mut waiting, mut running) = (VecDeque::new(), VecDeque::new());
    while receive(jobs, &mut waiting, running.is_empty()) {
        if shared.stopping.load(Ordering::Acquire) {
            break;
        }
        waiting.retain(|job: &Job| !job.is_abandoned());
        running.retain(|job: &Job| !job.is_abandoned());
        let free = shared.limits.max_streams - running.len();
        running.extend(waiting.drain(..free.min(waiting.len())));
        step(&mut model, &mut running);
    }
    // The model goes before anybody is told.
    drop(model);
    let rest = running.into_iter().chain(waiting).chain(jobs.try_iter().flatten());
    rest.for_each(|job| job.finish(Err(EmbedError::Stopped)));
}

/// Takes what has arrived, sleeping when there is nothing else to do. False when nobody can send any more
/// and all is done.
fn receive(jobs: &Receiver<Option<Job>>, waiting: &mut VecDeque<Job>, idle: bool) -> bool {
    if idle && waiting.is_empty() {
        match jobs.recv() {
            Ok(job) => waiting.extend(job),
            Err(_) => return false,
        }
    }
    loop {
        match jobs.try_recv() {
            Ok(job) => waiting.extend(job),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return !(idle && waiting.is_empty()),
        }
    }
}

/// One forward pass, and what follows from it.
fn step(model: &mut Encoder, running: &mut VecDeque<Job>) {
    let lengths: Vec<Vec<usize>> = running
        .iter()
        .map(|job| job.texts.iter().skip(job.vectors.len()).map(Vec::len).take(ENCODER_ROWS).collect())
        .collect();
    let counts = plan(&lengths, ENCODER_ROWS);
    let planned = running.iter().zip(&counts);
    let texts: Vec<&[u32]> = planned
        .flat_map(|(job, &count)| job.texts.iter().skip(job.vectors.len()).take(count).map(Vec::as_slice))
        .collect();
    let mut vectors = model.embed(&texts).into_iter();
    let mut left = VecDeque::with_capacity(running.len());
    for (mut job, count) in running.drain(..).zip(counts) {
        job.vectors.extend(vectors.by_ref().take(count));
        let fresh = job.vectors.iter().rev().take(count);
        if fresh.flatten().any(|number| !number.is_finite()) {
            job.finish(Err(EmbedError::NotFinite));
        } else if job.is_complete() {
            job.finish(Ok(()));
        } else {
            left.push_back(job);
        }
    }
    // Whoever was first, and so always had room, is last now.
    if !left.is_empty() {
        left.rotate_left(1);
    }
    *running = left;
}

/// How many of its next texts each request may have in a step of `rows`, given their lengths: one in turn
/// while they fit. The first text of the first request always does.
fn plan(lengths: &[Vec<usize>], rows: usize) -> Vec<usize> {
    let mut counts = vec![0; lengths.len()];
    let mut taken = 0;
    loop {
        let before = taken;
        for (lengths, count) in lengths.iter().zip(&mut counts) {
            if let Some(length) = lengths.get(*count).filter(|&&length| taken == 0 || taken + length <= rows) {
                taken += length;
                *count += 1;
            }
        }
        if taken == before {
            return counts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plan;

    #[test]
    fn texts_are_taken_in_turn_until_the_rows_are_full() {
        assert_eq!(plan(&[vec![3; 10], vec![3; 2], vec![]], 20), [4, 2, 0]);
        // One that is too long for the rest waits until it is first; others go on.
        assert_eq!(plan(&[vec![5], vec![9, 1], vec![2, 2, 2]], 10), [1, 0, 2]);
        assert_eq!(plan(&[vec![30, 1], vec![1]], 10), [1, 0]);
        assert!(plan(&[], 10).is_empty());
    }
}
