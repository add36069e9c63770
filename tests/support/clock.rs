//! One simulated clock for the broker, the instance and the client. It stands still until a
//! test moves it.

use std::sync::Arc;
use std::time::Duration;

use strongroom_attestation::UnixTime;
use strongroom_broker::{Clock as _, ManualClock};

/// When every test begins, unix seconds.
const BEGIN: u64 = 1_800_000_000;

/// The clock. Clones show the same time.
#[derive(Clone)]
pub(crate) struct Time(Arc<ManualClock>);

impl Time {
    pub(crate) fn new() -> Self {
        Self(Arc::new(ManualClock::at(UnixTime::from_secs(BEGIN))))
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.0.now()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.advance(seconds);
    }

    /// As the broker wants it.
    pub(crate) fn for_broker(&self) -> Arc<ManualClock> {
        self.0.clone()
    }

    fn since_begin(&self) -> Duration {
        Duration::from_secs(self.now().as_secs() - BEGIN)
    }
}

impl strongroom_runtime::Clock for Time {
    fn guest_time(&self) -> u64 {
        self.now().as_secs()
    }

    fn monotonic(&self) -> Duration {
        self.since_begin()
    }
}

impl strongroom_client::Clock for Time {
    fn now(&self) -> UnixTime {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.since_begin()
    }
}
