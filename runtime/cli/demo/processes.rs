//! The demo's processes: this same program in its other roles, each with a directory of
//! its own. They speak JSON lines on standard output; they die with the demo.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::exit_code::Exit;
use crate::output::Failure;

/// How long a process may take to say what it is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a process may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// A process of the demo, killed when dropped.
pub(super) struct Process {
    name: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    last_error: Option<Value>,
}

impl Process {
    /// Starts `strongroom --json ARGUMENTS` in `directory`.
    pub(super) fn start(name: &'static str, directory: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|e| Failure::new(Exit::Failed, "IO", e))?;
        let failed = |e: std::io::Error| Failure::new(Exit::Failed, "PROCESS", format!("{name} did not start: {e}"));
        let mut child = Command::new(program)
            .arg("--json")
            .args(arguments)
            .current_dir(directory)
            .env_clear() // nothing unmeasured may change what a server does
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(|| failed(std::io::Error::other("no standard output")))?;
        Ok(Self { name, child, lines: BufReader::new(stdout).lines(), last_error: None })
    }

    /// The process's number.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Reads lines until one has `"event": event`, and gives it.
    pub(super) async fn event(&mut self, event: &str) -> Result<Value, Failure> {
        let wanted = |line: &Value| line.get("event").and_then(Value::as_str) == Some(event);
        let waited = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.line().await {
                if wanted(&line) {
                    return Some(line);
                }
            }
            None
        })
        .await;
        match waited {
            Ok(Some(line)) => Ok(line),
            Ok(None) => Err(self.failure().await),
            Err(_) => {
                let message = format!("{} did not say `{event}` within {} s", self.name, PATIENCE.as_secs());
                Err(Failure::new(Exit::Unavailable, "TIMEOUT", message))
            }
        }
    }

    /// Waits for the end: its exit code and the code of the error that it printed.
    pub(super) async fn end(&mut self) -> Result<(u8, String), Failure> {
        let ended = tokio::time::timeout(PATIENCE, async {
            while self.line().await.is_some() {}
            self.child.wait().await
        })
        .await;
        let status = match ended {
            Ok(status) => status.map_err(|e| Failure::new(Exit::Failed, "PROCESS", e))?,
            Err(_) => {
                let message = format!("{} did not end within {} s", self.name, PATIENCE.as_secs());
                return Err(Failure::new(Exit::Unavailable, "TIMEOUT", message));
            }
        };
        let exit = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX);
        Ok((exit, self.error_code()))
    }

    /// Asks the process to end, and kills it when it does not.
    pub(super) async fn stop(&mut self) {
        if let Some(id) = self.child.id() {
            // SIGTERM through the system's `kill`: the demo has no other use for signals.
            let _ = Command::new("kill").arg(id.to_string()).stderr(Stdio::null()).status().await;
        }
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    async fn line(&mut self) -> Option<Value> {
        loop {
            let line = self.lines.next_line().await.ok()??;
            let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
            if value.get("error").is_some() {
                self.last_error = Some(value.clone());
            }
            return Some(value);
        }
    }

    async fn failure(&mut self) -> Failure {
        let status = self.child.wait().await.ok().and_then(|status| status.code());
        let exit = status.and_then(|code| u8::try_from(code).ok()).map_or(Exit::Failed, Exit::from_code);
        let said = self.last_error.as_ref().and_then(|e| e["error"]["message"].as_str()).unwrap_or("nothing");
        Failure::new(exit, self.error_code(), format!("{} ended early and said: {said}", self.name))
    }

    fn error_code(&self) -> String {
        let code = self.last_error.as_ref().and_then(|e| e["error"]["code"].as_str());
        code.unwrap_or("NO_ERROR").to_owned()
    }
}

/// Runs `strongroom --json ARGUMENTS` in `directory` to its end: exit code, and the last
/// object that it printed.
pub(super) async fn tool(directory: &Path, arguments: &[&str]) -> Result<(u8, Value), Failure> {
    let failed = |e: std::io::Error| Failure::new(Exit::Failed, "PROCESS", format!("strongroom {arguments:?}: {e}"));
    let program = std::env::current_exe().map_err(failed)?;
    let done = Command::new(program)
        .arg("--json")
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(failed)?;
    let exit = done.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX);
    let said = String::from_utf8_lossy(&done.stdout);
    let last = said.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    Ok((exit, last.unwrap_or(Value::Null)))
}
