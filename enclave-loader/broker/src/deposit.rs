//! Taking in a sealed model's keys, and the policy under which they leave again.

use std::path::Path;

use serde::Serialize;
use strongroom_attestation::crypto;
use strongroom_channel::cose::VerifyingKey;
use strongroom_enclave_loader::provenance::{Trust, verify_inside};
use strongroom_enclave_loader::{open_manifest, read_wrapped_keys};
use zeroize::Zeroizing;

use crate::broker::Broker;
use crate::error::{BrokerError, Denial};
use crate::issue::versions_missing;
use crate::log::Event;
use crate::policy::ActivePolicy;
use crate::records::{ModelRecord, Versions};
use crate::store::{Read, Table};

/// The text of the policy in force.
const POLICY: &[u8] = b"policy";

/// What a deposit took in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deposited {
    /// The model as recorded.
    pub model: ModelRecord,
    /// How many keys it has, one a sealing run.
    pub keys: usize,
}

impl Broker {
    /// Takes in the keys of the sealed model in `sealed_dir`, signed by `publisher`, and makes
    /// `policy` (TOML text) the policy in force when one is given.
    ///
    /// 1. the manifest is signed by that publisher, and its environment is the broker's;
    /// 2. the wrapped keys open with the deposit key, and match the commitments in the manifest;
    /// 3. the version is not lower than any known under the name, and one version is one artifact;
    /// 4. keys, record and policy are stored in one transaction with the log entries.
    ///
    /// # Errors
    /// [`BrokerError`]; nothing is changed then.
    pub fn deposit(
        &self,
        sealed_dir: &Path,
        publisher: &VerifyingKey,
        policy: Option<&str>,
    ) -> Result<Deposited, BrokerError> {
        self.deposit_signed(sealed_dir, publisher, policy, None)
    }

    /// The same for a model whose files somebody who is trusted must have signed before they were sealed
    /// (docs/specs/provenance.md). Who it was is kept, for the policy to judge at each release.
    ///
    /// # Errors
    /// As for [`deposit`](Self::deposit), and [`BrokerError::Provenance`].
    pub fn deposit_signed(
        &self,
        sealed_dir: &Path,
        publisher: &VerifyingKey,
        policy: Option<&str>,
        trust: Option<&Trust<'_>>,
    ) -> Result<Deposited, BrokerError> {
        let manifest = open_manifest(sealed_dir, publisher)?;
        let (wanted, found) = (self.identity.environment.as_str(), manifest.environment().as_str());
        if wanted != found {
            return Err(BrokerError::Environment { wanted, found });
        }
        let keys = self.keys.deposit.unwrap_keys(&read_wrapped_keys(sealed_dir)?)?;
        manifest.check_keys(&keys)?;
        let mut joined = Zeroizing::new(Vec::with_capacity(keys.len().saturating_mul(32)));
        for key in &keys {
            joined.extend_from_slice(key.expose_secret());
        }
        let signer = trust.map(|trust| {
            let model = open_manifest(sealed_dir, publisher)?.unlock(&keys)?;
            Ok::<_, BrokerError>(verify_inside(&model, trust)?.signer().clone())
        });
        let signer = signer.transpose()?;
        let policy = policy.map(|text| ActivePolicy::from_toml(text).map(|policy| (text, policy))).transpose()?;
        let now = self.now();
        let model = ModelRecord {
            model_id: manifest.model_id(),
            artifact_id: manifest.artifact_id(),
            name: manifest.name().to_owned(),
            version: manifest.version(),
            publisher: publisher.to_bytes(),
            deposited: now,
            signer,
        };
        self.ledger.transact(now, |transaction| {
            check_version(transaction, &model)?;
            transaction.put_json(Table::Models, &model.model_id, &model)?;
            transaction.put(Table::ModelKeys, &model.model_id, &joined)?;
            let mut versions: Versions = transaction.json(Table::Versions, model.name.as_bytes())?.unwrap_or_default();
            versions.deposited = versions.deposited.max(model.version);
            transaction.put_json(Table::Versions, model.name.as_bytes(), &versions)?;
            let mut events = vec![Event::ModelDeposited {
                model: hex::encode(model.model_id),
                name: model.name.clone(),
                version: model.version,
                publisher: hex::encode(model.publisher),
            }];
            if let Some((text, policy)) = &policy {
                transaction.put(Table::Meta, POLICY, text.as_bytes())?;
                events.push(activated(policy));
            }
            Ok::<_, BrokerError>(((), events))
        })?;
        Ok(Deposited { model, keys: keys.len() })
    }

    /// Puts a policy (TOML text) in force for every release and renewal from now on.
    ///
    /// # Errors
    /// [`BrokerError::Policy`] and others.
    pub fn activate_policy(&self, text: &str) -> Result<ActivePolicy, BrokerError> {
        let policy = ActivePolicy::from_toml(text)?;
        self.ledger.transact(self.now(), |transaction| {
            transaction.put(Table::Meta, POLICY, text.as_bytes())?;
            Ok::<_, BrokerError>(((), vec![activated(&policy)]))
        })?;
        Ok(policy)
    }

    /// The policy in force, if any is.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn active_policy(&self) -> Result<Option<ActivePolicy>, BrokerError> {
        policy_in(&self.ledger.view()?)
    }

    /// The deposited models.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn models(&self) -> Result<Vec<ModelRecord>, BrokerError> {
        Ok(self.ledger.view()?.all(Table::Models)?)
    }
}

/// The policy in force, as this snapshot or transaction sees it.
pub(crate) fn policy_in(read: &impl Read) -> Result<Option<ActivePolicy>, BrokerError> {
    let Some(bytes) = read.get(Table::Meta, POLICY)? else {
        return Ok(None);
    };
    let text =
        std::str::from_utf8(&bytes).map_err(|_| BrokerError::Value { what: "the stored policy", wanted: "text" })?;
    Ok(Some(ActivePolicy::from_toml(text)?))
}

/// Refuses to decide by a policy that was replaced while the evidence was verified. To be asked
/// first thing in the transaction of a decision.
pub(crate) fn still_in_force(read: &impl Read, policy: &ActivePolicy) -> Result<(), Denial> {
    let text = read.get(Table::Meta, POLICY)?;
    match text.is_some_and(|text| crypto::sha256(&text) == policy.hash) {
        true => Ok(()),
        false => Err(Denial::Busy("the policy changed; ask again")),
    }
}

fn activated(policy: &ActivePolicy) -> Event {
    Event::PolicyActivated { policy: hex::encode(policy.hash), name: policy.rules.name.clone() }
}

/// Refuses an older version than known, and a second artifact under a known version. The same
/// artifact again is fine: its keys may have been wrapped anew.
fn check_version(read: &impl Read, model: &ModelRecord) -> Result<(), BrokerError> {
    let Some(versions) = read.json::<Versions>(Table::Versions, model.name.as_bytes())? else {
        let models: Vec<ModelRecord> = read.all(Table::Models)?;
        return match models.iter().any(|known| known.name == model.name) {
            true => Err(versions_missing().into()),
            false => Ok(()),
        };
    };
    let known = versions.deposited.max(versions.released);
    let again = read.json::<ModelRecord>(Table::Models, &model.model_id)?.is_some();
    if model.version < known || (model.version == known && !again) {
        return Err(BrokerError::Rollback { name: model.name.clone(), known, found: model.version });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use strongroom_attestation::UnixTime;
    use strongroom_channel::deployment::DeploymentId;
    use strongroom_channel::trust_file::Environment;

    use super::*;
    use crate::broker::InitOptions;

    fn text(name: &str) -> String {
        format!(
            "name = \"{name}\"\nconfig_digests = [\"{}\"]\n[models]\nllama = 3\n[attestation]\nmeasurements = [\"{}\"]\n",
            "11".repeat(32),
            "22".repeat(48)
        )
    }

    fn broker(dir: &Path) -> Broker {
        let options = InitOptions {
            tenant: "bank".into(),
            deployment: DeploymentId::parse("bank-prod").unwrap(),
            environment: Environment::Production,
            kek_file: None,
            development_anchors: Vec::new(),
        };
        Broker::init(&dir.join("broker"), options).unwrap()
    }

    #[test]
    fn a_decision_by_a_policy_that_was_replaced_meanwhile_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let broker = broker(dir.path());
        let old = broker.activate_policy(&text("old")).unwrap();
        assert!(still_in_force(&broker.ledger.view().unwrap(), &old).is_ok());
        let new = broker.activate_policy(&text("new")).unwrap();
        let view = broker.ledger.view().unwrap();
        assert!(matches!(still_in_force(&view, &old), Err(Denial::Busy(_))));
        assert!(still_in_force(&view, &new).is_ok());
    }

    #[test]
    fn a_known_model_whose_versions_are_missing_is_an_error_and_no_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let broker = broker(dir.path());
        let model = ModelRecord {
            model_id: [1; 32],
            artifact_id: [2; 16],
            name: "llama".into(),
            version: 3,
            publisher: [3; 32],
            deposited: UnixTime::from_secs(0),
            signer: None,
        };
        let check = || check_version(&broker.ledger.view().unwrap(), &model);
        assert!(check().is_ok());
        let stored = broker.ledger.transact(model.deposited, |transaction| {
            transaction.put_json(Table::Models, &model.model_id, &model)?;
            Ok::<_, BrokerError>(((), vec![]))
        });
        stored.unwrap();
        assert!(matches!(check(), Err(BrokerError::Store(_))));
        let wanted = [strongroom_enclave_loader::release::WantedModel { model_id: [1; 32], version: 3 }];
        assert!(crate::release::known_models(&broker.ledger.view().unwrap(), &wanted).is_err());
    }
}
