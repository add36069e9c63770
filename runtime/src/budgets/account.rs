//! What one tenant took, and whether it may take more: time comes in, decisions go out.

use std::time::Duration;

use super::window::{Period, Window};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Requests,
    Tokens,
}

impl Unit {
    /// Its word, which is OpenAI's `type` of a refusal and the end of its headers' names.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }
}

/// A limit of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) most: u64,
    pub(crate) unit: Unit,
    pub(crate) period: Period,
}

/// Why a request may not be taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not now.
    Reached {
        /// The limit that is in the way for the longest.
        limit: Limit,
        /// How much of it may still be taken.
        left: u64,
        /// How much the request may take.
        asked: u64,
        /// Seconds until that fits, if the tenant asks for nothing else.
        wait: u64,
    },
    /// Not ever: it may take more than the limit.
    Never {
        /// The limit.
        limit: Limit,
        /// How much the request may take.
        asked: u64,
    },
}

/// How a limit stands, for the tenant's own eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) limit: Limit,
    /// How much may still be taken.
    pub(crate) left: u64,
    /// Seconds until all of it may be.
    pub(crate) whole_in: u64,
}

/// What a request was let in for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    tokens: u64,
    at: Duration,
}

/// The account of one tenant.
#[derive(Debug, Clone)]
pub(super) struct Account {
    windows: Vec<(Limit, Window)>,
    /// The latest time seen.
    now: Duration,
}

impl Account {
    pub(super) fn new(limits: &[Limit]) -> Self {
        let window = |&limit: &Limit| (limit, Window::new(limit.period, limit.most));
        Self { windows: limits.iter().map(window).collect(), now: Duration::ZERO }
    }

    /// Lets in a request that may take so many tokens, under every limit or none: one that is refused
    /// has taken nothing. It counts as of `now`, however long its answer takes.
    pub(super) fn reserve(&mut self, tokens: u64, now: Duration) -> Result<Taken, Refusal> {
        let now = self.forward(now);
        let asked = |unit| match unit {
            Unit::Requests => 1,
            Unit::Tokens => tokens,
        };
        let all = || self.windows.iter().map(|(limit, window)| (*limit, window, asked(limit.unit)));
        if let Some((limit, _, asked)) = all().find(|(limit, _, asked)| *asked > limit.most) {
            return Err(Refusal::Never { limit, asked });
        }
        let waits = all().map(|(limit, window, asked)| (limit, window.left(), asked, window.wait(asked, now)));
        if let Some((limit, left, asked, wait)) = waits.filter(|it| it.3 > 0).max_by_key(|it| it.3) {
            return Err(Refusal::Reached { limit, left, asked, wait });
        }
        for (limit, window) in &mut self.windows {
            window.take(asked(limit.unit), now);
        }
        Ok(Taken { tokens, at: now })
    }

    /// The end of a request: what it did not use is given back. `None`: it was not taken on, and does not
    /// count as a request either.
    pub(super) fn settle(&mut self, taken: Taken, used: Option<u64>) {
        for (limit, window) in &mut self.windows {
            let back = match limit.unit {
                Unit::Requests => u64::from(used.is_none()),
                Unit::Tokens => taken.tokens.saturating_sub(used.unwrap_or(0)),
            };
            window.give_back(back, taken.at);
        }
    }

    /// How each limit stands.
    pub(super) fn standings(&mut self, now: Duration) -> Vec<Standing> {
        let now = self.forward(now);
        let standing = |(limit, window): &(Limit, Window)| Standing {
            limit: *limit,
            left: window.left(),
            whole_in: window.whole_in(now),
        };
        self.windows.iter().map(standing).collect()
    }

    /// Whether nothing counts any more, so that it may be forgotten.
    pub(super) fn is_idle(&mut self, now: Duration) -> bool {
        self.forward(now);
        self.windows.iter().all(|(_, window)| window.is_idle())
    }

    /// Time never goes back here, whatever the order in which callers looked at the clock.
    fn forward(&mut self, now: Duration) -> Duration {
        self.now = self.now.max(now);
        for (_, window) in &mut self.windows {
            window.forward(self.now);
        }
        self.now
    }

    /// The most slots that any limit keeps.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.windows.iter().map(|(_, window)| window.kept()).max().unwrap_or(0)
    }
}
