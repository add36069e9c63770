//! Event logs: what was measured, one record a time, into registers that only grow. A log is
//! believed in nothing; it must replay to the registers that the hardware signed.

mod dstack;
mod tcg;

use crate::crypto;
use crate::error::{Check, Code, Refusal};
use crate::hex_bytes::HexBytes;

/// Largest log that is read.
pub(crate) const MAX_LEN: usize = 2 << 20;
/// Events that a log may have; real ones have at most some hundreds.
const MAX_EVENTS: usize = 16_384;

/// A log, read and not yet replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLog {
    kind: Kind,
    events: Vec<Event>,
}

/// The form a log came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// TCG's binary form. Of a TD, index 1 to 4 are RTMR 0 to 3; of a TPM, the index is the PCR.
    Tcg,
    /// dstack's JSON; the index is the RTMR.
    Dstack,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The register, as the log counts.
    index: u32,
    kind: u32,
    sha256: Option<[u8; 32]>,
    sha384: Option<[u8; 48]>,
    /// What was measured, as far as it is text.
    description: String,
}

/// TCG's EV_NO_ACTION: says something, measures nothing.
const NO_ACTION: u32 = 3;

impl EventLog {
    /// Whether `bytes` begin like a log of either form.
    pub(crate) fn looks_like(bytes: &[u8]) -> bool {
        tcg::looks_like(bytes) || dstack::looks_like(bytes)
    }

    /// Reads a TCG log (as CCEL points to, or a TPM's) or dstack's JSON. Refuses with `PARSE`.
    pub fn parse(bytes: &[u8]) -> Result<EventLog, Refusal> {
        let kind = if tcg::looks_like(bytes) { Kind::Tcg } else { Kind::Dstack };
        let events = match kind {
            _ if bytes.len() > MAX_LEN => Err(malformed(format!("{} bytes, wanted at most {MAX_LEN}", bytes.len()))),
            Kind::Tcg => tcg::read(bytes),
            Kind::Dstack => dstack::read(bytes),
        };
        Ok(EventLog { kind, events: events.map_err(|refusal| refusal.about("event log"))? })
    }

    /// Each event in words: register, type, digest, description.
    pub fn described(&self) -> impl Iterator<Item = (u32, u32, String, &str)> {
        self.events.iter().map(|event| {
            let digest = event.sha384.map(hex::encode).or(event.sha256.map(hex::encode)).unwrap_or_default();
            (event.index, event.kind, digest, event.description.as_str())
        })
    }

    /// The events of one register of a TD.
    fn of_rtmr(&self, rtmr: u32) -> impl Iterator<Item = &Event> {
        let index = match self.kind {
            Kind::Tcg => rtmr.saturating_add(1),
            Kind::Dstack => rtmr,
        };
        self.of_index(index)
    }

    fn of_index(&self, index: u32) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.index == index && event.kind != NO_ACTION)
    }
}

/// Replays each log against a TD's registers. A log without an event for a register says nothing
/// of it; one without any for all four is refused.
pub(crate) fn replay_rtmrs(logs: &[EventLog], rtmr: &[HexBytes<48>; 4]) -> Vec<Check> {
    let mut checks = Vec::new();
    for log in logs {
        let mut said_anything = false;
        for (number, quoted) in (0u32..).zip(rtmr) {
            let title = format!("event log of RTMR {number}");
            let mut events = log.of_rtmr(number).peekable();
            if events.peek().is_none() {
                let wanted = "nothing: the log has no event for it";
                checks.push(Check::skip(Code::EventLog, title, wanted, quoted.to_string()));
                continue;
            }
            said_anything = true;
            let replayed = events.try_fold([0; 48], |register, event| {
                Some(crypto::sha384(&[register.as_slice(), event.sha384?.as_slice()].concat()))
            });
            checks.push(compare(title, &quoted.0, replayed.as_ref().map(<[u8; 48]>::as_slice)));
        }
        if !said_anything {
            checks.push(nothing_said());
        }
    }
    checks
}

/// Replays each log against a TPM's registers of the SHA-256 bank.
pub(crate) fn replay_pcrs(logs: &[EventLog], pcrs: &[HexBytes<32>]) -> Vec<Check> {
    let mut checks = Vec::new();
    for log in logs {
        let mut said_anything = false;
        for (number, quoted) in (0u32..).zip(pcrs) {
            let mut events = log.of_index(number).peekable();
            if log.kind != Kind::Tcg || events.peek().is_none() {
                continue;
            }
            said_anything = true;
            let replayed = events.try_fold([0; 32], |register, event| {
                Some(crypto::sha256(&[register.as_slice(), event.sha256?.as_slice()].concat()))
            });
            let title = format!("event log of PCR {number}");
            checks.push(compare(title, &quoted.0, replayed.as_ref().map(<[u8; 32]>::as_slice)));
        }
        if !said_anything {
            checks.push(nothing_said());
        }
    }
    checks
}

fn compare(title: String, quoted: &[u8], replayed: Option<&[u8]>) -> Check {
    let found = replayed.map_or_else(|| "an event without a digest of this register's kind".to_owned(), hex::encode);
    Check::when(replayed == Some(quoted), Code::EventLog, title, hex::encode(quoted), found)
}

fn nothing_said() -> Check {
    Check::fail(Code::EventLog, "event log", "events for at least one register", "none")
}

fn malformed(detail: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Parse, detail.to_string())
}
