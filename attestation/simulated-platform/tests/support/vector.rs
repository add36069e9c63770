//! One folder of `tests/vectors/simulated-snp`, as the writer and the test see it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `expected.json`.
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
    pub(crate) report_data: String,
    /// The development anchor, relative to this folder.
    pub(crate) anchor: String,
    /// The policy, TOML.
    pub(crate) policy: String,
}

/// Where the vectors lie.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/simulated-snp")
}
