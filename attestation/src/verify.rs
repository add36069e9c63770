//! The one way from bytes to a verdict.

use std::marker::PhantomData;

use crate::claims::{AuthenticatedClaims, Platform, PlatformClaims};
use crate::class::{Anchored, Class};
use crate::deny::{self, DenyList};
use crate::endorsements::Endorsements;
use crate::error::{Check, Code, Refusal};
use crate::event_log;
use crate::evidence::Evidence;
use crate::expected::Expected;
use crate::policy::Policy;
use crate::remembered::Remembered;
use crate::trail::{Expiry, Parts, Trail};
use crate::unix_time::UnixTime;
use crate::verdict::Verdict;
use crate::{azure, snp, tdx};

/// Signatures that are remembered within one verification.
const SIGNATURES_OF_ONE: usize = 64;

/// Verifies `evidence` under the roots in `anchors` at the time `now`, with certificates and
/// collateral from `endorsements`, for the conversation in `expected`, against `policy`.
///
/// 1. The evidence is authenticated: its key leads to a pinned root, inside its dates, not
///    revoked, for this platform and firmware; and made the signature. This stops at the first
///    failure, because nothing after it would mean anything.
/// 2. The report data, or the virtual TPM's nonce, is compared.
/// 3. Every requirement of the policy is answered.
/// 4. Event logs are replayed to the registers.
/// 5. The policy's deny lists are asked.
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
    // For this call alone: Intel's root signs three things that are asked for several times.
    let remembered = Remembered::new(SIGNATURES_OF_ONE);
    verify_remembering(evidence, endorsements, anchors, policy, expected, now, &remembered)
}

/// [`verify`], without verifying again those of the endorsements' signatures that `remembered` has; and
/// with the same answer.
pub fn verify_remembering<K: Class>(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &K::Anchors,
    policy: &Policy,
    expected: &Expected,
    now: UnixTime,
    remembered: &Remembered,
) -> Appraisal<K> {
    let mut trail = Trail::default();
    let bag = endorsements;
    let anchored = K::anchored(anchors, remembered);
    let authenticated = match evidence {
        Evidence::Snp(report) => {
            let require_revocation = policy.require_revocation;
            let given = snp::Given { report, bag, anchored, require_revocation, now };
            authenticated_snp(&mut trail, &given, policy, expected)
        }
        Evidence::Tdx(evidence) => {
            let given = tdx::Given { quote: &evidence.quote, bag, anchored, policy, now };
            let authentic = tdx::authenticate(&mut trail, &given);
            authentic.map(|authentic| {
                let claims = authentic.claims;
                let mut checks = expected.direct(&claims.report_data.0);
                checks.extend(tdx::appraise(&claims, policy));
                checks.extend(event_log::replay_rtmrs(&evidence.event_logs, &claims.rtmr));
                (checks, PlatformClaims::Tdx(Box::new(claims)), authentic.valid_until)
            })
        }
        Evidence::Azure(evidence) => authenticated_azure(&mut trail, evidence, (bag, anchored), policy, expected, now),
    };
    let bound = expected.binds(evidence);
    let Parts { mut checks, mut expiries, fingerprints } = trail.into_parts();
    let claims = authenticated.map(|(answers, claims, valid_until)| {
        let mut valid_until = valid_until;
        for until in policy.deny_lists().filter_map(DenyList::not_after) {
            valid_until = valid_until.min(until);
            expiries.push(Expiry { what: "deny list".to_owned(), until });
        }
        let claims = AuthenticatedClaims::new(claims, policy, valid_until);
        checks.extend(answers);
        checks.push(platform(claims.platform(), policy, claims.platform().name()));
        checks.extend(deny::answer(&claims, &fingerprints, policy, now));
        claims
    });
    Appraisal { checks, expiries, claims, policy_name: policy.name.clone(), bound, class: PhantomData }
}

type Authenticated = (Vec<Check>, PlatformClaims, UnixTime);

fn authenticated_snp(
    trail: &mut Trail,
    given: &snp::Given<'_>,
    policy: &Policy,
    expected: &Expected,
) -> Option<Authenticated> {
    let authentic = snp::authenticate(trail, given)?;
    let mut checks = expected.direct(&authentic.claims.report_data);
    checks.extend(snp::appraise(&authentic.claims, policy));
    Some((checks, PlatformClaims::Snp(Box::new(authentic.claims)), authentic.valid_until))
}

fn authenticated_azure(
    trail: &mut Trail,
    evidence: &azure::AzureEvidence,
    (bag, anchored): (&Endorsements, Anchored<'_>),
    policy: &Policy,
    expected: &Expected,
    now: UnixTime,
) -> Option<Authenticated> {
    let given = azure::Given { evidence, bag, anchored, policy, now };
    let authentic = azure::authenticate(trail, &given)?;
    let claims = authentic.claims;
    let nonce = claims.tpm_quote.as_ref().map(|quote| quote.extra_data.as_slice());
    let mut checks = expected.through_paravisor(&claims.report_data(), nonce);
    checks.extend(azure::appraise(&claims, policy));
    let pcrs = claims.tpm_quote.as_ref().map(|quote| quote.pcrs.as_slice()).unwrap_or_default();
    checks.extend(event_log::replay_pcrs(&evidence.event_logs, pcrs));
    Some((checks, PlatformClaims::Azure(Box::new(claims)), authentic.valid_until))
}

/// Whether the policy takes this kind of platform; `found` says it in words.
pub(crate) fn platform(kind: Platform, policy: &Policy, found: &str) -> Check {
    let names: Vec<&str> = policy.platforms.iter().map(|platform| platform.name()).collect();
    let wanted = format!("one of {}", names.join(", "));
    Check::when(policy.platforms.contains(&kind), Code::PlatformNotAllowed, "kind of platform", wanted, found)
}

/// The numbered checks of one verification, before the question whether all of them passed.
#[derive(Clone, Debug)]
pub struct Appraisal<K> {
    checks: Vec<Check>,
    expiries: Vec<Expiry>,
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

    /// What the evidence says, once it was authenticated; whether it meets the policy is not in
    /// here.
    pub fn claims(&self) -> Option<&AuthenticatedClaims> {
        self.claims.as_ref()
    }

    /// Until when each certificate chain, list and piece of collateral that was used is good.
    pub fn expiries(&self) -> &[Expiry] {
        &self.expiries
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
