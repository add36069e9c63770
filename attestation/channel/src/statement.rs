//! The epoch statement (protocol.md 1.3, A1): what an instance says about itself for one
//! epoch, as deterministic CBOR whose bytes are hashed and never re-encoded.

use sha2::{Digest as _, Sha256};

use crate::cbor::{self, CborError, Fields, Value};
use crate::cose::{CoseError, VerifyingKey};
use crate::deployment::DeploymentId;

/// Largest statement that is read.
pub const MAX_STATEMENT: usize = 64 * 1024;
/// Longest life of a statement in seconds (field 7).
pub const MAX_LIFETIME: u64 = 3600;
/// Most models, and most plugins, that one instance names.
const MAX_LIST: usize = 64;
/// Longest image id and plugin id.
const MAX_NAME: usize = 128;
/// Longest key configuration list (field 8): some ten X-Wing configurations.
const MAX_KEY_CONFIGS: usize = 16 * 1024;
/// The only version.
const VERSION: u64 = 1;

/// What an instance says about itself for one epoch. The version is always 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochStatement {
    /// Field 3: the deployment it serves.
    pub deployment: DeploymentId,
    /// Field 4: random at boot.
    pub instance_id: [u8; 16],
    /// Field 5: starts at 1, one higher at every change of keys or state.
    pub epoch: u64,
    /// Field 6: Unix seconds by the guest's clock.
    pub issued_at: u64,
    /// Field 7: seconds, 1 to [`MAX_LIFETIME`].
    pub lifetime: u64,
    /// Field 8: the `application/ohttp-keys` list of this epoch (RFC 9458 section 3.2).
    pub key_configs: Vec<u8>,
    /// Field 9: SHA-256 of the TLS leaf's SubjectPublicKeyInfo, if it has one.
    pub tls_spki: Option<[u8; 32]>,
    /// Field 10: the instance's Ed25519 key.
    pub signing_key: VerifyingKey,
    /// Field 12: what it runs.
    pub workload: Workload,
    /// Field 14: see [`crate::device_digest`].
    pub device_digest: [u8; 32],
    /// Field 15: hash of the previous epoch's statement; zeros in epoch 1.
    pub previous: [u8; 32],
}

/// What an instance runs (field 12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// 1: a name of the image, for people; the launch measurement decides.
    pub image_id: Option<String>,
    /// 2: digest of the configuration as meant, flags included (A11).
    pub config_digest: [u8; 32],
    /// 3: ids of the models served (A6).
    pub models: Vec<[u8; 32]>,
    /// 4: the plugins that see requests.
    pub plugins: Vec<PluginEntry>,
    /// 5: SHA-256 of the release policy, once keys were released.
    pub policy_hash: Option<[u8; 32]>,
    /// 6: SHA-256 of the software bill of materials.
    pub sbom: Option<[u8; 32]>,
    /// 7: padding profile ("off", "bucket", "cadence").
    pub padding: String,
    /// 8: logging profile ("none", "metadata").
    pub logging: String,
    /// 9: the lease under which it serves.
    pub lease_id: Option<[u8; 16]>,
}

/// One plugin of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginEntry {
    /// Its name.
    pub id: String,
    /// SHA-256 of the component.
    pub digest: [u8; 32],
    /// SHA-256 of what it may reach.
    pub grants: [u8; 32],
}

/// Why bytes are not an epoch statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Longer than [`MAX_STATEMENT`].
    #[error("the statement is longer than {MAX_STATEMENT} bytes")]
    TooLong,
    /// Not the deterministic CBOR of a statement's fields.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Field 10 is not an Ed25519 key.
    #[error("statement field 10: {0}")]
    SigningKey(#[from] CoseError),
    /// A field is of the right type and has a value that no statement has.
    #[error("statement field {field}: {wanted}")]
    Value {
        /// The field, in words ("5", "12.7").
        field: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
}

impl EpochStatement {
    /// The deterministic encoding. An instance sends these bytes and hashes them; whoever
    /// reads them keeps the bytes and does not encode again.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let signing_key = self.signing_key.to_cose_key();
        Value::map([
            (1, Value::Uint(VERSION)),
            (3, Value::Text(self.deployment.as_str())),
            (4, Value::Bytes(&self.instance_id)),
            (5, Value::Uint(self.epoch)),
            (6, Value::Uint(self.issued_at)),
            (7, Value::Uint(self.lifetime)),
            (8, Value::Bytes(&self.key_configs)),
            (9, hash_or_null(self.tls_spki.as_ref())),
            (10, Value::Bytes(&signing_key)),
            (12, self.workload.value()),
            (14, Value::Bytes(&self.device_digest)),
            (15, Value::Bytes(&self.previous)),
        ])
        .encode()
    }

    /// Reads a statement strictly: one encoding, every field there, no unknown positive one
    /// (2, 11 and 13, which moved elsewhere, among them). Unknown negative keys are ignored.
    pub fn decode(bytes: &[u8]) -> Result<EpochStatement, StatementError> {
        if bytes.len() > MAX_STATEMENT {
            return Err(StatementError::TooLong);
        }
        let mut fields = cbor::decode(bytes)?.fields()?;
        if fields.require(1)?.uint()? != VERSION {
            return Err(StatementError::Value { field: "1", wanted: "version 1" });
        }
        let deployment = DeploymentId::parse(fields.require(3)?.text()?)
            .map_err(|_| StatementError::Value { field: "3", wanted: "a lower-case DNS label" })?;
        let statement = EpochStatement {
            deployment,
            instance_id: fields.require(4)?.fixed()?,
            epoch: fields.require(5)?.uint()?,
            issued_at: fields.require(6)?.uint()?,
            lifetime: fields.require(7)?.uint()?,
            key_configs: fields.require(8)?.bytes()?.to_vec(),
            tls_spki: fields.require(9)?.nullable().map(Value::fixed).transpose()?,
            signing_key: VerifyingKey::from_cose_key(fields.require(10)?.bytes()?)?,
            workload: Workload::read(fields.require(12)?.fields()?)?,
            device_digest: fields.require(14)?.fixed()?,
            previous: fields.require(15)?.fixed()?,
        };
        fields.finish()?;
        statement.check()?;
        Ok(statement)
    }

    /// Unix seconds at which the statement ends.
    #[must_use]
    pub fn expires(&self) -> u64 {
        self.issued_at.saturating_add(self.lifetime)
    }

    fn check(&self) -> Result<(), StatementError> {
        require(self.epoch >= 1, "5", "an epoch of 1 or more")?;
        require((1..=MAX_LIFETIME).contains(&self.lifetime), "7", "a lifetime of 1 to 3600 seconds")?;
        require(self.key_configs.len() <= MAX_KEY_CONFIGS, "8", "at most 16 KiB of key configurations")?;
        require(
            (self.epoch == 1) == (self.previous == [0; 32]),
            "15",
            "zeros in epoch 1, and the previous statement's hash after it",
        )
    }
}

/// SHA-256 of a statement's bytes: its name in receipts, in the inner header
/// `strongroom-statement`, and in the chain.
#[must_use]
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Workload {
    fn value(&self) -> Value<'_> {
        let plugins = self.plugins.iter().map(|plugin| {
            Value::array([Value::Text(&plugin.id), Value::Bytes(&plugin.digest), Value::Bytes(&plugin.grants)])
        });
        Value::map([
            (1, self.image_id.as_deref().map_or(Value::Null, Value::Text)),
            (2, Value::Bytes(&self.config_digest)),
            (3, Value::byte_strings(&self.models)),
            (4, Value::array(plugins)),
            (5, hash_or_null(self.policy_hash.as_ref())),
            (6, hash_or_null(self.sbom.as_ref())),
            (7, Value::Text(&self.padding)),
            (8, Value::Text(&self.logging)),
            (9, Value::bytes_or_null(self.lease_id.as_ref().map(<[u8; 16]>::as_slice))),
        ])
    }

    fn read(mut fields: Fields<'_>) -> Result<Workload, StatementError> {
        let models = fields.require(3)?;
        let plugins = fields.require(4)?;
        let workload = Workload {
            image_id: fields.require(1)?.nullable().map(Value::text).transpose()?.map(str::to_owned),
            config_digest: fields.require(2)?.fixed()?,
            models: models.items()?.into_iter().map(Value::fixed).collect::<Result<_, _>>()?,
            plugins: plugins.items()?.into_iter().map(PluginEntry::read).collect::<Result<_, _>>()?,
            policy_hash: fields.require(5)?.nullable().map(Value::fixed).transpose()?,
            sbom: fields.require(6)?.nullable().map(Value::fixed).transpose()?,
            padding: fields.require(7)?.text()?.to_owned(),
            logging: fields.require(8)?.text()?.to_owned(),
            lease_id: fields.require(9)?.nullable().map(Value::fixed).transpose()?,
        };
        fields.finish()?;
        workload.check()?;
        Ok(workload)
    }

    fn check(&self) -> Result<(), StatementError> {
        require(
            self.image_id.as_deref().is_none_or(is_name),
            "12.1",
            "a name of 1 to 128 printable ASCII characters, or null",
        )?;
        require(self.models.len() <= MAX_LIST, "12.3", "at most 64 models")?;
        require(self.plugins.len() <= MAX_LIST, "12.4", "at most 64 plugins")?;
        require(
            self.plugins.iter().all(|plugin| is_name(&plugin.id)),
            "12.4",
            "plugin ids of 1 to 128 printable ASCII characters",
        )?;
        require(is_name(&self.padding), "12.7", "the name of a padding profile")?;
        require(is_name(&self.logging), "12.8", "the name of a logging profile")
    }
}

impl PluginEntry {
    fn read(value: Value<'_>) -> Result<PluginEntry, CborError> {
        let [id, digest, grants] = value.items_exactly()?;
        Ok(PluginEntry { id: id.text()?.to_owned(), digest: digest.fixed()?, grants: grants.fixed()? })
    }
}

/// Printable, so that a name from outside can be shown on a terminal as it is.
fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

fn hash_or_null(hash: Option<&[u8; 32]>) -> Value<'_> {
    Value::bytes_or_null(hash.map(<[u8; 32]>::as_slice))
}

fn require(holds: bool, field: &'static str, wanted: &'static str) -> Result<(), StatementError> {
    if holds { Ok(()) } else { Err(StatementError::Value { field, wanted }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cose::SigningKey;

    fn statement() -> EpochStatement {
        EpochStatement {
            deployment: DeploymentId::parse("bank-prod").unwrap(),
            instance_id: [1; 16],
            epoch: 2,
            issued_at: 1_700_000_000,
            lifetime: 900,
            key_configs: vec![9; 40],
            tls_spki: None,
            signing_key: SigningKey::from_seed([3; 32]).verifying_key(),
            workload: Workload {
                image_id: Some("image 1".to_owned()),
                config_digest: [4; 32],
                models: vec![[5; 32]],
                plugins: vec![PluginEntry { id: "redact".to_owned(), digest: [6; 32], grants: [7; 32] }],
                policy_hash: Some([8; 32]),
                sbom: None,
                padding: "bucket".to_owned(),
                logging: "none".to_owned(),
                lease_id: Some([9; 16]),
            },
            device_digest: [10; 32],
            previous: [11; 32],
        }
    }

    /// The statement's bytes with entries of its map put in or replaced.
    fn with(entries: Vec<(Value<'_>, Value<'_>)>) -> Vec<u8> {
        let bytes = statement().encode();
        let Value::Map(mut all) = cbor::decode(&bytes).unwrap() else { unreachable!() };
        for (key, value) in entries {
            all.retain(|(found, _)| *found != key);
            all.push((key, value));
        }
        Value::Map(all).encode()
    }

    #[test]
    fn a_statement_comes_back() {
        let bytes = statement().encode();
        assert_eq!(EpochStatement::decode(&bytes), Ok(statement()));
        assert_eq!(hash(&bytes), <[u8; 32]>::from(Sha256::digest(&bytes)));
    }

    #[test]
    fn the_boot_statement_comes_back() {
        let mut boot = statement();
        (boot.epoch, boot.previous) = (1, [0; 32]);
        (boot.workload.lease_id, boot.workload.policy_hash, boot.workload.image_id) = (None, None, None);
        (boot.workload.models, boot.workload.plugins) = (Vec::new(), Vec::new());
        assert_eq!(EpochStatement::decode(&boot.encode()), Ok(boot));
    }

    #[test]
    fn fields_that_moved_elsewhere_are_refused() {
        for key in [2, 11, 13] {
            let bytes = with(vec![(Value::Uint(key), Value::Bytes(&[0; 32]))]);
            assert_eq!(EpochStatement::decode(&bytes), Err(CborError::UnknownField { key }.into()));
        }
    }

    #[test]
    fn unknown_positive_keys_are_refused_and_negative_ones_ignored() {
        let bytes = with(vec![(Value::Uint(16), Value::Null)]);
        assert_eq!(EpochStatement::decode(&bytes), Err(CborError::UnknownField { key: 16 }.into()));
        let bytes = with(vec![(Value::Negative(5), Value::Text("extension"))]);
        assert_eq!(EpochStatement::decode(&bytes), Ok(statement()));
        assert_ne!(hash(&bytes), hash(&statement().encode()));
    }

    #[test]
    fn every_field_must_be_there() {
        let bytes = statement().encode();
        for key in [1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15] {
            let Value::Map(mut entries) = cbor::decode(&bytes).unwrap() else { unreachable!() };
            entries.retain(|(found, _)| *found != Value::Uint(key));
            assert_eq!(EpochStatement::decode(&Value::Map(entries).encode()), Err(CborError::Missing { key }.into()));
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let refused = |key, value| {
            matches!(EpochStatement::decode(&with(vec![(Value::Uint(key), value)])), Err(StatementError::Value { .. }))
        };
        assert!(refused(1, Value::Uint(2)));
        assert!(refused(3, Value::Text("Bank")));
        assert!(refused(5, Value::Uint(0)));
        assert!(refused(5, Value::Uint(1)), "epoch 1 with a predecessor");
        assert!(refused(7, Value::Uint(0)));
        assert!(refused(7, Value::Uint(3601)));
        assert!(refused(15, Value::Bytes(&[0; 32])), "epoch 2 without a predecessor");
        assert!(refused(8, Value::Bytes(&[0; MAX_KEY_CONFIGS + 1])));
        let key = [0; 3];
        assert_eq!(
            EpochStatement::decode(&with(vec![(Value::Uint(10), Value::Bytes(&key))])),
            Err(CoseError::Key.into())
        );
    }

    #[test]
    fn names_that_could_move_a_terminal_are_refused() {
        let mut hostile = statement();
        hostile.workload.padding = "bucket\u{1b}[2J".to_owned();
        assert!(matches!(EpochStatement::decode(&hostile.encode()), Err(StatementError::Value { field: "12.7", .. })));
        let mut hostile = statement();
        hostile.workload.plugins[0].id = "a\nb".to_owned();
        assert!(matches!(EpochStatement::decode(&hostile.encode()), Err(StatementError::Value { field: "12.4", .. })));
    }

    #[test]
    fn an_oversized_statement_is_refused_unread() {
        assert_eq!(EpochStatement::decode(&vec![0; MAX_STATEMENT + 1]), Err(StatementError::TooLong));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_another_statement_or_none(position in any::<prop::sample::Index>(), bit in 0u8..8) {
            let good = statement().encode();
            let mut bytes = good.clone();
            let at = position.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = EpochStatement::decode(&bytes) {
                prop_assert_ne!(other, statement());
            }
        }

        #[test]
        fn whatever_is_read_is_written_back(epoch in 2u64.., issued_at in any::<u64>(), lifetime in 1u64..=3600, models in proptest::collection::vec(any::<[u8; 32]>(), 0..5), sbom in any::<Option<[u8; 32]>>()) {
            let mut some = statement();
            (some.epoch, some.issued_at, some.lifetime) = (epoch, issued_at, lifetime);
            (some.workload.models, some.workload.sbom) = (models, sbom);
            prop_assert_eq!(EpochStatement::decode(&some.encode()), Ok(some));
        }
    }
}
