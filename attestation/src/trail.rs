//! The numbered list of checks, in the order they were made, what they rest on, and how long that lasts.

use serde::Serialize;

use crate::error::{Check, State};
use crate::unix_time::UnixTime;
use crate::x509::Certificate;

/// Checks so far. While authenticating, the first failure ends the trail: nothing after it would
/// mean anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trail {
    checks: Vec<Check>,
    expiries: Vec<Expiry>,
    fingerprints: Vec<[u8; 32]>,
}

/// What a trail holds at its end.
pub(crate) struct Parts {
    pub(crate) checks: Vec<Check>,
    pub(crate) expiries: Vec<Expiry>,
    /// SHA-256 of every certificate that was used, in every form that holds.
    pub(crate) fingerprints: Vec<[u8; 32]>,
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

    /// Notes the certificates of a path that was taken, its root too.
    pub(crate) fn rests_on<'a>(&mut self, certificates: impl IntoIterator<Item = &'a Certificate>) {
        self.fingerprints.extend(certificates.into_iter().flat_map(Certificate::fingerprints));
    }

    pub(crate) fn len(&self) -> usize {
        self.checks.len()
    }

    #[cfg(test)]
    pub(crate) fn into_checks(self) -> Vec<Check> {
        self.checks
    }

    pub(crate) fn into_parts(self) -> Parts {
        Parts { checks: self.checks, expiries: self.expiries, fingerprints: self.fingerprints }
    }
}
