//! Captured answers, none of which may be believed, and answers that the tests sign themselves.

mod captured;
mod rows;
mod service;

use super::check::{RemoteClaims, RemoteRules, check};
use super::keys::ServiceKeys;
use super::*;
use crate::error::{Check, State};
use crate::trail::Trail;

/// As artefacts are told apart: the bytes, and the JSON that they may be.
fn looks_like(bytes: &[u8]) -> bool {
    RemoteAnswer::looks_like(bytes, serde_json::from_slice(bytes).ok().as_ref())
}

/// What an answer is believed to say, or the code and words of its refusal.
fn judged(bytes: &[u8], rules: &RemoteRules<'_>) -> Result<RemoteClaims, (Code, String)> {
    let answer = RemoteAnswer::parse(bytes).map_err(|refusal| (refusal.code, refusal.detail))?;
    let mut trail = Trail::default();
    let claims = check(&mut trail, rules, &answer);
    let checks = trail.into_checks();
    match checks.iter().find(|check| check.state == State::Fail) {
        Some(Check { code, wanted, found, .. }) => {
            assert_eq!(claims, None, "a check failed and was noted");
            Err((*code, format!("wanted {wanted}, found {found}")))
        }
        None => Ok(claims.expect("no check failed")),
    }
}
