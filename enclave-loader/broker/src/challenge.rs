//! Single-use challenges: what makes an old quote useless.
//!
//! ```text
//! nonce = expiry (8 bytes) ‖ random (8) ‖ first 16 of HMAC-SHA-256(key, expiry ‖ random)
//! ```
//!
//! A challenge that was given out is not remembered, so asking for many costs the broker
//! nothing; only those that somebody proved himself with are, until they expire.

use std::collections::BTreeSet;

use aws_lc_rs::hmac;
use strongroom_attestation::UnixTime;
use subtle::ConstantTimeEq as _;

/// A challenge is good for this long (protocol.md 2.3): time for a slow quote, no more.
const CHALLENGE_SECONDS: u64 = 60;

/// The most used challenges that are remembered. It takes verified evidence to add one; a full
/// set answers "busy" and forgets none.
const MAX_USED: usize = 65_536;

/// Where the tag begins in a nonce.
const TAG_AT: usize = 16;

/// The challenges of this process: a restart invalidates them all, and instances ask again.
pub(crate) struct Challenges {
    key: hmac::Key,
    /// Nonces begin with their expiry, so the first ones leave first.
    used: BTreeSet<[u8; 32]>,
}

/// Why a nonce is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChallengeError {
    /// Never given out by this process, or used already.
    Unknown,
    /// Given out more than [`CHALLENGE_SECONDS`] ago.
    Expired,
    /// It is good, and there is no room to remember that it is used.
    Full,
}

impl Challenges {
    /// Challenges under a random key, drawn for this process.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), used: BTreeSet::new() }
    }

    /// A new challenge; `random` makes it another one each time.
    pub(crate) fn give(&self, random: [u8; 8], now: UnixTime) -> [u8; 32] {
        let mut nonce = [0; 32];
        let (head, tag) = nonce.split_at_mut(TAG_AT);
        let expires = now.saturating_add_secs(CHALLENGE_SECONDS).as_secs();
        head.copy_from_slice(&(u128::from(expires) << 64 | u128::from(u64::from_be_bytes(random))).to_be_bytes());
        tag.copy_from_slice(&self.tag(head));
        nonce
    }

    /// Whether a nonce is one of ours, in time, and not used.
    pub(crate) fn check(&self, nonce: &[u8; 32], now: UnixTime) -> Result<(), ChallengeError> {
        let (head, tag) = nonce.split_at(TAG_AT);
        if !bool::from(self.tag(head).as_slice().ct_eq(tag)) || self.used.contains(nonce) {
            return Err(ChallengeError::Unknown);
        }
        match now.as_secs() >= expiry(nonce) {
            true => Err(ChallengeError::Expired),
            false => Ok(()),
        }
    }

    /// Checks a nonce and uses it up. Whatever the answer, it will not be accepted again.
    pub(crate) fn take(&mut self, nonce: &[u8; 32], now: UnixTime) -> Result<(), ChallengeError> {
        self.check(nonce, now)?;
        while self.used.first().is_some_and(|oldest| now.as_secs() >= expiry(oldest)) {
            self.used.pop_first();
        }
        if self.used.len() >= MAX_USED {
            return Err(ChallengeError::Full);
        }
        self.used.insert(*nonce);
        Ok(())
    }

    fn tag(&self, head: &[u8]) -> [u8; TAG_AT] {
        let mut tag = [0; TAG_AT];
        for (to, from) in tag.iter_mut().zip(hmac::sign(&self.key, head).as_ref()) {
            *to = *from;
        }
        tag
    }
}

fn expiry(nonce: &[u8; 32]) -> u64 {
    nonce.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    #[test]
    fn a_nonce_is_good_once_and_for_sixty_seconds() {
        let mut challenges = Challenges::new(&[1; 32]);
        let nonce = challenges.give([1; 8], at(0));
        assert_eq!(challenges.check(&nonce, at(59)), Ok(()));
        assert_eq!(challenges.take(&nonce, at(59)), Ok(()));
        assert_eq!(challenges.take(&nonce, at(59)), Err(ChallengeError::Unknown));
        assert_eq!(challenges.check(&nonce, at(59)), Err(ChallengeError::Unknown));
        let nonce = challenges.give([2; 8], at(0));
        assert_eq!(challenges.take(&nonce, at(60)), Err(ChallengeError::Expired));
    }

    #[test]
    fn a_nonce_that_was_changed_or_that_another_process_gave_is_unknown() {
        let mut challenges = Challenges::new(&[1; 32]);
        let nonce = challenges.give([1; 8], at(0));
        for index in 0..32 {
            let mut changed = nonce;
            changed[index] ^= 1;
            assert_eq!(challenges.take(&changed, at(0)), Err(ChallengeError::Unknown), "byte {index}");
        }
        let other = Challenges::new(&[2; 32]).give([1; 8], at(0));
        assert_eq!(challenges.take(&other, at(0)), Err(ChallengeError::Unknown));
    }

    #[test]
    fn asking_for_challenges_takes_no_room() {
        let mut challenges = Challenges::new(&[1; 32]);
        for n in 0..=MAX_USED as u64 {
            let nonce = challenges.give(n.to_be_bytes(), at(10));
            assert_eq!(challenges.check(&nonce, at(10)), Ok(()));
        }
        assert!(challenges.used.is_empty());
        let nonce = challenges.give([0xff; 8], at(10));
        assert_eq!(challenges.take(&nonce, at(10)), Ok(()));
    }

    #[test]
    fn a_full_set_forgets_nothing_before_it_expires() {
        let mut challenges = Challenges::new(&[1; 32]);
        let first = challenges.give(0u64.to_be_bytes(), at(10));
        for n in 0..MAX_USED as u64 {
            let nonce = challenges.give(n.to_be_bytes(), at(10));
            assert_eq!(challenges.take(&nonce, at(10)), Ok(()));
        }
        let late = challenges.give([0xff; 8], at(20));
        assert_eq!(challenges.take(&late, at(69)), Err(ChallengeError::Full));
        assert_eq!(challenges.take(&first, at(69)), Err(ChallengeError::Unknown));
        assert_eq!(challenges.take(&late, at(70)), Ok(()));
        assert_eq!(challenges.used.len(), 1);
    }
}
