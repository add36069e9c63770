//! How a KBS says no (RFC 7807), and what an instance makes of it.

use serde::{Deserialize, Serialize};

use crate::release::{ReleaseError, shown};

/// What the `type` of every problem begins with; the kind follows.
pub const ERROR_TYPES: &str = "https://github.com/confidential-containers/kbs/errors/";

/// The one kind that asks for evidence once more: the session is over.
const TOKEN_NOT_FOUND: [&str; 2] = ["TokenNotFound", "TokenVerifierError"];

/// `{"type":…,"detail":…}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// [`ERROR_TYPES`] and the kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// One sentence for people.
    pub detail: String,
}

impl Problem {
    /// The problem of this kind.
    #[must_use]
    pub fn new(kind: &str, detail: String) -> Self {
        Self { kind: format!("{ERROR_TYPES}{kind}"), detail }
    }
}

/// Sorts an HTTP answer into the body of a success or a reason. Anybody on the way can forge a
/// refusal, which is why nothing but the running attempt ends with it.
///
/// # Errors
/// [`ReleaseError::RefusedByBroker`] for an explained 4xx, its code the problem's kind in capitals;
/// [`ReleaseError::Unavailable`] for everything else that is not a success.
pub(super) fn interpret(status: u16, body: &[u8]) -> Result<&[u8], ReleaseError> {
    if status == 200 {
        return Ok(body);
    }
    let problem = serde_json::from_slice::<Problem>(body).ok();
    let kind = problem.as_ref().and_then(|problem| problem.kind.strip_prefix(ERROR_TYPES));
    let detail = problem.as_ref().map(|problem| shown(&problem.detail)).unwrap_or_default();
    match kind {
        Some(kind) if (400..500).contains(&status) && status != 429 => {
            Err(ReleaseError::RefusedByBroker { code: code(kind), detail, checks: Vec::new() })
        }
        Some(_) => Err(ReleaseError::Unavailable { detail: format!("it answered HTTP {status}: {detail}") }),
        None => Err(ReleaseError::Unavailable {
            detail: format!("it answered HTTP {status} without an explanation; is the address a KBS?"),
        }),
    }
}

/// Whether evidence should be shown once more. Every other refusal would be the same again: a policy
/// that says no is not asked twice.
pub(super) fn asks_for_evidence(error: &ReleaseError) -> bool {
    matches!(error, ReleaseError::RefusedByBroker { code: found, .. }
        if TOKEN_NOT_FOUND.iter().any(|kind| code(kind) == *found))
}

/// `PolicyDeny` as `POLICY_DENY`; of a kind's characters, letters count.
fn code(kind: &str) -> String {
    let mut code = String::new();
    for letter in kind.chars().filter(char::is_ascii_alphabetic).take(64) {
        if letter.is_ascii_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.push(letter.to_ascii_uppercase());
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, kind: &str) -> ReleaseError {
        let body = serde_json::to_vec(&Problem::new(kind, "why\u{1b}[2J".into())).unwrap();
        interpret(status, &body).unwrap_err()
    }

    #[test]
    fn a_refusal_keeps_its_kind_and_its_reason_without_terminal_escapes() {
        let error = refusal(401, "PolicyDeny");
        let ReleaseError::RefusedByBroker { code, detail, .. } = &error else { panic!("{error}") };
        assert_eq!((code.as_str(), detail.as_str()), ("POLICY_DENY", "why[2J"));
        assert!(!asks_for_evidence(&error));
    }

    #[test]
    fn only_a_missing_session_asks_for_evidence_again() {
        for (kind, again) in [("TokenNotFound", true), ("TokenVerifierError", true), ("AttestationError", false)] {
            assert_eq!(asks_for_evidence(&refusal(401, kind)), again, "{kind}");
        }
    }

    #[test]
    fn a_failing_busy_or_strange_server_is_unavailable_and_no_refusal() {
        for error in [refusal(503, "AttestationError"), refusal(429, "PolicyDeny")] {
            assert!(error.is_retryable(), "{error}");
        }
        for (status, body) in [(404, b"not found".as_slice()), (401, b"{}"), (302, b"")] {
            assert!(interpret(status, body).unwrap_err().is_retryable(), "{status}");
        }
        let other = br#"{"type":"about:blank","detail":"x"}"#;
        assert!(interpret(401, other).unwrap_err().is_retryable());
    }
}
