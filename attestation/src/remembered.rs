//! Signatures that verified before. A platform's certificates, revocation lists and collateral stay the
//! same over thousands of pieces of evidence; their signatures are most of the work, and need it once.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// What vendors signed, by digest of key, message and signature, for [`crate::verify_remembering`].
///
/// Only signatures that verified are in it, and only those on certificates, revocation lists and
/// collateral: evidence is verified each time. Everything else about these (names, dates, revocation,
/// what they are for) is judged each time as well, so that no answer depends on what is remembered,
/// but for the time it takes. Whoever calls owns it; it can be shared between threads.
pub struct Remembered {
    /// Digests that one generation holds.
    most: usize,
    generations: Mutex<Generations>,
}

/// What was asked for lately, and what was before that. A digest that is asked for again moves to the
/// front; what nobody asks for while a whole generation fills up is forgotten.
#[derive(Default)]
struct Generations {
    recent: BTreeSet<[u8; 32]>,
    earlier: BTreeSet<[u8; 32]>,
}

impl Remembered {
    /// Remembers at most `signatures` of them, at 32 bytes each and what a tree adds. A platform has
    /// three (SNP) to seven (TDX); a fleet has one more for each machine.
    pub fn new(signatures: usize) -> Remembered {
        Remembered { most: signatures.div_ceil(2).max(1), generations: Mutex::default() }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.recent.len().saturating_add(generations.earlier.len())
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the signature over `parts` (algorithm, key, message, signature) is remembered, or else
    /// verifies.
    pub(crate) fn holds(&self, parts: [&[u8]; 4], verifies: impl FnOnce() -> bool) -> bool {
        let digest = digest(parts);
        if self.recall(&digest) {
            return true;
        }
        let verifies = verifies();
        if verifies {
            self.keep(digest);
        }
        verifies
    }

    fn recall(&self, digest: &[u8; 32]) -> bool {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.recent.contains(digest) {
            return true;
        }
        let found = generations.earlier.remove(digest);
        if found {
            self.add(&mut generations, *digest);
        }
        found
    }

    fn keep(&self, digest: [u8; 32]) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        self.add(&mut generations, digest);
    }

    fn add(&self, generations: &mut Generations, digest: [u8; 32]) {
        if generations.recent.len() >= self.most {
            generations.earlier = std::mem::take(&mut generations.recent);
        }
        generations.recent.insert(digest);
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// SHA-256 over the parts, each behind its length: no two lists of parts have one encoding.
fn digest(parts: [&[u8]; 4]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(remembered: &Remembered, signature: u8, verifies: bool) -> (bool, bool) {
        let mut asked = false;
        let holds = remembered.holds([&[1], b"key", b"message", &[signature]], || {
            asked = true;
            verifies
        });
        (holds, asked)
    }

    #[test]
    fn what_verified_is_not_verified_again_and_what_did_not_is() {
        let remembered = Remembered::new(8);
        assert_eq!(holds(&remembered, 1, false), (false, true));
        assert_eq!(holds(&remembered, 1, false), (false, true));
        assert!(remembered.is_empty());
        assert_eq!(holds(&remembered, 1, true), (true, true));
        assert_eq!(holds(&remembered, 1, false), (true, false));
        assert_eq!(holds(&remembered, 2, false), (false, true), "another signature");
    }

    #[test]
    fn each_part_counts_and_none_runs_into_the_next() {
        let parts: [&[u8]; 4] = [b"a", b"bc", b"d", b""];
        for other in [[&b"b"[..], b"bc", b"d", b""], [b"a", b"b", b"cd", b""], [b"a", b"bc", b"", b"d"]] {
            assert_ne!(digest(parts), digest(other));
        }
    }

    #[test]
    fn it_is_bounded_and_what_is_in_use_stays() {
        let remembered = Remembered::new(8);
        assert_eq!(holds(&remembered, 255, true), (true, true));
        for signature in 0..100 {
            holds(&remembered, signature, true);
            assert_eq!(holds(&remembered, 255, false), (true, false), "in use, after {signature}");
            assert!(remembered.len() <= 8, "{}", remembered.len());
        }
        assert_eq!(holds(&remembered, 0, false), (false, true), "forgotten");
        let smallest = Remembered::new(0);
        (0..9).for_each(|signature| assert!(holds(&smallest, signature, true).0));
        assert!(smallest.len() <= 2);
    }
}
