//! The trust file (protocol.md A3): the one signed file that says what "yours" means. The
//! tenant's broker exports it; every client uses it unchanged.

use strongroom_attestation::{Policy, PolicyError, UnixTime};

use crate::cbor::{self, CborError, Fields, Value};
use crate::cose::{CoseError, SigningKey, VerifyingKey, media};
use crate::deployment::DeploymentId;
use crate::key_and_message::{self, EnvelopeError, KeyAndMessage};

/// Largest trust file that is read.
pub const MAX_TRUST_FILE: usize = 1 << 20;
/// Most entries of each list.
const MAX_LIST: usize = 1024;
/// Longest text other than the policy.
const MAX_TEXT: usize = 1024;
/// Longest policy.
const MAX_POLICY: usize = 256 * 1024;
/// The only version.
const VERSION: u64 = 1;

/// Whether a broker, and all that it signs, is for real. Fixed when the broker is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    /// Hardware evidence only: "prod".
    Production,
    /// Simulated evidence only: "dev".
    Development,
}

impl Environment {
    /// The name in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Environment::Production => "prod",
            Environment::Development => "dev",
        }
    }

    /// The environment of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Environment> {
        [Environment::Production, Environment::Development].into_iter().find(|environment| environment.as_str() == text)
    }
}

/// What a client holds an instance against.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustFile {
    /// 2: rises with every export; a client refuses one lower than it has seen.
    pub sequence: u64,
    /// 3: the deployment.
    pub deployment: DeploymentId,
    /// 4: for real, or for development.
    pub environment: Environment,
    /// 5: when it was exported.
    pub created: UnixTime,
    /// 6: its last second.
    pub not_after: UnixTime,
    /// 7: certificate of the CA for instances, DER. `None` where instances get their keys from a KBS,
    /// which certifies none and ends no lease: no client can then tell one of the tenant's machines from
    /// another that runs the same.
    pub instance_ca: Option<Vec<u8>>,
    /// 8: the broker's key, which signs leases and the log.
    pub broker_key: VerifyingKey,
    /// 9: requirements on the platform and its measurements.
    pub policy: Policy,
    /// 10: allowed configuration digests.
    pub config_digests: Vec<[u8; 32]>,
    /// 11: allowed logging profiles.
    pub logging: Vec<String>,
    /// 12: the models.
    pub models: Vec<TrustedModel>,
    /// 13: digests of plugins that may see requests.
    pub plugins: Vec<[u8; 32]>,
    /// 14: the least padding profile.
    pub padding: String,
    /// 15: the key of the transparency log, if there is one.
    pub log_key: Option<VerifyingKey>,
    /// 16: where instances may be found; hints, never trusted.
    pub hints: Vec<String>,
    /// 17: development roots, DER; only in a development file.
    pub development_anchors: Vec<Vec<u8>>,
}

/// A model that the deployment may serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedModel {
    /// The tenant's name for it.
    pub name: String,
    /// Its id: SHA-256 of the signed core, version included (A6).
    pub model_id: [u8; 32],
    /// The least version that is still served.
    pub least_version: u64,
}

/// Why a trust file is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustFileError {
    /// Not the form described in docs/specs/channel.md.
    #[error("not a trust file: {0}; get it again from the tenant")]
    Malformed(#[from] MalformedTrustFile),
    /// Signed by another root than the pinned one.
    #[error("the trust file is by root sha256:{}, pinned is sha256:{}; ask the tenant which one is right", hex::encode(.found), hex::encode(.pinned))]
    WrongRoot {
        /// The thumbprint that was pinned.
        pinned: [u8; 32],
        /// The thumbprint of the key in the file.
        found: [u8; 32],
    },
    /// The root's signature does not hold.
    #[error("the trust file's signature does not hold; get it again from the tenant")]
    Signature,
    /// Older than one that was seen before.
    #[error("the trust file has sequence {found}, and {seen} was seen before; get the current one from the tenant")]
    Older {
        /// The highest sequence seen.
        seen: u64,
        /// The sequence in the file.
        found: u64,
    },
    /// Past its end.
    #[error("the trust file ended at {at}; get a new one from the tenant")]
    Expired {
        /// Its last second.
        at: UnixTime,
    },
}

/// What is wrong with a file's form.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedTrustFile {
    /// Longer than [`MAX_TRUST_FILE`].
    #[error("longer than {MAX_TRUST_FILE} bytes")]
    TooLong,
    /// Not the deterministic CBOR of its fields.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// A key or the envelope of the signature.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// The policy is not one.
    #[error("policy: {0}")]
    Policy(#[from] PolicyError),
    /// A field has a value that no trust file has.
    #[error("field {field}: wanted {wanted}")]
    Value {
        /// The field's key.
        field: u64,
        /// What was wanted.
        wanted: &'static str,
    },
}

impl TrustFile {
    /// The file's bytes, signed by the tenant's root key.
    #[must_use]
    pub fn sign(&self, root: &SigningKey) -> Vec<u8> {
        key_and_message::sign(root, media::TRUST_FILE, &self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let policy = self.policy.to_toml();
        let broker_key = self.broker_key.to_bytes();
        let log_key = self.log_key.as_ref().map(VerifyingKey::to_bytes);
        let models = self.models.iter().map(|model| {
            Value::array([Value::Text(&model.name), Value::Bytes(&model.model_id), Value::Uint(model.least_version)])
        });
        Value::map([
            (1, Value::Uint(VERSION)),
            (2, Value::Uint(self.sequence)),
            (3, Value::Text(self.deployment.as_str())),
            (4, Value::Text(self.environment.as_str())),
            (5, Value::Uint(self.created.as_secs())),
            (6, Value::Uint(self.not_after.as_secs())),
            (7, Value::bytes_or_null(self.instance_ca.as_deref())),
            (8, Value::Bytes(&broker_key)),
            (9, Value::Text(&policy)),
            (10, Value::byte_strings(&self.config_digests)),
            (11, Value::array(self.logging.iter().map(|text| Value::Text(text)))),
            (12, Value::array(models)),
            (13, Value::byte_strings(&self.plugins)),
            (14, Value::Text(&self.padding)),
            (15, Value::bytes_or_null(log_key.as_ref().map(<[u8; 32]>::as_slice))),
            (16, Value::array(self.hints.iter().map(|text| Value::Text(text)))),
            (17, Value::byte_strings(&self.development_anchors)),
        ])
        .encode()
    }

    fn decode(payload: &[u8]) -> Result<TrustFile, MalformedTrustFile> {
        let mut fields = cbor::decode(payload)?.fields()?;
        if fields.require(1)?.uint()? != VERSION {
            return Err(value(1, "version 1"));
        }
        let policy = fields.require(9)?.text()?;
        if policy.len() > MAX_POLICY {
            return Err(value(9, "a policy of at most 256 KiB"));
        }
        let deployment = fields.require(3)?.text()?;
        let environment = fields.require(4)?.text()?;
        let file = TrustFile {
            sequence: fields.require(2)?.uint()?,
            deployment: DeploymentId::parse(deployment).map_err(|_| value(3, "a lower-case DNS label"))?,
            environment: Environment::parse(environment).ok_or(value(4, "prod or dev"))?,
            created: UnixTime::from_secs(fields.require(5)?.uint()?),
            not_after: UnixTime::from_secs(fields.require(6)?.uint()?),
            instance_ca: fields.require(7)?.nullable().map(Value::bytes).transpose()?.map(<[u8]>::to_vec),
            broker_key: VerifyingKey::from_bytes(&fields.require(8)?.fixed()?)?,
            policy: Policy::from_toml(policy)?,
            config_digests: list(&mut fields, 10)?.into_iter().map(Value::fixed).collect::<Result<_, _>>()?,
            logging: list(&mut fields, 11)?.into_iter().map(|item| short_text(11, item)).collect::<Result<_, _>>()?,
            models: list(&mut fields, 12)?.into_iter().map(trusted_model).collect::<Result<_, _>>()?,
            plugins: list(&mut fields, 13)?.into_iter().map(Value::fixed).collect::<Result<_, _>>()?,
            padding: short_text(14, fields.require(14)?)?,
            log_key: fields.require(15)?.nullable().map(verifying_key).transpose()?,
            hints: list(&mut fields, 16)?.into_iter().map(|item| short_text(16, item)).collect::<Result<_, _>>()?,
            development_anchors: list(&mut fields, 17)?
                .into_iter()
                .map(|item| item.bytes().map(<[u8]>::to_vec))
                .collect::<Result<_, _>>()?,
        };
        fields.finish()?;
        if file.environment == Environment::Production && !file.development_anchors.is_empty() {
            return Err(value(17, "no development anchors in a production file"));
        }
        if file.created > file.not_after {
            return Err(value(6, "an end after the creation"));
        }
        Ok(file)
    }
}

/// Reads and checks a trust file.
///
/// `pinned_root_thumbprint` is the SHA-256 of the root key that was pinned at first use
/// ([`root_thumbprint`]); `least_sequence` the highest sequence seen, or 0.
pub fn verify(
    bytes: &[u8],
    pinned_root_thumbprint: &[u8; 32],
    least_sequence: u64,
    now: UnixTime,
) -> Result<TrustFile, TrustFileError> {
    let envelope = envelope(bytes)?;
    let found = envelope.thumbprint();
    if found != *pinned_root_thumbprint {
        return Err(TrustFileError::WrongRoot { pinned: *pinned_root_thumbprint, found });
    }
    let root = VerifyingKey::from_bytes(&envelope.key).map_err(MalformedTrustFile::Cose)?;
    let payload = root.verify1(media::TRUST_FILE, envelope.message).map_err(|error| match error {
        CoseError::Signature => TrustFileError::Signature,
        other => MalformedTrustFile::Cose(other).into(),
    })?;
    let file = TrustFile::decode(&payload)?;
    if file.sequence < least_sequence {
        return Err(TrustFileError::Older { seen: least_sequence, found: file.sequence });
    }
    if now > file.not_after {
        return Err(TrustFileError::Expired { at: file.not_after });
    }
    Ok(file)
}

/// The thumbprint of the root key that a file names, to show at first use. Nothing is
/// checked: whoever pins it compares it with what the tenant says.
pub fn root_thumbprint(bytes: &[u8]) -> Result<[u8; 32], TrustFileError> {
    Ok(envelope(bytes)?.thumbprint())
}

fn envelope(bytes: &[u8]) -> Result<KeyAndMessage<'_>, MalformedTrustFile> {
    if bytes.len() > MAX_TRUST_FILE {
        return Err(MalformedTrustFile::TooLong);
    }
    Ok(KeyAndMessage::read(bytes)?)
}

fn list<'a>(fields: &mut Fields<'a>, field: u64) -> Result<Vec<Value<'a>>, MalformedTrustFile> {
    let items = fields.require(field)?.items()?;
    if items.len() > MAX_LIST { Err(value(field, "at most 1024 entries")) } else { Ok(items) }
}

fn short_text(field: u64, item: Value<'_>) -> Result<String, MalformedTrustFile> {
    let text = item.text()?;
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if (1..=MAX_TEXT).contains(&text.len()) && printable {
        Ok(text.to_owned())
    } else {
        Err(value(field, "texts of 1 to 1024 printable ASCII characters"))
    }
}

fn trusted_model(item: Value<'_>) -> Result<TrustedModel, MalformedTrustFile> {
    let [name, model_id, least_version] = item.items_exactly()?;
    Ok(TrustedModel { name: short_text(12, name)?, model_id: model_id.fixed()?, least_version: least_version.uint()? })
}

fn verifying_key(item: Value<'_>) -> Result<VerifyingKey, MalformedTrustFile> {
    Ok(VerifyingKey::from_bytes(&item.fixed()?)?)
}

fn value(field: u64, wanted: &'static str) -> MalformedTrustFile {
    MalformedTrustFile::Value { field, wanted }
}

impl From<EnvelopeError> for MalformedTrustFile {
    fn from(error: EnvelopeError) -> MalformedTrustFile {
        match error {
            EnvelopeError::Cbor(error) => MalformedTrustFile::Cbor(error),
            EnvelopeError::Field { field, wanted } => value(field, wanted),
        }
    }
}

impl From<CborError> for TrustFileError {
    fn from(error: CborError) -> TrustFileError {
        MalformedTrustFile::Cbor(error).into()
    }
}

#[cfg(test)]
mod tests;
