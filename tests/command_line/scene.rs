//! A directory, commands run in it, and the transcript that they must agree with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::processes::{Said, prepared, strongroom, to_the_end};

/// The variable that makes the tests write transcripts instead of comparing them.
const UPDATE: &str = "UPDATE_GOLDEN";
/// Shorter runs of hexadecimal digits can be words or numbers; ids and keys are longer.
const SHORTEST_ID: usize = 32;
/// Lines of standard error that depend on the machine or on its speed.
const PASSING: [&str; 3] = ["warning: ", "loading ", "waiting for "];

/// Stands for checks that did not fail.
const CHECKS: &str = "  (checks: PASS or SKIP)";

/// A directory with a transcript.
pub(super) struct Scene {
    directory: tempfile::TempDir,
    transcript: String,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), transcript: String::new() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Names of what is in the directory, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs a command that is not part of the transcript and must succeed.
    pub(super) fn done(&self, arguments: &[&str]) -> serde_json::Value {
        let said = self.run(&[&["--json"], arguments].concat());
        assert_eq!(said.exit, 0, "{arguments:?}: {}{}", said.stdout, said.stderr);
        said.json()
    }

    /// Runs a command that is not part of the transcript.
    pub(super) fn run(&self, arguments: &[&str]) -> Said {
        let mut command = strongroom(self.directory.path());
        command.args(arguments);
        to_the_end(command)
    }

    /// Runs a command and writes it into the transcript.
    pub(super) fn show(&mut self, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        self.record(&format!("strongroom {}", quoted(arguments)), &said);
        said
    }

    /// Runs the program under `setup`, commands of the shell, and writes it into the transcript.
    pub(super) fn show_under(&mut self, setup: &str, arguments: &[&str]) -> Said {
        let script = format!("{setup}; exec \"$0\" \"$@\"");
        let mut command = prepared(Command::new("/bin/sh"), self.directory.path());
        command.args(["-c", &script, env!("CARGO_BIN_EXE_strongroom")]).args(arguments);
        let said = to_the_end(command);
        self.record(&format!("({setup}) strongroom {}", quoted(arguments)), &said);
        said
    }

    /// Compares the transcript with `tests/cmd/NAME.txt`.
    #[track_caller]
    pub(super) fn agrees_with(&self, name: &str) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd").join(format!("{name}.txt"));
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&golden, &self.transcript).unwrap();
            return;
        }
        let wanted = fs::read_to_string(&golden).unwrap_or_default();
        let differs = wanted.lines().zip(self.transcript.lines()).position(|(wanted, found)| wanted != found);
        let differs = differs.or_else(|| (wanted != self.transcript).then_some(wanted.lines().count()));
        if let Some(line) = differs {
            panic!(
                "tests/cmd/{name}.txt differs from line {} on; if that is meant, run with {UPDATE}=1\n\
                 wanted:\n{wanted}\nfound:\n{}",
                line + 1,
                self.transcript
            );
        }
    }

    fn record(&mut self, command: &str, said: &Said) {
        let mut stderr: Vec<&str> = said.stderr.lines().map(|line| if holds(line) { CHECKS } else { line }).collect();
        stderr.retain(|line| !PASSING.iter().any(|start| line.starts_with(start)));
        stderr.dedup_by(|one, other| *one == CHECKS && one == other);
        let block = format!(
            "$ {command}\nexit {}\n--- stdout\n{}--- stderr\n{}\n",
            said.exit,
            said.stdout,
            stderr.iter().map(|line| format!("{line}\n")).collect::<String>()
        );
        let block = block.replace(&self.directory.path().display().to_string(), "DIR");
        self.transcript.push_str(&placeholders(&block));
    }
}

/// Whether this is a check that did not fail. Which checks there are is the verifier's business.
fn holds(line: &str) -> bool {
    let check = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    check.starts_with(". PASS  ") || check.starts_with(". SKIP  ")
}

fn quoted(arguments: &[&str]) -> String {
    let quote = |argument: &&str| if argument.contains(' ') { format!("'{argument}'") } else { (*argument).to_owned() };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Replaces what differs from run to run, or from system to system, or is a list of others'.
fn placeholders(text: &str) -> String {
    // Whether two sealings fall into one second is chance.
    let lines = text.lines().filter(|line| !(line.starts_with("created: ") && line.contains(" -> ")));
    let text: String = lines.map(|line| format!("{}\n", unlisted(line))).collect();
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let text = after(&text, "127.0.0.1:", "PORT");
    let text = after(&text, "(os error ", "N");
    let text = after(&text, "\"created\": ", "SECONDS");
    let text = after(&text, "\"created\":", "SECONDS");
    let text = before(&text, " s)", "TIME");
    let text = before(&text, " s (", "TIME");
    let text = before(&text, " s old", "TIME");
    let text = before(&text, " days left", "N");
    ids(&times(&text))
}

/// Leaves out which place a failed check has among all, and which fields there are.
fn unlisted(line: &str) -> String {
    match (line.split_once(". FAIL  "), line.split_once("expected one of ")) {
        (Some((_, check)), _) => format!("  N. FAIL  {check}"),
        (None, Some((error, _))) => format!("{error}expected one of FIELDS"),
        (None, None) => line.to_owned(),
    }
}

/// Replaces the number that follows `start`.
fn after(text: &str, start: &str, placeholder: &str) -> String {
    let mut pieces = text.split(start);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        result.push_str(start);
        // Port 0 is what was asked for, not what came of it.
        result.push_str(if rest.len() == piece.len() || piece.starts_with('0') {
            &piece[..piece.len() - rest.len()]
        } else {
            placeholder
        });
        result.push_str(rest);
    }
    result
}

/// Replaces the number, perhaps with a point in it, that stands before `end`, as in "(0.3 s)".
fn before(text: &str, end: &str, placeholder: &str) -> String {
    let mut pieces: Vec<&str> = text.split(end).collect();
    let last = pieces.pop().unwrap_or_default();
    let without = pieces.iter().map(|piece| piece.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'));
    without.map(|piece| format!("{piece}{placeholder}{end}")).chain([last.to_owned()]).collect()
}

/// Replaces times such as 2026-01-31T12:00:00Z.
fn times(text: &str) -> String {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00Z";
    let fits =
        |piece: &[u8]| piece.iter().zip(SHAPE).all(|(c, s)| if *s == b'0' { c.is_ascii_digit() } else { c == s });
    let mut result = text.to_owned();
    while let Some(at) = result.as_bytes().windows(SHAPE.len()).position(fits) {
        result.replace_range(at..at + SHAPE.len(), "TIME");
    }
    result
}

/// Replaces long hexadecimal numbers by their length.
fn ids(text: &str) -> String {
    let (mut result, mut run) = (String::new(), String::new());
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() || ('a'..='f').contains(&c) {
            run.push(c);
            continue;
        }
        if run.len() < SHORTEST_ID {
            result.push_str(&run);
        } else {
            result.push_str(&format!("HEX{}", run.len()));
        }
        run.clear();
        result.push(c);
    }
    result.pop();
    result
}

#[test]
fn placeholders_stand_for_what_varies() {
    let text = format!("127.0.0.1:4711 127.0.0.1:0 {} abc 2026-01-31T12:00:00Z (os error 98)", "0a".repeat(32));
    assert_eq!(placeholders(&text), "127.0.0.1:PORT 127.0.0.1:0 HEX64 abc TIME (os error N)\n");
}
