//! The server's configuration, as written and as meant.
//!
//! `Config` is what the file and the flags mean together. Its digest goes into every
//! epoch statement (protocol.md A11), so nothing else may change what the server does: it
//! reads no environment variable, and an
//! unknown field is an error.

mod limits;
mod release;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strongroom_channel::{cose::VerifyingKey, deployment::DeploymentId, padding::Profile};

pub use limits::LimitsConfig;
pub(crate) use release::no_resource;
pub use release::{ClientConfig, ReleaseProtocol};

/// How long an epoch lasts by default, seconds (protocol.md 1.3).
const EPOCH_SECONDS: u64 = 900;
/// The longest epoch allowed, seconds.
const EPOCH_SECONDS_MAX: u64 = 3_600;
/// The lease that is asked for by default, seconds (protocol.md 2.3).
const LEASE_SECONDS: u64 = 3_600;
/// The longest lease, seconds (protocol.md 2.3).
const LEASE_SECONDS_MAX: u64 = 86_400;
/// Models of a server at most; a release request names them all.
const MODELS_MAX: usize = 16;
/// Plugins of a server at most; the statement names them all.
const PLUGINS_MAX: usize = 16;
/// Characters of a model's name at most; receipts carry it.
const NAME_MAX: usize = 128;
/// Streams that run at once by default.
const MAX_STREAMS: usize = 8;
/// Requests that may wait by default.
const QUEUE: usize = 32;
/// The longest that an answer may be allowed to take, seconds.
const ANSWER_SECONDS_MAX: u64 = 3_600;
/// How long running answers may go on by default, and at most, seconds.
pub(crate) const DRAIN_SECONDS: u64 = 20;
const DRAIN_SECONDS_MAX: u64 = 3_600;
/// Positions of a sequence, at least and at most.
const CONTEXT_MIN: usize = 16;
const CONTEXT_MAX: usize = 1 << 20;
/// MiB of keys and values at most.
const CACHE_MIB_MAX: usize = 1 << 20;
/// The likeliest tokens that may come with a log probability (protocol.md, threat 15).
const TOP_LOGPROBS_MAX: usize = 5;
/// Tokens of an answer when the request names no limit.
const DEFAULT_MAX_TOKENS: usize = 512;

/// The configuration as meant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The deployment that this server belongs to, a lower-case DNS label.
    pub deployment: String,
    /// Where to listen, `address:port`; port 0 takes a free one.
    pub listen: String,
    /// The tenant's broker.
    pub broker: BrokerConfig,
    /// The sealed models to serve.
    #[serde(rename = "model")]
    pub models: Vec<ModelConfig>,
    /// The GPUs that the machine has; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<GpusConfig>,
    /// The plugins, in the order in which they run.
    #[serde(rename = "plugin", default)]
    pub plugins: Vec<PluginConfig>,
    /// Who may send requests, where a KBS releases the keys: it has no way to say. A broker does.
    #[serde(rename = "client", default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<ClientConfig>,
    /// What each tenant may take; absent: as much as it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitsConfig>,
    /// How long an epoch lasts, seconds, 60 to 3600.
    #[serde(default = "epoch_seconds")]
    pub epoch_seconds: u64,
    /// The lease to ask for, seconds.
    #[serde(default = "lease_seconds")]
    pub lease_seconds: u64,
    /// The padding profile of answers: `bucket` or `off`.
    #[serde(default = "padding")]
    pub padding: String,
    /// What is logged of requests. Only `none` exists.
    #[serde(default = "logging")]
    pub logging: String,
    /// Which release protocol is spoken: `strongroom`, or `kbs` for CoCo KBS 0.4.0, which knows no lease, no
    /// heartbeat and no instance certificate.
    #[serde(default = "release")]
    pub release: String,
    /// Streams that run at once.
    #[serde(default = "max_streams")]
    pub max_streams: usize,
    /// Requests that may wait for a place.
    #[serde(default = "queue")]
    pub queue: usize,
    /// Tokens of an answer when the request names no limit.
    #[serde(default = "default_max_tokens")]
    pub default_max_tokens: usize,
    /// How long an answer may take, seconds, 1 to 3600. Absent: as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_seconds: Option<u64>,
    /// Gives log probabilities, with at most so many of the likeliest tokens, 0 to 5 (protocol.md, threat 15).
    /// Absent: none are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_top_logprobs: Option<usize>,
    /// Positions that a sequence may have, 16 to 1048576; a model trained for fewer keeps its own limit. Absent: 8192.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// MiB that keys and values of all sequences of a model may take, 1 to 1048576; there is always room for one
    /// whole context. Sequences beyond it wait, or are computed again. Absent: 2048.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_mib: Option<usize>,
    /// How keys and values are kept: `f16`, or `int8` in 0.53 of the memory, a little less exact. Absent: `f16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Refuse to start where memory can be swapped or dumped, or where weights cannot be locked into it.
    #[serde(default)]
    pub strict: bool,
    /// The Unix-domain socket for `strongroom admin`, in a folder of the server's own with mode 0700. Absent: there
    /// is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<PathBuf>,
    /// How long answers that run may go on when their model is unloaded or the server drains, seconds, 0 to 3600.
    /// Absent: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_seconds: Option<u64>,
    /// Threads that compute, for each model; 0 takes one a core.
    #[serde(default)]
    pub threads: usize,
}

/// The tenant's broker, as pinned by the measured configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// Base address, `http://` or `https://`.
    pub url: String,
    /// The broker's Ed25519 key, hex: its answers are believed under this key only. A KBS signs nothing
    /// and has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The NVIDIA devices of the machine: it does not start with more, fewer or others.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpusConfig {
    /// How many GPUs.
    pub count: u8,
    /// How many switches.
    #[serde(default)]
    pub switches: u8,
    /// A folder of NVIDIA's manifests, OCSP responses and revocation lists (`strongroom collateral export`):
    /// they are handed on with the evidence, and believed by nobody for being there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorsements: Option<PathBuf>,
    /// Refuse to start unless the devices measure what NVIDIA's manifests say.
    #[serde(default)]
    pub require_manifests: bool,
}

/// One sealed model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The name that requests use.
    pub name: String,
    /// The sealed model: its directory, or an address (`http://` or `https://`) that serves byte ranges.
    pub path: PathBuf,
    /// The publisher's Ed25519 key, hex: the manifest must be signed by it.
    pub publisher: String,
    /// When it is loaded: `at start`, or `on demand` of the operator (`strongroom admin load`).
    #[serde(default, skip_serializing_if = "Load::is_at_start")]
    pub load: Load,
    /// Where a KBS keeps its keys, `repository/type/tag`; `<name it was sealed with>/model-key/<version>`
    /// where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Sealed models that name this one as their base, in the order in which they are applied: an adapter, a
    /// tokenizer, a template.
    #[serde(rename = "update", default, skip_serializing_if = "Vec::is_empty")]
    pub updates: Vec<UpdateConfig>,
}

/// When a model is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Load {
    /// Before the server is ready.
    #[default]
    #[serde(rename = "at start")]
    AtStart,
    /// When the operator asks for it.
    #[serde(rename = "on demand")]
    OnDemand,
}

impl Load {
    fn is_at_start(&self) -> bool {
        *self == Self::AtStart
    }
}

/// One update of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateConfig {
    /// As of a model.
    pub path: PathBuf,
    /// As of a model.
    pub publisher: String,
    /// As of a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// A sealed model that is to be opened: a model, or an update of one.
pub(crate) struct SealedPart<'a> {
    pub(crate) path: &'a Path,
    publisher: &'a str,
    resource: Option<&'a str>,
}

/// One plugin.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginConfig {
    /// A name for people.
    pub name: String,
    /// The component's file.
    pub path: PathBuf,
    /// SHA-256 of the component, hex: another file is refused.
    pub digest: String,
}

/// Why a configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not the TOML that is wanted; the message names line and field.
    #[error("the configuration cannot be read: {0}")]
    Syntax(String),
    /// A value is outside what is allowed.
    #[error("configuration field `{field}`: {found} given, {wanted} wanted")]
    Value {
        /// The field's path.
        field: String,
        /// What would be right.
        wanted: String,
        /// What was given.
        found: String,
    },
}

impl Config {
    /// Parses and checks the TOML text of a configuration file.
    ///
    /// # Errors
    /// `ConfigError` naming the field, what was given and what is wanted.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self =
            toml::from_str(text).map_err(|e| ConfigError::Syntax(e.to_string().trim_end().to_owned()))?;
        config.checked()
    }

    /// Checks every value; flags of the command line are applied before this.
    ///
    /// # Errors
    /// As `from_toml`.
    pub fn checked(self) -> Result<Self, ConfigError> {
        self.deployment_id()?;
        self.protocol()?;
        self.credentials()?;
        self.budget_limits()?;
        want("logging", &self.logging, "\"none\"", self.logging == "none")?;
        want("padding", &self.padding, "\"bucket\" or \"off\"", Profile::from_id(&self.padding).is_some())?;
        let seconds = self.epoch_seconds;
        want("epoch_seconds", &seconds.to_string(), "60 to 3600", (60..=EPOCH_SECONDS_MAX).contains(&seconds))?;
        want("model", "none", "at least one", !self.models.is_empty())?;
        // The first lease and the instance's certificate come with what is loaded at start.
        let at_start = self.models.iter().any(|model| model.load == Load::AtStart);
        want("model.load", "\"on demand\" for all", "\"at start\" for at least one", at_start)?;
        let seconds = self.drain_seconds.unwrap_or_default();
        want("drain_seconds", &seconds.to_string(), "0 to 3600", seconds <= DRAIN_SECONDS_MAX)?;
        let parts = self.models.iter().flat_map(ModelConfig::parts).count();
        want("model", &parts.to_string(), "at most 16, updates included", parts <= MODELS_MAX)?;
        want("plugin", &self.plugins.len().to_string(), "at most 16", self.plugins.len() <= PLUGINS_MAX)?;
        let seconds = self.lease_seconds;
        want("lease_seconds", &seconds.to_string(), "60 to 86400", (60..=LEASE_SECONDS_MAX).contains(&seconds))?;
        want("default_max_tokens", "0", "at least 1", self.default_max_tokens > 0)?;
        let seconds = self.answer_seconds.unwrap_or(1);
        want("answer_seconds", &seconds.to_string(), "1 to 3600", (1..=ANSWER_SECONDS_MAX).contains(&seconds))?;
        let likeliest = self.max_top_logprobs.unwrap_or(0);
        want("max_top_logprobs", &likeliest.to_string(), "0 to 5", likeliest <= TOP_LOGPROBS_MAX)?;
        want("max_streams", &self.max_streams.to_string(), "1 to 256", (1..=256).contains(&self.max_streams))?;
        let context = self.context.unwrap_or(CONTEXT_MIN);
        want("context", &context.to_string(), "16 to 1048576", (CONTEXT_MIN..=CONTEXT_MAX).contains(&context))?;
        let mebibytes = self.cache_mib.unwrap_or(1);
        want("cache_mib", &mebibytes.to_string(), "1 to 1048576", (1..=CACHE_MIB_MAX).contains(&mebibytes))?;
        let cache = self.cache.as_deref().unwrap_or("f16");
        want("cache", cache, "\"f16\" or \"int8\"", matches!(cache, "f16" | "int8"))?;
        if let Some(gpus) = &self.gpus {
            want("gpus.count", &gpus.count.to_string(), "1 to 16", (1..=16).contains(&gpus.count))?;
            want("gpus.switches", &gpus.switches.to_string(), "0 to 4", gpus.switches <= 4)?;
        }
        for (i, model) in self.models.iter().enumerate() {
            let distinct = self.models.iter().filter(|other| other.name == model.name).count() == 1;
            want(&format!("model[{i}].name"), &model.name, "a name of its own", distinct)?;
            want(&format!("model[{i}].name"), &model.name, "1 to 128 visible ASCII characters", is_name(&model.name))?;
            for part in model.parts() {
                key(&format!("model[{i}].publisher"), part.publisher)?;
            }
        }
        for (i, plugin) in self.plugins.iter().enumerate() {
            plugin.digest_bytes(i)?;
        }
        Ok(self)
    }

    /// SHA-256 of the configuration as meant: of its JSON with all defaults filled in,
    /// fields in the order of the type.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        // A type of strings, numbers and lists always has a JSON form.
        let json = serde_json::to_vec(self).unwrap_or_default();
        Sha256::new().chain_update(b"strongroom/config/v1\0").chain_update(json).finalize().into()
    }

    /// The same with these models only: what a release asks for and loads.
    pub(crate) fn only(&self, wanted: impl Fn(&ModelConfig) -> bool) -> Self {
        let models = self.models.iter().filter(|model| wanted(model)).cloned().collect();
        Self { models, ..self.clone() }
    }

    /// The deployment's name, checked.
    ///
    /// # Errors
    /// When it is no lower-case DNS label.
    pub fn deployment_id(&self) -> Result<DeploymentId, ConfigError> {
        DeploymentId::parse(&self.deployment).map_err(|_| ConfigError::Value {
            field: "deployment".into(),
            wanted: "a lower-case DNS label such as \"bank-prod\"".into(),
            found: format!("{:?}", self.deployment),
        })
    }
}

impl ModelConfig {
    /// The model, then its updates.
    pub(crate) fn parts(&self) -> impl Iterator<Item = SealedPart<'_>> {
        let Self { path, publisher, resource, updates, .. } = self;
        let updates = updates.iter().map(|update| (&update.path, &update.publisher, &update.resource));
        std::iter::once((path, publisher, resource)).chain(updates).map(|(path, publisher, resource)| SealedPart {
            path,
            publisher,
            resource: resource.as_deref(),
        })
    }
}

impl SealedPart<'_> {
    /// The publisher's pinned key.
    ///
    /// # Errors
    /// When it is not 32 bytes of hex.
    pub(crate) fn publisher_key(&self) -> Result<VerifyingKey, ConfigError> {
        key("model.publisher", self.publisher)
    }
}

impl PluginConfig {
    /// The pinned digest.
    pub(crate) fn digest_bytes(&self, index: usize) -> Result<[u8; 32], ConfigError> {
        bytes32(&format!("plugin[{index}].digest"), &self.digest)
    }
}

/// What receipts and records can carry.
fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn key(field: &str, text: &str) -> Result<VerifyingKey, ConfigError> {
    let bytes = bytes32(field, text)?;
    VerifyingKey::from_bytes(&bytes).map_err(|_| ConfigError::Value {
        field: field.into(),
        wanted: "an Ed25519 public key".into(),
        found: text.into(),
    })
}

fn bytes32(field: &str, text: &str) -> Result<[u8; 32], ConfigError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| ConfigError::Value {
        field: field.into(),
        wanted: "64 hexadecimal digits".into(),
        found: format!("{text:?}"),
    })?;
    Ok(bytes)
}

fn want(field: &str, found: &str, wanted: &str, holds: bool) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError::Value { field: field.into(), wanted: wanted.into(), found: found.into() })
}

fn epoch_seconds() -> u64 {
    EPOCH_SECONDS
}
fn lease_seconds() -> u64 {
    LEASE_SECONDS
}
fn padding() -> String {
    "bucket".into()
}
fn logging() -> String {
    "none".into()
}
fn release() -> String {
    "strongroom".into()
}
fn max_streams() -> usize {
    MAX_STREAMS
}
fn queue() -> usize {
    QUEUE
}
fn default_max_tokens() -> usize {
    DEFAULT_MAX_TOKENS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        format!(
            "deployment = \"bank-prod\"\nlisten = \"127.0.0.1:0\"\n\
             [broker]\nurl = \"http://127.0.0.1:1\"\nkey = \"{key}\"\n\
             [[model]]\nname = \"m\"\npath = \"m.sealed\"\npublisher = \"{key}\"\n"
        )
    }

    #[test]
    fn the_digest_is_of_what_is_meant() {
        let plain = Config::from_toml(&text()).unwrap();
        let spelled = Config::from_toml(&format!("epoch_seconds = 900 # the default\n{}", text())).unwrap();
        assert_eq!(plain.digest(), spelled.digest());
        let other = Config::from_toml(&format!("epoch_seconds = 901\n{}", text())).unwrap();
        assert_ne!(plain.digest(), other.digest());
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = Config::from_toml(&format!("max_tokens = 1\n{}", text())).unwrap_err().to_string();
        assert!(error.contains("max_tokens"), "{error}");
    }

    #[test]
    fn values_out_of_range_say_what_is_wanted() {
        let error = Config::from_toml(&format!("epoch_seconds = 1\n{}", text())).unwrap_err();
        assert_eq!(error.to_string(), "configuration field `epoch_seconds`: 1 given, 60 to 3600 wanted");
        for (line, wanted) in
            [("context = 4", "16 to 1048576"), ("cache_mib = 0", "1 to 1048576"), ("cache = \"q4\"", "\"int8\"")]
        {
            let error = Config::from_toml(&format!("{line}\n{}", text())).unwrap_err().to_string();
            assert!(error.contains(wanted), "{line}: {error}");
        }
        let error = Config::from_toml(&text().replace("bank-prod", "Bank Prod")).unwrap_err().to_string();
        assert!(error.contains("lower-case DNS label"), "{error}");
    }
}
