//! A clock that moves when a test says so.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use strongroom_attestation::UnixTime;
use strongroom_endorsements::Clock;
use tokio::sync::watch;

pub(crate) struct SimulatedClock {
    start: UnixTime,
    elapsed: watch::Sender<Duration>,
    /// When each of those who sleep now wants to be woken.
    sleepers: watch::Sender<Vec<Duration>>,
}

impl SimulatedClock {
    pub(crate) fn at(text: &str) -> Arc<SimulatedClock> {
        let start = UnixTime::parse_rfc3339(text).unwrap();
        Arc::new(SimulatedClock { start, elapsed: watch::Sender::default(), sleepers: watch::Sender::default() })
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += time);
    }

    pub(crate) fn advance_days(&self, days: u64) {
        self.advance(Duration::from_secs(days * 24 * 60 * 60));
    }

    /// Until somebody sleeps for at most `time`; gives for how long.
    pub(crate) async fn asleep_for_at_most(&self, time: Duration) -> Duration {
        let mut sleepers = self.sleepers.subscribe();
        let now = *self.elapsed.borrow();
        let soon = |at: &&Duration| **at > now && **at <= now + time;
        let list = sleepers.wait_for(|list| list.iter().any(|at| soon(&at))).await.unwrap();
        *list.iter().find(soon).unwrap() - now
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> UnixTime {
        self.start.saturating_add_secs(self.elapsed.borrow().as_secs())
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.borrow()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut elapsed = self.elapsed.subscribe();
        let until = *elapsed.borrow() + time;
        let sleeper = Sleeper { until, sleepers: self.sleepers.clone() };
        self.sleepers.send_modify(|list| list.push(until));
        Box::pin(async move {
            let _sleeper = sleeper;
            let _ = elapsed.wait_for(|elapsed| *elapsed >= until).await;
        })
    }
}

/// Is on the list until it is woken or gives up.
struct Sleeper {
    until: Duration,
    sleepers: watch::Sender<Vec<Duration>>,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.sleepers.send_modify(|list| {
            if let Some(place) = list.iter().position(|at| *at == self.until) {
                list.swap_remove(place);
            }
        });
    }
}
