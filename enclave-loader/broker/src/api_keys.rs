//! Client credentials (protocol.md A17): made here, shown once, known by their hashes ever after.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_attestation::crypto;
use strongroom_enclave_loader::release::{Credential, MAX_CREDENTIALS};
use zeroize::Zeroizing;

use crate::broker::{Broker, random};
use crate::error::BrokerError;
use crate::log::Event;
use crate::records::ApiKeyRecord;
use crate::store::{Read, StoreError, Table, Transaction};

/// How an API key begins, so that scanners for leaked secrets recognise it.
pub const API_KEY_PREFIX: &str = "sk-strongroom-";

/// Rises with every change, so that an instance hears of changes only.
const GENERATION: &[u8] = b"credential-generation";

/// A new API key. The secret is shown once and stored nowhere.
pub struct NewApiKey {
    /// The id by which it is listed and revoked.
    pub id: String,
    /// What the client presents. Not printable by accident.
    pub secret: Zeroizing<String>,
}

impl Broker {
    /// Makes an API key for requests of `tenant`.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn create_api_key(&self, tenant: &str) -> Result<NewApiKey, BrokerError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_@".contains(c);
        if tenant.is_empty() || tenant.len() > 64 || !tenant.chars().all(allowed) {
            return Err(BrokerError::Value { what: "tenant", wanted: "1 to 64 letters, digits and . - _ @" });
        }
        let bytes = Zeroizing::new(random::<32>()?);
        let secret = Zeroizing::new(format!("{API_KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice())));
        let id = format!("ak-{}", hex::encode(random::<8>()?));
        let now = self.now();
        self.ledger.transact(now, |transaction| {
            if in_force(transaction)?.len() >= MAX_CREDENTIALS {
                return Err(BrokerError::Value { what: "API keys", wanted: "at most 4096; revoke some first" });
            }
            let record = ApiKeyRecord {
                id: id.clone(),
                hash: crypto::sha256(secret.as_bytes()),
                tenant: tenant.to_owned(),
                created: now,
                revoked: None,
            };
            transaction.put_json(Table::ApiKeys, id.as_bytes(), &record)?;
            raise_generation(transaction)?;
            let event = Event::ApiKeyCreated { id: id.clone(), tenant: tenant.to_owned() };
            Ok(((), vec![event]))
        })?;
        Ok(NewApiKey { id, secret })
    }

    /// Every API key ever made, by id and hash.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn api_keys(&self) -> Result<Vec<ApiKeyRecord>, BrokerError> {
        Ok(self.ledger.view()?.all(Table::ApiKeys)?)
    }

    /// Takes an API key back; instances hear of it with their next heartbeat.
    ///
    /// # Errors
    /// [`BrokerError::Unknown`] and others.
    pub fn revoke_api_key(&self, id: &str) -> Result<(), BrokerError> {
        let now = self.now();
        self.ledger.transact(now, |transaction| {
            let unknown = || BrokerError::Unknown { what: "API key", id: id.to_owned() };
            let mut record: ApiKeyRecord = transaction.json(Table::ApiKeys, id.as_bytes())?.ok_or_else(unknown)?;
            if record.revoked.is_some() {
                return Ok(((), Vec::new()));
            }
            record.revoked = Some(now);
            transaction.put_json(Table::ApiKeys, id.as_bytes(), &record)?;
            raise_generation(transaction)?;
            Ok(((), vec![Event::ApiKeyRevoked { id: id.to_owned() }]))
        })
    }
}

/// The credentials in force, as instances get them.
pub(crate) fn in_force(read: &impl Read) -> Result<Vec<Credential>, StoreError> {
    let records: Vec<ApiKeyRecord> = read.all(Table::ApiKeys)?;
    let in_force = records.into_iter().filter(|record| record.revoked.is_none());
    Ok(in_force.map(|record| Credential { id: record.id, hash: record.hash, tenant: record.tenant }).collect())
}

/// The number of changes so far.
pub(crate) fn generation(read: &impl Read) -> Result<u64, StoreError> {
    Ok(read.json(Table::Meta, GENERATION)?.unwrap_or(0))
}

fn raise_generation(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let next = generation(transaction)?.saturating_add(1);
    transaction.put_json(Table::Meta, GENERATION, &next)
}
