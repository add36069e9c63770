//! What others may ask of the keeper's task.

use std::sync::Arc;

use strongroom_enclave_loader::release::{End, ReleaseError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::model::ServedModel;
use crate::release::Grant;

/// Comes when what is held is stated by the live epoch.
type Stated = oneshot::Receiver<()>;

pub(super) enum Order {
    /// Speak with the broker now.
    Beat(oneshot::Sender<()>),
    /// Serve these too, under this grant.
    Join {
        grant: Option<Box<Grant>>,
        models: Vec<Arc<ServedModel>>,
        done: oneshot::Sender<Result<Stated, ReleaseError>>,
    },
    /// Look again which models take requests, and say which one has this name.
    Hide { name: String, done: oneshot::Sender<Option<Arc<ServedModel>>> },
    /// This one is gone.
    Leave { name: String, done: oneshot::Sender<()> },
    /// Take no new request.
    Drain(oneshot::Sender<()>),
    /// Unload everything and end.
    Stop(oneshot::Sender<()>),
}

/// A handle to the task; clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct KeeperHandle {
    orders: mpsc::Sender<Order>,
    ended: watch::Receiver<Option<End>>,
}

impl KeeperHandle {
    pub(super) fn new(orders: mpsc::Sender<Order>, ended: watch::Receiver<Option<End>>) -> Self {
        Self { orders, ended }
    }

    /// Sends a heartbeat now and waits for what follows from its answer.
    pub(crate) async fn heartbeat(&self) {
        // The task may have ended with its lease; then there is nothing to wait for. So below.
        let _ = self.ask(Order::Beat).await;
    }

    /// Serves these models too; returns when the live epoch names them.
    ///
    /// # Errors
    /// [`ReleaseError`] when the grant is none of this instance's.
    pub(crate) async fn join(&self, grant: Option<Grant>, models: Vec<Arc<ServedModel>>) -> Result<(), ReleaseError> {
        let gone = ReleaseError::Misuse("the server ends");
        let Some(joined) = self.ask(|done| Order::Join { grant: grant.map(Box::new), models, done }).await else {
            return Err(gone);
        };
        joined?.await.map_err(|_| gone)
    }

    /// Looks again which models take requests, after the roster said that this one leaves, and hands it out.
    pub(crate) async fn hide(&self, name: &str) -> Option<Arc<ServedModel>> {
        self.ask(|done| Order::Hide { name: name.to_owned(), done }).await.flatten()
    }

    /// Forgets this model; returns when the live epoch does not name it any more.
    pub(crate) async fn leave(&self, name: &str) {
        let _ = self.ask(|done| Order::Leave { name: name.to_owned(), done }).await;
    }

    /// Takes no new request from now on.
    pub(crate) async fn drain(&self) {
        let _ = self.ask(Order::Drain).await;
    }

    /// Ends running answers, unloads everything, and ends the task.
    pub(crate) async fn stop(&self) {
        let _ = self.ask(Order::Stop).await;
    }

    /// Waits until the last lease has ended, and says why.
    pub(crate) async fn ended(&self) -> End {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(end) => end.unwrap_or(End::Expired),
            // The task is gone: so are the leases that it kept.
            Err(_) => End::Expired,
        }
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (done, wait) = oneshot::channel();
        self.orders.send(order(done)).await.ok()?;
        wait.await.ok()
    }
}
