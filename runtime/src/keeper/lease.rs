//! Leases: heartbeats every few seconds for all of them, and a renewal with fresh evidence before one expires.
//!
//! What to do with an answer, or without one, is decided by the pure `LeaseKeeper`.

use std::time::Duration;

use strongroom_enclave_loader::release::{
    HeartbeatOutcome, LeaseId, LeaseKeeper, Monotonic, ReleaseClient, ReleaseError, ReleaseParams, Released, Standing,
    WantedModel,
};
use tokio::task::JoinHandle;

use super::BACKOFF;
use crate::events::Event;
use crate::release::{Asking, Grant, collect_for};

/// A renewal that takes longer is given up; nothing that the host delays holds up the rest.
const RENEWAL: Duration = Duration::from_secs(60);
/// The longest wait between two tries of a renewal; each failure doubles it.
const BACKOFF_MAX: Duration = Duration::from_secs(600);

/// The leases of a broker, and the questions to it that are not answered yet. They run beside the keeper's
/// loop: whatever the network or the platform delays, each lease's standing is looked at on every tick.
pub(crate) struct Leased {
    asking: Asking,
    client: ReleaseClient,
    leases: LeaseKeeper,
    /// What a renewal of each lease asks for again.
    asked: Vec<(LeaseId, Vec<WantedModel>)>,
    beat: Option<JoinHandle<Result<Vec<u8>, ReleaseError>>>,
    renewal: Option<(Monotonic, JoinHandle<Result<Released, ReleaseError>>)>,
    /// The lease whose renewal was tried last: the others come before it again.
    tried: Option<LeaseId>,
    /// When a renewal may be tried again, and after how many failures.
    retry: Option<(Monotonic, u32)>,
}

impl Leased {
    /// Keeps what the broker behind `client` granted first.
    pub(crate) fn new(asking: Asking, client: ReleaseClient, grant: Grant) -> Self {
        let Grant { lease, asked, broker_time, sent } = grant;
        let asked = vec![(lease.lease_id, asked)];
        let leases = LeaseKeeper::new(client.broker_key().clone(), lease, broker_time, sent);
        Self { asking, client, leases, asked, beat: None, renewal: None, tried: None, retry: None }
    }

    /// Keeps another lease of this instance too.
    pub(super) fn join(&mut self, grant: Grant) -> Result<(), ReleaseError> {
        let Grant { lease, asked, broker_time, sent } = grant;
        let id = lease.lease_id;
        self.leases.join(lease, broker_time, sent)?;
        self.asked.push((id, asked));
        Ok(())
    }

    /// Lets a lease run out.
    pub(super) fn let_run_out(&mut self, id: LeaseId) {
        self.leases.let_run_out(id);
        self.asked.retain(|(other, _)| *other != id);
    }

    /// Whether requests may be served under a lease.
    pub(super) fn standing(&self, id: LeaseId) -> Standing {
        self.leases.standing_of(id, self.asking.app.now())
    }

    /// The policy under which a lease was last granted.
    pub(super) fn policy_hash(&self, id: LeaseId) -> Option<[u8; 32]> {
        self.leases.lease_of(id).map(|lease| lease.policy_hash)
    }

    /// Asks what is due and takes what was answered. With `wait` it asks at once and waits
    /// for the answers.
    pub(super) async fn talk(&mut self, wait: bool) {
        let app = self.asking.app.clone();
        if self.beat.is_none() && (wait || app.now().since(self.leases.due()) > Duration::ZERO) {
            self.send_beat();
        }
        if let Some(beat) = self.beat.take_if(|beat| wait || beat.is_finished()) {
            let answer = beat.await.unwrap_or(Err(ReleaseError::Misuse("the heartbeat was lost")));
            let outcome = answer.and_then(|answer| self.leases.answer(&answer, app.now()));
            self.beaten(outcome);
        }
        let allowed = self.retry.is_none_or(|(retry, _)| app.now() >= retry);
        if self.renewal.is_none()
            && allowed
            && let Some(lease) = self.next_renewal()
        {
            self.send_renewal(lease);
        }
        if let Some((sent, renewal)) = self.renewal.take_if(|(_, renewal)| wait || renewal.is_finished()) {
            let released = renewal.await.unwrap_or(Err(ReleaseError::Misuse("the renewal was lost")));
            self.renewed(sent, released);
        }
    }

    /// Of the leases that are due, the one after the one that was tried last.
    fn next_renewal(&self) -> Option<LeaseId> {
        let due = self.leases.renewals_due(self.asking.app.now());
        let last = due.iter().position(|id| Some(*id) == self.tried);
        let next = last.map_or(0, |last| (last + 1) % due.len());
        due.get(next).copied()
    }

    fn send_beat(&mut self) {
        match self.leases.next(self.asking.app.now(), &self.asking.app.instance.key) {
            Ok(heartbeat) => {
                let client = self.client.clone();
                self.beat = Some(tokio::spawn(async move { client.heartbeat(heartbeat).await }));
            }
            Err(error) => self.missed(&error),
        }
    }

    fn beaten(&mut self, outcome: Result<HeartbeatOutcome, ReleaseError>) {
        match outcome {
            Ok(outcome) => {
                self.asking.app.metrics.heartbeats.inc();
                self.asking.app.clock.broker_said(outcome.broker_time.as_secs());
                if let Some(chain) = outcome.certificate {
                    self.asking.app.instance.certify(chain);
                }
                if let Some(credentials) = outcome.credentials {
                    self.asking.app.instance.admit(credentials);
                }
            }
            Err(error) => self.missed(&error),
        }
    }

    /// The same lease again, for fresh evidence and no keys.
    fn send_renewal(&mut self, lease: LeaseId) {
        self.tried = Some(lease);
        let Asking { app, source, lease_seconds, .. } = self.asking.clone();
        let epoch = app.epochs.current();
        let asked = self.asked.iter().find(|(id, _)| *id == lease);
        let params = ReleaseParams {
            broker_key: self.client.broker_key().clone(),
            class: source.class(),
            statement: epoch.statement.clone(),
            models: asked.map(|(_, models)| models.clone()).unwrap_or_default(),
            lease_seconds,
            renews: Some(lease),
        };
        let (client, instance) = (self.client.clone(), app.instance.clone());
        let ask = async move {
            let asked = client.release(params, &instance.key, |preimage| collect_for(source, epoch, preimage));
            let late = || ReleaseError::Unavailable { detail: "the renewal took too long".into() };
            tokio::time::timeout(RENEWAL, asked).await.unwrap_or_else(|_| Err(late()))
        };
        self.renewal = Some((app.now(), tokio::spawn(ask)));
    }

    /// A refusal is not the end: the lease ends by itself, or by the broker's signed word.
    fn renewed(&mut self, sent: Monotonic, released: Result<Released, ReleaseError>) {
        let taken = released.and_then(|released| {
            self.asking.app.clock.broker_said(released.broker_time.as_secs());
            // A further lease may end before the certificate that heartbeats keep.
            if released.lease.lease_id == self.leases.lease().lease_id {
                self.asking.app.instance.certify(released.certificate);
            }
            self.asking.app.instance.admit(released.credentials);
            self.leases.renewed(released.lease, released.broker_time, sent)
        });
        match taken {
            Ok(()) => self.retry = None,
            Err(error) => {
                let failures = self.retry.map_or(0, |(_, failures)| failures);
                let wait = BACKOFF.saturating_mul(1 << failures.min(10)).min(BACKOFF_MAX);
                let retry = Monotonic::from_duration(self.asking.app.clock.monotonic().saturating_add(wait));
                self.retry = Some((retry, failures.saturating_add(1)));
                self.missed(&error);
            }
        }
    }

    fn missed(&self, error: &ReleaseError) {
        self.asking.app.metrics.heartbeats_missed.inc();
        (self.asking.events)(&Event::HeartbeatMissed { code: error.code().to_owned() });
    }
}
