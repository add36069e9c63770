//! Handing a model's keys to another KBS, which the tenant trusts with them.

use strongroom_enclave_loader::release::AnsweredModel;
use zeroize::Zeroizing;

use crate::broker::Broker;
use crate::deposit::policy_in;
use crate::error::BrokerError;
use crate::issue::model_keys;
use crate::log::Event;
use crate::records::ModelRecord;
use crate::store::{Read, Table};

impl Broker {
    /// The keys of a deposited model as the resource that a KBS serves (key-release.md section 9), in the
    /// clear: keep it in memory. The policy in force must release this model, at this version, over the
    /// KBS protocol; the log says that it left.
    ///
    /// # Errors
    /// [`BrokerError::Value`] where the policy does not say so, [`BrokerError::Unknown`] for a model that is
    /// not deposited, and others.
    pub fn kbs_resource_of(&self, name: &str, version: u64) -> Result<Zeroizing<Vec<u8>>, BrokerError> {
        let now = self.now();
        self.ledger.transact(now, |transaction| {
            let rules = policy_in(transaction)?.map(|policy| policy.rules);
            let released = rules.as_ref().filter(|rules| rules.kbs).and_then(|rules| rules.models.get(name));
            if released.is_none_or(|least| version < *least) {
                return Err(BrokerError::Value {
                    what: "keys for another KBS",
                    wanted: "a policy in force with kbs = true that releases this model at this version",
                });
            }
            let models: Vec<ModelRecord> = transaction.all(Table::Models)?;
            let found = models.into_iter().find(|model| model.name == name && model.version == version);
            let unknown = || BrokerError::Unknown { what: "model", id: format!("{name} version {version}") };
            let model = found.ok_or_else(unknown)?;
            let keys = model_keys(transaction, &model.model_id)?;
            let ModelRecord { model_id, artifact_id, .. } = model;
            let resource = AnsweredModel { model_id, artifact_id, version, keys }.to_bytes();
            Ok((resource, vec![Event::KeysPublished { model: hex::encode(model_id), name: name.to_owned(), version }]))
        })
    }
}
