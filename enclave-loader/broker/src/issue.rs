//! Issuing: the lease, the certificate and the record of both, in the transaction that logs
//! the decision. Asks for a [`Granted`], which only the decision makes.

use strongroom_attestation::{Class, DeviceSetClaims, UnixTime};
use strongroom_channel::cose::VerifyingKey;
use strongroom_channel::instance_certificate::{self, InstanceClaims};
use strongroom_channel::statement::EpochStatement;
use strongroom_enclave_loader::release::{AnsweredModel, Lease, LeaseId};
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
    /// That the instance had a lease before, which is over now.
    pub(crate) superseded: Option<Event>,
}

impl Broker {
    /// Grants a new lease to the instance of `statement`. A lease that the same instance had
    /// before is over: either its answer was lost, or there are two of it.
    pub(crate) fn issue_lease<K: Class>(
        &self,
        transaction: &Transaction<'_>,
        granted: &Granted<K>,
        statement: &EpochStatement,
        policy: &ActivePolicy,
        now: UnixTime,
    ) -> Result<Issued, BrokerError> {
        let superseded = end_lease_of(transaction, &statement.instance_id)?;
        let identity = granted.verdict.claims().platform_identity();
        let lease = Lease {
            lease_id: LeaseId::from_bytes(random()?),
            deployment: statement.deployment.clone(),
            instance_id: statement.instance_id,
            instance_key: statement.signing_key.thumbprint(),
            models: granted.models.iter().map(|model| model.model_id).collect(),
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
        transaction.put(Table::Instances, &lease.instance_id, lease.lease_id.as_bytes())?;
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
        Ok(Issued { lease, certificate, superseded: None })
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

/// The lease that was last granted to an instance with this id.
pub(crate) fn last_lease_of(read: &impl Read, instance: &[u8; 16]) -> Result<Option<LeaseId>, StoreError> {
    let Some(id) = read.get(Table::Instances, instance)? else { return Ok(None) };
    let id = id.as_slice().try_into().map_err(|_| StoreError::Value { table: "instances" })?;
    Ok(Some(LeaseId::from_bytes(id)))
}

fn end_lease_of(transaction: &Transaction<'_>, instance: &[u8; 16]) -> Result<Option<Event>, StoreError> {
    let Some(id) = last_lease_of(transaction, instance)? else { return Ok(None) };
    match LeaseRecord::load(transaction, &id)? {
        Some(mut record) if record.state == LeaseState::Live => {
            record.state = LeaseState::Revoked;
            record.save(transaction, &id)?;
            Ok(Some(Event::LeaseSuperseded { lease: id.to_string(), instance: hex::encode(instance) }))
        }
        _ => Ok(None),
    }
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
