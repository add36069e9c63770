//! Spans of files on their way here: a few are kept, the next ones are fetched ahead.
//!
//! Chunks are small for a network. They are read out of spans of some megabytes, of which several are
//! in flight while reading goes straight on; what is kept is bounded, whatever the size of the model.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Bytes of a span: a size at which object stores give what their line can take.
pub(super) const SPAN_BYTES: u64 = 4 << 20;
/// Spans fetched ahead of a reader that goes straight on; as many are in flight at once.
const AHEAD: u64 = 5;
/// Spans that are kept or on their way: 32 MiB.
const SPANS: usize = 8;

/// Fetches one span, on a thread of its own.
pub(super) trait Fetch: Send + Sync + 'static {
    /// The bytes of `span` of the file numbered `file`; the last span of a file is shorter.
    fn fetch(&self, file: usize, span: u64) -> io::Result<Vec<u8>>;
}

/// The spans of all files of one store.
pub(super) struct Spans {
    shared: Arc<Shared>,
    /// The fetching threads end when it is dropped.
    jobs: Sender<Key>,
}

/// File and number of a span.
type Key = (usize, u64);

struct Shared {
    slots: Mutex<VecDeque<(Key, Slot)>>,
    changed: Condvar,
}

#[derive(Clone)]
enum Slot {
    OnItsWay,
    Here(Arc<[u8]>),
    Lost(io::ErrorKind, String),
}

impl Spans {
    /// Spans that `fetch` gets.
    pub(super) fn new(fetch: impl Fetch) -> io::Result<Self> {
        let shared = Arc::new(Shared { slots: Mutex::default(), changed: Condvar::new() });
        let (jobs, queue) = channel();
        let (queue, fetch) = (Arc::new(Mutex::new(queue)), Arc::new(fetch));
        for _ in 0..=AHEAD {
            let (shared, queue, fetch) = (shared.clone(), queue.clone(), fetch.clone());
            thread::Builder::new()
                .name("sealed-model fetch".into())
                .spawn(move || work(&shared, &queue, fetch.as_ref()))?;
        }
        Ok(Self { shared, jobs })
    }

    /// Span `span` of the file numbered `file`, of which there are `count`; and, if the one before was
    /// asked for lately, the next ones are sent for.
    ///
    /// # Errors
    /// Whatever fetching it gave. It is not kept: who asks again, asks anew.
    pub(super) fn get(&self, file: usize, span: u64, count: u64) -> io::Result<Arc<[u8]>> {
        let mut slots = self.shared.lock();
        let straight_on = span.checked_sub(1).is_some_and(|before| find(&slots, (file, before)).is_some());
        let ahead = if straight_on { AHEAD } else { 0 };
        for wanted in span..=span.saturating_add(ahead).min(count.saturating_sub(1)) {
            self.send_for(&mut slots, (file, wanted));
        }
        loop {
            match find(&slots, (file, span)) {
                Some(Slot::Here(bytes)) => return Ok(bytes),
                Some(Slot::Lost(kind, detail)) => {
                    slots.retain(|(key, _)| *key != (file, span));
                    return Err(io::Error::new(kind, detail));
                }
                Some(Slot::OnItsWay) => {
                    slots = self.shared.changed.wait(slots).unwrap_or_else(PoisonError::into_inner);
                }
                // Others needed the room meanwhile.
                None => self.send_for(&mut slots, (file, span)),
            }
        }
    }

    /// Sends for a span that is neither here nor on its way, and makes room for it. The oldest goes
    /// first; one that is on its way is waited for by somebody, and stays.
    fn send_for(&self, slots: &mut VecDeque<(Key, Slot)>, key: Key) {
        if let Some(at) = slots.iter().position(|(known, _)| *known == key) {
            if let Some(slot) = slots.remove(at) {
                slots.push_back(slot);
            }
            return;
        }
        while slots.len() >= SPANS {
            let Some(oldest) = slots.iter().position(|(_, slot)| !matches!(slot, Slot::OnItsWay)) else { break };
            slots.remove(oldest);
        }
        let sent = self.jobs.send(key).is_ok();
        let lost = || Slot::Lost(io::ErrorKind::Other, "the threads that fetch are gone".into());
        slots.push_back((key, if sent { Slot::OnItsWay } else { lost() }));
    }
}

fn find(slots: &VecDeque<(Key, Slot)>, key: Key) -> Option<Slot> {
    slots.iter().find(|(known, _)| *known == key).map(|(_, slot)| slot.clone())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Key, Slot)>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(shared: &Shared, queue: &Mutex<Receiver<Key>>, fetch: &impl Fetch) {
    loop {
        // A function's worth of lock: the others take their jobs while this one works.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((file, span)) = job else { return };
        let slot = match fetch.fetch(file, span) {
            Ok(bytes) => Slot::Here(bytes.into()),
            Err(error) => Slot::Lost(error.kind(), error.to_string()),
        };
        let mut slots = shared.lock();
        if let Some((_, known)) = slots.iter_mut().find(|(key, _)| *key == (file, span)) {
            *known = slot;
        }
        shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counted(Arc<AtomicUsize>);

    impl Fetch for Counted {
        fn fetch(&self, file: usize, span: u64) -> io::Result<Vec<u8>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            match file {
                0 => Ok(span.to_be_bytes().to_vec()),
                _ => Err(io::Error::new(io::ErrorKind::NotFound, "gone")),
            }
        }
    }

    fn spans() -> (Spans, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        (Spans::new(Counted(count.clone())).unwrap(), count)
    }

    #[test]
    fn each_span_is_fetched_once_however_many_readers_go_over_it() {
        let (spans, count) = spans();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for span in 0..4 {
                        assert_eq!(*spans.get(0, span, 4).unwrap(), span.to_be_bytes());
                    }
                });
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn what_is_kept_is_bounded_and_a_span_that_went_comes_again() {
        let (spans, _) = spans();
        for span in (0..100).rev().chain(0..100) {
            assert_eq!(*spans.get(0, span, 100).unwrap(), span.to_be_bytes());
            // Each reader may hold one more that is on its way.
            assert!(spans.shared.lock().len() <= SPANS + AHEAD as usize);
        }
    }

    #[test]
    fn a_failure_is_told_and_not_kept() {
        let (spans, count) = spans();
        for _ in 0..2 {
            assert_eq!(spans.get(1, 0, 1).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}
