//! What time it is, without believing the host.
//!
//! An instance's time is the broker's last signed time plus what has passed since on a
//! monotonic clock (protocol.md A8). Before the first broker time the guest's clock
//! serves, and decides nothing that the broker does not decide again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of guest time and of a clock that only goes forward.
pub trait Clock: Send + Sync {
    /// Seconds since the Unix epoch, as the guest has it (a hint).
    fn guest_time(&self) -> u64;
    /// Time since an arbitrary start; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
struct SystemClock {
    #[cfg(not(target_os = "linux"))]
    start: std::time::Instant,
}

impl Clock for SystemClock {
    fn guest_time(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
    }

    /// On Linux the clock that counts suspended time too: a host that suspends the guest
    /// does not stop the lease.
    #[cfg(target_os = "linux")]
    fn monotonic(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
    }

    #[cfg(not(target_os = "linux"))]
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The instance's time. Clones share the last broker time.
#[derive(Clone)]
pub struct InstanceClock {
    source: Arc<dyn Clock>,
    broker: Arc<Mutex<Option<(u64, Duration)>>>,
}

impl InstanceClock {
    /// On the machine's clocks.
    #[must_use]
    pub fn system() -> Self {
        Self::on(Arc::new(SystemClock {
            #[cfg(not(target_os = "linux"))]
            start: std::time::Instant::now(),
        }))
    }

    /// On `source`; tests pass a simulated one.
    #[must_use]
    pub fn on(source: Arc<dyn Clock>) -> Self {
        Self { source, broker: Arc::new(Mutex::new(None)) }
    }

    /// Takes note of a time that the broker signed. A time earlier than what the
    /// instance already counts is ignored: the clock never goes back.
    pub fn broker_said(&self, unix_seconds: u64) {
        let elapsed = self.source.monotonic();
        let mut broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = broker.map(|(time, at)| time.saturating_add(elapsed.saturating_sub(at).as_secs()));
        if counted.is_none_or(|counted| unix_seconds >= counted) {
            *broker = Some((unix_seconds, elapsed));
        }
    }

    /// Seconds since the Unix epoch, as the instance counts them.
    #[must_use]
    pub fn now(&self) -> u64 {
        let broker = *self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        match broker {
            Some((time, at)) => time.saturating_add(self.source.monotonic().saturating_sub(at).as_secs()),
            None => self.source.guest_time(),
        }
    }

    /// Time since an arbitrary start; never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.source.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Simulated(AtomicU64);
    impl Clock for Simulated {
        fn guest_time(&self) -> u64 {
            5
        }
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn follows_the_broker_and_never_goes_back() {
        let source = Arc::new(Simulated(AtomicU64::new(0)));
        let clock = InstanceClock::on(source.clone());
        assert_eq!(clock.now(), 5);
        clock.broker_said(1_000);
        source.0.store(10, Ordering::Relaxed);
        assert_eq!(clock.now(), 1_010);
        clock.broker_said(900);
        assert_eq!(clock.now(), 1_010);
        clock.broker_said(2_000);
        assert_eq!(clock.now(), 2_000);
    }
}
