//! What the store remembers, by kind. JSON inside the seal, so that a person who holds the
//! key-encryption key can read an exported record.

use serde::{Deserialize, Serialize};
use strongroom_attestation::UnixTime;
use strongroom_enclave_loader::provenance::Signer;
use strongroom_enclave_loader::release::{Lease, LeaseId};

use crate::store::{Read, StoreError, Table, Transaction};

/// A deposited model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// SHA-256 of the signed core.
    #[serde(with = "hex::serde")]
    pub model_id: [u8; 32],
    /// The artifact that its keys open.
    #[serde(with = "hex::serde")]
    pub artifact_id: [u8; 16],
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// The publisher's key that its signature was checked with.
    #[serde(with = "hex::serde")]
    pub publisher: [u8; 32],
    /// When.
    pub deposited: UnixTime,
    /// Whose signature over the model's files was verified, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
}

/// The highest versions seen for a model name; both only rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) deposited: u64,
    pub(crate) released: u64,
}

/// A client credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    /// Its id, shown in lists and logs.
    pub id: String,
    /// SHA-256 of the key as presented; the key itself is nowhere.
    #[serde(with = "hex::serde")]
    pub hash: [u8; 32],
    /// Whose requests it stands for.
    pub tenant: String,
    /// When it was made.
    pub created: UnixTime,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<UnixTime>,
}

/// Whether a lease still counts. (That it expired is in its times.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// It counts until it expires.
    Live,
    /// Taken back by its owner, or replaced by a later release to the same instance.
    Revoked,
    /// Two copies of its instance were seen.
    Forked,
}

impl LeaseState {
    /// Whether a lease in this state counts at `now`.
    pub(crate) fn in_force(self, lease: &Lease, now: UnixTime) -> bool {
        self == Self::Live && now < lease.expires
    }
}

/// A lease and what its instance is held to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaseRecord {
    /// The lease's payload as signed.
    #[serde(with = "hex::serde")]
    lease: Vec<u8>,
    /// The instance's verifying key.
    #[serde(with = "hex::serde")]
    pub(crate) instance_key: [u8; 32],
    /// What the certificate says and the evidence showed.
    #[serde(with = "hex::serde")]
    pub(crate) launch_measurement: Vec<u8>,
    /// The ueids of the instance's GPUs and switches, sorted; of a lease from before there were any, none.
    #[serde(default)]
    pub(crate) ueids: Vec<String>,
    /// When the current certificate ends.
    pub(crate) certificate_expires: UnixTime,
    /// The generation of client credentials that the instance has.
    pub(crate) credentials: u64,
    /// SHA-256 of the last heartbeat, and the answer to it, for retries.
    pub(crate) last: Option<LastBeat>,
    /// The hashes of the heartbeats answered before that, one after the other, the latest last.
    #[serde(default, with = "hex::serde")]
    earlier: Vec<u8>,
    pub(crate) state: LeaseState,
}

/// How many answered heartbeats of a lease are remembered besides the last: three minutes' worth.
/// One that is late by more looks like the word of a copy.
const EARLIER_BEATS: usize = 64;

/// The last answered heartbeat of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastBeat {
    #[serde(with = "hex::serde")]
    pub(crate) heartbeat: [u8; 32],
    #[serde(with = "hex::serde")]
    pub(crate) answer: Vec<u8>,
}

/// What an instance's evidence showed, and its certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) launch_measurement: Vec<u8>,
    pub(crate) ueids: Vec<String>,
}

impl LeaseRecord {
    pub(crate) fn new(
        lease: &Lease,
        instance_key: [u8; 32],
        shown: &Shown,
        certificate_expires: UnixTime,
        credentials: u64,
    ) -> Self {
        Self {
            lease: lease.to_bytes(),
            instance_key,
            launch_measurement: shown.launch_measurement.clone(),
            ueids: shown.ueids.clone(),
            certificate_expires,
            credentials,
            last: None,
            earlier: Vec::new(),
            state: LeaseState::Live,
        }
    }

    /// What the certificate says again.
    pub(crate) fn shown(&self) -> Shown {
        Shown { launch_measurement: self.launch_measurement.clone(), ueids: self.ueids.clone() }
    }

    /// The lease itself.
    pub(crate) fn lease(&self) -> Result<Lease, StoreError> {
        Lease::from_bytes(&self.lease).map_err(|_| StoreError::Value { table: "leases" })
    }

    /// Whether it counts at `now`.
    pub(crate) fn in_force(&self, now: UnixTime) -> Result<bool, StoreError> {
        Ok(self.state.in_force(&self.lease()?, now))
    }

    /// Whether the heartbeat with this hash was answered, and others after it.
    pub(crate) fn answered_earlier(&self, heartbeat: &[u8; 32]) -> bool {
        self.earlier.as_chunks().0.contains(heartbeat)
    }

    /// Remembers the answer to the latest heartbeat.
    pub(crate) fn answered(&mut self, heartbeat: [u8; 32], answer: Vec<u8>) {
        if let Some(last) = self.last.replace(LastBeat { heartbeat, answer }) {
            self.earlier.extend(last.heartbeat);
            let surplus = self.earlier.len().saturating_sub(EARLIER_BEATS * 32);
            self.earlier.drain(..surplus);
        }
    }

    /// Puts an extended lease in place of the old one.
    pub(crate) fn extend(&mut self, lease: &Lease) {
        self.lease = lease.to_bytes();
    }

    pub(crate) fn load(read: &impl Read, id: &LeaseId) -> Result<Option<Self>, StoreError> {
        read.json(Table::Leases, id.as_bytes())
    }

    pub(crate) fn save(&self, transaction: &Transaction<'_>, id: &LeaseId) -> Result<(), StoreError> {
        transaction.put_json(Table::Leases, id.as_bytes(), self)
    }
}
