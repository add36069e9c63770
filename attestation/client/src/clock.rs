//! Time, as an argument: the wall clock for dates, and a clock that nobody sets for ages.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use strongroom_attestation::UnixTime;

/// Where a client takes its time from.
pub trait Clock: Send + Sync {
    /// The date. A user can set it, and it can jump.
    fn now(&self) -> UnixTime;

    /// Time since some fixed moment. It never goes back, but may stand still while the machine sleeps.
    fn elapsed(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that counts from now.
    #[must_use]
    pub fn new() -> Self {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        // A clock before 1970 gives 0, at which every certificate is not yet valid: refused, as it should be.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_secs(since.as_secs())
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    wall: UnixTime,
    elapsed: Duration,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Moment { wall: clock.now(), elapsed: clock.elapsed() }
    }

    pub(crate) fn wall(self) -> UnixTime {
        self.wall
    }

    /// Seconds from this moment to now, by the clock on which more have passed: setting the wall clock back, or
    /// letting the machine sleep, makes nothing younger.
    pub(crate) fn age_secs(self, clock: &dyn Clock) -> u64 {
        let wall = clock.now().saturating_secs_since(self.wall);
        let elapsed = clock.elapsed().saturating_sub(self.elapsed).as_secs();
        wall.max(elapsed)
    }
}
