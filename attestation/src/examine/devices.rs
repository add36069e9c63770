//! The part of an examination that is about NVIDIA devices: their own verification, and whether they
//! belong to the machine whose evidence is beside theirs.

use super::{AttestationResult, Examination};
use crate::artefacts::Submission;
use crate::claims::{AuthenticatedClaims, Platform};
use crate::class::Class;
use crate::error::{Check, Code, Refusal};
use crate::nvidia::{DeviceAppraisal, DeviceSetClaims, verify_devices, verify_without_devices};
use crate::policy::Policy;
use crate::verify;

/// The challenge that devices alone must have answered.
pub(super) fn nonce(examination: &Examination<'_>) -> Result<Option<[u8; 32]>, Refusal> {
    if examination.report_data.is_some() {
        return Err(Refusal::new(Code::ReportData, "devices have no report data, only a nonce of 32 bytes"));
    }
    let wrong = |_| Refusal::new(Code::Nonce, "the nonce of devices has 32 bytes");
    examination.nonce.map(|nonce| nonce.try_into().map_err(wrong)).transpose()
}

impl AttestationResult {
    pub(super) fn judge_devices<K: Class>(
        &mut self,
        examination: &Examination<'_>,
        submission: &Submission,
        anchors: &K::Anchors,
        nonce: Option<[u8; 32]>,
    ) -> Result<(), Refusal> {
        let Examination { policy, now, .. } = *examination;
        let appraisal: DeviceAppraisal<K> =
            verify_devices(&submission.devices, &submission.endorsements, anchors, policy, nonce, now);
        self.checks.extend_from_slice(appraisal.checks());
        self.devices = appraisal.claims().cloned();
        self.expiries.extend_from_slice(appraisal.expiries());
        appraisal.into_verdict()?;
        match &self.claims {
            Some(claims) => self.checks.extend(self.devices.as_ref().map(|set| bound_to_machine(claims, set, policy))),
            None => {
                self.bound = nonce.is_some();
                let found = "nvidia: devices alone, of no known machine";
                self.checks.push(verify::platform(Platform::Nvidia, policy, found));
            }
        }
        self.holds_so_far()
    }

    /// A policy that wants devices refuses a machine that shows none.
    pub(super) fn judge_absence(&mut self, policy: &Policy) -> Result<(), Refusal> {
        self.checks.extend(verify_without_devices(policy));
        self.holds_so_far()
    }
}

/// Whether the devices answered a challenge that this machine's evidence proves: attesters that ask both for
/// the same data give devices the first half of it. Our own sessions, and CoCo's key broker, prove it
/// otherwise, and elsewhere.
fn bound_to_machine(claims: &AuthenticatedClaims, devices: &DeviceSetClaims, policy: &Policy) -> Check {
    let title = "devices' challenge in the machine's evidence";
    let (report_data, _) = claims.report_data().split_at(32);
    let found = devices.nonce.to_string();
    if devices.nonce.as_slice() == report_data {
        return Check::pass(Code::Nonce, title, hex::encode(report_data), found);
    }
    if policy.nvidia.require_binding {
        return Check::fail(Code::Nonce, title, hex::encode(report_data), found);
    }
    let wanted = "nothing: the policy does not require it; these may be any machine's devices";
    Check::skip(Code::Nonce, title, wanted, found)
}
