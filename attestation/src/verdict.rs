//! The answer "yes", of its class, with the reasons.

use std::marker::PhantomData;

use serde_json::{Value, json};

use crate::claims::AuthenticatedClaims;
use crate::class::Class;
use crate::deny::is_of_deny_list;
use crate::error::{Check, Code, State};

/// Authentic evidence that met a policy. Only [`crate::Appraisal::into_verdict`] makes one, and
/// only compiled-in roots make one of class [`crate::Hardware`].
#[derive(Clone, Debug)]
pub struct Verdict<K> {
    claims: AuthenticatedClaims,
    checks: Vec<Check>,
    policy_name: String,
    bound: bool,
    class: PhantomData<fn() -> K>,
}

impl<K: Class> Verdict<K> {
    pub(crate) fn new(claims: AuthenticatedClaims, checks: Vec<Check>, policy_name: String, bound: bool) -> Verdict<K> {
        Verdict { claims, checks, policy_name, bound, class: PhantomData }
    }

    /// What the evidence says.
    pub fn claims(&self) -> &AuthenticatedClaims {
        &self.claims
    }

    /// Every check, in order; none of them failed.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether the report data was compared. Evidence that is not bound may be a replay.
    pub fn is_bound(&self) -> bool {
        self.bound
    }

    /// The verdict for people and programs. `status` is one of EAR's words: `"affirming"` for
    /// hardware evidence that is bound and whose launch measurement was compared, `"warning"` for
    /// hardware evidence otherwise, `"contraindicated"` for a simulated platform, always.
    pub fn to_json(&self) -> Value {
        let claims = &self.claims;
        let mut json = json!({
            "class": K::NAME,
            "simulated": K::NAME != "hw",
            "status": self.status(),
            "policy": self.policy_name,
            "bound": self.bound,
            "checks": self.checks,
        });
        if let (Some(json), Value::Object(claims)) = (json.as_object_mut(), claims.to_json()) {
            json.extend(claims);
        }
        json
    }

    fn status(&self) -> &'static str {
        let is_of_wanted = |check: &&Check| check.code == Code::Measurement && !is_of_deny_list(check);
        let compared = self.checks.iter().filter(is_of_wanted).any(|check| check.state == State::Pass);
        match K::NAME {
            "hw" if self.bound && compared => "affirming",
            "hw" => "warning",
            _ => "contraindicated",
        }
    }
}
