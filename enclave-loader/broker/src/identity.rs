//! Who a broker is: its tenant, deployment and environment, fixed when it is made, and its keys.

use serde::{Deserialize, Serialize};
use strongroom_attestation::UnixTime;
use strongroom_channel::cose::SigningKey;
use strongroom_channel::deployment::DeploymentId;
use strongroom_channel::trust_file::Environment;
use strongroom_enclave_loader::DepositKeyPair;
use zeroize::Zeroizing;

use crate::error::BrokerError;
use crate::kbs::TokenKey;
use crate::store::{Read, StoreError, Table, Transaction};

const IDENTITY: &[u8] = b"identity";

/// The names of the private keys in the store.
const ROOT: &[u8] = b"root";
const BROKER: &[u8] = b"broker";
const INSTANCE_CA: &[u8] = b"instance-ca";
const DEPOSIT: &[u8] = b"deposit";
const TOKEN: &[u8] = b"kbs-token";

/// What a broker is for ever.
pub(crate) struct Identity {
    pub(crate) tenant: String,
    pub(crate) deployment: DeploymentId,
    pub(crate) environment: Environment,
    /// The development vendors' roots, only in a development broker.
    pub(crate) development_anchors: Vec<Vec<u8>>,
    /// The certificate of the instance CA, DER.
    pub(crate) instance_ca: Vec<u8>,
    /// SHA-256 of the admin token.
    pub(crate) admin_token: [u8; 32],
}

/// The same, as stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityRecord {
    version: u32,
    tenant: String,
    deployment: String,
    environment: String,
    created: UnixTime,
    /// The first root, or nothing.
    #[serde(with = "hex::serde")]
    development_anchor: Vec<u8>,
    /// The others, hexadecimal. Brokers that were made before there could be several lack it.
    #[serde(default)]
    more_development_anchors: Vec<String>,
    #[serde(with = "hex::serde")]
    instance_ca: Vec<u8>,
    #[serde(with = "hex::serde")]
    admin_token: [u8; 32],
}

/// The broker's private keys: several, because each speaks to somebody else.
pub(crate) struct Keys {
    /// Signs trust files; clients pin it.
    pub(crate) root: SigningKey,
    /// Signs answers, leases and the log's head; instances pin it.
    pub(crate) broker: SigningKey,
    /// Signs instance certificates.
    pub(crate) instance_ca: SigningKey,
    /// Models are sealed to it.
    pub(crate) deposit: DepositKeyPair,
    /// Signs the tokens of the CoCo KBS protocol.
    pub(crate) token: TokenKey,
}

impl Identity {
    pub(crate) fn save(&self, transaction: &Transaction<'_>, created: UnixTime) -> Result<(), StoreError> {
        let record = IdentityRecord {
            version: 1,
            tenant: self.tenant.clone(),
            deployment: self.deployment.to_string(),
            environment: self.environment.as_str().to_owned(),
            created,
            development_anchor: self.development_anchors.first().cloned().unwrap_or_default(),
            more_development_anchors: self.development_anchors.iter().skip(1).map(hex::encode).collect(),
            instance_ca: self.instance_ca.clone(),
            admin_token: self.admin_token,
        };
        transaction.put_json(Table::Meta, IDENTITY, &record)
    }

    pub(crate) fn load(read: &impl Read) -> Result<Self, StoreError> {
        let broken = || StoreError::Value { table: "meta" };
        let record: IdentityRecord = read.json(Table::Meta, IDENTITY)?.ok_or_else(broken)?;
        if record.version != 1 {
            return Err(broken());
        }
        let mut development_anchors = Vec::new();
        if !record.development_anchor.is_empty() {
            development_anchors.push(record.development_anchor);
        }
        for digits in record.more_development_anchors {
            development_anchors.push(hex::decode(digits).map_err(|_| broken())?);
        }
        Ok(Self {
            tenant: record.tenant,
            deployment: DeploymentId::parse(&record.deployment).map_err(|_| broken())?,
            environment: Environment::parse(&record.environment).ok_or_else(broken)?,
            development_anchors,
            instance_ca: record.instance_ca,
            admin_token: record.admin_token,
        })
    }
}

impl Keys {
    pub(crate) fn generate() -> Result<Self, BrokerError> {
        Ok(Self {
            root: SigningKey::generate(),
            broker: SigningKey::generate(),
            instance_ca: SigningKey::generate(),
            deposit: DepositKeyPair::generate().map_err(|_| BrokerError::Randomness)?,
            token: TokenKey::generate()?,
        })
    }

    pub(crate) fn save(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        transaction.put(Table::Keys, ROOT, self.root.seed().as_slice())?;
        transaction.put(Table::Keys, BROKER, self.broker.seed().as_slice())?;
        transaction.put(Table::Keys, INSTANCE_CA, self.instance_ca.seed().as_slice())?;
        transaction.put(Table::Keys, DEPOSIT, self.deposit.expose_secret())?;
        transaction.put(Table::Keys, TOKEN, self.token.expose_pkcs8())
    }

    pub(crate) fn load(read: &impl Read) -> Result<Self, StoreError> {
        let broken = || StoreError::Value { table: "keys" };
        let seed = |name: &[u8]| -> Result<Zeroizing<[u8; 32]>, StoreError> {
            let bytes = read.get(Table::Keys, name)?.ok_or_else(broken)?;
            Ok(Zeroizing::new(bytes.as_slice().try_into().map_err(|_| broken())?))
        };
        let signing = |name: &[u8]| seed(name).map(|seed| SigningKey::from_seed(*seed));
        Ok(Self {
            root: signing(ROOT)?,
            broker: signing(BROKER)?,
            instance_ca: signing(INSTANCE_CA)?,
            deposit: DepositKeyPair::from_secret(seed(DEPOSIT)?).map_err(|_| broken())?,
            token: TokenKey::from_pkcs8(read.get(Table::Keys, TOKEN)?.ok_or_else(broken)?).ok_or_else(broken)?,
        })
    }
}
