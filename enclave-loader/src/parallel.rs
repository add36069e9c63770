//! Work spread over the machine's cores, in the order given, up to the first failure.

use std::sync::Mutex;
use std::thread;

/// More threads than this bring nothing: memory bandwidth is used up before.
const MAX_WORKERS: usize = 32;

/// The number of threads for sealing and reading: the cores this process may use.
pub(crate) fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS)
}

/// The number of threads for reading: while one waits for a disk or a network, another computes.
pub(crate) fn readers() -> usize {
    (2 * workers()).min(MAX_WORKERS)
}

/// Calls `work` for each of `items`, on up to `workers` threads of which the caller's is
/// one. `state` makes what one thread keeps from item to item, such as a buffer.
///
/// # Errors
/// The failure of the earliest item that failed; no item is begun after it is known.
pub(crate) fn for_each<T, S, E>(
    workers: usize,
    items: impl ExactSizeIterator<Item = T> + Send,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> Result<(), E> + Sync,
) -> Result<(), E>
where
    E: Send,
{
    let workers = workers.min(items.len());
    let queue = Mutex::new(Queue { items: items.enumerate(), failure: None });
    // A function, so that the lock is let go before the work on the item begins.
    let next = || lock(&queue).next();
    let run = || {
        let mut state = state();
        while let Some((number, item)) = next() {
            if let Err(error) = work(&mut state, item) {
                lock(&queue).fail(number, error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(run);
        }
        run();
    });
    let queue = queue.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    queue.failure.map_or(Ok(()), |(_, error)| Err(error))
}

struct Queue<I, E> {
    items: I,
    failure: Option<(usize, E)>,
}

impl<T, I: Iterator<Item = (usize, T)>, E> Queue<I, E> {
    fn next(&mut self) -> Option<(usize, T)> {
        if self.failure.is_some() { None } else { self.items.next() }
    }

    /// Items are handed out in order, so all before the first bad one are done or at work,
    /// and the smallest number here is the first bad item.
    fn fail(&mut self, number: usize, error: E) {
        if self.failure.as_ref().is_none_or(|(first, _)| number < *first) {
            self.failure = Some((number, error));
        }
    }
}

/// A panic elsewhere leaves the queue usable: it holds no half-made state.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn does_every_item_once() {
        for workers in [0, 1, 3, 8] {
            let sum = AtomicUsize::new(0);
            let done: Result<(), ()> = for_each(
                workers,
                0..100,
                || (),
                |(), item| {
                    sum.fetch_add(item, Ordering::Relaxed);
                    Ok(())
                },
            );
            assert_eq!((done, sum.into_inner()), (Ok(()), 4950));
        }
    }

    #[test]
    fn names_the_first_item_that_failed() {
        for workers in [1, 4] {
            let failed = for_each(workers, 0..100, || (), |(), item| if item >= 17 { Err(item) } else { Ok(()) });
            assert_eq!(failed, Err(17));
        }
    }
}
