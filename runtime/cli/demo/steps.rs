//! What the demo prints of each step, for people and for programs, and what it counts.

use std::future::Future;
use std::time::Instant;

use serde_json::json;

use crate::exit_code::Exit;
use crate::output::{Failure, Output};

/// The steps so far.
pub(super) struct Steps {
    output: Output,
    number: usize,
    passed: usize,
    failed: usize,
    began: Instant,
}

impl Steps {
    pub(super) fn new(output: Output) -> Self {
        Self { output, number: 0, passed: 0, failed: 0, began: Instant::now() }
    }

    /// A headline, for people.
    pub(super) fn heading(&self, text: &str) {
        self.output.note(format!("\n{text}"));
    }

    /// A step that must succeed. The story cannot go on without it.
    pub(super) async fn pass<T>(
        &mut self,
        step: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        match work.await {
            Ok(value) => {
                self.say(step, "pass", None, begun, true);
                Ok(value)
            }
            Err(failure) => {
                self.say(step, "fail", Some(&failure.code), begun, false);
                Err(failure)
            }
        }
    }

    /// An attack that must be refused with `code`. The next one is tried whatever happens.
    pub(super) async fn refused(
        &mut self,
        step: &str,
        code: &str,
        work: impl Future<Output = Result<String, Failure>>,
    ) {
        let begun = Instant::now();
        match work.await {
            Ok(found) if found == code => self.say(step, "refused", Some(code), begun, true),
            Ok(found) => self.say(step, "fail", Some(&format!("{found}, not {code}")), begun, false),
            Err(failure) => {
                self.output.note(format!("     {}", failure.message));
                self.say(step, "fail", Some(&failure.code), begun, false);
            }
        }
    }

    /// The last line; the process's exit code follows from it.
    pub(super) fn summary(&self) -> Exit {
        let text = format!(
            "\n{} steps did what they should, {} did not ({:.1} s)",
            self.passed,
            self.failed,
            self.began.elapsed().as_secs_f64()
        );
        self.output.result(&json!({ "passed": self.passed, "failed": self.failed }), text);
        if self.failed == 0 { Exit::Done } else { Exit::Failed }
    }

    fn say(&mut self, step: &str, result: &str, code: Option<&str>, begun: Instant, as_it_should: bool) {
        self.number += 1;
        if as_it_should {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        let seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        let word = match result {
            "pass" => "ok     ",
            "refused" => "REFUSED",
            _ => "FAILED ",
        };
        let code_text = code.map_or_else(String::new, |code| format!("  [{code}]"));
        let text = format!("{:>3}. {word} {step}{code_text}  ({seconds:.1} s)", self.number);
        self.output.result(&json!({ "step": step, "result": result, "code": code, "seconds": seconds }), text);
    }
}
