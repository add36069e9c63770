//! Sessions of the KBS protocol: a nonce, then a verdict; in memory, for five minutes.

use std::collections::HashMap;

use strongroom_attestation::{DeviceSetClaims, Hardware, Simulated, UnixTime, Verdict};
use strongroom_enclave_loader::kbs::TeeKey;

/// A session's life, and with it that of the verdict and the token.
pub(crate) const SESSION_SECONDS: u64 = 300;

/// The most sessions at once.
const MAX_SESSIONS: usize = 16_384;

/// The open sessions.
#[derive(Default)]
pub(crate) struct KbsSessions(HashMap<String, Session>);

struct Session {
    expires: UnixTime,
    state: State,
}

enum State {
    /// The nonce to be proven, in the form in which it was sent.
    Challenged(String),
    /// The one attempt of this session is being verified, or failed.
    Used,
    Attested(Box<Attested>),
}

/// What an attested client may build on.
#[derive(Clone)]
pub(crate) struct Attested {
    pub(crate) verdict: AnyVerdict,
    /// What the devices of the additional evidence say.
    pub(crate) devices: Option<DeviceSetClaims>,
    /// The key that resources are wrapped to; the evidence covers it.
    pub(crate) key: TeeKey,
    /// SHA-256 of the evidence, for the log.
    pub(crate) evidence: [u8; 32],
    /// The hash of the policy that the evidence was held against.
    pub(crate) policy: [u8; 32],
}

/// A verdict of the class that this broker takes.
#[derive(Clone)]
pub(crate) enum AnyVerdict {
    Hardware(Verdict<Hardware>),
    Simulated(Verdict<Simulated>),
}

impl KbsSessions {
    /// Opens a session; false when there are too many.
    pub(crate) fn open(&mut self, id: String, nonce: String, now: UnixTime) -> bool {
        if self.0.len() >= MAX_SESSIONS {
            self.0.retain(|_, session| now < session.expires);
        }
        if self.0.len() >= MAX_SESSIONS {
            return false;
        }
        let expires = now.saturating_add_secs(SESSION_SECONDS);
        self.0.insert(id, Session { expires, state: State::Challenged(nonce) });
        true
    }

    /// The session's nonce, once: a second attempt needs a new session, whatever became of
    /// the first.
    pub(crate) fn take_nonce(&mut self, id: &str, now: UnixTime) -> Option<String> {
        let session = self.0.get_mut(id).filter(|session| now < session.expires)?;
        match std::mem::replace(&mut session.state, State::Used) {
            State::Challenged(nonce) => Some(nonce),
            other => {
                session.state = other;
                None
            }
        }
    }

    /// Marks a session as attested.
    pub(crate) fn attested(&mut self, id: &str, attested: Attested) {
        if let Some(session) = self.0.get_mut(id) {
            session.state = State::Attested(Box::new(attested));
        }
    }

    /// What an attested session holds.
    pub(crate) fn get(&self, id: &str, now: UnixTime) -> Option<Attested> {
        let session = self.0.get(id).filter(|session| now < session.expires)?;
        match &session.state {
            State::Attested(attested) => Some(Attested::clone(attested)),
            State::Challenged(_) | State::Used => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_taken_once_and_in_time() {
        let at = UnixTime::from_secs;
        let mut sessions = KbsSessions::default();
        assert!(sessions.open("a".into(), "n".into(), at(0)));
        assert!(sessions.open("b".into(), "m".into(), at(0)));
        assert_eq!(sessions.take_nonce("a", at(299)), Some("n".to_owned()));
        assert_eq!(sessions.take_nonce("a", at(299)), None);
        assert_eq!(sessions.take_nonce("b", at(300)), None);
        assert!(sessions.get("a", at(0)).is_none());
    }

    #[test]
    fn a_full_table_makes_room_by_expiry_only() {
        let at = UnixTime::from_secs;
        let mut sessions = KbsSessions::default();
        for n in 0..MAX_SESSIONS {
            assert!(sessions.open(n.to_string(), String::new(), at(0)));
        }
        assert!(!sessions.open("one more".into(), String::new(), at(299)));
        assert!(sessions.open("one more".into(), String::new(), at(300)));
    }
}
