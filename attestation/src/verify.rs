//! The one way from bytes to a verdict.

use std::marker::PhantomData;

use crate::claims::{AuthenticatedClaims, PlatformClaims};
use crate::class::Class;
use crate::endorsements::Endorsements;
use crate::error::{Check, Code, Refusal};
use crate::evidence::Evidence;
use crate::policy::Policy;
use crate::snp;
use crate::trail::Trail;
use crate::unix_time::UnixTime;
use crate::verdict::Verdict;

/// What the evidence must be bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    report_data: Option<[u8; 64]>,
}

impl Expected {
    /// All 64 bytes of report data must be these.
    pub fn report_data(report_data: [u8; 64]) -> Expected {
        Expected { report_data: Some(report_data) }
    }

    /// Does not compare the report data, and says so in the checks and in the verdict: for looking
    /// at evidence. Such evidence may be a replay of anybody's.
    pub fn unbound_for_inspection() -> Expected {
        Expected { report_data: None }
    }
}

/// Verifies `evidence` under the roots in `anchors` at the time `now`, with certificates and
/// revocation lists from `endorsements`, for the conversation in `expected`, against `policy`.
///
/// 1. The evidence is authenticated: its key leads to a pinned root, inside its dates, not
///    revoked, for this chip and firmware; and made the signature. This stops at the first failure,
///    because nothing after it would mean anything.
/// 2. The report data is compared.
/// 3. Every requirement of the policy is answered.
///
/// Nothing is read but the arguments.
pub fn verify<K: Class>(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &K::Anchors,
    policy: &Policy,
    expected: &Expected,
    now: UnixTime,
) -> Appraisal<K> {
    let mut trail = Trail::default();
    let Evidence::Snp(report) = evidence;
    let given = snp::Given {
        report,
        bag: endorsements,
        anchored: K::anchored(anchors),
        require_revocation: policy.require_revocation,
        now,
    };
    let authentic = snp::authenticate(&mut trail, &given);
    let mut checks = trail.into_checks();
    let claims = authentic.map(|authentic| {
        checks.push(binding(&authentic.claims.report_data, expected));
        checks.extend(snp::appraise(&authentic.claims, policy));
        let claims = PlatformClaims::Snp(Box::new(authentic.claims));
        AuthenticatedClaims::new(claims, authentic.valid_until)
    });
    Appraisal {
        checks,
        claims,
        policy_name: policy.name.clone(),
        bound: expected.report_data.is_some(),
        class: PhantomData,
    }
}

/// The numbered checks of one verification, before the question whether all of them passed.
#[derive(Clone, Debug)]
pub struct Appraisal<K> {
    checks: Vec<Check>,
    claims: Option<AuthenticatedClaims>,
    policy_name: String,
    bound: bool,
    class: PhantomData<fn() -> K>,
}

impl<K: Class> Appraisal<K> {
    /// Every check that was made, in order.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The verdict when no check failed; else the first failure, with all the checks.
    pub fn into_verdict(self) -> Result<Verdict<K>, Refusal> {
        if let Some(refusal) = Refusal::from_checks(self.checks.clone()) {
            return Err(refusal);
        }
        match self.claims {
            Some(claims) => Ok(Verdict::new(claims, self.checks, self.policy_name, self.bound)),
            // Without claims some check failed; were none to have, the answer is still no.
            None => Err(Refusal {
                code: Code::Signature,
                detail: "the evidence was not authenticated".to_owned(),
                checks: self.checks,
            }),
        }
    }
}

fn binding(found: &[u8; 64], expected: &Expected) -> Check {
    let title = "report data";
    match &expected.report_data {
        None => Check::skip(
            Code::ReportData,
            title,
            "nothing: the evidence is only looked at, and is bound to no conversation",
            hex::encode(found),
        ),
        Some(wanted) => Check::when(wanted == found, Code::ReportData, title, hex::encode(wanted), hex::encode(found)),
    }
}
