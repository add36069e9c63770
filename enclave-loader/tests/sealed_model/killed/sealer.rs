//! A process that seals, and that waits for a word at each call of its progress function.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines, Write, stdin};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};

use strongroom_enclave_loader::{Progress, seal};

use crate::fixture::{CHUNK, Tenant, Workshop};

/// Chunks in a full blob.
pub(crate) const CHUNKS_A_BLOB: u64 = 2;
/// Says what the child seals.
const SOURCE: &str = "STRONGROOM_TEST_SOURCE";
const SEALED: &str = "STRONGROOM_TEST_SEALED";
/// More words than there are steps.
const WORDS: &[u8] = &[b'\n'; 64];

/// This test binary again, at [`child`] alone.
pub(crate) struct Sealer {
    child: Child,
    words: ChildStdin,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Sealer {
    pub(crate) fn start(workshop: &Workshop) -> Self {
        Self::spawn(Command::new(std::env::current_exe().expect("this binary")), workshop)
    }

    /// Under a limit on the size of files that is inside the first blob's last chunk or the one before,
    /// whether the shell counts in blocks of 512 bytes or of 1,024; it does not wait.
    pub(crate) fn start_limited(workshop: &Workshop) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "ulimit -c 0; ulimit -f 100; exec \"$0\" \"$@\""]);
        let mut sealer = Self::spawn(prepared(command, &std::env::current_exe().expect("this binary")), workshop);
        sealer.does_not_wait();
        sealer
    }

    fn spawn(mut command: Command, workshop: &Workshop) -> Self {
        command.args(["--exact", "killed::sealer::child", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(SOURCE, workshop.source()).env(SEALED, workshop.sealed());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let words = child.stdin.take().expect("a pipe");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        Self { child, words, lines }
    }

    /// Waits until the process waits; gives how many bytes are done and how many there are.
    pub(crate) fn waits(&mut self) -> Option<(u64, u64)> {
        let line = self.lines.next()?.expect("reads");
        let (done, total) = line.strip_prefix("done ")?.split_once(" of ")?;
        Some((done.parse().expect("a number"), total.parse().expect("a number")))
    }

    pub(crate) fn goes_on(&mut self) {
        self.words.write_all(b"\n").expect("says");
    }

    /// Goes on until it waits with all blobs done.
    pub(crate) fn goes_to_the_end(&mut self) {
        loop {
            self.goes_on();
            let (done, total) = self.waits().expect("a step");
            if done == total {
                return;
            }
        }
    }

    /// Gives it all the words that it will wait for.
    pub(crate) fn does_not_wait(&mut self) {
        self.words.write_all(WORDS).expect("says");
    }

    /// SIGKILL, or the end that it came to meanwhile.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kills");
        let status = self.child.wait().expect("ends");
        assert!(!status.success(), "it ended before it was killed");
    }

    /// Waits for the end of a process that a signal ends without us.
    pub(crate) fn ends_by_itself(mut self) {
        let status = self.child.wait().expect("ends");
        assert!(status.signal().is_some(), "{status}: {:?}", self.lines.collect::<Vec<_>>());
    }

    pub(crate) fn ends_well(mut self) {
        let status = self.child.wait().expect("ends");
        assert!(status.success(), "{status}: {:?}", self.lines.collect::<Vec<_>>());
    }
}

/// The program that `command`, a shell, replaces itself with.
fn prepared(mut command: Command, program: &Path) -> Command {
    command.arg(program);
    command
}

#[test]
#[ignore = "the process that other tests start and kill"]
fn child() {
    let (Some(source), Some(sealed)) = (std::env::var_os(SOURCE), std::env::var_os(SEALED)) else { return };
    let tenant = Tenant::new(1);
    let wait = |Progress { done, total }: Progress| {
        eprintln!("done {done} of {total}");
        stdin().lock().read_line(&mut String::new()).expect("a word");
    };
    let options = tenant.options(CHUNKS_A_BLOB);
    seal(&PathBuf::from(source), &PathBuf::from(sealed), &options, &wait).expect("seals");
}

/// Puts a FIFO at `path`: whoever opens it to write stops there until it is opened to read.
pub(crate) fn fifo(path: &Path) {
    // What an earlier process left there.
    let _ = fs::remove_file(path);
    let made = Command::new("mkfifo").arg(path).status().expect("runs mkfifo");
    assert!(made.success());
}

/// Opens the FIFO to read, which takes until the other side has come to it. What the other side may
/// do before it is killed is to fail: nothing can be flushed to a FIFO.
pub(crate) fn opened(path: &Path) -> File {
    File::open(path).expect("opens")
}

/// Makes of the FIFO what a process that is killed while it writes a file leaves.
pub(crate) fn half_written(path: &Path) {
    fs::remove_file(path).expect("removes");
    fs::write(path, vec![0x82; CHUNK as usize / 1_000]).expect("writes");
}
