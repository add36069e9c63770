//! A lease: heartbeats every few seconds, and a renewal with fresh evidence before it expires.
//!
//! What to do with an answer, or without one, is decided by the pure `LeaseKeeper`.

use std::sync::Arc;
use std::time::Duration;

use strongroom_enclave_loader::release::{
    HeartbeatOutcome, LeaseKeeper, Monotonic, ReleaseClient, ReleaseError, ReleaseParams, Released, Standing,
};
use tokio::task::JoinHandle;

use super::BACKOFF;
use crate::api::App;
use crate::events::{Event, EventSink};
use crate::evidence::EvidenceSource;
use crate::release::collect_for;

/// A renewal that takes longer is given up; nothing that the host delays holds up the rest.
const RENEWAL: Duration = Duration::from_secs(60);
/// The longest wait between two tries of a renewal; each failure doubles it.
const BACKOFF_MAX: Duration = Duration::from_secs(600);

/// A lease of a broker, and the questions to it that are not answered yet. They run beside the keeper's
/// loop: whatever the network or the platform delays, the lease's standing is looked at on every tick.
pub(crate) struct Leased {
    app: App,
    events: EventSink,
    client: ReleaseClient,
    lease: LeaseKeeper,
    source: Arc<dyn EvidenceSource>,
    /// What a renewal asks for again.
    params: ReleaseParams,
    beat: Option<JoinHandle<Result<Vec<u8>, ReleaseError>>>,
    renewal: Option<(Monotonic, JoinHandle<Result<Released, ReleaseError>>)>,
    /// When a renewal may be tried again, and after how many failures.
    retry: Option<(Monotonic, u32)>,
}

impl Leased {
    /// Keeps `lease`, granted by the broker behind `client` to what `params` asked for.
    pub(crate) fn new(
        (app, events): (App, EventSink),
        client: ReleaseClient,
        lease: LeaseKeeper,
        source: Arc<dyn EvidenceSource>,
        params: ReleaseParams,
    ) -> Self {
        Self { app, events, client, lease, source, params, beat: None, renewal: None, retry: None }
    }

    /// Whether requests may be served.
    pub(super) fn standing(&self) -> Standing {
        self.lease.standing(self.app.now())
    }

    /// The policy under which the lease was last granted.
    pub(super) fn policy_hash(&self) -> [u8; 32] {
        self.lease.lease().policy_hash
    }

    /// Asks what is due and takes what was answered. With `wait` it asks at once and waits
    /// for the answers.
    pub(super) async fn talk(&mut self, wait: bool) {
        if self.beat.is_none() && (wait || self.app.now().since(self.lease.due()) > Duration::ZERO) {
            self.send_beat();
        }
        if let Some(beat) = self.beat.take_if(|beat| wait || beat.is_finished()) {
            let answer = beat.await.unwrap_or(Err(ReleaseError::Misuse("the heartbeat was lost")));
            let outcome = answer.and_then(|answer| self.lease.answer(&answer, self.app.now()));
            self.beaten(outcome);
        }
        let allowed = self.retry.is_none_or(|(retry, _)| self.app.now() >= retry);
        if self.renewal.is_none() && allowed && self.lease.renewal_due(self.app.now()) {
            self.send_renewal();
        }
        if let Some((sent, renewal)) = self.renewal.take_if(|(_, renewal)| wait || renewal.is_finished()) {
            let released = renewal.await.unwrap_or(Err(ReleaseError::Misuse("the renewal was lost")));
            self.renewed(sent, released);
        }
    }

    fn send_beat(&mut self) {
        match self.lease.next(self.app.now(), &self.app.instance.key) {
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
                self.app.metrics.heartbeats.inc();
                self.app.clock.broker_said(outcome.broker_time.as_secs());
                if let Some(chain) = outcome.certificate {
                    self.app.instance.certify(chain);
                }
                if let Some(credentials) = outcome.credentials {
                    self.app.instance.admit(credentials);
                }
            }
            Err(error) => self.missed(&error),
        }
    }

    /// The same lease again, for fresh evidence and no keys.
    fn send_renewal(&mut self) {
        let mut params = self.params.clone();
        params.renews = Some(self.lease.lease().lease_id);
        let (client, source, instance) = (self.client.clone(), self.source.clone(), self.app.instance.clone());
        let epoch = self.app.epochs.current();
        params.statement.clone_from(&epoch.statement);
        let ask = async move {
            let asked = client.release(params, &instance.key, |preimage| collect_for(source, epoch, preimage));
            let late = || ReleaseError::Unavailable { detail: "the renewal took too long".into() };
            tokio::time::timeout(RENEWAL, asked).await.unwrap_or_else(|_| Err(late()))
        };
        self.renewal = Some((self.app.now(), tokio::spawn(ask)));
    }

    /// A refusal is not the end: the lease ends by itself, or by the broker's signed word.
    fn renewed(&mut self, sent: Monotonic, released: Result<Released, ReleaseError>) {
        let taken = released.and_then(|released| {
            self.app.clock.broker_said(released.broker_time.as_secs());
            self.app.instance.certify(released.certificate);
            self.app.instance.admit(released.credentials);
            self.lease.renewed(released.lease, released.broker_time, sent)
        });
        match taken {
            Ok(()) => self.retry = None,
            Err(error) => {
                let failures = self.retry.map_or(0, |(_, failures)| failures);
                let wait = BACKOFF.saturating_mul(1 << failures.min(10)).min(BACKOFF_MAX);
                let retry = Monotonic::from_duration(self.app.clock.monotonic().saturating_add(wait));
                self.retry = Some((retry, failures.saturating_add(1)));
                self.missed(&error);
            }
        }
    }

    fn missed(&self, error: &ReleaseError) {
        self.app.metrics.heartbeats_missed.inc();
        (self.events)(&Event::HeartbeatMissed { code: error.code().to_owned() });
    }
}
