//! The one way from devices' reports to a verdict on them.

use std::marker::PhantomData;

use crate::class::Class;
use crate::deny;
use crate::endorsements::Endorsements;
use crate::error::{Check, Code, Refusal, State};
use crate::nvidia::appraise::{appraise, numbers};
use crate::nvidia::authenticate::{Given, authenticate};
use crate::nvidia::claims::DeviceSetClaims;
use crate::nvidia::evidence::DeviceEvidence;
use crate::nvidia::reference::Reference;
use crate::policy::Policy;
use crate::remembered::Remembered;
use crate::trail::{Expiry, Parts, Trail};
use crate::unix_time::UnixTime;

/// Signatures that are remembered within one verification: devices share authorities and manifests.
const SIGNATURES_OF_ONE: usize = 256;

/// Verifies the reports of one machine's NVIDIA devices under the roots in `anchors` at the time `now`,
/// with certificates, manifests and revocation from `endorsements`, against `policy.nvidia`. `nonce` is
/// the challenge that all of them must have answered; `None` compares nothing, and says so.
///
/// 1. Each device is authenticated, and so is each manifest. This stops at the first failure.
/// 2. Every requirement of the policy is answered: how many devices, which, in what mode, with what
///    measurements.
/// 3. The policy's deny lists are asked for the certificates.
///
/// Evidence without devices has no check that could fail but their number.
pub fn verify_devices<K: Class>(
    evidence: &DeviceEvidence,
    endorsements: &Endorsements,
    anchors: &K::Anchors,
    policy: &Policy,
    nonce: Option<[u8; 32]>,
    now: UnixTime,
) -> DeviceAppraisal<K> {
    let remembered = Remembered::new(SIGNATURES_OF_ONE);
    verify_devices_remembering(evidence, endorsements, anchors, policy, nonce, now, &remembered)
}

/// [`verify_devices`], without verifying again those of the endorsements' signatures that `remembered`
/// has; and with the same answer.
pub fn verify_devices_remembering<K: Class>(
    evidence: &DeviceEvidence,
    endorsements: &Endorsements,
    anchors: &K::Anchors,
    policy: &Policy,
    nonce: Option<[u8; 32]>,
    now: UnixTime,
    remembered: &Remembered,
) -> DeviceAppraisal<K> {
    let mut trail = Trail::default();
    let anchored = K::anchored(anchors, remembered);
    let given = Given { evidence, bag: endorsements, anchored, policy, nonce, now };
    let authentic = authenticate(&mut trail, &given);
    let authentic = authentic.and_then(|authentic| {
        let about = (authentic.devices.as_slice(), &policy.nvidia);
        let references = Reference::authenticate_all(&mut trail, endorsements, about, anchored, now)?;
        Some((authentic, references))
    });
    let Parts { mut checks, expiries, fingerprints } = trail.into_parts();
    let claims = authentic.map(|(mut authentic, references)| {
        checks.extend(appraise(&authentic.devices, &references, &policy.nvidia));
        checks.extend(deny::answer_devices(&fingerprints, policy, now));
        for device in &mut authentic.devices {
            device.manifests = Reference::of(&references, device);
        }
        let until = references.iter().map(|reference| reference.until).fold(authentic.valid_until, UnixTime::min);
        DeviceSetClaims::new(authentic.devices, authentic.nonce, until)
    });
    DeviceAppraisal { checks, expiries, claims, bound: nonce.is_some(), class: PhantomData }
}

/// What `policy` says of a machine that shows no device: one that names a number of them refuses.
pub fn verify_without_devices(policy: &Policy) -> Vec<Check> {
    // What the policy does not ask needs no answer about what is not there.
    numbers(0, 0, &policy.nvidia).into_iter().filter(|check| check.state != State::Skip).collect()
}

/// The numbered checks of one verification of devices, before the question whether all of them passed.
#[derive(Clone, Debug)]
pub struct DeviceAppraisal<K> {
    checks: Vec<Check>,
    expiries: Vec<Expiry>,
    claims: Option<DeviceSetClaims>,
    bound: bool,
    class: PhantomData<fn() -> K>,
}

impl<K: Class> DeviceAppraisal<K> {
    /// Every check that was made, in order.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// What the devices say, once they were authenticated; whether that meets the policy is not in here.
    pub fn claims(&self) -> Option<&DeviceSetClaims> {
        self.claims.as_ref()
    }

    /// Until when each certificate chain, manifest and answer that was used is good.
    pub fn expiries(&self) -> &[Expiry] {
        &self.expiries
    }

    /// The verdict when no check failed; else the first failure, with all the checks.
    pub fn into_verdict(self) -> Result<DeviceVerdict<K>, Refusal> {
        if let Some(refusal) = Refusal::from_checks(self.checks.clone()) {
            return Err(refusal);
        }
        match self.claims {
            Some(claims) => Ok(DeviceVerdict { claims, checks: self.checks, bound: self.bound, class: PhantomData }),
            // Without claims some check failed; were none to have, the answer is still no.
            None => Err(Refusal {
                code: Code::Signature,
                detail: "no device was authenticated".to_owned(),
                checks: self.checks,
            }),
        }
    }
}

/// Authentic devices that met a policy. Only [`DeviceAppraisal::into_verdict`] makes one, and only
/// compiled-in roots make one of class [`crate::Hardware`].
#[derive(Clone, Debug)]
pub struct DeviceVerdict<K> {
    claims: DeviceSetClaims,
    checks: Vec<Check>,
    bound: bool,
    class: PhantomData<fn() -> K>,
}

impl<K: Class> DeviceVerdict<K> {
    /// What the devices say.
    pub fn claims(&self) -> &DeviceSetClaims {
        &self.claims
    }

    /// Every check, in order; none of them failed.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether the challenge was compared. Reports that are not bound may be a replay.
    pub fn is_bound(&self) -> bool {
        self.bound
    }
}
