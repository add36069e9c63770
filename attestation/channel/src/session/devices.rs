//! Step 8: the evidence of GPUs and switches, under the anchors that the trust file's environment allows.

use strongroom_attestation::{
    Class, DeviceEvidence, DeviceSetClaims, Hardware, HardwareAnchors, Simulated, verify_devices,
    verify_without_devices,
};

use super::SessionWanted;
use super::appraise::Parsed;
use super::platform::{self, Submitted};
use super::trail::Trail;
use crate::devices;
use crate::trust_file::Environment;

/// What the devices say; `None` inside where the instance shows none and the policy wants none.
pub(super) fn appraise(
    trail: &mut Trail,
    wanted: &SessionWanted<'_>,
    parsed: &Parsed,
    submitted: &Submitted,
) -> Option<Option<DeviceSetClaims>> {
    let found = trail.parsed("devices", devices::submitted(&parsed.statement, &parsed.response.evidence))?;
    let Some((evidence, nonce)) = found else {
        // An instance that leaves its devices out shows too few of them.
        trail.steps(verify_without_devices(&wanted.trust.policy))?;
        return Some(None);
    };
    let shown = (&evidence, nonce);
    let claims = match wanted.trust.environment {
        Environment::Production => claims::<Hardware>(trail, wanted, shown, submitted, &HardwareAnchors::compiled_in()),
        Environment::Development => {
            let roots = &wanted.trust.development_anchors;
            // All of them together: devices need two, of one vendor each.
            let first = roots.first().map(Vec::as_slice).unwrap_or_default();
            let anchors = trail.parsed("development roots", platform::anchors(first, 0, roots))?;
            claims::<Simulated>(trail, wanted, shown, submitted, &anchors)
        }
    };
    claims.map(Some)
}

fn claims<K: Class>(
    trail: &mut Trail,
    wanted: &SessionWanted<'_>,
    (evidence, nonce): (&DeviceEvidence, [u8; 32]),
    submitted: &Submitted,
    anchors: &K::Anchors,
) -> Option<DeviceSetClaims> {
    let (bag, policy) = (&submitted.endorsements, &wanted.trust.policy);
    let appraisal = verify_devices::<K>(evidence, bag, anchors, policy, Some(nonce), wanted.now);
    trail.steps(appraisal.checks().to_vec())?;
    Some(appraisal.into_verdict().ok()?.claims().clone())
}
