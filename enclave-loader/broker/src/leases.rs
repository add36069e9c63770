//! Listing leases and taking them back.

use serde::Serialize;
use strongroom_attestation::UnixTime;
use strongroom_enclave_loader::release::LeaseId;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::log::Event;
use crate::records::{LeaseRecord, LeaseState};
use crate::store::{Read, StoreError, Table};

/// A lease as the tenant sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseSummary {
    /// Its id.
    pub lease: String,
    /// The instance that has it.
    pub instance: String,
    /// The models, by id.
    pub models: Vec<String>,
    /// When it was granted.
    pub granted: UnixTime,
    /// When it ends.
    pub expires: UnixTime,
    /// Live, revoked or forked; an expired lease is live in name only.
    pub state: LeaseState,
    /// Whether it counts now.
    pub in_force: bool,
    /// The platform that it was granted to, if it showed itself.
    pub platform: Option<String>,
    /// The ueids of its GPUs and switches, sorted, if it showed any.
    pub ueids: Vec<String>,
}

/// Which leases to take back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoke {
    /// This one.
    One(LeaseId),
    /// Every live one.
    All,
}

impl Broker {
    /// Every lease that is remembered.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn leases(&self) -> Result<Vec<LeaseSummary>, BrokerError> {
        let now = self.now();
        let records: Vec<LeaseRecord> = self.ledger.view()?.all(Table::Leases)?;
        let summaries = records.iter().map(|record| summary(record, now));
        Ok(summaries.collect::<Result<_, _>>()?)
    }

    /// Takes leases back. Their instances hear of it with the next heartbeat, and end without
    /// one when their offline grant is used up. Returns the ids.
    ///
    /// # Errors
    /// [`BrokerError::Unknown`] when the one asked for is not there.
    pub fn revoke(&self, which: Revoke) -> Result<Vec<LeaseId>, BrokerError> {
        self.ledger.transact(self.now(), |transaction| {
            let ids = match which {
                Revoke::One(id) => vec![id],
                Revoke::All => lease_ids(transaction)?,
            };
            let mut revoked = Vec::new();
            let mut events = Vec::new();
            for id in ids {
                let unknown = || BrokerError::Unknown { what: "lease", id: id.to_string() };
                let mut record = LeaseRecord::load(transaction, &id)?.ok_or_else(unknown)?;
                if record.state != LeaseState::Live {
                    continue;
                }
                record.state = LeaseState::Revoked;
                record.save(transaction, &id)?;
                let instance = hex::encode(record.lease()?.instance_id);
                events.push(Event::LeaseRevoked { lease: id.to_string(), instance });
                revoked.push(id);
            }
            Ok((revoked, events))
        })
    }
}

fn lease_ids(read: &impl Read) -> Result<Vec<LeaseId>, StoreError> {
    let broken = |_| StoreError::Value { table: "leases" };
    let keys = read.keys(Table::Leases)?.into_iter();
    keys.map(|key| key.as_slice().try_into().map(LeaseId::from_bytes).map_err(broken)).collect()
}

fn summary(record: &LeaseRecord, now: UnixTime) -> Result<LeaseSummary, StoreError> {
    let lease = record.lease()?;
    Ok(LeaseSummary {
        lease: lease.lease_id.to_string(),
        instance: hex::encode(lease.instance_id),
        models: lease.models.iter().map(hex::encode).collect(),
        granted: lease.not_before,
        expires: lease.expires,
        state: record.state,
        in_force: record.state.in_force(&lease, now),
        platform: lease.platform_identity.map(hex::encode),
        ueids: record.ueids.clone(),
    })
}
