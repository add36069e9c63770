//! The broker's side of the heartbeat (protocol.md A10): a retry gets the answer it missed, a
//! copy of an instance is found out, and a lease that is over is said to be over.

use strongroom_attestation::{Code, Refusal, UnixTime, crypto};
use strongroom_channel::cose::VerifyingKey;
use strongroom_enclave_loader::release::{Heartbeat, HeartbeatAnswer, Lease, LeaseId};

use crate::api_keys;
use crate::broker::Broker;
use crate::error::Denial;
use crate::issue::{CERTIFICATE_SECONDS, instance_key, leases_of, records_of};
use crate::log::Event;
use crate::records::{LeaseRecord, LeaseState, Shown};
use crate::store::Transaction;

/// The largest heartbeat that is looked at.
pub(crate) const MAX_HEARTBEAT_BYTES: usize = 1024;

impl Broker {
    /// Answers a heartbeat:
    ///
    /// 1. it parses, names the first lease of an instance of ours (or one that is over), and that
    ///    instance signed it; every failure here looks the same from outside;
    /// 2. the same bytes as last time get the same answer;
    /// 3. one that was answered before that is late or was sent again by somebody on the way: it
    ///    is refused and changes nothing;
    /// 4. one that does not follow the last answer is the word of a copy: all leases of the instance
    ///    are over, for both;
    /// 5. the answer says what is new: which leases are over, a certificate, credentials;
    /// 6. the answer is on disk before it is sent, or its successor would look like a copy.
    pub(crate) fn heartbeat(&self, bytes: &[u8]) -> Result<Vec<u8>, Denial> {
        if bytes.len() > MAX_HEARTBEAT_BYTES {
            return Err(Denial::Malformed("a heartbeat is at most 1024 bytes long".to_owned()));
        }
        let claimed = Heartbeat::peek(bytes).map_err(|error| Denial::Malformed(error.to_string()))?;
        let key = self.key_of(&claimed)?;
        let heartbeat = Heartbeat::verify(bytes, &key)?;
        let now = self.now();
        self.ledger.transact(now, |transaction| self.follow(transaction, &heartbeat, bytes, &key, now))
    }

    /// The key of the claimed lease's instance. Leases and their keys never change, so this
    /// may be read before the transaction, and forged heartbeats cost no write.
    fn key_of(&self, claimed: &Heartbeat) -> Result<VerifyingKey, Denial> {
        let record = LeaseRecord::load(&self.ledger.view()?, &claimed.lease_id)?.ok_or(Denial::Unauthenticated)?;
        if record.lease()?.instance_id != claimed.instance_id {
            return Err(Denial::Unauthenticated);
        }
        Ok(instance_key(&record)?)
    }

    fn follow(
        &self,
        transaction: &Transaction<'_>,
        heartbeat: &Heartbeat,
        bytes: &[u8],
        key: &VerifyingKey,
        now: UnixTime,
    ) -> Result<(Vec<u8>, Vec<Event>), Denial> {
        let hash = crypto::sha256(bytes);
        let mut record = LeaseRecord::load(transaction, &heartbeat.lease_id)?.ok_or(Denial::Unauthenticated)?;
        if let Some(last) = &record.last
            && last.heartbeat == hash
        {
            return Ok((last.answer.clone(), Vec::new()));
        }
        if record.answered_earlier(&hash) {
            let detail = "this heartbeat was answered before, and later ones after it";
            return Err(Refusal::new(Code::Stale, detail).into());
        }
        let lease = record.lease()?;
        let ids = leases_of(transaction, &lease.instance_id)?;
        let first = ids.first() == Some(&lease.lease_id);
        if !first && record.in_force(now)? {
            // A second chain of heartbeats would let a copy live beside its original.
            return Err(Denial::Unauthenticated);
        }
        let others: Vec<LeaseId> = ids.into_iter().filter(|id| *id != lease.lease_id).collect();
        let mut others = records_of(transaction, &others)?;
        let mut events = Vec::new();
        let predecessor = record.last.as_ref().map_or([0; 32], |last| crypto::sha256(&last.answer));
        if first && heartbeat.last_answer != predecessor {
            fork(&lease.lease_id, &mut record, &lease, &mut events);
            for (id, other) in &mut others {
                fork(id, other, &lease, &mut events);
                other.save(transaction, id)?;
            }
        }
        let mut revoked = Vec::new();
        // The lease in force that ends last: the certificate ends with it at the latest.
        let mut covering: Option<(Lease, Shown)> = None;
        for (id, record) in
            std::iter::once((&lease.lease_id, &record)).chain(others.iter().map(|(id, other)| (id, other)))
        {
            if !record.in_force(now)? {
                revoked.push(*id);
                continue;
            }
            let lease = record.lease()?;
            if covering.as_ref().is_none_or(|(other, _)| other.expires < lease.expires) {
                covering = Some((lease, record.shown()));
            }
        }
        let mut answer = HeartbeatAnswer {
            nonce: heartbeat.nonce,
            broker_time: now,
            certificate: None,
            credentials: None,
            revoked,
            heartbeat: hash,
        };
        // A chain that was replaced gets no news of the one in its place.
        if let Some(covering) = covering.as_ref().filter(|_| first) {
            self.bring_news(transaction, &mut record, covering, key, &mut answer, &mut events)?;
        }
        let signed = answer.sign(&self.keys.broker);
        record.answered(hash, signed.clone());
        record.save(transaction, &lease.lease_id)?;
        Ok((signed, events))
    }

    /// A certificate in the second half of its life is replaced; credentials that changed are sent.
    fn bring_news(
        &self,
        transaction: &Transaction<'_>,
        record: &mut LeaseRecord,
        (lease, shown): &(Lease, Shown),
        key: &VerifyingKey,
        answer: &mut HeartbeatAnswer,
        events: &mut Vec<Event>,
    ) -> Result<(), Denial> {
        let now = answer.broker_time;
        let life = CERTIFICATE_SECONDS.max(lease.offline_grant);
        let left = record.certificate_expires.saturating_secs_since(now);
        // Near the lease's end there is no later end to give.
        if left < life / 2 && record.certificate_expires < lease.expires {
            let (certificate, expires) = self.certify(lease, key, shown, now)?;
            record.certificate_expires = expires;
            answer.certificate = Some(certificate);
            let instance = hex::encode(lease.instance_id);
            events.push(Event::CertificateRenewed { lease: lease.lease_id.to_string(), instance });
        }
        let generation = api_keys::generation(transaction)?;
        if record.credentials != generation {
            record.credentials = generation;
            answer.credentials = Some(api_keys::in_force(transaction)?);
        }
        Ok(())
    }
}

/// Two copies of the instance were seen: this lease of it is over, for both.
fn fork(id: &LeaseId, record: &mut LeaseRecord, of: &Lease, events: &mut Vec<Event>) {
    if record.state == LeaseState::Live {
        record.state = LeaseState::Forked;
        events.push(Event::LeaseForked { lease: id.to_string(), instance: hex::encode(of.instance_id) });
    }
}
