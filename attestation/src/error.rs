//! Why something was refused: stable codes, numbered checks, and the refusal itself.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A stranger's text as it may be shown: at most `most` characters, control characters replaced.
pub(crate) fn shown(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// What was at stake in a check. The text form ([`Code::as_str`]) is stable: it is printed, sent
/// and logged, and programs decide on it.
///
/// The order of the variants is the order in which a relying party checks
/// (docs/specs/evidence.md, "Codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The bytes are not what they claim to be: wrong size, version, or a reserved byte set.
    Parse,
    /// A weaker profile or suite than the verifier allows was chosen.
    Downgrade,
    /// The verifier's nonce is not under the signed root.
    Nonce,
    /// No certificate for the key that signed the evidence was supplied.
    NoEndorsement,
    /// The certificates do not lead to a pinned vendor root, or are not for this evidence.
    Chain,
    /// A signature does not verify.
    Signature,
    /// A certificate of the chain is revoked.
    Revoked,
    /// A certificate or revocation list is outside its dates.
    CollateralExpired,
    /// The report data is not the value that was asked for.
    ReportData,
    /// The evidence is of a simulated platform and that was not accepted explicitly.
    Simulated,
    /// The guest may be debugged by its host.
    Debug,
    /// The guest may be migrated by a migration agent.
    Migratable,
    /// The report speaks for a privilege level that the policy does not expect.
    Vmpl,
    /// The platform's firmware is older than the policy's minimum.
    Tcb,
    /// The platform (product, chip, provider, setting) is not one that the policy allows.
    PlatformNotAllowed,
    /// The launch measurement is not one that the policy names.
    Measurement,
    /// The host data is not one that the policy names.
    HostData,
    /// The event log does not replay to the measured registers.
    EventLog,
    /// The evidence is of another deployment.
    Deployment,
    /// The statement is older than allowed.
    Stale,
    /// Two different histories of one instance were seen.
    Fork,
    /// The instance certificate is missing, foreign, or does not equal the evidence.
    InstanceCert,
    /// The workload is not one that the policy allows.
    Policy,
    /// The release is not in the transparency log.
    Transparency,
}

/// Every code with its text and its advice, in order of checking.
const CODES: &[(Code, &str, &str)] = &[
    (Code::Parse, "PARSE", "Collect the evidence again and pass it on byte for byte."),
    (Code::Downgrade, "DOWNGRADE", "Ask for a profile and suite that this verifier supports."),
    (Code::Nonce, "NONCE", "Ask again with a fresh nonce; the answer was not made for this request."),
    (Code::NoEndorsement, "NO_ENDORSEMENT", "Supply the vendor's certificate for the key that signed the evidence."),
    (
        Code::Chain,
        "CHAIN",
        "Fetch the endorsement certificates of exactly this chip and firmware again from the vendor.",
    ),
    (Code::Signature, "SIGNATURE", "Do not trust this evidence; collect it again from the machine itself."),
    (
        Code::Revoked,
        "REVOKED",
        "Supply the vendor's current revocation list; where it names a certificate of this platform, do not use the platform.",
    ),
    (
        Code::CollateralExpired,
        "COLLATERAL_EXPIRED",
        "Fetch current certificates and revocation lists, and check this machine's clock.",
    ),
    (Code::ReportData, "REPORT_DATA", "Do not talk to this peer; the evidence is not bound to this conversation."),
    (
        Code::Simulated,
        "SIMULATED",
        "This is a simulated platform that protects nothing; accept it explicitly for development only.",
    ),
    (Code::Debug, "DEBUG", "Start the guest without the debug bit in its policy."),
    (Code::Migratable, "MIGRATABLE", "Start the guest without a migration agent."),
    (Code::Vmpl, "VMPL", "Ask for the report at a privilege level that the policy allows, or change the policy."),
    (Code::Tcb, "TCB", "Update the platform's firmware and commit it, or lower the minimum knowingly."),
    (
        Code::PlatformNotAllowed,
        "PLATFORM_NOT_ALLOWED",
        "Use a platform that the policy allows, or add this one to the policy knowingly.",
    ),
    (
        Code::Measurement,
        "MEASUREMENT",
        "Start an image whose launch measurement the policy names, or add this one after reviewing it.",
    ),
    (
        Code::HostData,
        "HOST_DATA",
        "Start the guest with the configuration that the policy names, or add this one after reviewing it.",
    ),
    (Code::EventLog, "EVENT_LOG", "Collect the event log and the evidence again in one boot."),
    (Code::Deployment, "DEPLOYMENT", "Check the address and the trust file: this is another deployment."),
    (Code::Stale, "STALE", "Ask for fresh evidence."),
    (Code::Fork, "FORK", "Stop using this instance and tell its owner: it was cloned or rolled back."),
    (
        Code::InstanceCert,
        "INSTANCE_CERT",
        "Ask the tenant whether this instance is theirs; without its certificate it may be a diversion.",
    ),
    (Code::Policy, "POLICY", "Change the workload or the policy so that they agree."),
    (Code::Transparency, "TRANSPARENCY", "Use a release that is in the transparency log."),
];

impl Code {
    /// The stable text of this code, for example `"NO_ENDORSEMENT"`.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// What to do next, in one sentence.
    pub fn advice(self) -> &'static str {
        self.row().2
    }

    /// The exit status of a command that ends with this code: 4 for malformed input, else 3
    /// (refused).
    pub fn exit_code(self) -> u8 {
        if self == Code::Parse { 4 } else { 3 }
    }

    /// The code with this text, if there is one.
    pub fn from_text(text: &str) -> Option<Code> {
        CODES.iter().find(|row| row.1 == text).map(|row| row.0)
    }

    fn row(self) -> &'static (Code, &'static str, &'static str) {
        // The table lists every variant (a test holds this); were one missing, the answer is still
        // a refusal.
        CODES.iter().find(|row| row.0 == self).unwrap_or(&(Code::Policy, "POLICY", ""))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Code::from_text(&text).ok_or_else(|| de::Error::custom(format!("\"{text}\" is not a known code")))
    }
}

/// How a check ended. A skip is visible and never counts as a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// What was wanted was found.
    Pass,
    /// It was not.
    Fail,
    /// Nothing was compared, and the check says why.
    Skip,
}

/// One numbered step of a verification: what was wanted, what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What a failure of this check means.
    pub code: Code,
    /// What is checked, in a few words.
    pub title: String,
    /// What would have passed.
    pub wanted: String,
    /// What was there.
    pub found: String,
    /// How it ended.
    pub state: State,
}

impl Check {
    /// What was found where an endorsement was wanted and nobody had given one.
    pub const NONE_SUPPLIED: &'static str = "none was supplied";
    /// What was found where a revocation list has an authority's name and not its signature.
    pub const FOREIGN_LIST: &'static str = "one with its name that it did not sign";

    /// A stable name for programs, from the title: lower-case words with hyphens between them.
    pub fn id(&self) -> String {
        let words = self.title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
    }

    /// A check that passed.
    pub fn pass(code: Code, title: impl Into<String>, wanted: impl Into<String>, found: impl Into<String>) -> Check {
        Check::new(State::Pass, code, title.into(), wanted.into(), found.into())
    }

    /// A check that failed.
    pub fn fail(code: Code, title: impl Into<String>, wanted: impl Into<String>, found: impl Into<String>) -> Check {
        Check::new(State::Fail, code, title.into(), wanted.into(), found.into())
    }

    /// A check that compared nothing; `wanted` says why.
    pub fn skip(code: Code, title: impl Into<String>, wanted: impl Into<String>, found: impl Into<String>) -> Check {
        Check::new(State::Skip, code, title.into(), wanted.into(), found.into())
    }

    /// A check that passes exactly when `holds`.
    pub fn when(
        holds: bool,
        code: Code,
        title: impl Into<String>,
        wanted: impl Into<String>,
        found: impl Into<String>,
    ) -> Check {
        let state = if holds { State::Pass } else { State::Fail };
        Check::new(state, code, title.into(), wanted.into(), found.into())
    }

    fn new(state: State, code: Code, title: String, wanted: String, found: String) -> Check {
        Check { code, title, wanted, found, state }
    }
}

/// The answer "no": the first reason in order of checking, and every check done so far.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// The first reason.
    pub code: Code,
    /// The first reason in words: what failed, what was wanted.
    pub detail: String,
    /// The checks done, in order; empty when the refusal came before the first.
    pub checks: Vec<Check>,
}

impl Refusal {
    /// A refusal without a list of checks.
    pub fn new(code: Code, detail: impl Into<String>) -> Refusal {
        Refusal { code, detail: detail.into(), checks: Vec::new() }
    }

    /// The same refusal, with what it is about in front of its words.
    pub(crate) fn about(mut self, what: &str) -> Refusal {
        self.detail = format!("{what}: {}", self.detail);
        self
    }

    /// The refusal that these checks amount to: the first failure's, if there is one.
    pub fn from_checks(checks: Vec<Check>) -> Option<Refusal> {
        let first = checks.iter().find(|check| check.state == State::Fail)?;
        let detail = format!("{}: wanted {}, found {}", first.title, first.wanted, first.found);
        Some(Refusal { code: first.code, detail, checks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_code_in_its_place() {
        for (index, row) in CODES.iter().enumerate() {
            assert_eq!(row.0 as usize, index, "{}", row.1);
            assert_eq!(Code::from_text(row.0.as_str()), Some(row.0));
            assert!(row.0.advice().ends_with('.'), "{}", row.1);
        }
        assert_eq!(Code::Transparency as usize, CODES.len() - 1);
    }

    #[test]
    fn codes_travel_as_their_text() {
        let json = serde_json::to_string(&Check::fail(Code::NoEndorsement, "a", "b", "c")).unwrap();
        assert!(json.contains("\"NO_ENDORSEMENT\"") && json.contains("\"fail\""), "{json}");
        let back: Check = serde_json::from_str(&json).unwrap();
        assert_eq!(back.code, Code::NoEndorsement);
        assert!(serde_json::from_str::<Code>("\"NOT_A_CODE\"").is_err());
    }

    #[test]
    fn exit_status_separates_malformed_from_refused() {
        assert_eq!(Code::Parse.exit_code(), 4);
        assert_eq!(Code::Signature.exit_code(), 3);
    }

    #[test]
    fn a_refusal_names_the_first_failure() {
        let checks = vec![
            Check::pass(Code::Parse, "structure", "x", "x"),
            Check::fail(Code::Debug, "debug", "off", "on"),
            Check::fail(Code::Measurement, "measurement", "a", "b"),
        ];
        let refusal = Refusal::from_checks(checks).unwrap();
        assert_eq!(refusal.to_string(), "DEBUG: debug: wanted off, found on");
        assert_eq!(refusal.checks.len(), 3);
    }
}
