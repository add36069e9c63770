//! The release policy: typed TOML, deny by default, unknown fields are errors.
//!
//! ```toml
//! name = "bank-prod"
//! config_digests = ["<hex 32>"]        # what the instance's configuration must hash to
//! lease_seconds = 3600
//! offline_grant_seconds = 0
//! logging = ["none"]
//! padding = "bucket"                   # the least profile
//! kbs = false                          # also release over the CoCo KBS protocol: no lease, no revocation
//! plugins = ["<hex 32>"]               # allowed components; absent: none
//! [models]
//! "llama" = 3                          # least version by name; a name that is absent is not released
//! [[signers.models.llama]]             # who may have signed its files; absent: nobody is asked for
//! method = "key"                       # docs/specs/provenance.md, "Policy"
//! fingerprint = "<hex 32>"
//! [attestation]                        # docs/specs/evidence.md, "Policy"
//! measurements = ["<hex 48>"]          # must be there
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strongroom_attestation::{Policy, crypto};
use strongroom_channel::padding::Profile;
use strongroom_enclave_loader::provenance::SignerPolicy;
use strongroom_enclave_loader::release::MAX_LEASE_SECONDS;

/// A lease lasts an hour unless the policy says otherwise (protocol.md 2.3).
const DEFAULT_LEASE_SECONDS: u64 = 3600;

/// The longest name; it stands in the decision log.
const MAX_NAME_CHARS: usize = 128;

/// The largest policy that is read.
const MAX_POLICY_BYTES: usize = 256 * 1024;

/// What must hold before keys are released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasePolicy {
    /// A name for people.
    pub name: String,
    /// Allowed configuration digests (statement field 12.2).
    pub config_digests: Vec<Digest>,
    /// The longest lease that is granted, in seconds.
    #[serde(default = "default_lease")]
    pub lease_seconds: u64,
    /// How long an instance may serve without hearing from the broker; ten seconds at least.
    #[serde(default)]
    pub offline_grant_seconds: u64,
    /// Allowed logging profiles (statement field 12.8).
    #[serde(default = "default_logging")]
    pub logging: Vec<String>,
    /// The least padding profile (statement field 12.7).
    #[serde(default = "default_padding")]
    pub padding: String,
    /// Allowed plugin components by digest.
    #[serde(default)]
    pub plugins: Vec<Digest>,
    /// Also release over the CoCo KBS protocol, where no lease ends and nothing is revoked.
    #[serde(default)]
    pub kbs: bool,
    /// Who may have signed the files of which model, before it was sealed. Absent: nobody is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signers: Option<SignerPolicy>,
    /// Least version by model name. Only models named here are released.
    pub models: BTreeMap<String, u64>,
    /// What evidence must show.
    pub attestation: Policy,
}

/// A SHA-256 written in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(#[serde(with = "hex::serde")] pub [u8; 32]);

/// A policy in force: its text is what its hash names.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivePolicy {
    /// The rules.
    pub rules: ReleasePolicy,
    /// SHA-256 of the text as activated.
    pub hash: [u8; 32],
}

/// Why a text is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Not TOML, an unknown field, a missing one, or a value of the wrong shape.
    #[error("the policy cannot be read: {0}")]
    Text(String),
    /// Well-formed, and not a policy that can be meant.
    #[error("the policy's {field} is not as wanted: {wanted}")]
    Value {
        /// Which field.
        field: &'static str,
        /// What would be right.
        wanted: String,
    },
}

impl ActivePolicy {
    /// Reads a policy and checks what no type can.
    ///
    /// # Errors
    /// [`PolicyError`], naming the field and what would be right.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY_BYTES {
            return Err(PolicyError::Text(format!("it is longer than {MAX_POLICY_BYTES} bytes")));
        }
        let rules: ReleasePolicy = toml::from_str(text).map_err(|error| PolicyError::Text(error.to_string()))?;
        rules.check()?;
        Ok(Self { rules, hash: crypto::sha256(text.as_bytes()) })
    }
}

impl ReleasePolicy {
    fn check(&self) -> Result<(), PolicyError> {
        let wrong = |field, wanted: &str| Err(PolicyError::Value { field, wanted: wanted.to_owned() });
        if !(1..=MAX_NAME_CHARS).contains(&self.name.chars().count()) || self.name.chars().any(char::is_control) {
            return wrong("name", "1 to 128 printable characters");
        }
        if self.config_digests.is_empty() {
            return wrong("config_digests", "name at least one, or nothing can ever be released");
        }
        if self.models.is_empty() {
            return wrong("models", "name at least one, or nothing can ever be released");
        }
        if self.attestation.measurements.as_ref().is_none_or(Vec::is_empty) {
            return wrong(
                "attestation.measurements",
                "name the launch measurements; without them any image would get the keys",
            );
        }
        if self.lease_seconds == 0 || self.lease_seconds > MAX_LEASE_SECONDS {
            return wrong("lease_seconds", "1 to 86400");
        }
        if self.offline_grant_seconds > self.lease_seconds {
            return wrong("offline_grant_seconds", "at most lease_seconds");
        }
        if self.logging.is_empty() {
            return wrong("logging", "name at least one profile, such as \"none\"");
        }
        if Profile::from_id(&self.padding).is_none() {
            return wrong("padding", "one of \"off\", \"bucket\"");
        }
        // The attestation policy's own rules, which its type alone does not hold.
        Policy::from_toml(&self.attestation.to_toml())
            .map_err(|error| PolicyError::Value { field: "attestation", wanted: error.to_string() })?;
        Ok(())
    }
}

fn default_lease() -> u64 {
    DEFAULT_LEASE_SECONDS
}

fn default_logging() -> Vec<String> {
    vec!["none".to_owned()]
}

fn default_padding() -> String {
    "bucket".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        format!(
            "name = \"bank\"\nconfig_digests = [\"{}\"]\n[models]\n\"llama\" = 3\n[attestation]\nmeasurements = [\"{}\"]\n",
            "11".repeat(32),
            "22".repeat(48)
        )
    }

    #[test]
    fn what_is_not_said_has_its_strict_value() {
        let policy = ActivePolicy::from_toml(&text()).unwrap();
        assert_eq!(policy.hash, crypto::sha256(text().as_bytes()));
        let rules = policy.rules;
        assert_eq!((rules.lease_seconds, rules.offline_grant_seconds), (3600, 0));
        assert_eq!((rules.logging, rules.padding.as_str()), (vec!["none".to_owned()], "bucket"));
        assert!(rules.plugins.is_empty());
        assert!(rules.attestation.require_platform_identity);
    }

    #[test]
    fn a_policy_that_cannot_be_meant_is_refused_by_field() {
        let cases = [
            ("config_digests", text().replace(&format!("[\"{}\"]", "11".repeat(32)), "[]")),
            ("models", text().replace("\"llama\" = 3\n", "")),
            ("attestation.measurements", text().replace("measurements", "# measurements")),
            ("lease_seconds", format!("lease_seconds = 0\n{}", text())),
            ("lease_seconds", format!("lease_seconds = 86401\n{}", text())),
            ("offline_grant_seconds", format!("offline_grant_seconds = 3601\n{}", text())),
            ("padding", format!("padding = \"none\"\n{}", text())),
            // Clients do not know it: a trust file that names it would be refused.
            ("padding", format!("padding = \"cadence\"\n{}", text())),
            ("name", text().replace("\"bank\"", "\"\"")),
            ("name", text().replace("\"bank\"", &format!("\"{}\"", "x".repeat(129)))),
            ("name", text().replace("\"bank\"", "\"a\\nb\"")),
            ("logging", format!("logging = []\n{}", text())),
        ];
        for (wanted, text) in cases {
            match ActivePolicy::from_toml(&text) {
                Err(PolicyError::Value { field, .. }) => assert_eq!(field, wanted),
                other => panic!("{wanted}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_unknown_field_anywhere_and_a_short_digest_are_refused() {
        for text in [
            format!("lease_second = 5\n{}", text()),
            format!("{}measurement = 1\n", text()),
            text().replace(&"11".repeat(32), "11"),
        ] {
            assert!(matches!(ActivePolicy::from_toml(&text), Err(PolicyError::Text(_))), "{text}");
        }
    }
}
