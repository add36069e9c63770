//! What NVIDIA's devices need, in two rounds: their manifests and the status of their certificates first, then the status
//! of the manifests' certificates, which nobody knows before. The evidence is not believed: a lie leads to
//! endorsements that do not verify it.

use strongroom_attestation::{DeviceEvidence, Endorsements, StatusHint, UnixTime};

use crate::evidence::Collateral;
use crate::nvidia::{ManifestId, NvidiaList};
use crate::source::CollateralSource;
use crate::want::Want;

/// What is asked for, for the devices of one machine; each want once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceWants {
    /// Manifests of drivers and firmware.
    pub manifests: Vec<Want>,
    /// The status of certificates.
    pub statuses: Vec<StatusWant>,
}

/// One certificate whose revocation counts: the responder's answer about it, or its authority's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusWant {
    /// The certificate's name.
    pub subject: String,
    /// The responder's answer.
    pub answer: Want,
    /// The list, where the certificate names a known one.
    pub list: Option<Want>,
}

/// What a device's items are fetched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For a verifier now: what it was not given, and lists only where there is no answer about a certificate.
    Verify,
    /// For a site without a network: everything, also what was given, and the lists beside the answers. These end within
    /// a day, the lists in weeks.
    Carry,
}

/// What `devices` need of NVIDIA, as they and the certificates among `given` say.
pub fn device_wants(devices: &DeviceEvidence, given: &Endorsements) -> DeviceWants {
    let mut wants = DeviceWants::default();
    for device in devices.hints(given) {
        let ids = [device.driver_manifest_id, device.vbios_manifest_id].into_iter().flatten();
        for id in ids.filter_map(|id| ManifestId::new(&id).ok()) {
            let want = Want::NvidiaManifest { id };
            if !wants.manifests.contains(&want) {
                wants.manifests.push(want);
            }
        }
        for status in device.certificates.into_iter().map(StatusWant::of) {
            if !wants.statuses.iter().any(|known| known.answer == status.answer) {
                wants.statuses.push(status);
            }
        }
    }
    wants
}

/// The status of the certificates of the manifests in `bag`: the second round.
pub fn manifest_wants(bag: &Endorsements) -> Vec<StatusWant> {
    bag.manifest_hints().into_iter().map(StatusWant::of).collect()
}

impl StatusWant {
    fn of(hint: StatusHint) -> StatusWant {
        let list = hint.revocation_list.as_deref().and_then(NvidiaList::from_address);
        StatusWant {
            subject: hint.subject,
            answer: Want::NvidiaStatus { request: hint.request },
            list: list.map(|list| Want::NvidiaCrl { list }),
        }
    }

    /// Whether a verifier has what it needs about this certificate.
    fn is_met_by(&self, given: &Endorsements, now: UnixTime) -> bool {
        [Some(&self.answer), self.list.as_ref()].into_iter().flatten().any(|want| want.is_met_by(given, now))
    }
}

impl CollateralSource {
    /// Gets what `devices` need, both rounds. `given` is what came with them: their certificates are read from it, and
    /// what else it holds in its dates at `now` a verifier need not get. What could not be got is in the result; an
    /// answer that a list stands in for is not missing.
    pub async fn for_devices(
        &self,
        devices: &DeviceEvidence,
        given: &Endorsements,
        now: UnixTime,
        purpose: Purpose,
    ) -> Collateral {
        let mut collateral = Collateral::default();
        if devices.is_empty() {
            return collateral;
        }
        let is_wanted = |want: &&Want| purpose == Purpose::Carry || !want.is_met_by(given, now);
        let DeviceWants { manifests, statuses } = device_wants(devices, given);
        for want in manifests.iter().filter(is_wanted) {
            collateral.take(self.get(want).await);
        }
        self.take_statuses(&mut collateral, &statuses, given, now, purpose).await;
        let mut with_manifests = given.clone();
        for answer in collateral.answers.iter().filter(|answer| manifests.contains(answer.item.want())) {
            // One that the bag does not take is the verifier's to refuse.
            let _ = answer.item.add_to(&mut with_manifests);
        }
        let of_manifests = manifest_wants(&with_manifests);
        self.take_statuses(&mut collateral, &of_manifests, given, now, purpose).await;
        collateral
    }

    async fn take_statuses(
        &self,
        collateral: &mut Collateral,
        statuses: &[StatusWant],
        given: &Endorsements,
        now: UnixTime,
        purpose: Purpose,
    ) {
        let is_wanted = |status: &&StatusWant| purpose == Purpose::Carry || !status.is_met_by(given, now);
        for status in statuses.iter().filter(is_wanted) {
            let answer = self.get(&status.answer).await;
            let list = match &status.list {
                Some(list) if purpose == Purpose::Carry || answer.is_err() => {
                    Some(collateral.get_once(self, list).await)
                }
                _ => None,
            };
            if answer.is_ok() || list != Some(true) {
                collateral.take(answer);
            }
        }
    }
}

impl Collateral {
    /// Gets `want`, unless it is among these answers or among what is missing already. Says whether it is there.
    async fn get_once(&mut self, source: &CollateralSource, want: &Want) -> bool {
        if self.answers.iter().any(|answer| answer.item.want() == want) {
            return true;
        }
        if self.missing.iter().any(|error| error.want() == want) {
            return false;
        }
        let got = source.get(want).await;
        let there = got.is_ok();
        self.take(got);
        there
    }
}
