//! One folder of `tests/vectors/simulated-*`, as the writer and the test see it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `expected.json`. Files are named relative to its folder.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// Name of the fault, or of the accepted variant.
    pub(crate) name: String,
    /// What is wrong with it, in one sentence.
    pub(crate) description: String,
    /// "accepted", or the code with which it must be refused.
    pub(crate) expected: String,
    /// The verifier's clock, seconds since the Unix epoch.
    pub(crate) now: u64,
    /// The report data that the verifier asked for, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) report_data: Option<String>,
    /// The nonce that the verifier asked for, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<String>,
    /// The development anchor, or several that are trusted together.
    pub(crate) anchor: OneOrMore,
    /// Files of evidence; absent: `report.bin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<Vec<String>>,
    /// Files of endorsements; absent: every `.der` in the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endorsements: Option<Vec<String>>,
    /// The policy, TOML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    /// Or the file that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy_file: Option<String>,
}

/// A name, or a list of names.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Where the vectors of a platform lie: `snp`, `tdx` or `azure`.
pub(crate) fn folder(platform: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/vectors/simulated-{platform}"))
}
