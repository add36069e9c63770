//! Epochs: which encapsulation key is live, and the statement that names it.
//!
//! A change of keys or of state is a new epoch (protocol.md 1.3). The old key decrypts
//! for a short overlap when the state did not change, and not at all when it did; then
//! it is dropped, which wipes it, and its replay set with it (A8). Where the machine has GPUs,
//! each epoch asks them anew, with a challenge of its own keys: that takes a while, so an epoch
//! is prepared beside the live one and takes its place when it is whole.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use strongroom_channel::attest::{Collection, CollectionKind};
use strongroom_channel::binding::{self, Class, Purpose};
use strongroom_channel::device_digest;
use strongroom_channel::ohttp::KeyPair;
use strongroom_channel::statement::{self, EpochStatement, Workload};

use crate::evidence::devices::{Answered, Devices};
use crate::evidence::{Collected, EvidenceError, in_time};
use crate::instance::Instance;
use crate::replay::ReplaySet;

/// How long an old key decrypts after its epoch, seconds.
const OVERLAP_SECONDS: u64 = 120;
/// How long the devices may take for their evidence.
const EVIDENCE: Duration = Duration::from_secs(60);

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
    /// What the GPUs answered; `None` where the machine has none.
    pub(crate) devices: Option<Answered>,
    /// When the next epoch is due, unix seconds: before the statement expires, so that
    /// nobody is given one with no life left.
    pub(crate) ends: u64,
}

impl Epoch {
    /// CPU's evidence and the devices', with what vendors say about them.
    pub(crate) fn submission(&self, collected: &Collected) -> (Collection, Collection) {
        let mut evidence = collected.collection(CollectionKind::Evidence);
        let mut endorsements = collected.collection(CollectionKind::Endorsements);
        if let Some(devices) = &self.devices {
            devices.add_to(&mut evidence, &mut endorsements);
        }
        (evidence, endorsements)
    }

    /// What a quote over this epoch proves, for a tree of `size` leaves with `root`.
    pub(crate) fn preimage(&self, class: Class, purpose: Purpose, root: &[u8; 32], size: u64) -> Vec<u8> {
        binding::preimage(class, purpose, &self.hash, root, size)
    }
}

/// The live epoch and, for a while, the one before.
pub(crate) struct Epochs {
    instance: Arc<Instance>,
    devices: Option<Arc<Devices>>,
    seconds: u64,
    state: RwLock<State>,
}

struct State {
    current: Arc<Epoch>,
    previous: Option<(Arc<Epoch>, u64)>,
    workload: Workload,
}

/// An epoch that is whole and not live yet.
pub(crate) struct Prepared {
    next: Epoch,
    /// Where the state changed, the new one.
    changed: Option<Workload>,
}

impl Epochs {
    /// The boot epoch: no models, no lease (protocol.md A9).
    ///
    /// # Errors
    /// The devices do not answer, or what they answer does not hold.
    pub(crate) async fn boot(
        instance: Arc<Instance>,
        devices: Option<Arc<Devices>>,
        workload: Workload,
        seconds: u64,
        now: u64,
    ) -> Result<Self, EvidenceError> {
        let made = Made { instance: instance.clone(), number: 1, workload: workload.clone(), previous: [0; 32] };
        let current = Arc::new(made.epoch(devices.clone(), seconds, now).await?);
        let state = RwLock::new(State { current, previous: None, workload });
        Ok(Self { instance, devices, seconds, state })
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

    /// Makes the next epoch: with the same workload where `changed` is absent. It is not live yet.
    ///
    /// # Errors
    /// As for [`boot`](Self::boot); the live epoch goes on.
    pub(crate) async fn prepare(&self, changed: Option<Workload>, now: u64) -> Result<Prepared, EvidenceError> {
        let next = self.next(changed.as_ref()).epoch(self.devices.clone(), self.seconds, now).await?;
        Ok(Prepared { next, changed })
    }

    /// The next epoch where nothing is served any more: its devices are not asked, and no client takes it.
    pub(crate) fn last(&self, workload: Workload, now: u64) -> Arc<Epoch> {
        let next = self.next(Some(&workload)).without_devices(self.seconds, now);
        self.install(Prepared { next, changed: Some(workload) }, now)
    }

    /// Makes it the live one. The old key decrypts for the overlap, or, where the state changed, is gone at
    /// once. One that is not the live one's successor any more is dropped.
    pub(crate) fn install(&self, prepared: Prepared, now: u64) -> Arc<Epoch> {
        let Prepared { next, changed } = prepared;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if next.number != state.current.number + 1 {
            return state.current.clone();
        }
        let overlap = changed.is_none();
        if let Some(workload) = changed {
            state.workload = workload;
        }
        let old = std::mem::replace(&mut state.current, Arc::new(next));
        state.previous = overlap.then_some((old, now.saturating_add(OVERLAP_SECONDS)));
        state.current.clone()
    }

    /// Drops an old key whose overlap is over.
    pub(crate) fn retire(&self, now: u64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.previous.as_ref().is_some_and(|(_, until)| now > *until) {
            state.previous = None;
        }
    }

    fn next(&self, changed: Option<&Workload>) -> Made {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Made {
            instance: self.instance.clone(),
            number: state.current.number + 1,
            workload: changed.unwrap_or(&state.workload).clone(),
            previous: state.current.hash,
        }
    }
}

/// What an epoch is made of.
struct Made {
    instance: Arc<Instance>,
    number: u64,
    workload: Workload,
    previous: [u8; 32],
}

impl Made {
    async fn epoch(self, devices: Option<Arc<Devices>>, seconds: u64, now: u64) -> Result<Epoch, EvidenceError> {
        let Some(devices) = devices else { return Ok(self.without_devices(seconds, now)) };
        let (keys, statement) = self.statement(seconds, now);
        let collect = move || devices.collect(&statement, now).map(|answered| (answered, statement));
        let (answered, mut statement) = in_time("the devices", EVIDENCE, collect).await??;
        statement.device_digest = answered.digest();
        Ok(whole(keys, &statement, Some(answered), seconds, now))
    }

    fn without_devices(self, seconds: u64, now: u64) -> Epoch {
        let (keys, statement) = self.statement(seconds, now);
        whole(keys, &statement, None, seconds, now)
    }

    /// The statement as it is without devices.
    fn statement(self, seconds: u64, now: u64) -> (KeyPair, EpochStatement) {
        let keys = KeyPair::generate(key_id_of(self.number));
        let statement = EpochStatement {
            deployment: self.instance.deployment.clone(),
            instance_id: self.instance.id,
            epoch: self.number,
            issued_at: now,
            lifetime: seconds,
            key_configs: keys.config_list(),
            tls_spki: None,
            signing_key: self.instance.key.verifying_key(),
            workload: self.workload,
            device_digest: device_digest::digest([]),
            previous: self.previous,
        };
        (keys, statement)
    }
}

fn whole(keys: KeyPair, statement: &EpochStatement, devices: Option<Answered>, seconds: u64, now: u64) -> Epoch {
    let number = statement.epoch;
    let statement = statement.encode();
    Epoch {
        number,
        hash: statement::hash(&statement),
        statement,
        keys,
        replays: ReplaySet::default(),
        devices,
        ends: now.saturating_add(seconds - OVERLAP_SECONDS.min(seconds / 2)),
    }
}

/// Key ids repeat after 256 epochs, long after an old key is gone.
fn key_id_of(epoch: u64) -> u8 {
    epoch.to_le_bytes()[0]
}
