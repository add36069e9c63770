//! Verifying a log file: the same walk when the broker opens it and when an auditor asks.

use std::path::Path;

use strongroom_attestation::{UnixTime, crypto};

use super::{LogError, LogHead, Record, for_each_line};

/// What a verified log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// Where it ends.
    pub head: LogHead,
    /// The time of the last record; 1970 for an empty log.
    pub last_time: UnixTime,
    /// Bytes of an unfinished last line, not counted as a record.
    pub torn_bytes: u64,
}

/// Walks the log from its first record:
///
/// 1. every line is a record of this log's form;
/// 2. its number is one more than the line before, and it names that line's hash;
/// 3. the record that the store remembers (`remembered`) is there, and is that very one.
///
/// Without `remembered`, a cut-off end cannot be seen: the caller then says so to its user.
///
/// # Errors
/// [`LogError`], naming the first record that does not fit.
pub fn verify_log(path: &Path, remembered: Option<LogHead>) -> Result<LogReport, LogError> {
    let mut head = LogHead::EMPTY;
    let mut last_time = UnixTime::from_secs(0);
    let torn_bytes = for_each_line(path, |line| {
        let wanted = head.seq.saturating_add(1);
        let record: Record = serde_json::from_slice(line).map_err(|_| LogError::NotARecord { line: wanted })?;
        if record.seq != wanted || record.prev != head.hash {
            return Err(LogError::Broken { seq: wanted });
        }
        last_time = record.time;
        head = LogHead { seq: record.seq, hash: crypto::sha256(line) };
        match remembered {
            Some(known) if known.seq == head.seq && known.hash != head.hash => {
                Err(LogError::Replaced { seq: head.seq })
            }
            _ => Ok(()),
        }
    })?;
    match remembered {
        Some(known) if known.seq > head.seq => Err(LogError::Cut { wanted: known.seq, found: head.seq }),
        _ => Ok(LogReport { head, last_time, torn_bytes }),
    }
}
