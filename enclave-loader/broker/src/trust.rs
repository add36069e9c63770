//! Exporting the trust file (protocol.md A3): what "yours" means, for every client.

use strongroom_attestation::crypto;
use strongroom_channel::trust_file::{self, TrustFile, TrustedModel};

use crate::broker::Broker;
use crate::deposit::policy_in;
use crate::error::BrokerError;
use crate::log::Event;
use crate::policy::ReleasePolicy;
use crate::records::ModelRecord;
use crate::store::{Read, StoreError, Table};

/// The sequence number of the last export.
const SEQUENCE: &[u8] = b"trust-sequence";

/// The longest life of a trust file: a client that never hears of changes must stop some day.
const MAX_DAYS: u64 = 400;

/// How a trust file is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustOptions {
    /// How many days it is good for.
    pub valid_days: u64,
    /// Where instances may be found; hints, never trusted.
    pub hints: Vec<String>,
    /// For instances that get their keys over the KBS protocol: the file then names no CA, and clients take
    /// instances without certificate or lease. The policy in force must say `kbs = true`.
    pub kbs: bool,
}

impl Default for TrustOptions {
    fn default() -> Self {
        Self { valid_days: 30, hints: Vec::new(), kbs: false }
    }
}

impl Broker {
    /// Signs a new trust file with the next sequence number, from the policy in force and the
    /// deposited models.
    ///
    /// # Errors
    /// [`BrokerError`]; without a policy in force there is nothing to trust.
    pub fn export_trust(&self, options: &TrustOptions) -> Result<Vec<u8>, BrokerError> {
        if options.valid_days == 0 || options.valid_days > MAX_DAYS {
            return Err(BrokerError::Value { what: "valid days", wanted: "1 to 400" });
        }
        let now = self.now();
        self.ledger.transact(now, |transaction| {
            let rules = policy_in(transaction)?
                .map(|policy| policy.rules)
                .ok_or(BrokerError::Value { what: "trust export", wanted: "a policy in force; activate one first" })?;
            if options.kbs && !rules.kbs {
                return Err(BrokerError::Value {
                    what: "trust file for the KBS protocol",
                    wanted: "a policy in force that says kbs = true",
                });
            }
            let sequence = transaction.json::<u64>(Table::Meta, SEQUENCE)?.unwrap_or(0).saturating_add(1);
            transaction.put_json(Table::Meta, SEQUENCE, &sequence)?;
            let file = TrustFile {
                sequence,
                deployment: self.identity.deployment.clone(),
                environment: self.identity.environment,
                created: now,
                not_after: now.saturating_add_secs(options.valid_days.saturating_mul(24 * 60 * 60)),
                instance_ca: (!options.kbs).then(|| self.identity.instance_ca.clone()),
                broker_key: self.keys.broker.verifying_key(),
                policy: rules.attestation.clone(),
                config_digests: rules.config_digests.iter().map(|digest| digest.0).collect(),
                logging: rules.logging.clone(),
                models: trusted_models(transaction, &rules)?,
                plugins: rules.plugins.iter().map(|digest| digest.0).collect(),
                padding: rules.padding.clone(),
                log_key: Some(self.keys.broker.verifying_key()),
                hints: options.hints.clone(),
                development_anchors: self.identity.development_anchors.clone(),
            };
            let bytes = file.sign(&self.keys.root);
            // Clients are stricter than the fields' types: what they would refuse is not given out.
            trust_file::verify(&bytes, &self.trust_root(), sequence, now).map_err(|_| BrokerError::Value {
                what: "the trust file",
                wanted: "a policy and hints that clients accept (see docs/specs/channel.md)",
            })?;
            let digest = hex::encode(crypto::sha256(&bytes));
            Ok((bytes, vec![Event::TrustExported { sequence, digest }]))
        })
    }
}

/// The models that the policy releases: named in it, and not below its least version.
fn trusted_models(read: &impl Read, rules: &ReleasePolicy) -> Result<Vec<TrustedModel>, StoreError> {
    let records: Vec<ModelRecord> = read.all(Table::Models)?;
    let trusted = records.into_iter().filter_map(|record| {
        let least_version = *rules.models.get(&record.name)?;
        (record.version >= least_version).then_some(TrustedModel {
            name: record.name,
            model_id: record.model_id,
            least_version,
        })
    });
    Ok(trusted.collect())
}
