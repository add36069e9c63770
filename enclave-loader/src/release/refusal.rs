//! How a broker says no over HTTP, and what an instance makes of an HTTP answer.

use serde::{Deserialize, Serialize};
use strongroom_attestation::Check;

use super::error::ReleaseError;

/// The most checks that are shown of one refusal.
const MAX_CHECKS: usize = 128;

/// The longest piece of a refusal's text that is shown: it comes from outside.
const MAX_TEXT: usize = 1024;

/// `{"error":{"code":…,"detail":…,"checks":[…]}}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The refusal itself.
    pub error: RefusedBody,
}

/// What stands under `error`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusedBody {
    /// The stable code (key-release.md section 8).
    pub code: String,
    /// One sentence for the operator.
    pub detail: String,
    /// Every requirement that was looked at, passed ones included.
    #[serde(default)]
    pub checks: Vec<Check>,
}

impl Refused {
    /// A refusal with these parts.
    #[must_use]
    pub fn new(code: &str, detail: impl Into<String>, checks: Vec<Check>) -> Self {
        Self { error: RefusedBody { code: code.to_owned(), detail: detail.into(), checks } }
    }

    /// The one answer to every failure of a signature or a decapsulation, so that nobody
    /// learns from the answer which step failed.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new("REFUSED", "the request could not be authenticated; see the broker's log", Vec::new())
    }
}

/// Sorts an HTTP answer into the body of a success or a reason. A refusal is only a hint
/// (anybody on the way can forge one), which is why nothing but the running attempt ends with it.
///
/// # Errors
/// [`ReleaseError::RefusedByBroker`] for an explained 4xx, [`ReleaseError::Unavailable`] for
/// everything else that is not a success.
pub fn interpret(status: u16, body: &[u8]) -> Result<&[u8], ReleaseError> {
    if status == 200 {
        return Ok(body);
    }
    if status == 429 || status >= 500 {
        let why = serde_json::from_slice::<Refused>(body)
            .map(|refused| format!(": {}", shown(&refused.error.detail)))
            .unwrap_or_default();
        return Err(ReleaseError::Unavailable { detail: format!("it answered HTTP {status}{why}") });
    }
    match serde_json::from_slice::<Refused>(body) {
        Ok(refused) if (400..500).contains(&status) => Err(ReleaseError::RefusedByBroker {
            code: shown(&refused.error.code),
            detail: shown(&refused.error.detail),
            checks: refused.error.checks.iter().take(MAX_CHECKS).map(shown_check).collect(),
        }),
        _ => Err(ReleaseError::Unavailable {
            detail: format!("it answered HTTP {status} without an explanation; is the address a strongroom broker?"),
        }),
    }
}

/// Text from outside, cut short and without control characters that could drive a terminal.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

fn shown_check(check: &Check) -> Check {
    Check {
        code: check.code,
        title: shown(&check.title),
        wanted: shown(&check.wanted),
        found: shown(&check.found),
        state: check.state,
    }
}

#[cfg(test)]
mod tests {
    use strongroom_attestation::Code;

    use super::*;

    #[test]
    fn an_explained_refusal_keeps_its_code_and_checks() {
        let check = Check::fail(Code::Measurement, "launch measurement", "aa", "bb");
        let body = serde_json::to_vec(&Refused::new("MEASUREMENT", "not the image", vec![check.clone()])).unwrap();
        assert_eq!(
            interpret(403, &body),
            Err(ReleaseError::RefusedByBroker {
                code: "MEASUREMENT".into(),
                detail: "not the image".into(),
                checks: vec![check],
            })
        );
    }

    #[test]
    fn a_busy_broker_is_unavailable_and_retryable_not_a_refusal() {
        for status in [429, 500, 502, 503] {
            let error = interpret(status, b"<html>").unwrap_err();
            assert!(error.is_retryable(), "{status}");
            assert_eq!(error.exit_code(), 5);
        }
    }

    #[test]
    fn a_stranger_at_the_address_is_not_taken_for_a_refusal() {
        assert_eq!(interpret(404, b"not found").unwrap_err().code(), "UNAVAILABLE");
        assert_eq!(interpret(302, b"").unwrap_err().code(), "UNAVAILABLE");
    }

    #[test]
    fn terminal_escapes_in_a_refusal_are_not_shown() {
        let body = serde_json::to_vec(&Refused::new("X\u{1b}[2J", "a\nb", vec![])).unwrap();
        let Err(ReleaseError::RefusedByBroker { code, detail, .. }) = interpret(403, &body) else {
            panic!("not a refusal");
        };
        assert_eq!((code.as_str(), detail.as_str()), ("X[2J", "ab"));
    }
}
