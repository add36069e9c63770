//! The threads of one engine. The thread that owns the step hands out work many times a token, so
//! handing out must cost less than a microsecond: workers watch a gate for a while before they
//! sleep, and nothing is allocated.

#![expect(unsafe_code, reason = "a job borrows its caller's data, and threads write disjoint parts of one slice")]

use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use super::{Cpu, Level};

/// Looks at the gate before a worker sleeps: some tens of microseconds, longer than the
/// single-threaded stretches of a step.
const LOOKS: usize = 20_000;

/// A fixed number of threads, the caller's own among them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

type Job = dyn Fn() + Sync;

struct Shared {
    /// How many jobs there have been (upper half), whether the present one takes workers ([`OPEN`]),
    /// and how many are at work on it.
    gate: AtomicU64,
    /// The next index of the present one.
    next: AtomicUsize,
    stopping: AtomicBool,
    panicked: AtomicBool,
    /// The present job; valid while the gate is open or workers are at work.
    job: UnsafeCell<Option<*const Job>>,
}

/// The present job takes workers.
const OPEN: u64 = 1 << 31;
/// One job more.
const JOB: u64 = 1 << 32;

// SAFETY: `job` is written by the owner of the pool only while the gate is closed and no worker is at
// work, and read only by workers that have entered while it was open.
unsafe impl Sync for Shared {}
// SAFETY: the pointer is to a `Sync` closure that outlives the job (see `Pool::run`).
unsafe impl Send for Shared {}

impl Pool {
    /// Starts `threads - 1` workers; with fewer threads than wanted it goes on with those.
    pub(crate) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            gate: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            job: UnsafeCell::new(None),
        });
        let workers = (1..threads)
            .map_while(|number| {
                let shared = shared.clone();
                let name = format!("strongroom-cpu-{number}");
                thread::Builder::new().name(name).spawn(move || shared.work()).ok()
            })
            .collect();
        Self { shared, workers }
    }

    /// Threads that share the work.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work` for each index below `count`, on whichever thread is free.
    ///
    /// # Panics
    /// When `work` panics on any thread, after all have ended.
    pub(crate) fn each(&mut self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        if count <= 1 || self.workers.is_empty() {
            return (0..count).for_each(work);
        }
        self.shared.next.store(0, Ordering::Relaxed);
        let shared = self.shared.clone();
        let next = &shared.next;
        self.run(&|| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return;
                }
                work(index);
            }
        });
    }

    /// Runs `job` once on every thread.
    fn run(&mut self, job: &(dyn Fn() + Sync)) {
        let shared = &self.shared;
        // SAFETY: only the lifetime is forgotten. `Wait` below keeps this function from returning
        // or unwinding before every worker has finished with the job.
        let forgotten = unsafe { std::mem::transmute::<*const (dyn Fn() + Sync), *const Job>(job) };
        // SAFETY: the gate is closed and nobody is at work: the former job's `Wait` saw to it.
        unsafe { *shared.job.get() = Some(forgotten) };
        shared.gate.fetch_add(JOB | OPEN, Ordering::Release);
        self.workers.iter().for_each(|worker| worker.thread().unpark());
        let waiting = Wait(shared);
        job();
        drop(waiting);
        assert!(!self.shared.panicked.load(Ordering::Relaxed), "a thread of the engine panicked");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.gate.fetch_add(JOB, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // Workers catch panics: there is nothing to learn from the result.
            let _ = worker.join();
        }
    }
}

/// Closes the gate and waits for the workers that came through it, also when the owner's own share
/// of the job panics. One that the system had taken off its processor is not waited for.
struct Wait<'a>(&'a Shared);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut gate = self.0.gate.fetch_and(!OPEN, Ordering::Acquire) & !OPEN;
        while gate & (OPEN - 1) != 0 {
            std::hint::spin_loop();
            gate = self.0.gate.load(Ordering::Acquire);
        }
    }
}

impl Shared {
    /// What a worker does until the pool is dropped.
    fn work(&self) {
        let mut seen = 0;
        loop {
            let mut looks = 0;
            let mut gate = self.gate.load(Ordering::Acquire);
            while gate / JOB == seen {
                looks += 1;
                if looks < LOOKS {
                    std::hint::spin_loop();
                } else {
                    thread::park();
                }
                gate = self.gate.load(Ordering::Acquire);
            }
            seen = gate / JOB;
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            if !self.enter(gate) {
                continue;
            }
            // SAFETY: entered while the gate was open: the owner wrote the job before it opened it, and
            // neither changes it nor lets go of what it borrows while somebody is at work.
            let job = unsafe { (*self.job.get()).map(|job| &*job) };
            if catch_unwind(AssertUnwindSafe(|| job.inspect(|job| job()))).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
            self.gate.fetch_sub(1, Ordering::Release);
        }
    }

    /// Goes through the gate that looked like this, unless it is closed or of another job by now.
    fn enter(&self, mut gate: u64) -> bool {
        let job = gate / JOB;
        while gate / JOB == job && gate & OPEN != 0 {
            match self.gate.compare_exchange_weak(gate, gate + 1, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => gate = now,
            }
        }
        false
    }
}

/// A slice that several threads write to, each its own part.
pub(crate) struct Shards<'a, T> {
    start: *mut T,
    length: usize,
    slice: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: it hands out `&mut [T]` of disjoint parts only (the duty of `part`'s callers).
unsafe impl<T: Send> Sync for Shards<'_, T> {}

impl<'a, T> Shards<'a, T> {
    /// Takes the whole slice for as long as it lives.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), length: slice.len(), slice: std::marker::PhantomData }
    }

    /// A part of it.
    ///
    /// # Panics
    /// When the range passes the slice.
    ///
    /// # Safety
    /// No two parts that live at the same time may overlap.
    #[expect(clippy::mut_from_ref, reason = "the parts are disjoint")]
    // SAFETY: what callers must promise is said above.
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part outside its slice");
        // SAFETY: inside the slice, which is borrowed mutably for as long as `self` lives; disjoint
        // from other parts as the caller promised.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.end - range.start) }
    }
}

/// Rows from which handing them out to threads costs less than it saves.
const WORTH_SHARING: usize = 8;

/// Calls `work` with the number of each row of `rows` and the row itself, of `width` numbers.
pub(crate) fn each_row(
    cpu: &mut Cpu,
    rows: &mut [f32],
    width: usize,
    work: &(dyn Fn(Level, usize, &mut [f32]) + Sync),
) {
    let level = cpu.level;
    let count = rows.len() / width.max(1);
    if count < WORTH_SHARING {
        return rows.chunks_exact_mut(width).enumerate().for_each(|(index, row)| work(level, index, row));
    }
    let rows = Shards::new(rows);
    cpu.pool.each(count, &|index| {
        // SAFETY: each row is given out once.
        work(level, index, unsafe { rows.part(index * width..(index + 1) * width) });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_worked_on_once() {
        let mut pool = Pool::new(3);
        for count in [0, 1, 2, 7, 1000] {
            let mut hits = vec![0u32; count];
            let shards = Shards::new(&mut hits);
            // SAFETY: each index is given out once.
            pool.each(count, &|index| unsafe { shards.part(index..index + 1) }[0] += 1);
            assert!(hits.iter().all(|&hit| hit == 1));
        }
    }

    #[test]
    fn a_panic_on_any_thread_reaches_the_owner_after_all_have_ended() {
        let mut pool = Pool::new(2);
        let done = AtomicUsize::new(0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.each(100, &|index| {
                assert!(index != 50, "this index is bad");
                done.fetch_add(1, Ordering::Relaxed);
            });
        }));
        assert!(result.is_err());
        assert!(done.load(Ordering::Relaxed) <= 99);
    }
}
