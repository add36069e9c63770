//! Keeps the lease alive, and ends what it allowed when it ends (protocol.md A10).
//!
//! One task owns the lease: heartbeats every few seconds, renewal with fresh evidence
//! before it expires, a new epoch when one is due. What to do with an answer, or without
//! one, is decided by the pure `LeaseKeeper`; this is the loop around it.

use std::sync::Arc;
use std::time::Duration;

use strongroom_channel::statement::Workload;
use strongroom_enclave_loader::release::{
    End, HeartbeatOutcome, LeaseKeeper, Monotonic, ReleaseClient, ReleaseError, ReleaseParams, Released, Standing,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::api::App;
use crate::epochs::Prepared;
use crate::events::{Event, EventSink};
use crate::evidence::{EvidenceError, EvidenceSource};
use crate::serving::Served;
use crate::start::collect_for;

/// How often the loop looks at its clocks and at what is under way.
const TICK: Duration = Duration::from_millis(250);
/// A renewal that takes longer is given up; nothing that the host delays holds up the rest.
const RENEWAL: Duration = Duration::from_secs(60);
/// A renewal that failed is tried again after this, then after twice as long, and so on.
const BACKOFF: Duration = Duration::from_secs(15);
/// The longest wait between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(600);

/// Everything the task owns.
pub(crate) struct Keeper {
    pub(crate) app: App,
    pub(crate) client: ReleaseClient,
    pub(crate) lease: LeaseKeeper,
    pub(crate) source: Arc<dyn EvidenceSource>,
    /// What a renewal asks for again.
    pub(crate) params: ReleaseParams,
    pub(crate) events: EventSink,
    /// What the lease allows to serve; gone with it.
    pub(crate) served: Option<Arc<Served>>,
    pub(crate) under_way: UnderWay,
}

/// Questions to the broker that are not answered yet. They run beside the loop: whatever
/// the network or the platform delays, the lease's standing is looked at on every tick.
#[derive(Default)]
pub(crate) struct UnderWay {
    beat: Option<JoinHandle<Result<Vec<u8>, ReleaseError>>>,
    renewal: Option<(Monotonic, JoinHandle<Result<Released, ReleaseError>>)>,
    /// When a renewal may be tried again, and after how many failures.
    retry: Option<(Monotonic, u32)>,
    /// The next epoch: devices take their time to answer for it.
    epoch: Option<JoinHandle<Result<Prepared, EvidenceError>>>,
    /// When one that failed may be tried again.
    epoch_retry: Option<Monotonic>,
}

/// A handle to the task.
pub(crate) struct KeeperHandle {
    beats: mpsc::Sender<oneshot::Sender<()>>,
    ended: watch::Receiver<Option<End>>,
}

impl KeeperHandle {
    /// Sends a heartbeat now and waits for what follows from its answer.
    pub(crate) async fn heartbeat(&self) {
        let (done, wait) = oneshot::channel();
        if self.beats.send(done).await.is_ok() {
            // The task may have ended with its lease; then there is nothing to wait for.
            let _ = wait.await;
        }
    }

    /// Waits until the lease has ended, and says why.
    pub(crate) async fn ended(&self) -> End {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(end) => end.unwrap_or(End::Expired),
            // The task is gone: so is the lease that it kept.
            Err(_) => End::Expired,
        }
    }
}

impl Keeper {
    /// Starts the task.
    pub(crate) fn spawn(self) -> KeeperHandle {
        let (beats, inbox) = mpsc::channel(1);
        let (end, ended) = watch::channel(None);
        tokio::spawn(self.run(inbox, end));
        KeeperHandle { beats, ended }
    }

    async fn run(mut self, mut beats: mpsc::Receiver<oneshot::Sender<()>>, ended: watch::Sender<Option<End>>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                _ = tick.tick() => None,
                asked = beats.recv() => match asked {
                    Some(asked) => Some(asked),
                    None => return, // the server was dropped
                },
            };
            self.talk(asked.is_some()).await;
            let standing = self.lease.standing(self.now());
            self.apply(standing).await;
            if let Standing::Ended(end) = standing {
                // Nobody may be waiting for the end.
                let _ = ended.send(Some(end));
            } else {
                self.turn_epoch(asked.is_some()).await;
            }
            if let Some(asked) = asked {
                // Whoever asked may not wait any more.
                let _ = asked.send(());
            }
            if matches!(standing, Standing::Ended(_)) {
                return;
            }
        }
    }

    /// Asks what is due and takes what was answered. With `wait` it asks at once and waits
    /// for the answers.
    async fn talk(&mut self, wait: bool) {
        if self.under_way.beat.is_none() && (wait || self.now().since(self.lease.due()) > Duration::ZERO) {
            self.send_beat();
        }
        if let Some(beat) = self.under_way.beat.take_if(|beat| wait || beat.is_finished()) {
            let answer = beat.await.unwrap_or(Err(ReleaseError::Misuse("the heartbeat was lost")));
            let outcome = answer.and_then(|answer| self.lease.answer(&answer, self.now()));
            self.beaten(outcome);
        }
        let allowed = self.under_way.retry.is_none_or(|(retry, _)| self.now() >= retry);
        if self.under_way.renewal.is_none() && allowed && self.lease.renewal_due(self.now()) {
            self.send_renewal();
        }
        if let Some((sent, renewal)) = self.under_way.renewal.take_if(|(_, renewal)| wait || renewal.is_finished()) {
            let released = renewal.await.unwrap_or(Err(ReleaseError::Misuse("the renewal was lost")));
            self.renewed(sent, released);
        }
    }

    fn send_beat(&mut self) {
        match self.lease.next(self.now(), &self.app.instance.key) {
            Ok(heartbeat) => {
                let client = self.client.clone();
                self.under_way.beat = Some(tokio::spawn(async move { client.heartbeat(heartbeat).await }));
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
        self.under_way.renewal = Some((self.now(), tokio::spawn(ask)));
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
            Ok(()) => self.under_way.retry = None,
            Err(error) => {
                let failures = self.under_way.retry.map_or(0, |(_, failures)| failures);
                let wait = BACKOFF.saturating_mul(1 << failures.min(10)).min(BACKOFF_MAX);
                let retry = Monotonic::from_duration(self.app.clock.monotonic().saturating_add(wait));
                self.under_way.retry = Some((retry, failures.saturating_add(1)));
                self.missed(&error);
            }
        }
    }

    fn missed(&self, error: &ReleaseError) {
        self.app.metrics.heartbeats_missed.inc();
        (self.events)(&Event::HeartbeatMissed { code: error.code().to_owned() });
    }

    async fn apply(&mut self, standing: Standing) {
        match standing {
            Standing::Serving => {
                if let Some(served) = &self.served
                    && self.app.serving.now().is_none()
                {
                    self.app.serving.resume(served.clone());
                }
            }
            // New requests are not decrypted; running answers end as truncated.
            Standing::Offline => self.app.serving.pause(),
            Standing::Ended(end) => self.end(end).await,
        }
    }

    /// The models are unloaded, and a new epoch begins without overlap.
    async fn end(&mut self, end: End) {
        self.app.serving.close();
        if let Some(served) = self.served.take() {
            served.unload().await;
        }
        let workload = Workload { models: Vec::new(), lease_id: None, ..self.app.epochs.workload() };
        let epoch = self.app.epochs.last(workload, self.app.clock.now());
        (self.events)(&Event::Epoch { epoch: epoch.number });
        let reason = match end {
            End::Revoked => "revoked",
            End::Expired => "expired",
        };
        (self.events)(&Event::LeaseEnded { reason: reason.into() });
    }

    /// Begins the next epoch when it is due, or when a renewal came under another policy, which the statement
    /// then says. With `wait` it is whole on return; else it is prepared beside the loop.
    async fn turn_epoch(&mut self, wait: bool) {
        let now = self.app.clock.now();
        self.app.epochs.retire(now);
        let policy_hash = Some(self.lease.lease().policy_hash);
        let workload = self.app.epochs.workload();
        let changed = (workload.policy_hash != policy_hash).then_some(Workload { policy_hash, ..workload });
        let due = changed.is_some() || now >= self.app.epochs.current().ends;
        let allowed = self.under_way.epoch_retry.is_none_or(|retry| self.now() >= retry);
        if due && allowed && self.under_way.epoch.is_none() {
            let epochs = self.app.epochs.clone();
            self.under_way.epoch = Some(tokio::spawn(async move { epochs.prepare(changed, now).await }));
            // Without devices it is whole at once.
            tokio::task::yield_now().await;
        }
        let Some(prepared) = self.under_way.epoch.take_if(|prepared| wait || prepared.is_finished()) else { return };
        let crashed = |_| EvidenceError::Failed("the next epoch was lost".into());
        match prepared.await.map_err(crashed).and_then(|prepared| prepared) {
            Ok(prepared) => {
                self.under_way.epoch_retry = None;
                let epoch = self.app.epochs.install(prepared, self.app.clock.now());
                (self.events)(&Event::Epoch { epoch: epoch.number });
            }
            // The live epoch goes on until its statement ends; after that nobody takes it.
            Err(error) => {
                let retry = self.app.clock.monotonic().saturating_add(BACKOFF);
                self.under_way.epoch_retry = Some(Monotonic::from_duration(retry));
                (self.events)(&Event::EpochMissed { reason: error.to_string() });
            }
        }
    }

    fn now(&self) -> Monotonic {
        Monotonic::from_duration(self.app.clock.monotonic())
    }
}
