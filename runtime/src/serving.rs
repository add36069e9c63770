//! What is served at the moment: nothing before the release, nothing while the broker is
//! silent, nothing after the last lease, no new request while the server drains, and never
//! again after a stop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::ServedModel;
use crate::plugins::Pipeline;
use crate::roster::Roster;

/// Models that may be asked, and the plugins before them. Never changed: a change is another one.
pub(crate) struct Served {
    pub(crate) models: Vec<Arc<ServedModel>>,
    pub(crate) plugins: Pipeline,
    /// Every configured model, those that are not served included.
    pub(crate) roster: Arc<Roster>,
}

/// A handle to it; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Serving {
    state: Arc<RwLock<State>>,
    /// Requests that were taken and are not answered to the end.
    running: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    served: Option<Arc<Served>>,
    draining: bool,
    closed: bool,
}

/// Why no request is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    NotReady,
    Draining,
}

/// A request that was taken: what it may use, until it is answered to the end.
pub(crate) struct Admitted {
    pub(crate) served: Arc<Served>,
    running: Arc<AtomicUsize>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Serving {
    /// What is served now.
    pub(crate) fn now(&self) -> Option<Arc<Served>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).served.clone()
    }

    /// Whether a request would be taken.
    pub(crate) fn is_open(&self) -> Result<(), Refused> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).open().map(|_| ())
    }

    /// Takes a request.
    pub(crate) fn enter(&self) -> Result<Admitted, Refused> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let served = state.open()?;
        // Under the lock: whoever sees that it drains sees all that was taken before.
        self.running.fetch_add(1, Ordering::AcqRel);
        Ok(Admitted { served, running: self.running.clone() })
    }

    /// Requests that were taken and are not answered to the end.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// Serves these from now on, unless it was stopped.
    pub(crate) fn resume(&self, served: Arc<Served>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !state.closed {
            state.served = Some(served);
        }
    }

    /// Serves nothing.
    pub(crate) fn pause(&self) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).served = None;
    }

    /// Takes no new request any more; what runs goes on.
    pub(crate) fn drain(&self) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).draining = true;
    }

    /// Pauses for ever.
    pub(crate) fn close(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        (state.closed, state.served) = (true, None);
    }
}

impl State {
    fn open(&self) -> Result<Arc<Served>, Refused> {
        if self.draining {
            return Err(Refused::Draining);
        }
        self.served.clone().ok_or(Refused::NotReady)
    }
}
