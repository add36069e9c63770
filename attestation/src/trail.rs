//! The numbered list of checks, in the order they were made, and how long what they rest on lasts.

use serde::Serialize;

use crate::error::{Check, State};
use crate::unix_time::UnixTime;

/// Checks so far. While authenticating, the first failure ends the trail: nothing after it would
/// mean anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trail {
    checks: Vec<Check>,
    expiries: Vec<Expiry>,
}

/// Something that a verdict rests on, and its last moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expiry {
    /// The title of the check that looked at it.
    pub what: String,
    /// Its last moment.
    pub until: UnixTime,
}

impl Trail {
    /// Notes a check; `None` when it failed, so that `?` stops there.
    pub(crate) fn step(&mut self, check: Check) -> Option<()> {
        let goes_on = check.state != State::Fail;
        self.checks.push(check);
        goes_on.then_some(())
    }

    /// Notes how long something lasts.
    pub(crate) fn lasts(&mut self, what: &str, until: UnixTime) {
        self.expiries.push(Expiry { what: what.to_owned(), until });
    }

    pub(crate) fn len(&self) -> usize {
        self.checks.len()
    }

    #[cfg(test)]
    pub(crate) fn into_checks(self) -> Vec<Check> {
        self.checks
    }

    pub(crate) fn into_parts(self) -> (Vec<Check>, Vec<Expiry>) {
        (self.checks, self.expiries)
    }
}
