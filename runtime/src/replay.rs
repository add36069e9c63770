//! Requests that were opened already (protocol.md A8). An entry is made only after a
//! request's first chunk opened, so garbage costs nothing; it goes when its request
//! would be refused as expired anyway; a full set refuses, and never forgets early.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// Requests remembered by an epoch at once.
const CAPACITY: usize = 65_536;
/// How far ahead of the instance's time a request may expire, seconds.
pub(crate) const EXPIRES_MAX: u64 = 120;

/// What the set says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    New,
    Replayed,
    Full,
}

/// The set, one an epoch.
#[derive(Default)]
pub(crate) struct ReplaySet(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    known: HashSet<[u8; 32]>,
    by_expiry: BTreeMap<u64, Vec<[u8; 32]>>,
}

impl ReplaySet {
    /// Takes note of the request with encapsulated key `enc`. It stays known for as long
    /// as any expiry that the gateway accepts, counted from `now`, unix seconds.
    pub(crate) fn note(&self, enc: &[u8], now: u64) -> Seen {
        let digest: [u8; 32] = Sha256::digest(enc).into();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.drop_expired(now);
        if entries.known.contains(&digest) {
            return Seen::Replayed;
        }
        if entries.known.len() >= CAPACITY {
            return Seen::Full;
        }
        entries.known.insert(digest);
        entries.by_expiry.entry(now.saturating_add(EXPIRES_MAX)).or_default().push(digest);
        Seen::New
    }
}

impl Entries {
    fn drop_expired(&mut self, now: u64) {
        while let Some(entry) = self.by_expiry.first_entry() {
            if *entry.key() >= now {
                return;
            }
            for digest in entry.remove() {
                self.known.remove(&digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_once_until_it_would_be_expired() {
        let set = ReplaySet::default();
        assert_eq!(set.note(b"a", 100), Seen::New);
        assert_eq!(set.note(b"b", 100), Seen::New);
        assert_eq!(set.note(b"a", 100 + EXPIRES_MAX), Seen::Replayed);
        assert_eq!(set.note(b"a", 101 + EXPIRES_MAX), Seen::New);
    }

    #[test]
    fn a_full_set_refuses() {
        let set = ReplaySet::default();
        for i in 0..CAPACITY {
            assert_eq!(set.note(&i.to_be_bytes(), 0), Seen::New);
        }
        assert_eq!(set.note(b"one more", 0), Seen::Full);
        assert_eq!(set.note(b"one more", EXPIRES_MAX + 1), Seen::New);
    }
}
