//! Resources: the keys of one model, granted by the same decision as everywhere.

use strongroom_attestation::{Class, DeviceSetClaims, UnixTime, Verdict};
use strongroom_enclave_loader::kbs::{MODEL_KEY, encrypt};
use strongroom_enclave_loader::release::WantedModel;

use super::error::KbsError;
use super::session::{AnyVerdict, Attested};
use crate::broker::Broker;
use crate::decide::{Ask, Rules, Subject, decide};
use crate::deposit::still_in_force;
use crate::error::{BrokerError, Denial};
use crate::issue::{keys_of, raise_released};
use crate::log::{Decided, Decision, Event};
use crate::policy::ActivePolicy;
use crate::records::ModelRecord;
use crate::release::{codes_of, known_models};
use crate::store::{Read, Table};

/// An attested session and its id.
pub(super) struct AttestedSession {
    id: String,
    attested: Attested,
}

impl Broker {
    /// The session that a token or a cookie names; a token that is there must be good.
    pub(super) fn kbs_session_of(
        &self,
        bearer: Option<&str>,
        cookie: Option<&str>,
    ) -> Result<AttestedSession, KbsError> {
        let now = self.now();
        let id = match (bearer, cookie) {
            (Some(token), _) => self.keys.token.verify(token, now),
            (None, cookie) => cookie.map(str::to_owned),
        };
        let id = id.ok_or_else(KbsError::token_not_found)?;
        let attested = self.kbs_sessions().get(&id, now).ok_or_else(KbsError::token_not_found)?;
        Ok(AttestedSession { id, attested })
    }

    /// `GET resource/<name>/model-key/<version>` for an attested session.
    pub(super) fn kbs_resource(
        &self,
        session: AttestedSession,
        name: &str,
        kind: &str,
        tag: &str,
    ) -> Result<String, KbsError> {
        let version: u64 = tag.parse().map_err(|_| KbsError::invalid_path())?;
        if kind != MODEL_KEY {
            return Err(KbsError::invalid_path());
        }
        let now = self.now();
        let policy = self.active_policy().map_err(Denial::from)?;
        let policy = policy.ok_or_else(|| KbsError::attestation("no policy is active"))?;
        if policy.hash != session.attested.policy {
            return Err(KbsError::attestation("the policy changed since the evidence was verified; attest again"));
        }
        let wanted = self.model_called(name, version)?;
        let AttestedSession { id, attested } = session;
        let key = attested.key.clone();
        let asked = Asked { id, evidence: attested.evidence, wanted, policy, now };
        let keys = match attested.verdict {
            AnyVerdict::Hardware(verdict) => self.grant_resource(verdict, attested.devices, &asked),
            AnyVerdict::Simulated(verdict) => self.grant_resource(verdict, attested.devices, &asked),
        };
        if let Err(Denial::Refused(refusal)) = &keys {
            self.ledger.note(now, asked.event(Decision::Refused, codes_of(refusal)))?;
        }
        let jwe = encrypt(&key, &keys?);
        Ok(jwe.ok_or(Denial::Failed(BrokerError::Randomness))?)
    }

    fn grant_resource<K: Class>(
        &self,
        verdict: Verdict<K>,
        devices: Option<DeviceSetClaims>,
        asked: &Asked,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, Denial> {
        self.ledger.transact(asked.now, |transaction| {
            still_in_force(transaction, &asked.policy)?;
            let wanted = [asked.wanted];
            let models = known_models(transaction, &wanted)?;
            let ask = Ask { models: &wanted, subject: Subject::Kbs, devices };
            let rules = Rules {
                deployment: &self.identity.deployment,
                policy: &asked.policy,
                models: &models,
                renewed: None,
                leases: &[],
                now: asked.now,
            };
            let granted = decide(verdict, &ask, &rules)?;
            raise_released(transaction, &granted)?;
            let keys = keys_of(transaction, &granted)?;
            let bytes = keys.first().map(strongroom_enclave_loader::release::AnsweredModel::to_bytes);
            let bytes = bytes.ok_or(Denial::Unauthenticated)?;
            Ok((bytes, vec![asked.event(Decision::Granted, Vec::new())]))
        })
    }

    /// The model of this name and version; zeros, which no model has, when there is none: the
    /// decision then refuses, and says why.
    fn model_called(&self, name: &str, version: u64) -> Result<WantedModel, KbsError> {
        let models: Vec<ModelRecord> = self.ledger.view()?.all(Table::Models)?;
        let found = models.into_iter().find(|model| model.name == name && model.version == version);
        Ok(WantedModel { model_id: found.map_or([0; 32], |model| model.model_id), version })
    }
}

/// One request for a resource.
struct Asked {
    id: String,
    evidence: [u8; 32],
    wanted: WantedModel,
    policy: ActivePolicy,
    now: UnixTime,
}

impl Asked {
    fn event(&self, decision: Decision, codes: Vec<String>) -> Event {
        Event::KbsResource(Decided {
            caller: self.id.clone(),
            evidence: hex::encode(self.evidence),
            policy: hex::encode(self.policy.hash),
            models: vec![hex::encode(self.wanted.model_id)],
            decision,
            codes,
            lease: None,
        })
    }
}
