//! The GPUs and switches beside the CPU: asked once an epoch with a challenge that follows from the
//! epoch's keys (`strongroom_channel::devices`), appraised here first, and opened for work only then.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_attestation::{
    Code, DevelopmentAnchors, DeviceAppraisal, Endorsements, Hardware, HardwareAnchors, Policy, Refusal, Simulated,
    UnixTime, verify_devices,
};
use strongroom_channel::attest::{AttestError, Collection, CollectionKind, Record, indicator};
use strongroom_channel::devices::{self, DeviceAnswer};
use strongroom_channel::statement::EpochStatement;

use super::EvidenceError;
use super::nvidia::{DeviceReport, GpuSource};
use crate::config::GpusConfig;

/// Bytes of one endorsement that is read.
const ENDORSEMENT_MAX: u64 = 1 << 20;
/// Endorsements that are read at most; a machine of eight GPUs needs about forty.
const ENDORSEMENTS_MAX: usize = 56;

/// All devices of this machine.
pub struct Devices {
    source: Arc<dyn GpuSource>,
    store: Store,
    policy: Policy,
    roots: Roots,
}

/// Where manifests, OCSP responses and lists are; untrusted.
enum Store {
    /// Read anew each time: responses last a day.
    Folder(PathBuf),
    Given(Vec<Vec<u8>>),
}

/// What this machine's own appraisal goes by.
enum Roots {
    Vendor,
    Development(DevelopmentAnchors),
}

/// What all devices answered in one epoch, as it travels: written once, for everybody who asks in it.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    evidence: Collection,
    /// What vendors say about the devices.
    endorsements: Collection,
}

impl Devices {
    /// The hardware behind `source`, as `config` describes it.
    #[must_use]
    pub fn of_hardware(source: Arc<dyn GpuSource>, config: &GpusConfig) -> Self {
        let store = config.endorsements.clone().map_or(Store::Given(Vec::new()), Store::Folder);
        Self { source, store, policy: policy(config), roots: Roots::Vendor }
    }

    /// Simulated devices under these roots, as `config` describes them.
    #[must_use]
    pub fn simulated(
        source: Arc<dyn GpuSource>,
        config: &GpusConfig,
        endorsements: Vec<Vec<u8>>,
        roots: DevelopmentAnchors,
    ) -> Self {
        Self { source, store: Store::Given(endorsements), policy: policy(config), roots: Roots::Development(roots) }
    }

    /// Asks every device for the epoch of `statement`, whose device digest is not known yet, and appraises
    /// the answers. The devices are open for work afterwards if, and only if, they passed.
    pub(crate) fn collect(&self, statement: &EpochStatement, now: u64) -> Result<Answered, EvidenceError> {
        let collected = self.collect_and_appraise(statement, now);
        if collected.is_err() {
            // The reason matters more than a driver that cannot be told; it stays closed until it is.
            let _ = self.source.set_ready(false);
        }
        let answered = collected?;
        self.source.set_ready(true).map_err(|error| EvidenceError::Failed(error.to_string()))?;
        Ok(answered)
    }

    fn collect_and_appraise(&self, statement: &EpochStatement, now: u64) -> Result<Answered, EvidenceError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| EvidenceError::Failed("the system gives no randomness".into()))?;
        let EpochStatement { instance_id, epoch, key_configs, signing_key, .. } = statement;
        let nonce = devices::challenge(instance_id, *epoch, key_configs, &signing_key.to_cose_key(), &random);
        let answers = self.reports(&nonce)?.into_iter().map(|device| DeviceAnswer {
            architecture: device.architecture,
            report: device.report,
            certificates: device.certificate_chain,
        });
        let answered = Answered::new(&answers.collect::<Vec<_>>(), &random, self.store.read()?)?;
        self.appraise(statement, &answered, UnixTime::from_secs(now))
            .map_err(|refusal| EvidenceError::Devices(Box::new(refusal)))?;
        Ok(answered)
    }

    /// What every device answers to `nonce`, for a protocol with a challenge of its own. It opens nothing:
    /// whoever asked judges the answers.
    pub(crate) fn reports(&self, nonce: &[u8; 32]) -> Result<Vec<DeviceReport>, EvidenceError> {
        self.source.collect(nonce).map_err(|error| EvidenceError::Failed(error.to_string()))
    }

    /// What a client will check, as far as this machine can: before it computes on a device, and before
    /// anybody else is asked to believe it.
    fn appraise(&self, statement: &EpochStatement, answered: &Answered, now: UnixTime) -> Result<(), Refusal> {
        let Some((devices, nonce)) = devices::submitted(statement, &answered.evidence)? else {
            return Err(Refusal::new(Code::PlatformNotAllowed, "no device answered"));
        };
        let mut bag = Endorsements::default();
        answered.endorsements.iter().try_for_each(|(_, record)| bag.add(&record.value))?;
        let (policy, nonce) = (&self.policy, Some(nonce));
        match &self.roots {
            Roots::Vendor => {
                let anchors = HardwareAnchors::compiled_in();
                let appraisal: DeviceAppraisal<Hardware> = verify_devices(&devices, &bag, &anchors, policy, nonce, now);
                appraisal.into_verdict().map(drop)
            }
            Roots::Development(anchors) => {
                let appraisal: DeviceAppraisal<Simulated> = verify_devices(&devices, &bag, anchors, policy, nonce, now);
                appraisal.into_verdict().map(drop)
            }
        }
    }
}

impl Store {
    fn read(&self) -> Result<Vec<Vec<u8>>, EvidenceError> {
        match self {
            Self::Folder(folder) => read(folder),
            Self::Given(endorsements) => Ok(endorsements.clone()),
        }
    }
}

impl Answered {
    /// One record for each device, and numbered ones for the endorsements.
    fn new(answers: &[DeviceAnswer], random: &[u8; 32], given: Vec<Vec<u8>>) -> Result<Self, EvidenceError> {
        let failed = |error: AttestError| EvidenceError::Failed(error.to_string());
        let mut evidence = Collection::new(CollectionKind::Evidence);
        devices::insert(&mut evidence, answers, random).map_err(failed)?;
        let mut endorsements = Collection::new(CollectionKind::Endorsements);
        for (number, value) in given.into_iter().enumerate() {
            let media_type = "application/vnd.strongroom.nvidia-endorsement".to_owned();
            let record = Record { media_type, value, indicator: indicator::ENDORSEMENTS };
            endorsements.insert(&format!("nvidia{number}"), record).map_err(failed)?;
        }
        Ok(Self { evidence, endorsements })
    }

    /// Adds the devices' records to the CPU's.
    pub(crate) fn add_to(&self, evidence: &mut Collection, endorsements: &mut Collection) {
        for (from, to) in [(&self.evidence, evidence), (&self.endorsements, endorsements)] {
            for (label, record) in from.iter() {
                // More than travel beside the CPU's are the operator's doing; the verifier then says what it misses.
                let _ = to.insert(label, record.clone());
            }
        }
    }

    /// Field 14 of the statement.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.evidence.device_digest()
    }
}

/// Genuine devices in the configured number; manifests and revocation as far as they are at hand, since
/// the tenant's policy decides on those.
fn policy(config: &GpusConfig) -> Policy {
    let mut policy = Policy { name: "this machine's own".to_owned(), ..Policy::authentic() };
    policy.nvidia.gpus = Some(config.count);
    policy.nvidia.switches = Some(config.switches);
    policy.nvidia.require_manifests = config.require_manifests;
    policy
}

/// Every file of the folder, in the order of their names.
fn read(folder: &Path) -> Result<Vec<Vec<u8>>, EvidenceError> {
    let failed = |what: &dyn std::fmt::Display| {
        EvidenceError::Failed(format!("endorsements of the GPUs in {}: {what}", folder.display()))
    };
    let entries = fs::read_dir(folder).map_err(|error| failed(&error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(&error))?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.len() > ENDORSEMENTS_MAX {
        return Err(failed(&format!("{} files, at most {ENDORSEMENTS_MAX} are read", paths.len())));
    }
    let read = |path: &PathBuf| {
        let length = fs::metadata(path).map_err(|error| failed(&error))?.len();
        if length > ENDORSEMENT_MAX {
            return Err(failed(&format!("{} has {length} bytes", path.display())));
        }
        fs::read(path).map_err(|error| failed(&error))
    };
    paths.iter().map(read).collect()
}
