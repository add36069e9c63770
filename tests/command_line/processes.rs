//! Running the program: to its end, or until it is no longer wanted.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How long a command may take: far beyond what any takes, so that a hang fails by name.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a command said, unaltered.
pub(super) struct Said {
    pub(super) exit: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Said {
    /// The last JSON object on standard output.
    pub(super) fn json(&self) -> Value {
        let last = self.stdout.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        last.unwrap_or_else(|| panic!("no JSON in {:?}; {}", self.stdout, self.stderr))
    }
}

/// The program, in `directory`, with nothing from the environment.
pub(super) fn strongroom(directory: &Path) -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_strongroom")), directory)
}

/// Any program likewise.
pub(super) fn prepared(mut command: Command, directory: &Path) -> Command {
    command.env_clear().current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `command` to its end.
pub(super) fn to_the_end(mut command: Command) -> Said {
    let child = command.spawn().unwrap();
    let id = child.id();
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        let _ = Command::new("kill").arg(id.to_string()).status();
        panic!("{command:?} does not end");
    };
    let output = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        exit: output.status.code().unwrap_or_else(|| panic!("{command:?}: {}", output.status)),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A service that runs until this is dropped.
pub(super) struct Service {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Service {
    /// Starts `strongroom --json ARGUMENTS`.
    pub(super) fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = strongroom(directory);
        let mut child = command.arg("--json").args(arguments).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until the service reports `event`.
    pub(super) fn event(&mut self, event: &str) -> Value {
        let mut said = Vec::new();
        for line in &mut self.lines {
            let line = line.unwrap();
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["event"] == event {
                return value;
            }
            said.push(line);
        }
        panic!("the service ended before `{event}`: {said:?}");
    }
}

impl Service {
    /// Asks it to end, as a service manager does.
    pub(super) fn ask_to_end(&self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
    }

    /// Waits for its end by itself: its exit code.
    pub(super) fn end(mut self) -> i32 {
        // Read on, so that it does not wait for a reader.
        self.lines.by_ref().for_each(drop);
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
