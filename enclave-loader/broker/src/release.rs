//! Release and renewal: a request in, a sealed answer or a refusal out (key-release.md
//! sections 3 and 4). The two differ in purpose and in that a renewal brings no keys.

use strongroom_attestation::{Class, Code, Refusal, State, UnixTime, crypto};
use strongroom_channel::binding::Purpose;
use strongroom_channel::statement::EpochStatement;
use strongroom_enclave_loader::release::{
    Challenge, Lease, LeaseId, ReleaseAnswer, ReleaseBody, ReleaseRequest, WantedModel, seal_reply,
};

use crate::broker::{Broker, random};
use crate::budget::Allowed;
use crate::challenge::ChallengeError;
use crate::decide::{Ask, Granted, KnownModel, Rules, Subject, decide};
use crate::deposit::still_in_force;
use crate::desk::{Bench, Desk, Proven, evidence_digest};
use crate::error::{BrokerError, Denial};
use crate::issue::{Issued, keys_of, leases_of, records_of, versions_missing};
use crate::log::{Decided, Decision, Event, LogError};
use crate::policy::ActivePolicy;
use crate::records::{LeaseRecord, LeaseState, ModelRecord, Versions};
use crate::store::{Read, StoreError, Table, Transaction};

/// A request whose bytes were read, before anything about it is believed.
struct Parsed {
    request: ReleaseRequest,
    body: ReleaseBody,
    purpose: Purpose,
}

impl Broker {
    /// A new single-use challenge, as JSON.
    pub(crate) fn challenge(&self) -> Result<String, Denial> {
        let nonce = self.challenges().give(random()?, self.now());
        let broker = self.keys.broker.verifying_key().thumbprint();
        Ok(Challenge { nonce, broker }.to_json())
    }

    /// Answers a release request.
    pub(crate) fn release(&self, bytes: &[u8]) -> Result<String, Denial> {
        self.answer(bytes, Purpose::Release)
    }

    /// Answers a renewal request.
    pub(crate) fn renewal(&self, bytes: &[u8]) -> Result<String, Denial> {
        self.answer(bytes, Purpose::Renewal)
    }

    /// The steps, in order. Nothing before step 3 costs more than parsing. Whoever fails step 3
    /// is anybody at all: it uses up no room here, and is logged at a bounded rate.
    ///
    /// 1. the request and its body parse strictly, and are for this endpoint and this broker;
    /// 2. the nonce is one of ours, in time, and not used up;
    /// 3. the evidence proves the statement and this body, for this purpose ([`Desk::prove`]);
    ///    now the nonce is used up;
    /// 4. the decision; the lease, the certificate, the record of both and the log entry, in
    ///    one transaction ([`decide`]);
    /// 5. the answer is signed and sealed to the one-use key of the body.
    fn answer(&self, bytes: &[u8], purpose: Purpose) -> Result<String, Denial> {
        let parsed = self.parse(bytes, purpose)?;
        let now = self.now();
        self.challenges().check(&parsed.body.nonce, now).map_err(not_fresh)?;
        let policy = self.active_policy()?;
        match &self.bench {
            Bench::Production(desk) => self.judge(desk, &parsed, policy.as_ref(), now),
            Bench::Development(desk) => self.judge(desk, &parsed, policy.as_ref(), now),
        }
    }

    fn parse(&self, bytes: &[u8], purpose: Purpose) -> Result<Parsed, Denial> {
        let request = ReleaseRequest::from_json(bytes)?;
        let body = ReleaseBody::from_bytes(&request.body).map_err(|error| Denial::Malformed(error.to_string()))?;
        if body.renews.is_some() != (purpose == Purpose::Renewal) {
            let detail = "a renewal names the lease to renew, a release does not";
            return Err(Denial::Malformed(detail.to_owned()));
        }
        if body.broker != self.keys.broker.verifying_key().thumbprint() {
            return Err(Refusal::new(Code::Nonce, "the request is addressed to another broker").into());
        }
        Ok(Parsed { request, body, purpose })
    }

    fn judge<K: Class>(
        &self,
        desk: &Desk<K>,
        parsed: &Parsed,
        policy: Option<&ActivePolicy>,
        now: UnixTime,
    ) -> Result<String, Denial> {
        let Some(policy) = policy else {
            let detail = "no policy is active; the tenant runs: strongroom broker policy activate";
            return Err(self.refused_unproven(parsed, None, Refusal::new(Code::Policy, detail).into(), now));
        };
        let proven = desk
            .prove(&parsed.request, parsed.purpose, &policy.rules.attestation, now)
            .map_err(|denial| self.refused_unproven(parsed, Some(policy), denial, now))?;
        self.challenges().take(&parsed.body.nonce, now).map_err(not_fresh)?;
        let outcome = self.grant(parsed, policy, proven, now);
        if let Err(denial) = &outcome
            && let Some(event) = parsed.refusal(Some(policy), denial)
        {
            self.ledger.note(now, event)?;
        }
        outcome
    }

    /// Steps 4 and 5.
    fn grant<K: Class>(
        &self,
        parsed: &Parsed,
        policy: &ActivePolicy,
        proven: Proven<K>,
        now: UnixTime,
    ) -> Result<String, Denial> {
        let answer = self.ledger.transact(now, |transaction| {
            still_in_force(transaction, policy)?;
            let Proven { verdict, devices, statement, statement_hash } = proven;
            let models = known_models(transaction, &parsed.body.models)?;
            let leases = known_leases(transaction, &statement)?;
            let renewed = parsed.body.renews.map(|id| known_lease(transaction, &id)).transpose()?.flatten();
            let subject = Subject::Instance { body: &parsed.body, statement: &statement };
            let ask = Ask { models: &parsed.body.models, subject, devices };
            let deployment = &self.identity.deployment;
            let renewed = renewed.as_ref();
            let rules = Rules { deployment, policy, models: &models, renewed, leases: &leases, now };
            let granted = decide(verdict, &ask, &rules)?;
            let issued = match &parsed.body.renews {
                None => self.issue_lease(transaction, &granted, &statement, policy, now)?,
                Some(lease) => self.extend_lease(transaction, &granted, lease, policy, now)?,
            };
            let mut events = vec![parsed.event(&policy.hash, Decision::Granted, Vec::new(), Some(&issued.lease))];
            events.extend(issued.superseded.iter().cloned());
            let answer = self.compose(transaction, &granted, parsed, statement_hash, issued, now)?;
            Ok::<_, Denial>((answer, events))
        })?;
        let signed = answer.sign(&self.keys.broker);
        let sealed = seal_reply(&parsed.body.reply_key, &parsed.request.body, &signed)?;
        Ok(sealed.to_json())
    }

    fn compose<K: Class>(
        &self,
        transaction: &Transaction<'_>,
        granted: &Granted<K>,
        parsed: &Parsed,
        statement: [u8; 32],
        issued: Issued,
        now: UnixTime,
    ) -> Result<ReleaseAnswer, BrokerError> {
        let models = match parsed.purpose {
            Purpose::Release => keys_of(transaction, granted)?,
            Purpose::Renewal | Purpose::Session => Vec::new(),
        };
        Ok(ReleaseAnswer {
            body: crypto::sha256(&parsed.request.body),
            statement,
            broker_time: now,
            models,
            lease: issued.lease.sign(&self.keys.broker),
            certificate: issued.certificate,
            credentials: crate::api_keys::in_force(transaction)?,
        })
    }

    /// Logs a refusal of somebody who proved nothing, and passes it on.
    fn refused_unproven(
        &self,
        parsed: &Parsed,
        policy: Option<&ActivePolicy>,
        denial: Denial,
        now: UnixTime,
    ) -> Denial {
        match parsed.refusal(policy, &denial).map(|event| self.note_unproven(event, now)) {
            Some(Err(error)) => error.into(),
            Some(Ok(())) | None => denial,
        }
    }

    /// Logs an event that anybody can cause, within the budget for such events.
    pub(crate) fn note_unproven(&self, event: Event, now: UnixTime) -> Result<(), LogError> {
        // Bound, not temporary: the lock is not held while the log is written.
        let allowed = self.unproven().spend(now);
        match allowed {
            Allowed::No => return Ok(()),
            Allowed::Yes { left_out: 0 } => {}
            Allowed::Yes { left_out } => self.ledger.note(now, Event::RefusalsLeftOut { count: left_out })?,
        }
        self.ledger.note(now, event)
    }
}

fn not_fresh(error: ChallengeError) -> Denial {
    let detail = match error {
        ChallengeError::Unknown => "the nonce was not given out by this broker, or was used before",
        ChallengeError::Expired => "the nonce is more than 60 seconds old",
        ChallengeError::Full => return Denial::Busy("too many challenges were used at once"),
    };
    Refusal::new(Code::Nonce, detail).into()
}

impl Parsed {
    /// The event of a refusal; `None` where nothing was decided.
    fn refusal(&self, policy: Option<&ActivePolicy>, denial: &Denial) -> Option<Event> {
        let codes = match denial {
            Denial::Refused(refusal) => codes_of(refusal),
            Denial::Unauthenticated => vec!["REFUSED".to_owned()],
            Denial::Malformed(_) => vec!["PARSE".to_owned()],
            // Nothing was decided.
            Denial::Busy(_) | Denial::Failed(_) => return None,
        };
        let hash = policy.map_or([0; 32], |policy| policy.hash);
        Some(self.event(&hash, Decision::Refused, codes, None))
    }

    fn event(&self, policy: &[u8; 32], decision: Decision, codes: Vec<String>, lease: Option<&Lease>) -> Event {
        let caller = match EpochStatement::decode(&self.request.statement) {
            Ok(statement) => hex::encode(statement.instance_id),
            Err(_) => "unreadable".to_owned(),
        };
        let decided = Decided {
            caller,
            evidence: hex::encode(evidence_digest(&self.request.evidence)),
            policy: hex::encode(policy),
            models: self.body.models.iter().map(|model| hex::encode(model.model_id)).collect(),
            decision,
            codes,
            lease: lease.map(|lease| lease.lease_id.to_string()),
        };
        match self.purpose {
            Purpose::Renewal => Event::Renewal(decided),
            Purpose::Release | Purpose::Session => Event::Release(decided),
        }
    }
}

/// The code of the refusal and of every failed check, each once.
pub(crate) fn codes_of(refusal: &Refusal) -> Vec<String> {
    let failed = refusal.checks.iter().filter(|check| check.state == State::Fail).map(|check| check.code);
    let mut codes = Vec::new();
    for code in std::iter::once(refusal.code).chain(failed) {
        if !codes.iter().any(|known| known == code.as_str()) {
            codes.push(code.as_str().to_owned());
        }
    }
    codes
}

pub(crate) fn known_models(read: &impl Read, wanted: &[WantedModel]) -> Result<Vec<Option<KnownModel>>, StoreError> {
    wanted
        .iter()
        .map(|wanted| {
            let Some(record) = read.json::<ModelRecord>(Table::Models, &wanted.model_id)? else {
                return Ok(None);
            };
            let versions = read.json::<Versions>(Table::Versions, record.name.as_bytes())?;
            let versions = versions.ok_or_else(versions_missing)?;
            Ok(Some(KnownModel { record, released: versions.released }))
        })
        .collect()
}

fn known_lease(read: &impl Read, id: &LeaseId) -> Result<Option<(Lease, LeaseState)>, StoreError> {
    LeaseRecord::load(read, id)?.map(|record| Ok((record.lease()?, record.state))).transpose()
}

/// The leases of the instance that asks.
fn known_leases(read: &impl Read, statement: &EpochStatement) -> Result<Vec<(Lease, LeaseState)>, StoreError> {
    let records = records_of(read, &leases_of(read, &statement.instance_id)?)?;
    records.into_iter().map(|(_, record)| Ok((record.lease()?, record.state))).collect()
}
