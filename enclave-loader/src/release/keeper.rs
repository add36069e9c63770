//! The instance's side of the heartbeat, as a pure state machine (protocol.md A10).
//!
//! The keeper decides when to speak, what to say, and above all when serving must stop. Its
//! clock is an argument that the host can neither stop nor set back ([`Monotonic`]).

use std::time::Duration;

use strongroom_attestation::{UnixTime, crypto};
use strongroom_channel::cose::{SigningKey, VerifyingKey};

use super::answer::Credential;
use super::error::ReleaseError;
use super::heartbeat::{Heartbeat, HeartbeatAnswer};
use super::lease::{Lease, LeaseId};
use super::{HEARTBEAT_INTERVAL, LEAST_OFFLINE};

/// A reading of a clock that only goes forward and counts suspended time too (on Linux,
/// `CLOCK_BOOTTIME` of the guest). Its origin does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// The reading that lies this long after the clock's origin.
    #[must_use]
    pub fn from_duration(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// How long after `earlier` this reading is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// Whether requests may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Serving,
    /// Not now: the broker has been silent for too long. New requests are not decrypted and
    /// running answers end as truncated. An answer brings the instance back.
    Offline,
    /// Never again under this lease: unload the model and wipe its memory.
    Ended(End),
}

/// Why a lease is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The broker said so: revoked by its owner, or two copies of the instance were seen.
    Revoked,
    /// Its time is up.
    Expired,
}

/// What an accepted answer brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatOutcome {
    /// The broker's time when it answered.
    pub broker_time: UnixTime,
    /// A new instance certificate and its issuer, DER, when one came.
    pub certificate: Option<Vec<Vec<u8>>>,
    /// Every client credential, when any changed.
    pub credentials: Option<Vec<Credential>>,
    /// The standing from now on.
    pub standing: Standing,
}

/// Keeps the leases of one instance alive: one chain of heartbeats, in the name of the first, for all of them.
pub struct LeaseKeeper {
    broker: VerifyingKey,
    /// The first one stays first: heartbeats go on in its name when it is over.
    first: Held,
    /// Whether the first is to be renewed.
    first_wanted: bool,
    further: Vec<Held>,
    /// SHA-256 of the last accepted answer; zeros before the first.
    last_answer: [u8; 32],
    /// When the last answered message was *sent*: the broker's word is at least this old.
    heard: Monotonic,
    /// The broker's time in the answer to it.
    broker_time: UnixTime,
    pending: Option<Pending>,
    /// When the next message is due.
    due: Monotonic,
}

/// One lease.
struct Held {
    lease: Lease,
    revoked: bool,
}

impl Held {
    fn new(lease: Lease) -> Self {
        Self { lease, revoked: false }
    }
}

struct Pending {
    nonce: [u8; 16],
    bytes: Vec<u8>,
    first_sent: Monotonic,
}

impl LeaseKeeper {
    /// Keeps `lease`, granted at `broker_time` in the answer to a request sent at `sent`.
    #[must_use]
    pub fn new(broker: VerifyingKey, lease: Lease, broker_time: UnixTime, sent: Monotonic) -> Self {
        Self {
            broker,
            first: Held::new(lease),
            first_wanted: true,
            further: Vec::new(),
            last_answer: [0; 32],
            heard: sent,
            broker_time,
            pending: None,
            due: sent.after(HEARTBEAT_INTERVAL),
        }
    }

    /// Keeps another lease of the same instance too, granted at `broker_time` in the answer to a request sent
    /// at `sent`.
    ///
    /// # Errors
    /// [`ReleaseError::Mismatch`] when it is another instance's.
    pub fn join(&mut self, lease: Lease, broker_time: UnixTime, sent: Monotonic) -> Result<(), ReleaseError> {
        let first = &self.first.lease;
        if lease.instance_id != first.instance_id || lease.instance_key != first.instance_key {
            return Err(ReleaseError::Mismatch("the further lease"));
        }
        self.further.push(Held::new(lease));
        self.hear(broker_time, sent);
        Ok(())
    }

    /// The first lease as last granted.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.first.lease
    }

    /// The lease with this id as last granted.
    #[must_use]
    pub fn lease_of(&self, id: LeaseId) -> Option<&Lease> {
        self.held(id).map(|held| &held.lease)
    }

    /// Lets this lease run out: nothing is served under it, and it is not renewed any more.
    pub fn let_run_out(&mut self, id: LeaseId) {
        self.first_wanted &= self.first.lease.lease_id != id;
        self.further.retain(|held| held.lease.lease_id != id);
    }

    fn all(&self) -> impl Iterator<Item = &Held> {
        std::iter::once(&self.first).chain(&self.further)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Held> {
        std::iter::once(&mut self.first).chain(&mut self.further)
    }

    fn held(&self, id: LeaseId) -> Option<&Held> {
        self.all().find(|held| held.lease.lease_id == id)
    }

    /// When [`LeaseKeeper::next`] wants to be called.
    #[must_use]
    pub fn due(&self) -> Monotonic {
        self.due
    }

    /// The heartbeat to send now, signed by `instance_key`; the same bytes again until an
    /// answer to them is accepted.
    ///
    /// # Errors
    /// [`ReleaseError::Misuse`] when `instance_key` is not the lease's, and when the system
    /// gives no randomness.
    pub fn next(&mut self, now: Monotonic, instance_key: &SigningKey) -> Result<Vec<u8>, ReleaseError> {
        self.due = now.after(HEARTBEAT_INTERVAL);
        if let Some(pending) = &self.pending {
            return Ok(pending.bytes.clone());
        }
        if instance_key.verifying_key().thumbprint() != self.first.lease.instance_key {
            return Err(ReleaseError::Misuse("this is not the key of the lease"));
        }
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| ReleaseError::Misuse("the system gives no randomness"))?;
        let heartbeat = Heartbeat {
            instance_id: self.first.lease.instance_id,
            nonce,
            last_answer: self.last_answer,
            lease_id: self.first.lease.lease_id,
        };
        let bytes = heartbeat.sign(instance_key);
        self.pending = Some(Pending { nonce, bytes: bytes.clone(), first_sent: now });
        Ok(bytes)
    }

    /// Takes an answer that arrived at `now`. Only the pinned broker's word on the pending
    /// heartbeat changes anything; anything else is an error and leaves the keeper as it was.
    ///
    /// # Errors
    /// [`ReleaseError::Authentication`], [`ReleaseError::Mismatch`] or a malformed answer.
    pub fn answer(&mut self, bytes: &[u8], now: Monotonic) -> Result<HeartbeatOutcome, ReleaseError> {
        let answer = HeartbeatAnswer::verify(bytes, &self.broker)?;
        let pending = self.pending.as_ref().ok_or(ReleaseError::Mismatch("the heartbeat (none is pending)"))?;
        if answer.nonce != pending.nonce || answer.heartbeat != crypto::sha256(&pending.bytes) {
            return Err(ReleaseError::Mismatch("the heartbeat"));
        }
        let sent = pending.first_sent;
        self.last_answer = crypto::sha256(bytes);
        self.pending = None;
        self.hear(answer.broker_time, sent);
        for held in self.all_mut() {
            held.revoked |= answer.revoked.contains(&held.lease.lease_id);
        }
        Ok(HeartbeatOutcome {
            broker_time: answer.broker_time,
            certificate: answer.certificate,
            credentials: answer.credentials,
            standing: self.standing(now),
        })
    }

    /// Takes the lease that a renewal brought. The chain of heartbeats goes on.
    ///
    /// # Errors
    /// [`ReleaseError::Mismatch`] when it is none of these leases, or not of the same instance.
    pub fn renewed(&mut self, lease: Lease, broker_time: UnixTime, sent: Monotonic) -> Result<(), ReleaseError> {
        let same = |held: &&mut Held| {
            lease.lease_id == held.lease.lease_id
                && lease.instance_id == held.lease.instance_id
                && lease.instance_key == held.lease.instance_key
                && lease.models == held.lease.models
        };
        let held = self.all_mut().find(same).ok_or(ReleaseError::Mismatch("the renewed lease"))?;
        held.lease = lease;
        self.hear(broker_time, sent);
        Ok(())
    }

    /// Takes the broker's word on its time, given in answer to what was sent at `sent`.
    ///
    /// Nonce and hash bind an answer, its time does not: the stored answer to a heartbeat that
    /// had to be repeated may be older than a renewal's. So the two values only rise. Each
    /// word alone bounds the broker's clock from above, and the pair of the highest is never
    /// below the better of the two bounds.
    fn hear(&mut self, broker_time: UnixTime, sent: Monotonic) {
        self.heard = self.heard.max(sent);
        self.broker_time = self.broker_time.max(broker_time);
    }

    /// Whether requests may be served at `now` under the first lease.
    #[must_use]
    pub fn standing(&self, now: Monotonic) -> Standing {
        self.standing_under(&self.first, now)
    }

    /// Whether requests may be served at `now` under the lease with this id; never under one that is not kept.
    #[must_use]
    pub fn standing_of(&self, id: LeaseId, now: Monotonic) -> Standing {
        self.held(id).map_or(Standing::Ended(End::Expired), |held| self.standing_under(held, now))
    }

    fn standing_under(&self, held: &Held, now: Monotonic) -> Standing {
        if held.revoked {
            return Standing::Ended(End::Revoked);
        }
        if self.broker_time(now) >= held.lease.expires {
            return Standing::Ended(End::Expired);
        }
        let grant = Duration::from_secs(held.lease.offline_grant).max(LEAST_OFFLINE);
        if now.since(self.heard) >= grant {
            return Standing::Offline;
        }
        Standing::Serving
    }

    /// The leases for which it is time to ask for a renewal.
    #[must_use]
    pub fn renewals_due(&self, now: Monotonic) -> Vec<LeaseId> {
        let time = self.broker_time(now);
        let wanted = self.first_wanted.then_some(&self.first).into_iter().chain(&self.further);
        let due = |held: &&Held| !held.revoked && time >= held.lease.renew_after && time < held.lease.expires;
        wanted.filter(due).map(|held| held.lease.lease_id).collect()
    }

    /// The latest that the broker's clock can show at `now`: its last word, and all the time
    /// since that word's request was sent. So a lease may end early here, and never late.
    #[must_use]
    pub fn broker_time(&self, now: Monotonic) -> UnixTime {
        let elapsed = now.since(self.heard);
        let seconds = elapsed.as_secs().saturating_add(u64::from(elapsed.subsec_nanos() > 0));
        self.broker_time.saturating_add_secs(seconds)
    }
}

#[cfg(test)]
mod tests;
