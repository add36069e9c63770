//! Issuing: the lease, the certificate and the record of both, in the transaction that logs
//! the decision. Asks for a [`Granted`], which only the decision makes.

use strongroom_attestation::{Class, DeviceSetClaims, UnixTime};
use strongroom_channel::cose::VerifyingKey;
use strongroom_channel::instance_certificate::{self, InstanceClaims};
use strongroom_channel::statement::EpochStatement;
use strongroom_enclave_loader::release::{AnsweredModel, Lease, LeaseId, MAX_LEASES};
use zeroize::Zeroizing;

use crate::broker::{Broker, random};
use crate::decide::Granted;
use crate::error::BrokerError;
use crate::log::Event;
use crate::policy::ActivePolicy;
use crate::records::{LeaseRecord, LeaseState, Shown, Versions};
use crate::store::{Read, StoreError, Table, Transaction};

/// An instance certificate's life (protocol.md A2): the revocation bound for stolen keys.
pub(crate) const CERTIFICATE_SECONDS: u64 = 15 * 60;

/// A certificate begins this long ago, for clients whose clocks run late.
const CLOCK_SKEW_SECONDS: u64 = 60;

/// What was issued.
pub(crate) struct Issued {
    pub(crate) lease: Lease,
    pub(crate) certificate: Vec<Vec<u8>>,
    /// That the instance had leases before, which are over now.
    pub(crate) superseded: Vec<Event>,
}

impl Broker {
    /// Grants a new lease to the instance of `statement`. At boot, leases that the same instance had
    /// before are over: either its answer was lost, or there are two of it. Later, the lease comes beside
    /// those that it has, and replaces one for the same models.
    pub(crate) fn issue_lease<K: Class>(
        &self,
        transaction: &Transaction<'_>,
        granted: &Granted<K>,
        statement: &EpochStatement,
        policy: &ActivePolicy,
        now: UnixTime,
    ) -> Result<Issued, BrokerError> {
        let earlier = leases_of(transaction, &statement.instance_id)?;
        let models: Vec<[u8; 32]> = granted.models.iter().map(|model| model.model_id).collect();
        let first = statement.workload.lease_id.is_none();
        let superseded = match (first, earlier.split_first()) {
            (false, Some((_, further))) => end(transaction, further, |lease| lease.models == models)?,
            _ => end(transaction, &earlier, |_| true)?,
        };
        let mut leases = not_run_out(transaction, &earlier, now)?;
        let identity = granted.verdict.claims().platform_identity();
        let lease = Lease {
            lease_id: LeaseId::from_bytes(random()?),
            deployment: statement.deployment.clone(),
            instance_id: statement.instance_id,
            instance_key: statement.signing_key.thumbprint(),
            models,
            not_before: now,
            expires: now.saturating_add_secs(granted.lease_seconds),
            renew_after: now.saturating_add_secs(granted.lease_seconds / 2),
            policy_hash: policy.hash,
            platform_identity: identity.map(<[u8]>::to_vec),
            offline_grant: policy.rules.offline_grant_seconds,
        };
        let shown = shown(granted);
        let (certificate, expires) = self.certify(&lease, &statement.signing_key, &shown, now)?;
        let record = LeaseRecord::new(
            &lease,
            statement.signing_key.to_bytes(),
            &shown,
            expires,
            crate::api_keys::generation(transaction)?,
        );
        record.save(transaction, &lease.lease_id)?;
        leases.insert(if first { 0 } else { leases.len() }, lease.lease_id);
        leases.truncate(MAX_LEASES);
        let ids: Vec<u8> = leases.iter().flat_map(|id| *id.as_bytes()).collect();
        transaction.put(Table::Instances, &lease.instance_id, &ids)?;
        raise_released(transaction, granted)?;
        Ok(Issued { lease, certificate, superseded })
    }

    /// Extends a lease that the decision found live, for the same instance.
    ///
    /// Nobody acknowledges a renewal's answer, so what it brings besides the lease does not
    /// count as delivered: heartbeats, whose answers are acknowledged, bring it again.
    pub(crate) fn extend_lease<K: Class>(
        &self,
        transaction: &Transaction<'_>,
        granted: &Granted<K>,
        id: &LeaseId,
        policy: &ActivePolicy,
        now: UnixTime,
    ) -> Result<Issued, BrokerError> {
        let unknown = || BrokerError::Unknown { what: "lease", id: id.to_string() };
        let mut record = LeaseRecord::load(transaction, id)?.ok_or_else(unknown)?;
        let key = instance_key(&record)?;
        let mut lease = record.lease()?;
        lease.expires = now.saturating_add_secs(granted.lease_seconds).max(lease.expires);
        lease.renew_after = now.saturating_add_secs(granted.lease_seconds / 2);
        lease.policy_hash = policy.hash;
        lease.offline_grant = policy.rules.offline_grant_seconds;
        let shown = shown(granted);
        let (certificate, _) = self.certify(&lease, &key, &shown, now)?;
        record.extend(&lease);
        record.launch_measurement = shown.launch_measurement;
        record.ueids = shown.ueids;
        record.save(transaction, id)?;
        Ok(Issued { lease, certificate, superseded: Vec::new() })
    }

    /// A certificate for a lease's instance: max(15 minutes, offline grant), never beyond the
    /// lease. Returns the chain and when it ends.
    pub(crate) fn certify(
        &self,
        lease: &Lease,
        key: &VerifyingKey,
        shown: &Shown,
        now: UnixTime,
    ) -> Result<(Vec<Vec<u8>>, UnixTime), BrokerError> {
        let life = CERTIFICATE_SECONDS.max(lease.offline_grant);
        let not_after = now.saturating_add_secs(life).min(lease.expires);
        let not_before = UnixTime::from_secs(now.as_secs().saturating_sub(CLOCK_SKEW_SECONDS));
        let claims = InstanceClaims {
            deployment: lease.deployment.clone(),
            instance_id: lease.instance_id,
            launch_measurement: shown.launch_measurement.clone(),
            platform_identity: lease.platform_identity.clone(),
            gpu_ueids: shown.ueids.iter().map(|ueid| ueid.clone().into_bytes()).collect(),
        };
        let leaf = instance_certificate::issue(
            &self.keys.instance_ca,
            &self.identity.instance_ca,
            &claims,
            key,
            not_before,
            not_after,
            &self.identity.tenant,
        )?;
        Ok((vec![leaf, self.identity.instance_ca.clone()], not_after))
    }
}

fn shown<K: Class>(granted: &Granted<K>) -> Shown {
    Shown {
        launch_measurement: granted.verdict.claims().launch_measurement().to_vec(),
        ueids: granted.devices.as_ref().map(DeviceSetClaims::ueids).unwrap_or_default(),
    }
}

/// The leases of the instance with this id. Its heartbeats name the first, for all that were granted beside it;
/// those of a chain that was replaced come after them.
pub(crate) fn leases_of(read: &impl Read, instance: &[u8; 16]) -> Result<Vec<LeaseId>, StoreError> {
    let Some(ids) = read.get(Table::Instances, instance)? else { return Ok(Vec::new()) };
    match ids.as_chunks::<16>() {
        (ids, []) => Ok(ids.iter().copied().map(LeaseId::from_bytes).collect()),
        _ => Err(StoreError::Value { table: "instances" }),
    }
}

/// The records of these leases.
pub(crate) fn records_of(read: &impl Read, ids: &[LeaseId]) -> Result<Vec<(LeaseId, LeaseRecord)>, StoreError> {
    let record = |id: &LeaseId| LeaseRecord::load(read, id).map(|record| record.map(|record| (*id, record)));
    ids.iter().filter_map(|id| record(id).transpose()).collect()
}

/// The first of these leases, whatever became of it, since heartbeats name it; and those that have not run
/// out, the revoked ones too: their instance may not have heard of it.
fn not_run_out(read: &impl Read, ids: &[LeaseId], now: UnixTime) -> Result<Vec<LeaseId>, StoreError> {
    let mut left = Vec::new();
    for (id, record) in records_of(read, ids)? {
        if Some(&id) == ids.first() || now < record.lease()?.expires {
            left.push(id);
        }
    }
    Ok(left)
}

/// Ends those of these leases that are live and meant.
fn end(
    transaction: &Transaction<'_>,
    ids: &[LeaseId],
    meant: impl Fn(&Lease) -> bool,
) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    for (id, mut record) in records_of(transaction, ids)? {
        let lease = record.lease()?;
        if record.state == LeaseState::Live && meant(&lease) {
            record.state = LeaseState::Revoked;
            record.save(transaction, &id)?;
            events.push(Event::LeaseSuperseded { lease: id.to_string(), instance: hex::encode(lease.instance_id) });
        }
    }
    Ok(events)
}

/// The keys of granted models, read where nothing but a grant can ask for them.
pub(crate) fn keys_of<K: Class>(read: &impl Read, granted: &Granted<K>) -> Result<Vec<AnsweredModel>, StoreError> {
    granted
        .models
        .iter()
        .map(|model| {
            Ok(AnsweredModel {
                model_id: model.model_id,
                artifact_id: model.artifact_id,
                version: model.version,
                keys: model_keys(read, &model.model_id)?,
            })
        })
        .collect()
}

/// The keys of one deposited model.
pub(crate) fn model_keys(read: &impl Read, model_id: &[u8; 32]) -> Result<Vec<Zeroizing<[u8; 32]>>, StoreError> {
    let broken = || StoreError::Value { table: "model-keys" };
    let joined = read.get(Table::ModelKeys, model_id)?.ok_or_else(broken)?;
    let (keys, rest) = joined.as_chunks::<32>();
    match (keys, rest) {
        ([], _) | (_, [_, ..]) => Err(broken()),
        (keys, []) => Ok(keys.iter().map(|key| Zeroizing::new(*key)).collect()),
    }
}

/// A deposit always writes the versions of its model's name; without them older ones would pass.
pub(crate) fn versions_missing() -> StoreError {
    StoreError::Value { table: "versions" }
}

/// The verifying key in a lease's record.
pub(crate) fn instance_key(record: &LeaseRecord) -> Result<VerifyingKey, StoreError> {
    VerifyingKey::from_bytes(&record.instance_key).map_err(|_| StoreError::Value { table: "leases" })
}

/// Remembers that these versions were released: older ones are not from now on.
pub(crate) fn raise_released<K: Class>(transaction: &Transaction<'_>, granted: &Granted<K>) -> Result<(), StoreError> {
    for model in &granted.models {
        let key = model.name.as_bytes();
        let mut versions: Versions = transaction.json(Table::Versions, key)?.ok_or_else(versions_missing)?;
        if model.version > versions.released {
            versions.released = model.version;
            transaction.put_json(Table::Versions, key, &versions)?;
        }
    }
    Ok(())
}
