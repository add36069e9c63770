//! The numbered checks of one verification, in the order they were made.

use std::fmt::Display;

use strongroom_attestation::{Check, Code, State};

/// Checks so far. Each method gives `None` after a failure, so that `?` stops there.
#[derive(Default)]
pub(super) struct Trail {
    checks: Vec<Check>,
}

impl Trail {
    /// Notes a check.
    pub(super) fn step(&mut self, check: Check) -> Option<()> {
        let goes_on = check.state != State::Fail;
        self.checks.push(check);
        goes_on.then_some(())
    }

    /// Notes checks that can all be answered, whichever fails.
    pub(super) fn steps(&mut self, checks: impl IntoIterator<Item = Check>) -> Option<()> {
        let mut goes_on = Some(());
        for check in checks {
            goes_on = self.step(check).and(goes_on);
        }
        goes_on
    }

    /// Notes whether bytes parsed, and gives what they are.
    pub(super) fn parsed<T, E: Display>(&mut self, title: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => {
                self.step(Check::pass(Code::Parse, title, "the documented form", "well-formed"))?;
                Some(value)
            }
            Err(error) => {
                self.step(Check::fail(Code::Parse, title, "the documented form", error.to_string()));
                None
            }
        }
    }

    pub(super) fn into_checks(self) -> Vec<Check> {
        self.checks
    }
}
