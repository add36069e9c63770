//! The numbered list of checks, in the order they were made.

use crate::error::{Check, State};

/// Checks so far. While authenticating, the first failure ends the trail: nothing after it would
/// mean anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trail {
    checks: Vec<Check>,
}

impl Trail {
    /// Notes a check; `None` when it failed, so that `?` stops there.
    pub(crate) fn step(&mut self, check: Check) -> Option<()> {
        let goes_on = check.state != State::Fail;
        self.checks.push(check);
        goes_on.then_some(())
    }

    pub(crate) fn len(&self) -> usize {
        self.checks.len()
    }

    pub(crate) fn into_checks(self) -> Vec<Check> {
        self.checks
    }
}
