//! Answers in the words of the command's `--json`: `result` when accepted, `error` when not, and
//! the checks with either.

use serde_json::{Value, json};
use strongroom_attestation::{Check, Refusal};

/// Why there is no verdict.
#[derive(Debug)]
pub(crate) struct Failure {
    code: String,
    message: String,
    exit: u8,
    checks: Vec<Check>,
}

impl Failure {
    /// The request is not one: what the command calls a usage error.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new("USAGE", 2, message)
    }

    /// `exit` is what the command would end with.
    pub(crate) fn new(code: &str, exit: u8, message: impl Into<String>) -> Failure {
        Failure { code: code.to_owned(), message: message.into(), exit, checks: Vec::new() }
    }

    fn into_json(self) -> Value {
        let error = json!({ "code": self.code, "message": self.message, "exit": self.exit });
        json!({ "error": error, "checks": self.checks })
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let message = format!("{}. {}", refusal.detail, refusal.code.advice());
        Failure { checks: refusal.checks, ..Failure::new(refusal.code.as_str(), refusal.code.exit_code(), message) }
    }
}

/// One line of JSON.
pub(crate) fn text(answer: Result<Value, Failure>) -> String {
    answer.unwrap_or_else(Failure::into_json).to_string()
}
