//! How often an event is logged that anybody at all can cause: a token bucket, so that a flood
//! of bad requests fills no disk and still shows.

use strongroom_attestation::UnixTime;

/// Such events logged in a second, in the long run.
const PER_SECOND: u64 = 10;

/// And at once, after a quiet time.
const BURST: u64 = 100;

/// What is left of the budget, and what was left out of the log.
pub(crate) struct Budget {
    left: u64,
    filled: UnixTime,
    left_out: u64,
}

/// Whether an event may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// It may, and before it that this many were left out since the last one.
    Yes { left_out: u64 },
    /// It is counted only.
    No,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: BURST, filled: UnixTime::from_secs(0), left_out: 0 }
    }
}

impl Budget {
    /// Asks for one event at `now`.
    pub(crate) fn spend(&mut self, now: UnixTime) -> Allowed {
        let earned = now.saturating_secs_since(self.filled).saturating_mul(PER_SECOND);
        self.left = self.left.saturating_add(earned).min(BURST);
        self.filled = self.filled.max(now);
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Allowed::Yes { left_out: std::mem::take(&mut self.left_out) }
            }
            None => {
                self.left_out = self.left_out.saturating_add(1);
                Allowed::No
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_logged_at_a_bounded_rate_and_counted() {
        let at = UnixTime::from_secs;
        let mut budget = Budget::default();
        let logged = |budget: &mut Budget, now| (0..1000).filter(|_| budget.spend(now) != Allowed::No).count();
        assert_eq!(logged(&mut budget, at(50)), 100);
        assert_eq!(budget.spend(at(51)), Allowed::Yes { left_out: 900 });
        assert_eq!(logged(&mut budget, at(51)), 9);
        assert_eq!(budget.spend(at(1000)), Allowed::Yes { left_out: 991 });
        assert_eq!(logged(&mut budget, at(1000)), 99);
    }
}
