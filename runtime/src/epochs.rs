//! Epochs: which encapsulation key is live, and the statement that names it.
//!
//! A change of keys or of state is a new epoch (protocol.md 1.3). The old key decrypts
//! for a short overlap when the state did not change, and not at all when it did; then
//! it is dropped, which wipes it, and its replay set with it (A8).

use std::sync::{Arc, PoisonError, RwLock};

use strongroom_channel::binding::{self, Class, Purpose};
use strongroom_channel::device_digest;
use strongroom_channel::ohttp::KeyPair;
use strongroom_channel::statement::{self, EpochStatement, Workload};

use crate::instance::Instance;
use crate::replay::ReplaySet;

/// How long an old key decrypts after its epoch, seconds.
const OVERLAP_SECONDS: u64 = 120;

/// One epoch.
pub(crate) struct Epoch {
    /// 1 at boot.
    pub(crate) number: u64,
    /// The statement's bytes, opaque from here on.
    pub(crate) statement: Vec<u8>,
    /// SHA-256 of them.
    pub(crate) hash: [u8; 32],
    /// `K_enc`.
    pub(crate) keys: KeyPair,
    /// Requests that this key opened.
    pub(crate) replays: ReplaySet,
    /// When the next epoch is due, unix seconds: before the statement expires, so that
    /// nobody is given one with no life left.
    pub(crate) ends: u64,
}

impl Epoch {
    /// What a quote over this epoch proves, for a tree of `size` leaves with `root`.
    pub(crate) fn preimage(&self, class: Class, purpose: Purpose, root: &[u8; 32], size: u64) -> Vec<u8> {
        binding::preimage(class, purpose, &self.hash, root, size)
    }
}

/// The live epoch and, for a while, the one before.
pub(crate) struct Epochs {
    instance: Arc<Instance>,
    seconds: u64,
    state: RwLock<State>,
}

struct State {
    current: Arc<Epoch>,
    previous: Option<(Arc<Epoch>, u64)>,
    workload: Workload,
}

impl Epochs {
    /// The boot epoch: no models, no lease (protocol.md A9).
    pub(crate) fn boot(instance: Arc<Instance>, workload: Workload, seconds: u64, now: u64) -> Self {
        let current = Arc::new(epoch(&instance, 1, &workload, [0; 32], seconds, now));
        Self { instance, seconds, state: RwLock::new(State { current, previous: None, workload }) }
    }

    /// The live epoch.
    pub(crate) fn current(&self) -> Arc<Epoch> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).current.clone()
    }

    /// The workload that the live epoch states.
    pub(crate) fn workload(&self) -> Workload {
        self.state.read().unwrap_or_else(PoisonError::into_inner).workload.clone()
    }

    /// The epoch whose key has this id, if it still decrypts at `now`.
    pub(crate) fn by_key_id(&self, key_id: u8, now: u64) -> Option<Arc<Epoch>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if key_id_of(state.current.number) == key_id {
            return Some(state.current.clone());
        }
        let (previous, until) = state.previous.as_ref()?;
        (key_id_of(previous.number) == key_id && now <= *until).then(|| previous.clone())
    }

    /// A new epoch with the same workload; the old key stays for the overlap.
    pub(crate) fn rotate(&self, now: u64) -> Arc<Epoch> {
        self.advance(None, now)
    }

    /// A new epoch because the state changed; the old key is gone at once.
    pub(crate) fn change(&self, workload: Workload, now: u64) -> Arc<Epoch> {
        self.advance(Some(workload), now)
    }

    /// Drops an old key whose overlap is over.
    pub(crate) fn retire(&self, now: u64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.previous.as_ref().is_some_and(|(_, until)| now > *until) {
            state.previous = None;
        }
    }

    fn advance(&self, changed: Option<Workload>, now: u64) -> Arc<Epoch> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let overlap = changed.is_none();
        if let Some(workload) = changed {
            state.workload = workload;
        }
        let number = state.current.number + 1;
        let next = epoch(&self.instance, number, &state.workload, state.current.hash, self.seconds, now);
        let old = std::mem::replace(&mut state.current, Arc::new(next));
        state.previous = overlap.then_some((old, now.saturating_add(OVERLAP_SECONDS)));
        state.current.clone()
    }
}

fn epoch(instance: &Instance, number: u64, workload: &Workload, previous: [u8; 32], seconds: u64, now: u64) -> Epoch {
    let keys = KeyPair::generate(key_id_of(number));
    let statement = EpochStatement {
        deployment: instance.deployment.clone(),
        instance_id: instance.id,
        epoch: number,
        issued_at: now,
        lifetime: seconds,
        key_configs: keys.config_list(),
        tls_spki: None,
        signing_key: instance.key.verifying_key(),
        workload: workload.clone(),
        // No devices beside the CPU yet: the digest of the empty list.
        device_digest: device_digest::digest([]),
        previous,
    }
    .encode();
    let hash = statement::hash(&statement);
    Epoch {
        number,
        statement,
        hash,
        keys,
        replays: ReplaySet::default(),
        ends: now.saturating_add(seconds - OVERLAP_SECONDS.min(seconds / 2)),
    }
}

/// Key ids repeat after 256 epochs, long after an old key is gone.
fn key_id_of(epoch: u64) -> u8 {
    epoch.to_le_bytes()[0]
}
