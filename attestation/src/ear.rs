//! The answer as an EAT Attestation Result: the unsigned claims set of draft-ietf-rats-ear, with the
//! trustworthiness vector of draft-ietf-rats-ar4si.

use serde_json::{Value, json};

use crate::deny::{is_of_denied_platform, is_of_deny_list};
use crate::error::{Code, State};
use crate::examine::{AttestationResult, Status};

/// The profile that Veraison's implementations look for.
const PROFILE: &str = "tag:github.com,2023:veraison/ear";

/// AR4SI values: no claim, affirming, warning, contraindicated, and "cryptography failed".
const NONE: i8 = 0;
const AFFIRMING: i8 = 2;
const WARNING: i8 = 32;
const CONTRAINDICATED: i8 = 96;
const CRYPTOGRAPHY_FAILED: i8 = 99;

impl AttestationResult {
    /// The claims set, to be signed by whoever relays it: one submodule, `cpu`. `build` names the
    /// verifier's version.
    ///
    /// A simulated platform is contraindicated, always. Evidence that was accepted without being
    /// bound, or without its launch measurement being compared, is a warning.
    pub fn to_ear(&self, build: &str) -> Value {
        let vector = json!({
            "hardware": self.hardware(),
            "instance-identity": self.identity(),
            "configuration": self.configuration(),
            "executables": self.executables(),
        });
        json!({
            "eat_profile": PROFILE,
            "iat": self.at.as_secs(),
            "ear.verifier-id": { "developer": "https://strongroom.dev", "build": build },
            "submods": {
                "cpu": {
                    "ear.status": self.tier(),
                    "ear.trustworthiness-vector": vector,
                    "ear.appraisal-policy-id": self.policy,
                    "strongroom.result": self.to_json(),
                },
            },
        })
    }

    fn tier(&self) -> &'static str {
        match self.status {
            Status::Accepted if self.simulated => "contraindicated",
            Status::Accepted if self.bound && self.compared(Code::Measurement) => "affirming",
            Status::Accepted => "warning",
            Status::Refused | Status::Malformed => "contraindicated",
        }
    }

    fn hardware(&self) -> i8 {
        match self.code {
            _ if self.simulated => CONTRAINDICATED,
            Some(Code::Signature | Code::Chain | Code::Revoked) => CRYPTOGRAPHY_FAILED,
            Some(Code::Tcb) => WARNING,
            _ if self.claims.is_some() => AFFIRMING,
            _ => NONE,
        }
    }

    /// A named platform, or one that shows none of those that the policy names.
    fn identity(&self) -> i8 {
        let named = self.checks.iter().find(|check| check.title == "platform").map(|check| check.state);
        let denied = self.checks.iter().any(|check| is_of_denied_platform(check) && check.state == State::Fail);
        match named {
            _ if denied => CONTRAINDICATED,
            Some(State::Pass) => AFFIRMING,
            Some(State::Fail) => CONTRAINDICATED,
            Some(State::Skip) | None => NONE,
        }
    }

    fn configuration(&self) -> i8 {
        let opened = [Code::Debug, Code::Migratable, Code::Vmpl, Code::HostData].iter().any(|code| self.failed(*code));
        match &self.claims {
            Some(_) if opened => CONTRAINDICATED,
            Some(_) => AFFIRMING,
            None => NONE,
        }
    }

    fn executables(&self) -> i8 {
        if self.failed(Code::Measurement) {
            CONTRAINDICATED
        } else if self.compared(Code::Measurement) {
            AFFIRMING
        } else {
            NONE
        }
    }

    /// Whether a check of this code compared something with what is wanted and passed.
    fn compared(&self, code: Code) -> bool {
        self.checks.iter().any(|check| check.code == code && check.state == State::Pass && !is_of_deny_list(check))
    }

    fn failed(&self, code: Code) -> bool {
        self.checks.iter().any(|check| check.code == code && check.state == State::Fail)
    }
}
