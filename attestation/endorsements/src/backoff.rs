//! Which service may be asked now: backoff after failures, and a pace where the vendor limits it.
//!
//! State is per host and in memory: all wants of a process share it, and a call that finds a service resting gives
//! its answer without a request.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::mirror::{Mirror, Pace};

/// Rest after the first failure; it doubles with each further one.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest that we choose.
const LONGEST_REST: Duration = Duration::from_secs(5 * 60);
/// The longest rest that a service can impose: a wrong header must not switch it off for years.
const LONGEST_IMPOSED: Duration = Duration::from_secs(60 * 60);

/// What is known of each service.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    states: Mutex<HashMap<String, State>>,
    /// Only to spread retries of many processes.
    random: RandomState,
}

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    rests_until: Duration,
    /// Whether the service itself said until when.
    imposed: bool,
    why: String,
    /// When the pace has made up for all requests so far.
    paced_until: Duration,
}

/// Why a service is not asked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) time: Duration,
    pub(crate) why: String,
    /// Whether the service can be expected to answer then: it named the time, or keeps a pace. A service that is
    /// down is waited for by the call that found it so, not by all later ones.
    pub(crate) is_known: bool,
}

impl Hosts {
    /// Lets a request go at `now`, and counts it against the pace if it is of the `paced` kind.
    pub(crate) fn admit(&self, mirror: &Mirror, now: Duration, paced: bool) -> Result<(), Wait> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(mirror.name()).or_default();
        if state.rests_until > now {
            let time = state.rests_until.saturating_sub(now);
            let why = format!("not asked again yet, it {}", state.why);
            return Err(Wait { time, why, is_known: state.imposed });
        }
        let Some(Pace { interval, burst }) = mirror.pace.filter(|_| paced) else {
            return Ok(());
        };
        let ahead = state.paced_until.saturating_sub(now);
        let allowed = interval.saturating_mul(burst.saturating_sub(1));
        if ahead > allowed {
            let time = ahead.saturating_sub(allowed);
            let why = format!("the vendor allows one request in {} s", interval.as_secs());
            return Err(Wait { time, why, is_known: true });
        }
        state.paced_until = now.max(state.paced_until).saturating_add(interval);
        Ok(())
    }

    /// A sound answer came.
    pub(crate) fn succeeded(&self, mirror: &Mirror) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = states.get_mut(&mirror.name()) {
            state.failures = 0;
        }
    }

    /// None came: the service rests at least for `imposed`, if it said so. Gives how long that is from `now`.
    pub(crate) fn failed(&self, mirror: &Mirror, now: Duration, imposed: Option<Duration>, why: &str) -> Duration {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(mirror.name()).or_default();
        let doubled = 1u32.checked_shl(state.failures).unwrap_or(u32::MAX);
        let whole = FIRST_REST.saturating_mul(doubled).min(LONGEST_REST);
        state.failures = state.failures.saturating_add(1);
        // Between half and all of it.
        let jitter = u32::try_from(self.random.hash_one((mirror.name(), now, state.failures)) % 512).unwrap_or(0);
        let chosen = whole.saturating_mul(512u32.saturating_add(jitter)) / 1024;
        let rest = imposed.map_or(chosen, |imposed| imposed.min(LONGEST_IMPOSED).max(chosen));
        state.rests_until = state.rests_until.max(now.saturating_add(rest));
        state.imposed = imposed.is_some();
        why.clone_into(&mut state.why);
        state.rests_until.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn mirror(name: &str) -> Mirror {
        Mirror::new(&format!("http://{name}")).unwrap()
    }

    #[test]
    fn rests_double_up_to_a_limit_and_end_with_success() {
        let (hosts, host) = (Hosts::default(), mirror("a"));
        let mut now = secs(1000);
        for attempt in 0..40u32 {
            hosts.failed(&host, now, None, "503");
            let rest = hosts.admit(&host, now, false).unwrap_err().time;
            let whole = LONGEST_REST.min(secs(1u64 << attempt.min(20)));
            assert!(rest >= whole / 2 && rest <= whole, "{attempt}: {rest:?} of {whole:?}");
            now += rest;
            assert_eq!(hosts.admit(&host, now, false), Ok(()));
        }
        hosts.succeeded(&host);
        hosts.failed(&host, now, None, "503");
        assert!(hosts.admit(&host, now, false).unwrap_err().time <= FIRST_REST);
    }

    #[test]
    fn what_a_service_imposes_is_honoured_within_reason() {
        let hosts = Hosts::default();
        for (name, imposed, wanted) in [("a", 42, 42), ("b", u64::MAX, 3600)] {
            hosts.failed(&mirror(name), secs(0), Some(secs(imposed)), "429");
            assert_eq!(hosts.admit(&mirror(name), secs(0), false).unwrap_err().time, secs(wanted));
        }
        let host = mirror("c");
        hosts.failed(&host, secs(0), Some(secs(0)), "429");
        assert!(hosts.admit(&host, secs(0), false).is_err(), "no rest at all is not believed");
        assert_eq!(hosts.admit(&mirror("d"), secs(0), false), Ok(()), "another host");
    }

    #[test]
    fn a_pace_lets_a_burst_through_and_then_one_in_an_interval() {
        let hosts = Hosts::default();
        let host = mirror("a").with_pace(Some(Pace { interval: secs(10), burst: 2 }));
        let wait = |now| hosts.admit(&host, secs(now), true).err().map(|wait| wait.time.as_secs());
        assert_eq!([wait(100), wait(100), wait(100), wait(104)], [None, None, Some(10), Some(6)]);
        assert_eq!(hosts.admit(&host, secs(104), false), Ok(()), "other items have no pace");
        assert_eq!([wait(110), wait(110), wait(200), wait(200), wait(200)], [None, Some(10), None, None, Some(10)]);
    }
}
