//! What people and programs read. People get sentences on standard error and results on
//! standard output; with `--json` programs get one object a line on standard output.

use std::fmt;
#[cfg(any(feature = "broker", feature = "serve"))]
use std::io::IsTerminal;
use std::io::{ErrorKind, Write};

use serde::Serialize;
use serde_json::json;
use strongroom_attestation::{Check, State};

use crate::exit_code::Exit;

/// Why a command ends without having done its work.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the process says to the shell.
    pub(crate) exit: Exit,
    /// A stable code for programs.
    pub(crate) code: String,
    /// What failed, what was wanted, what to do.
    pub(crate) message: String,
    /// The checks that led there, if it was a refusal.
    pub(crate) checks: Vec<Check>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: impl Into<String>, message: impl fmt::Display) -> Self {
        let message = message.to_string().trim_end().to_owned();
        Self { exit, code: code.into(), message, checks: Vec::new() }
    }

    /// The same, with the causes that the error's own text leaves out.
    #[cfg(any(feature = "broker", feature = "serve"))]
    pub(crate) fn caused(exit: Exit, code: impl Into<String>, error: &dyn std::error::Error) -> Self {
        Self::new(exit, code, with_causes(error))
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, "USAGE", message)
    }

    /// A file could not be read or written, is no text where text is wanted, or is in the way.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        let path = path.display();
        match error.kind() {
            ErrorKind::InvalidData => Self::usage(format!("{path} is not text; give the right file")),
            ErrorKind::AlreadyExists => {
                Self::usage(format!("{path} exists already; choose another name: nothing is overwritten"))
            }
            _ => Self::new(Exit::Failed, "IO", format!("{path}: {error}; check the path and who may use it")),
        }
    }
}

/// How this run speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// One JSON object a line.
    pub(crate) json: bool,
}

impl Output {
    /// Whether progress may be drawn.
    #[cfg(any(feature = "broker", feature = "serve"))]
    pub(crate) fn interactive(self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }

    /// A result: `text` for people, `value` for programs.
    pub(crate) fn result(self, value: &impl Serialize, text: impl fmt::Display) {
        if self.json {
            self.line(&serde_json::to_string(value).unwrap_or_default());
        } else {
            self.line(&clean(&text.to_string()));
        }
    }

    /// A value for programs, whoever asked: a document of its own, such as an attestation result.
    #[cfg(feature = "client")]
    pub(crate) fn value(self, value: &impl Serialize) {
        self.line(&serde_json::to_string(value).unwrap_or_default());
    }

    /// Something that happened on the way, for people only.
    pub(crate) fn note(self, text: impl fmt::Display) {
        if !self.json {
            // A reader that went away is no failure of ours.
            let _ = writeln!(std::io::stderr(), "{}", clean(&text.to_string()));
        }
    }

    /// A piece of an answer as it comes, for people only, on standard output.
    #[cfg(feature = "client")]
    pub(crate) fn piece(self, text: &str) {
        if !self.json {
            let mut out = std::io::stdout().lock();
            // The same.
            let _ = write!(out, "{}", clean(text));
            let _ = out.flush();
        }
    }

    /// The end of a failed command.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            let error = json!({ "code": failure.code, "message": failure.message, "exit": failure.exit.code() });
            self.line(&json!({ "error": error, "checks": failure.checks }).to_string());
            return;
        }
        self.checks(&failure.checks);
        self.note(format!("error[{}]: {}", failure.code, failure.message));
    }

    /// Numbered checks, for people; programs get them with the result.
    pub(crate) fn checks(self, checks: &[Check]) {
        for (number, check) in checks.iter().enumerate() {
            self.note(check_line(number + 1, check));
        }
    }

    fn line(self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A reader that went away is no failure of ours.
        let _ = writeln!(out, "{text}");
        let _ = out.flush();
    }
}

/// An error in one line with its causes. Some errors tell their cause themselves: what was
/// said is not said again.
#[cfg(any(feature = "broker", feature = "serve"))]
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// One check on a line: a skip never reads as a pass.
pub(crate) fn check_line(number: usize, check: &Check) -> String {
    match check.state {
        State::Pass => format!("{number:>3}. PASS  {}: {}", check.title, shortened(&check.found)),
        State::Skip => format!("{number:>3}. SKIP  {}: {} (not judged)", check.title, shortened(&check.found)),
        State::Fail => format!(
            "{number:>3}. FAIL  {} [{}]: wanted {}, found {}",
            check.title,
            check.code.as_str(),
            check.wanted,
            check.found
        ),
    }
}

/// A digest on one line; `--explain` and `--json` have it whole.
fn shortened(found: &str) -> String {
    let hex = found.len() > 40 && found.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { format!("{}…", &found[..16]) } else { found.to_owned() }
}

/// What comes from outside may not move the cursor or colour the screen.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
