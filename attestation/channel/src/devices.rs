//! Device evidence of an instance (protocol.md 1.3): what its GPUs and switches are asked, how their
//! answers travel beside the CPU's, and how a verifier gets them back.
//!
//! A report names no machine. What ties the devices to this instance is twofold: the challenge that
//! they answer follows from the instance's own keys, and the digest of their answers is in the
//! statement that the CPU quotes.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use strongroom_attestation::{Architecture, Artefacts, Code, DeviceEvidence, Refusal, Submission};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::attest::{AttestError, Collection, Record, indicator};
use crate::device_digest::CPU_LABEL;
use crate::statement::EpochStatement;

/// Domain separation of the challenge; frozen.
const TAG: &[u8] = b"strongroom/gpu-nonce/v1";

/// The media type of one device's record.
pub const MEDIA_TYPE: &str = "application/vnd.strongroom.nvidia-device+json";

/// `SHA-256("strongroom/gpu-nonce/v1" ‖ 0 ‖ instance id ‖ u64be(epoch) ‖ SHA-256(key configurations) ‖
/// SHA-256(COSE_Key of the instance) ‖ r)`: the challenge of every device of one epoch. `random` is drawn
/// anew for each collection, and travels in the records.
#[must_use]
pub fn challenge(
    instance_id: &[u8; 16],
    epoch: u64,
    key_configs: &[u8],
    signing_key: &[u8],
    random: &[u8; 32],
) -> [u8; 32] {
    Sha256::new()
        .chain_update(TAG)
        .chain_update([0])
        .chain_update(instance_id)
        .chain_update(epoch.to_be_bytes())
        .chain_update(Sha256::digest(key_configs))
        .chain_update(Sha256::digest(signing_key))
        .chain_update(random)
        .finalize()
        .into()
}

/// What one device answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAnswer {
    /// Its generation, as the driver names it.
    pub architecture: Architecture,
    /// Request and response.
    pub report: Vec<u8>,
    /// PEM, the report's key first.
    pub certificates: Vec<u8>,
}

/// Adds each answer to `evidence` as a record of its own: `gpu0`, `gpu1`, … and `switch0`, … in the order
/// given.
///
/// # Errors
/// More records than a collection holds.
pub fn insert(evidence: &mut Collection, answers: &[DeviceAnswer], random: &[u8; 32]) -> Result<(), AttestError> {
    let (mut gpus, mut switches) = (0u32, 0u32);
    for answer in answers {
        let (kind, count) =
            if answer.architecture.is_switch() { ("switch", &mut switches) } else { ("gpu", &mut gpus) };
        let value = json!({
            "arch": answer.architecture.name(),
            "evidence": STANDARD.encode(&answer.report),
            "certificate": STANDARD.encode(&answer.certificates),
            "r": hex::encode(random),
        });
        let value = value.to_string().into_bytes();
        evidence.insert(
            &format!("{kind}{count}"),
            Record { media_type: MEDIA_TYPE.to_owned(), value, indicator: indicator::EVIDENCE },
        )?;
        *count += 1;
    }
    Ok(())
}

/// The devices among `evidence` and the challenge that `statement` makes theirs; `None` where there is
/// no record but the CPU's.
///
/// # Errors
/// `PARSE`: a record of another media type, or one that is no device; records that do not name one `r`;
/// two records that are the same, which would count once.
pub fn submitted(
    statement: &EpochStatement,
    evidence: &Collection,
) -> Result<Option<(DeviceEvidence, [u8; 32])>, Refusal> {
    let mut artefacts = Artefacts::default();
    let mut random: Option<[u8; 32]> = None;
    let mut records = 0;
    for (label, record) in evidence.iter().filter(|(label, _)| *label != CPU_LABEL) {
        if record.media_type != MEDIA_TYPE || record.indicator != indicator::EVIDENCE {
            let found = format!("{}, indicator {}", record.media_type, record.indicator);
            return Err(malformed(format!("record {label} is {found}, wanted {MEDIA_TYPE}, indicator 4")));
        }
        let own =
            random_of(&record.value).ok_or_else(|| malformed(format!("record {label} has no \"r\" of 32 bytes")))?;
        if random.is_some_and(|first| first != own) {
            return Err(malformed(format!("record {label} is of another collection than those before it")));
        }
        random = Some(own);
        artefacts.add(&record.value)?;
        records += 1;
    }
    let Some(random) = random else { return Ok(None) };
    let Submission { machine, devices, .. } = artefacts.into_submission()?;
    if machine.is_some() || devices.devices().len() != records {
        return Err(malformed(format!("{records} device records, of which not each is one device of its own")));
    }
    let EpochStatement { instance_id, epoch, key_configs, signing_key, .. } = statement;
    let nonce = challenge(instance_id, *epoch, key_configs, &signing_key.to_cose_key(), &random);
    Ok(Some((devices, nonce)))
}

fn random_of(value: &[u8]) -> Option<[u8; 32]> {
    let value: serde_json::Value = serde_json::from_slice(value).ok()?;
    hex::decode(value.get("r")?.as_str()?).ok()?.try_into().ok()
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(Code::Parse, detail)
}
