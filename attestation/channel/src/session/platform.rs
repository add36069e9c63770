//! Steps 4 to 7: the CPU's evidence, under the anchors that the trust file's environment
//! allows.

use strongroom_attestation::{
    Check, Code, DevelopmentAnchors, Endorsements, Evidence, Expected, Hardware, HardwareAnchors, Refusal, Simulated,
    State, Verdict, verify,
};

use super::trail::Trail;
use super::{SessionVerdict, SessionWanted};
use crate::attest::{AttestResponse, indicator};
use crate::device_digest::CPU_LABEL;
use crate::trust_file::Environment;

/// Evidence and endorsements that parsed.
pub(super) struct Submitted {
    evidence: Evidence,
    pub(super) endorsements: Endorsements,
}

pub(super) fn parse(trail: &mut Trail, response: &AttestResponse) -> Option<Submitted> {
    let record = response.evidence.get(CPU_LABEL).ok_or("no record cpu0");
    let record = trail.parsed("evidence record", record)?;
    let evidence = trail.parsed("CPU evidence", Evidence::parse(&record.value))?;
    let labelled = record.media_type == evidence.media_type() && record.indicator == indicator::EVIDENCE;
    let found = format!("{}, indicator {}", record.media_type, record.indicator);
    trail.step(Check::when(
        labelled,
        Code::Parse,
        "evidence's media type",
        format!("{}, indicator 4", evidence.media_type()),
        found,
    ))?;
    let mut endorsements = Endorsements::default();
    let added = response.endorsements.iter().try_for_each(|(_, record)| endorsements.add(&record.value));
    trail.parsed("endorsements", added)?;
    Some(Submitted { evidence, endorsements })
}

pub(super) fn appraise(
    trail: &mut Trail,
    wanted: &SessionWanted<'_>,
    submitted: &Submitted,
    preimage: &[u8],
) -> Option<SessionVerdict> {
    let expected = Expected::preimage(preimage);
    let verdict = match wanted.trust.environment {
        Environment::Production => SessionVerdict::Hardware(hardware(trail, wanted, submitted, &expected)?),
        Environment::Development => SessionVerdict::Simulated(simulated(trail, wanted, submitted, &expected)?),
    };
    // A policy that pins no measurement would take any software on the tenant's machines.
    let pinned = wanted.trust.policy.measurements.as_ref().map_or(0, Vec::len);
    trail.step(Check::when(
        pinned > 0,
        Code::Measurement,
        "measurements in the trust file",
        "at least one launch measurement",
        pinned.to_string(),
    ))?;
    Some(verdict)
}

fn hardware(
    trail: &mut Trail,
    wanted: &SessionWanted<'_>,
    submitted: &Submitted,
    expected: &Expected,
) -> Option<Verdict<Hardware>> {
    let anchors = HardwareAnchors::compiled_in();
    let appraisal = verify::<Hardware>(
        &submitted.evidence,
        &submitted.endorsements,
        &anchors,
        &wanted.trust.policy,
        expected,
        wanted.now,
    );
    trail.steps(appraisal.checks().to_vec())?;
    appraisal.into_verdict().ok()
}

/// Trusts the development roots of the trust file together, as evidence under a paravisor needs
/// it. Of several roots of one vendor the first counts, so each is tried in front; where no
/// attempt succeeds, the checks of the one that came furthest are noted.
fn simulated(
    trail: &mut Trail,
    wanted: &SessionWanted<'_>,
    submitted: &Submitted,
    expected: &Expected,
) -> Option<Verdict<Simulated>> {
    let title = "development root";
    let mut furthest = vec![Check::fail(Code::Chain, title, "one in the trust file", "none")];
    let mut furthest_passed = None;
    for (first, root) in wanted.trust.development_anchors.iter().enumerate() {
        let (checks, verdict) = match anchors(root, first, &wanted.trust.development_anchors) {
            Err(refusal) => {
                (vec![Check::fail(refusal.code, title, "the root of a simulated vendor", refusal.detail)], None)
            }
            Ok(anchors) => {
                let policy = &wanted.trust.policy;
                let appraisal = verify::<Simulated>(
                    &submitted.evidence,
                    &submitted.endorsements,
                    &anchors,
                    policy,
                    expected,
                    wanted.now,
                );
                (appraisal.checks().to_vec(), appraisal.into_verdict().ok())
            }
        };
        if verdict.is_some() {
            trail.steps(checks)?;
            return verdict;
        }
        let passed = checks.iter().take_while(|check| check.state != State::Fail).count();
        if furthest_passed < Some(passed) {
            (furthest, furthest_passed) = (checks, Some(passed));
        }
    }
    trail.steps(furthest)?;
    None
}

/// The roots, that one in front. Others that are none are passed over.
pub(super) fn anchors(root: &[u8], first: usize, all: &[Vec<u8>]) -> Result<DevelopmentAnchors, Refusal> {
    let others = all.iter().enumerate().filter(|(index, _)| *index != first);
    DevelopmentAnchors::new(root)
        .map(|anchors| others.fold(anchors, |anchors, (_, other)| anchors.clone().and(other).unwrap_or(anchors)))
}
