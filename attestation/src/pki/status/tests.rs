//! Captured responses of NVIDIA's responders, and responses that the tests sign themselves.

mod captured;
mod made;
mod rows;
mod world;

use super::*;
use crate::error::State;

/// What was decided: until when, or why not.
fn outcome(rules: &StatusRules<'_>, pairs: &[(&Certificate, &Certificate)]) -> Result<Option<UnixTime>, Check> {
    let mut trail = Trail::default();
    let until = check_status(&mut trail, rules, pairs);
    let checks = trail.into_checks();
    match checks.iter().find(|check| check.state == State::Fail) {
        Some(failed) => {
            assert_eq!(until, None, "a check failed and was noted");
            Err(failed.clone())
        }
        None => {
            let skips = checks.iter().filter(|check| check.state == State::Skip).count();
            assert!(checks.len() <= 2 && skips <= 1, "one check passed, one skipped: {checks:?}");
            Ok(until.expect("no check failed"))
        }
    }
}
