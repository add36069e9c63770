//! The decision log: what was decided, by which rules, on which evidence; append-only, one
//! JSON object a line, each naming the SHA-256 of the line before.
//!
//! ```text
//! {"seq":7,"time":"2026-11-21T10:00:00Z","event":"release",…,"prev":"<sha256 of line 6>"}
//! ```
//!
//! A line is on disk before the answer that it explains leaves the broker. The store keeps the
//! log's head under the key-encryption key, so that a log whose end was cut off, or that was
//! written anew, is found out too. The log may be *ahead* of that head (a crash between the
//! two writes: the decision was logged, its answer never sent), never behind.

mod event;
mod verify;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_attestation::{UnixTime, crypto};

pub use event::{Decided, Decision, Event};
pub use verify::{LogReport, verify_log};

/// The log's file in the broker's directory.
pub const LOG_FILE: &str = "decisions.log";

/// The longest line that is read: an event with full lists, with room.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Where the log ends: how many records, and the hash of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// The number of the last record; 0 for an empty log.
    pub seq: u64,
    /// SHA-256 of the last line without its newline; zeros for an empty log.
    #[serde(with = "hex::serde")]
    pub hash: [u8; 32],
}

impl LogHead {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { seq: 0, hash: [0; 32] };
}

/// Why the log cannot be trusted or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file cannot be read or written.
    #[error("the decision log {path} cannot be used")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A record was changed, or one before it was removed, added or moved.
    #[error("the decision log was changed: record {seq} does not follow from the one before it")]
    Broken {
        /// The first record that does not fit.
        seq: u64,
    },
    /// A line that is no record of this log.
    #[error("the decision log was changed: line {line} is not a record")]
    NotARecord {
        /// Counted from 1.
        line: u64,
    },
    /// Records are missing at the end.
    #[error("the decision log was cut: the store knows {wanted} records, the file holds {found}")]
    Cut {
        /// How many records the store knows of.
        wanted: u64,
        /// How many there are.
        found: u64,
    },
    /// The log is a consistent one, but not this broker's.
    #[error("the decision log was replaced: record {seq} is not the one that the store remembers")]
    Replaced {
        /// The record that the store remembers.
        seq: u64,
    },
    /// A record that could not be read again; it was not written.
    #[error("a record of {found} bytes is too long for the decision log (65535 bytes at most)")]
    TooLong {
        /// How long it would be.
        found: usize,
    },
    /// An earlier append failed half-way; nothing is written after it.
    #[error("the decision log failed earlier; restart the broker when the disk is well again")]
    Poisoned,
}

/// A record as it stands on a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counted from 1 without gaps.
    pub seq: u64,
    /// The broker's time.
    pub time: UnixTime,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// SHA-256 of the line before, zeros before the first.
    #[serde(with = "hex::serde")]
    pub prev: [u8; 32],
}

/// The open log. One owner appends; the file is never rewritten.
pub(crate) struct DecisionLog {
    path: PathBuf,
    file: File,
    head: LogHead,
    last_time: UnixTime,
    poisoned: bool,
}

impl DecisionLog {
    /// Makes a new, empty log.
    pub(crate) fn create(dir: &Path) -> Result<Self, LogError> {
        let path = dir.join(LOG_FILE);
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        let file = open_private(&mut options, &path)?;
        Ok(Self { path, file, head: LogHead::EMPTY, last_time: UnixTime::from_secs(0), poisoned: false })
    }

    /// Opens the log and verifies it against the head that the store remembers. A last line
    /// without its newline is a write that was cut short by a crash: its decision was never
    /// answered, so it is taken away.
    pub(crate) fn open(dir: &Path, remembered: LogHead) -> Result<Self, LogError> {
        let path = dir.join(LOG_FILE);
        let file_error = |source| LogError::File { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        let mut file = open_private(&mut options, &path)?;
        let report = verify_log(&path, Some(remembered))?;
        if report.torn_bytes > 0 {
            let length = file.seek(SeekFrom::End(0)).map_err(file_error)?;
            file.set_len(length.saturating_sub(report.torn_bytes)).map_err(file_error)?;
            file.sync_all().map_err(file_error)?;
        }
        Ok(Self { path, file, head: report.head, last_time: report.last_time, poisoned: false })
    }

    /// Where the log ends.
    pub(crate) fn head(&self) -> LogHead {
        self.head
    }

    /// The time of the last record; 1970 for an empty log.
    pub(crate) fn last_time(&self) -> UnixTime {
        self.last_time
    }

    /// Appends one record for each event; on return they are on disk.
    pub(crate) fn append(&mut self, time: UnixTime, events: Vec<Event>) -> Result<LogHead, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        let mut head = self.head;
        let mut lines = Vec::new();
        for event in events {
            let record = Record { seq: head.seq.saturating_add(1), time, event, prev: head.hash };
            let line = serde_json::to_vec(&record).map_err(|error| self.failed(error.into()))?;
            if line.len() >= MAX_LINE_BYTES {
                return Err(LogError::TooLong { found: line.len() });
            }
            head = LogHead { seq: record.seq, hash: crypto::sha256(&line) };
            lines.extend_from_slice(&line);
            lines.push(b'\n');
        }
        // After a failed write nobody knows what is on disk, so nothing more is written.
        self.poisoned = true;
        self.file.write_all(&lines).map_err(|error| self.failed(error))?;
        self.file.sync_data().map_err(|error| self.failed(error))?;
        self.poisoned = false;
        self.head = head;
        self.last_time = time;
        Ok(head)
    }

    fn failed(&self, source: std::io::Error) -> LogError {
        LogError::File { path: self.path.clone(), source }
    }
}

fn open_private(options: &mut OpenOptions, path: &Path) -> Result<File, LogError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map_err(|source| LogError::File { path: path.to_owned(), source })
}

/// Reads the file in bounded memory and gives each complete line to `each`; returns the
/// length of what follows the last newline.
fn for_each_line(path: &Path, mut each: impl FnMut(&[u8]) -> Result<(), LogError>) -> Result<u64, LogError> {
    let failed = |source| LogError::File { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut rest: Vec<u8> = Vec::new();
    let mut block = vec![0; MAX_LINE_BYTES];
    let mut lines = 0u64;
    loop {
        let length = file.read(&mut block).map_err(failed)?;
        if length == 0 {
            return Ok(rest.len() as u64);
        }
        rest.extend(block.iter().take(length));
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).take(end).collect();
            lines = lines.saturating_add(1);
            each(&line)?;
        }
        if rest.len() > MAX_LINE_BYTES {
            return Err(LogError::NotARecord { line: lines.saturating_add(1) });
        }
    }
}

#[cfg(test)]
mod tests;
