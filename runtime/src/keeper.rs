//! Keeps what is served going, and ends it when its right ends (protocol.md A10).
//!
//! One task owns the right to serve ([`Tenure`]) and turns the epochs: each tick it looks at the
//! clocks, at what the broker answered, and at what is under way.

mod lease;
mod tenure;

use std::sync::Arc;
use std::time::Duration;

use strongroom_channel::statement::Workload;
use strongroom_enclave_loader::release::{End, Monotonic, Standing};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::api::App;
use crate::epochs::Prepared;
use crate::events::{Event, EventSink};
use crate::evidence::EvidenceError;
use crate::serving::Served;

pub(crate) use lease::Leased;
pub(crate) use tenure::Tenure;

/// How often the loop looks at its clocks and at what is under way.
const TICK: Duration = Duration::from_millis(250);
/// An epoch that could not be prepared is tried again after this.
const BACKOFF: Duration = Duration::from_secs(15);

/// Everything the task owns.
pub(crate) struct Keeper {
    pub(crate) app: App,
    pub(crate) tenure: Tenure,
    pub(crate) events: EventSink,
    /// What there is a right to serve; gone with it.
    pub(crate) served: Option<Arc<Served>>,
    pub(crate) under_way: UnderWay,
}

/// The next epoch, while it is prepared beside the loop: devices take their time to answer for it.
#[derive(Default)]
pub(crate) struct UnderWay {
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
            self.tenure.talk(asked.is_some()).await;
            let standing = self.tenure.standing();
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
        let policy_hash = self.tenure.policy_hash();
        let workload = self.app.epochs.workload();
        let changed = (workload.policy_hash != policy_hash).then_some(Workload { policy_hash, ..workload });
        let due = changed.is_some() || now >= self.app.epochs.current().ends;
        let allowed = self.under_way.epoch_retry.is_none_or(|retry| self.app.now() >= retry);
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
}
