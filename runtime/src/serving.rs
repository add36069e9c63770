//! What is served at the moment: nothing before the release, nothing while the broker is
//! silent, nothing after the lease, and never again after a stop.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::model::ServedModel;
use crate::plugins::Pipeline;

/// Models and plugins of a lease.
pub(crate) struct Served {
    pub(crate) models: Vec<ServedModel>,
    pub(crate) plugins: Pipeline,
}

/// A handle to it; clones share it.
#[derive(Clone)]
pub(crate) struct Serving {
    state: Arc<RwLock<State>>,
    /// Changes when running answers must end.
    breaks: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    served: Option<Arc<Served>>,
    closed: bool,
}

impl Default for Serving {
    fn default() -> Self {
        Self { state: Arc::default(), breaks: watch::Sender::new(0) }
    }
}

impl Serving {
    /// What a request may use now.
    pub(crate) fn now(&self) -> Option<Arc<Served>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).served.clone()
    }

    /// Serves these from now on, unless it was stopped.
    pub(crate) fn resume(&self, served: Arc<Served>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !state.closed {
            state.served = Some(served);
        }
    }

    /// Takes no new request. Running answers end as truncated.
    pub(crate) fn pause(&self) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).served = None;
        self.breaks.send_modify(|breaks| *breaks += 1);
    }

    /// Changes when an answer that runs now must end as truncated.
    pub(crate) fn breaks(&self) -> watch::Receiver<u64> {
        self.breaks.subscribe()
    }

    /// Pauses for ever.
    pub(crate) fn close(&self) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.pause();
    }
}

impl Served {
    /// Stops every engine and waits until its memory was given back to the system; the KV
    /// caches, which hold what clients said, are zeroed before.
    pub(crate) async fn unload(&self) {
        for model in &self.models {
            model.engine.stop().await;
        }
    }
}
