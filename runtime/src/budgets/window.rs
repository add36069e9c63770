//! How much one tenant took of one thing within the last minute, or the last day.
//!
//! Time is cut into slots. What was taken in a slot counts until all of the slot is further back than the
//! period is long, so in no span of that length, wherever it begins, is more let in than the limit. The
//! price is that something may count for a slot longer. Memory is one number for each slot of a period.

use std::collections::VecDeque;
use std::time::Duration;

/// A span of time that a limit is for: the one that ends now, not one of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    Minute,
    Day,
}

/// What was taken within a period.
#[derive(Debug, Clone)]
pub(super) struct Window {
    period: Period,
    most: u64,
    /// Number of each slot in which something was taken, oldest first, and how much.
    slots: VecDeque<(u64, u64)>,
    /// The sum of them.
    taken: u64,
}

impl Period {
    /// Its word, after "per".
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
        }
    }

    /// Seconds of it.
    fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::Day => 86_400,
        }
    }

    /// Seconds of a slot: 60 slots of a minute, 144 of a day.
    fn slot_seconds(self) -> u64 {
        match self {
            Self::Minute => 1,
            Self::Day => 600,
        }
    }

    fn slot(self, at: Duration) -> u64 {
        at.as_secs() / self.slot_seconds()
    }

    /// When a slot counts no more: when even its last moment is a period ago.
    fn leaves(self, slot: u64) -> Duration {
        Duration::from_secs(slot.saturating_add(1).saturating_mul(self.slot_seconds()).saturating_add(self.seconds()))
    }
}

impl Window {
    pub(super) fn new(period: Period, most: u64) -> Self {
        Self { period, most, slots: VecDeque::new(), taken: 0 }
    }

    /// Forgets what counts no more. Everything below is as of the last call of this.
    pub(super) fn forward(&mut self, now: Duration) {
        while let Some(&(slot, amount)) = self.slots.front()
            && self.period.leaves(slot) <= now
        {
            self.slots.pop_front();
            self.taken = self.taken.saturating_sub(amount);
        }
    }

    /// How much may still be taken.
    pub(super) fn left(&self) -> u64 {
        self.most.saturating_sub(self.taken)
    }

    /// Whole seconds from `now` until `amount` may be taken if nothing else is; 0 when it may be now.
    /// Of more than the limit, the seconds until everything may be.
    pub(super) fn wait(&self, amount: u64, now: Duration) -> u64 {
        let mut left = self.left();
        let mut wait = 0;
        for &(slot, taken) in &self.slots {
            if left >= amount {
                break;
            }
            left = left.saturating_add(taken);
            wait = seconds_up(self.period.leaves(slot).saturating_sub(now));
        }
        wait
    }

    /// Whole seconds until nothing counts any more.
    pub(super) fn whole_in(&self, now: Duration) -> u64 {
        self.slots.back().map_or(0, |&(slot, _)| seconds_up(self.period.leaves(slot).saturating_sub(now)))
    }

    /// Takes `amount` at `now`, which is no earlier than any before.
    pub(super) fn take(&mut self, amount: u64, now: Duration) {
        let now = self.period.slot(now);
        match self.slots.back_mut() {
            Some((slot, taken)) if *slot == now => *taken = taken.saturating_add(amount),
            _ => self.slots.push_back((now, amount)),
        }
        self.taken = self.taken.saturating_add(amount);
    }

    /// Gives back `amount` of what was taken at `at`, unless that counts no more.
    pub(super) fn give_back(&mut self, amount: u64, at: Duration) {
        let at = self.period.slot(at);
        let Some(index) = self.slots.iter().rposition(|&(slot, _)| slot == at) else { return };
        let (_, taken) = &mut self.slots[index];
        let amount = amount.min(*taken);
        *taken -= amount;
        self.taken = self.taken.saturating_sub(amount);
        if *taken == 0 {
            self.slots.remove(index);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many slots are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.slots.len()
    }
}

fn seconds_up(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}
