//! The development vendor: two roots, the authorities below them, and the sets of devices that
//! it vouches for. All its keys follow from one seed.

use aws_lc_rs::rand;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    authority::Authority,
    device::{Device, SimulatedGpu, SimulatedSwitch},
    device_issuance::root_certificate,
    evidence::NvidiaEvidence,
    fault::NvidiaFault,
    issuance::{Order, issue},
    present::present,
    set::{Devices, GpuSetOptions, GpuTopology, SimulatedGpuSet, gpu},
};
use crate::{certificate::Validity, der::Der, error::SimulationError};

/// Separates devices outside every set from those within.
const OUTSIDER_LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-outsider/v1\0";

/// A development vendor shaped like NVIDIA: "NVIDIA Device Identity CA", above the devices, and
/// "NVIDIA CoRIM signing Root CA", above the manifests of what they should measure, each with
/// the development suffix.
///
/// Its certificates hold for six days from the `now` that they were made with, its answers
/// about revocation for one day.
pub struct SimulatedNvidia {
    pub(crate) seed: Zeroizing<[u8; 32]>,
    device_root_certificate: Der,
    manifest_root_certificate: Der,
}

impl SimulatedNvidia {
    /// The seed of the published keys, which everybody can therefore sign with.
    pub const PUBLISHED_SEED: [u8; 32] = *b"published development NVIDIA ...";
    /// The secret of the sets of devices whose keys are published too.
    pub const PUBLISHED_SET_SECRET: [u8; 32] = *b"published development GPU set 1.";

    /// A vendor with fresh keys that nobody else has.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails; [`SimulationError::Encoding`]
    /// where `now` lies beyond the year 9999.
    pub fn generate(now: u64) -> Result<Self, SimulationError> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(seed.as_mut_slice()).map_err(|_| SimulationError::Crypto { operation: "drawing a seed" })?;
        Self::with_seed(seed, now)
    }

    /// The vendor whose keys follow from [`PUBLISHED_SEED`](Self::PUBLISHED_SEED): for tests,
    /// examples and vectors only.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn published(now: u64) -> Result<Self, SimulationError> {
        Self::with_seed(Zeroizing::new(Self::PUBLISHED_SEED), now)
    }

    /// A secret for a set of devices that nobody else has.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider gives no randomness.
    pub fn new_set_secret() -> Result<[u8; 32], SimulationError> {
        let mut secret = [0; 32];
        rand::fill(&mut secret).map_err(|_| SimulationError::Crypto { operation: "drawing a secret" })?;
        Ok(secret)
    }

    /// The certificate of the root of devices, DER: an anchor of a verifier that accepts them.
    #[must_use]
    pub fn device_root_certificate_der(&self) -> &[u8] {
        &self.device_root_certificate
    }

    /// The certificate of the root of manifests, DER: the other anchor.
    #[must_use]
    pub fn manifest_root_certificate_der(&self) -> &[u8] {
        &self.manifest_root_certificate
    }

    /// The devices of one machine with current firmware. Their keys and identities follow from
    /// `secret`, which stays secret if they shall not be imitated.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn gpu_set(
        &self,
        secret: [u8; 32],
        topology: GpuTopology,
        now: u64,
    ) -> Result<SimulatedGpuSet, SimulationError> {
        self.gpu_set_with(secret, topology, GpuSetOptions::of(topology), now)
    }

    /// The same with other firmware or options.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn gpu_set_with(
        &self,
        secret: [u8; 32],
        topology: GpuTopology,
        options: GpuSetOptions,
        now: u64,
    ) -> Result<SimulatedGpuSet, SimulationError> {
        let devices = Devices::derive(topology, &options, &secret)?;
        let order = Order { ocsp_digest: options.ocsp_digest, fault: None, now };
        let issued = issue(self, &devices.members(), order)?;
        Ok(SimulatedGpuSet::new(topology, options, devices, issued))
    }

    /// Evidence of `set` that is broken in one way, however much has to be signed anew for it
    /// (with `now` as the moment of issue).
    ///
    /// # Errors
    /// As [`SimulatedGpuSet::evidence_with_fault`], but for the vendor's keys, which it has.
    pub fn evidence_with_fault(
        &self,
        set: &SimulatedGpuSet,
        nonce: &[u8; 32],
        fault: NvidiaFault,
        now: u64,
    ) -> Result<NvidiaEvidence, SimulationError> {
        if !fault.needs_vendor() || !fault.is_possible_on(set.topology) {
            return set.evidence_with_fault(nonce, fault);
        }
        let outsider = self.outsider(set, fault)?;
        let mut members = set.members();
        let gpus = set.gpus().len();
        match fault {
            NvidiaFault::ExtraGpu => members.insert(gpus, &outsider),
            NvidiaFault::ForeignGpu => replace(&mut members, 0, &outsider),
            NvidiaFault::ForeignSwitch => replace(&mut members, gpus, &outsider),
            _ => {}
        }
        let mut certified = members.clone();
        if fault == NvidiaFault::ChainOfAnotherGpu {
            replace(&mut certified, 0, &outsider);
        }
        let order = Order { ocsp_digest: set.options.ocsp_digest, fault: Some(fault), now };
        let issued = issue(self, &certified, order)?;
        present(&members, &issued, nonce, Some(fault))
    }

    /// A device like the set's that is not in it: a switch where a switch is to be replaced,
    /// else a GPU.
    fn outsider(&self, set: &SimulatedGpuSet, fault: NvidiaFault) -> Result<Device, SimulationError> {
        let digest = Sha256::new().chain_update(OUTSIDER_LABEL).chain_update(*self.seed);
        let secret = Zeroizing::new(<[u8; 32]>::from(digest.finalize()));
        if fault == NvidiaFault::ForeignSwitch {
            let gpus: Vec<[u8; 8]> = set.gpus().iter().map(SimulatedGpu::pdi).collect();
            return Ok(Device::switch(&secret, 0)?.linked_to(&gpus));
        }
        let switches: Vec<[u8; 8]> = set.switches().iter().map(SimulatedSwitch::pdi).collect();
        Ok(gpu(set.topology, &set.options, &secret)?.linked_to(&switches))
    }

    /// The vendor of that seed, with root certificates that were issued before.
    pub(super) fn with_roots(seed: Zeroizing<[u8; 32]>, device_root: Der, manifest_root: Der) -> Self {
        Self { seed, device_root_certificate: device_root, manifest_root_certificate: manifest_root }
    }

    fn with_seed(seed: Zeroizing<[u8; 32]>, now: u64) -> Result<Self, SimulationError> {
        let validity = Validity::around(now);
        let certificate = |root: Authority| root_certificate(root, &root.key(&seed)?, validity);
        Ok(Self {
            device_root_certificate: certificate(Authority::DeviceRoot)?,
            manifest_root_certificate: certificate(Authority::ManifestRoot)?,
            seed,
        })
    }
}

fn replace<'a>(members: &mut [&'a Device], place: usize, device: &'a Device) {
    if let Some(member) = members.get_mut(place) {
        *member = device;
    }
}
