//! The broker's clock, injected so that every deadline can be tested without waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use strongroom_attestation::UnixTime;

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// Now, in Unix seconds.
    fn now(&self) -> UnixTime;
}

/// The system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        // A clock before 1970 reads as 1970: every certificate is then not yet valid.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_secs(since.as_secs())
    }
}

/// A clock that stands still until it is moved: for tests and for replaying decisions.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: UnixTime) -> Self {
        Self(AtomicU64::new(now.as_secs()))
    }

    /// Moves the clock on by this many seconds.
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets the clock, also back: as a host might.
    pub fn set(&self, now: UnixTime) {
        self.0.store(now.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// A clock that never shows less than it has shown: instances refuse a broker whose time goes
/// back, and a lease must not get longer because somebody set the clock.
pub(crate) struct SteadyClock<C> {
    clock: C,
    highest: AtomicU64,
}

impl<C: std::ops::Deref<Target = dyn Clock>> SteadyClock<C> {
    /// A clock that begins at `least` at the earliest.
    pub(crate) fn from(clock: C, least: UnixTime) -> Self {
        Self { clock, highest: AtomicU64::new(least.as_secs()) }
    }

    pub(crate) fn now(&self) -> UnixTime {
        let now = self.clock.now().as_secs();
        let before = self.highest.fetch_max(now, Ordering::SeqCst);
        UnixTime::from_secs(now.max(before))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_clock_that_is_set_back_stands_still() {
        let manual = Arc::new(ManualClock::at(UnixTime::from_secs(100)));
        let steady = SteadyClock::from(manual.clone() as Arc<dyn Clock>, UnixTime::from_secs(90));
        assert_eq!(steady.now(), UnixTime::from_secs(100));
        let late = SteadyClock::from(manual.clone() as Arc<dyn Clock>, UnixTime::from_secs(110));
        assert_eq!(late.now(), UnixTime::from_secs(110));
        manual.set(UnixTime::from_secs(50));
        assert_eq!(steady.now(), UnixTime::from_secs(100));
        manual.set(UnixTime::from_secs(101));
        assert_eq!(steady.now(), UnixTime::from_secs(101));
    }
}
