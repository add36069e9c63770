//! Keeps what is served going, and ends it when its right ends (protocol.md A10).
//!
//! One task owns the right to serve ([`Tenure`]), what is served under it, and turns the epochs: each tick it
//! looks at the clocks, at what the broker answered, and at what is under way. What the live epoch states and
//! what is visible to requests follow from what it holds; nothing else changes either.

mod handle;
mod lease;
mod tenure;

use std::sync::Arc;
use std::time::Duration;

use strongroom_channel::statement::Workload;
use strongroom_enclave_loader::release::{End, LeaseId, Monotonic, Standing};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::api::App;
use crate::epochs::Prepared;
use crate::events::{Event, EventSink};
use crate::evidence::EvidenceError;
use crate::model::ServedModel;
use crate::plugins::Pipeline;
use crate::roster::{Phase, Roster};
use crate::serving::Served;

pub(crate) use handle::KeeperHandle;
use handle::Order;
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
    pub(crate) plugins: Pipeline,
    pub(crate) roster: Arc<Roster>,
    /// What there is a right to serve; gone with it. The first holding's lease is that of the statement.
    pub(crate) holdings: Vec<Holding>,
    pub(crate) under_way: UnderWay,
}

/// Models that were released together.
pub(crate) struct Holding {
    /// The lease that they are served under; a KBS grants none.
    pub(crate) lease: Option<LeaseId>,
    pub(crate) models: Vec<Arc<ServedModel>>,
}

/// The next epoch, while it is prepared beside the loop: devices take their time to answer for it.
#[derive(Default)]
pub(crate) struct UnderWay {
    epoch: Option<(Workload, JoinHandle<Result<Prepared, EvidenceError>>)>,
    /// When one that failed may be tried again.
    epoch_retry: Option<Monotonic>,
    /// Those who wait until what is held is stated.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Keeper {
    /// States what is held, in an epoch that is live on return, and starts the task.
    ///
    /// # Errors
    /// The devices do not answer, or what they answer does not hold. Later the live epoch would go on meanwhile;
    /// now nobody is served, so it is not tried again.
    pub(crate) async fn begin(self) -> Result<KeeperHandle, EvidenceError> {
        let stated = self.app.epochs.prepare(Some(self.workload()), self.app.clock.now()).await?;
        self.install(stated);
        let (orders, inbox) = mpsc::channel(1);
        let (end, ended) = watch::channel(None);
        tokio::spawn(self.run(inbox, end));
        Ok(KeeperHandle::new(orders, ended))
    }

    async fn run(mut self, mut orders: mpsc::Receiver<Order>, ended: watch::Sender<Option<End>>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut beat = None;
            tokio::select! {
                _ = tick.tick() => {}
                order = orders.recv() => match order {
                    Some(Order::Beat(done)) => beat = Some(done),
                    Some(Order::Stop(done)) => {
                        self.stop().await;
                        // Whoever asked may not wait any more; so below.
                        let _ = done.send(());
                        return;
                    }
                    Some(order) => self.change(order),
                    None => return, // the server was dropped
                },
            }
            self.tenure.talk(beat.is_some()).await;
            let end = self.end_holdings().await;
            if end.is_none() {
                self.turn_epoch(beat.is_some()).await;
            }
            self.show();
            if end.is_some() {
                let _ = ended.send(end);
            }
            if let Some(done) = beat {
                let _ = done.send(());
            }
            if end.is_some() {
                return;
            }
        }
    }

    fn change(&mut self, order: Order) {
        match order {
            Order::Join { grant, models, done } => {
                let joined = self.tenure.join(grant.map(|grant| *grant)).map(|lease| {
                    models.iter().for_each(|model| self.roster.set(&model.name, Phase::Loaded));
                    self.holdings.push(Holding { lease, models });
                });
                let (stated, wait) = oneshot::channel();
                self.under_way.waiting.push(stated);
                let _ = done.send(joined.map(|()| wait));
            }
            Order::Hide { name, done } => {
                self.show();
                let mut models = self.holdings.iter().flat_map(|holding| &holding.models);
                let _ = done.send(models.find(|model| model.name == name).cloned());
            }
            Order::Leave { name, done } => {
                for holding in &mut self.holdings {
                    holding.models.retain(|model| model.name != name);
                }
                // The protocol has no way to give a lease back.
                for holding in self.holdings.extract_if(.., |holding| holding.models.is_empty()) {
                    self.tenure.let_run_out(holding.lease);
                }
                self.under_way.waiting.push(done);
            }
            Order::Drain(done) => {
                self.app.serving.drain();
                (self.events)(&Event::Draining { running: self.app.serving.running() });
                // No request is decrypted any more: the key that could goes at once.
                let epoch = self.app.epochs.last(self.app.epochs.workload(), self.app.clock.now());
                (self.events)(&Event::Epoch { epoch: epoch.number });
                let _ = done.send(());
            }
            Order::Beat(_) | Order::Stop(_) => {}
        }
    }

    /// What the statement is to say: models of every holding; lease and policy of the first.
    fn workload(&self) -> Workload {
        let lease = self.holdings.first().and_then(|holding| holding.lease);
        let models = self.holdings.iter().flat_map(|holding| &holding.models);
        Workload {
            models: models.flat_map(|model| model.ids()).collect(),
            policy_hash: self.tenure.policy_hash(lease),
            lease_id: lease.map(|id| *id.as_bytes()),
            ..self.app.epochs.workload()
        }
    }

    fn install(&self, prepared: Prepared) {
        let epoch = self.app.epochs.install(prepared, self.app.clock.now());
        (self.events)(&Event::Epoch { epoch: epoch.number });
    }

    /// Lets requests see what is held, stated and allowed, and ends answers that are not allowed any more.
    fn show(&self) {
        let stated = self.app.epochs.workload().models;
        let mut visible: Vec<Arc<ServedModel>> = Vec::new();
        for holding in &self.holdings {
            // Offline: running answers end as truncated.
            let allowed = self.tenure.standing(holding.lease) == Standing::Serving;
            for model in &holding.models {
                model.allow(allowed);
                let leaves = self.roster.phase(&model.name) == Some(Phase::Unloading);
                if allowed && !leaves && model.ids().all(|id| stated.contains(&id)) {
                    visible.push(model.clone());
                }
            }
        }
        if visible.is_empty() {
            return self.app.serving.pause();
        }
        let same = |served: Arc<Served>| {
            served.models.len() == visible.len() && served.models.iter().zip(&visible).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        if !self.app.serving.now().is_some_and(same) {
            let (plugins, roster) = (self.plugins.clone(), self.roster.clone());
            self.app.serving.resume(Arc::new(Served { models: visible, plugins, roster }));
        }
    }

    /// Unloads the models of leases that ended. With the last one everything ends, and a new epoch begins
    /// without overlap.
    async fn end_holdings(&mut self) -> Option<End> {
        let mut end = None;
        let tenure = &self.tenure;
        let over = |holding: &mut Holding| match tenure.standing(holding.lease) {
            Standing::Ended(why) => {
                end = Some(why);
                true
            }
            Standing::Serving | Standing::Offline => false,
        };
        let ended: Vec<Holding> = self.holdings.extract_if(.., over).collect();
        let end = end?;
        for holding in &ended {
            self.tenure.let_run_out(holding.lease);
        }
        let last = self.holdings.is_empty();
        if last {
            self.app.serving.close();
        } else {
            self.show();
        }
        self.unload(ended).await;
        let reason = match end {
            End::Revoked => "revoked",
            End::Expired => "expired",
        };
        if last {
            let epoch = self.app.epochs.last(self.workload(), self.app.clock.now());
            (self.events)(&Event::Epoch { epoch: epoch.number });
        }
        (self.events)(&Event::LeaseEnded { reason: reason.into() });
        last.then_some(end)
    }

    async fn unload(&self, holdings: Vec<Holding>) {
        for model in holdings.into_iter().flat_map(|holding| holding.models) {
            model.unload().await;
            self.roster.set(&model.name, Phase::Unloaded);
            (self.events)(&Event::Unloaded { model: model.name.clone() });
        }
    }

    /// Ends running answers and unloads everything.
    async fn stop(&mut self) {
        self.app.serving.close();
        let holdings = std::mem::take(&mut self.holdings);
        self.unload(holdings).await;
    }

    /// Begins the next epoch when it is due, or when something else is held than is stated. With `wait` it is
    /// whole on return; else it is prepared beside the loop.
    async fn turn_epoch(&mut self, wait: bool) {
        let now = self.app.clock.now();
        self.app.epochs.retire(now);
        let workload = self.workload();
        let changed = workload != self.app.epochs.workload();
        let due = changed || now >= self.app.epochs.current().ends;
        let allowed = self.under_way.epoch_retry.is_none_or(|retry| self.app.now() >= retry);
        // What was overtaken by another change is not stated for a moment either.
        let _ = self.under_way.epoch.take_if(|(stated, _)| *stated != workload);
        if due && allowed && self.under_way.epoch.is_none() {
            let epochs = self.app.epochs.clone();
            let next = changed.then(|| workload.clone());
            self.under_way.epoch = Some((workload, tokio::spawn(async move { epochs.prepare(next, now).await })));
            // Without devices it is whole at once.
            tokio::task::yield_now().await;
        }
        if let Some((_, prepared)) = self.under_way.epoch.take_if(|(_, prepared)| wait || prepared.is_finished()) {
            let crashed = |_| EvidenceError::Failed("the next epoch was lost".into());
            match prepared.await.map_err(crashed).and_then(|prepared| prepared) {
                Ok(prepared) => {
                    self.under_way.epoch_retry = None;
                    self.install(prepared);
                }
                // The live epoch goes on until its statement ends; after that nobody takes it.
                Err(error) => {
                    let retry = self.app.clock.monotonic().saturating_add(BACKOFF);
                    self.under_way.epoch_retry = Some(Monotonic::from_duration(retry));
                    (self.events)(&Event::EpochMissed { reason: error.to_string() });
                }
            }
        }
        if self.workload() == self.app.epochs.workload() {
            self.show();
            for waiting in self.under_way.waiting.drain(..) {
                let _ = waiting.send(());
            }
        }
    }
}
