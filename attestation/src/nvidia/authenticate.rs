//! From bytes to authentic claims: each device's certificates, signature and firmware digest; then that
//! all of them are devices of one challenge, each there once. (docs/specs/evidence-nvidia.md)

use std::collections::BTreeMap;

use crate::class::Anchored;
use crate::endorsements::Endorsements;
use crate::error::{Check, Code};
use crate::nvidia::chain::{self, DeviceChain};
use crate::nvidia::claims::DeviceClaims;
use crate::nvidia::evidence::{Device, DeviceEvidence};
use crate::pki::{StatusRules, check_status};
use crate::policy::Policy;
use crate::trail::Trail;
use crate::unix_time::UnixTime;
use crate::x509::Certificate;

/// What everything about the devices of one machine is checked against.
pub(crate) struct Given<'a> {
    pub(crate) evidence: &'a DeviceEvidence,
    pub(crate) bag: &'a Endorsements,
    pub(crate) anchored: Anchored<'a>,
    pub(crate) policy: &'a Policy,
    /// The challenge that they must have answered; `None` where they are only looked at.
    pub(crate) nonce: Option<[u8; 32]>,
    pub(crate) now: UnixTime,
}

/// Claims that NVIDIA's root vouches for, and until when.
pub(crate) struct Authentic {
    pub(crate) devices: Vec<DeviceClaims>,
    pub(crate) nonce: [u8; 32],
    pub(crate) valid_until: UnixTime,
}

/// Runs the steps for one device after the other, and stops at the first that fails:
///
/// 1. five certificates lead from the key that signed to the pinned root, in their dates
/// 2. the report is of the generation, kind and challenge that its sender says
/// 3. the key made the signature
/// 4. the firmware that holds the key is the one that was certified
/// 5. no certificate is revoked
/// 6. the challenge is the one that was asked, and the same for all; no device is there twice
pub(crate) fn authenticate(trail: &mut Trail, given: &Given<'_>) -> Option<Authentic> {
    let mut devices = Vec::new();
    let mut valid_until = UnixTime::from_secs(u64::MAX);
    for (device, label) in given.evidence.devices().iter().zip(labels(given.evidence)) {
        let chain = chain_of(trail, given, device, &label)?;
        as_stated(trail, &label, device, &chain)?;
        let signed = device.report.is_signed_by(chain.leaf).is_ok();
        let found = if signed { "it verifies" } else { "it does not verify" };
        let wanted = "made by the certified key over request and response as received";
        trail.step(Check::when(signed, Code::Signature, format!("{label}: signature of the report"), wanted, found))?;
        trail.step(firmware(&label, device, &chain, given.policy))?;
        let revocation = StatusRules {
            title: &format!("{label}: revocation of the certificates"),
            answers: given.bag.ocsp_responses(),
            lists: given.bag.revocation_lists(),
            required: given.policy.nvidia.require_revocation,
            allow_hold: given.policy.nvidia.allow_certificate_hold,
            anchored: given.anchored,
            now: given.now,
        };
        let status_until = check_status(trail, &revocation, &chain.revocable())?;
        valid_until = status_until.unwrap_or(valid_until).min(valid_until).min(chain.until);
        devices.push(DeviceClaims::new(label, &device.report, &chain));
    }
    let nonce = one_challenge(trail, given)?;
    trail.step(each_once(&devices))?;
    Some(Authentic { devices, nonce, valid_until })
}

/// What checks call each device: GPUs and switches are counted apart.
pub(super) fn labels(evidence: &DeviceEvidence) -> impl Iterator<Item = String> + '_ {
    let (mut gpus, mut switches) = (0u8, 0u8);
    evidence.devices().iter().map(move |device| {
        let (kind, count) = if device.report.opaque.is_switch { ("switch", &mut switches) } else { ("GPU", &mut gpus) };
        let label = format!("{kind} {count}");
        *count = count.saturating_add(1);
        label
    })
}

/// The chain that came with the report; or the one among the endorsements whose key signed it.
fn chain_of<'a>(trail: &mut Trail, given: &Given<'a>, device: &'a Device, label: &str) -> Option<DeviceChain<'a>> {
    let length = device.report.as_bytes().len();
    let found = format!("{length} bytes, {} measurements", device.report.measurements().len());
    let wanted = "an SPDM 1.1 report with its request";
    trail.step(Check::pass(Code::Parse, format!("{label}: structure of the report"), wanted, found))?;
    let chain = given_chain(given.bag, device);
    let Some(chain) = chain.filter(|chain| chain.first().is_some_and(chain::is_leaf)) else {
        let found = match chain {
            Some(_) => "certificates that do not begin with one of such a key",
            None => Check::NONE_SUPPLIED,
        };
        let wanted = "the certificates of the key that signed the report, that key's first";
        trail.step(Check::fail(Code::NoEndorsement, format!("{label}: certificate chain"), wanted, found))?;
        return None;
    };
    chain::authenticate(trail, label, chain, given.anchored, given.now)
}

/// The certificates that came with a report, or those in the bag whose key signed it. Nothing of them is verified.
pub(super) fn given_chain<'a>(bag: &'a Endorsements, device: &'a Device) -> Option<&'a Vec<Certificate>> {
    let chains = bag.device_chains();
    let signs = |chain: &&Vec<Certificate>| chain.first().is_some_and(|leaf| device.report.is_signed_by(leaf).is_ok());
    // One that did not sign still says more than none: its refusal names it.
    let chosen = || match chains {
        [only] => Some(only),
        several => several.iter().find(signs).or(several.first()),
    };
    device.chain.as_ref().or_else(chosen)
}

/// What the sender wrote beside the report, and the report's own kind.
fn as_stated(trail: &mut Trail, label: &str, device: &Device, chain: &DeviceChain<'_>) -> Option<()> {
    let chip = chain.chip;
    let kind = |is_switch| if is_switch { "a switch" } else { "a GPU" };
    let (wanted, found) = (chip.architecture.is_switch(), device.report.opaque.is_switch);
    let title = format!("{label}: kind of device");
    trail.step(Check::when(wanted == found, Code::Chain, title, kind(wanted), kind(found)))?;
    if let Some(stated) = device.architecture {
        let title = format!("{label}: generation");
        let holds = stated == chip.architecture;
        trail.step(Check::when(holds, Code::Chain, title, chip.architecture.name(), stated.name()))?;
    }
    if let Some(named) = device.report.opaque.chip_info.as_deref() {
        let title = format!("{label}: chip that the report names");
        trail.step(Check::when(named == chip.product, Code::Chain, title, chip.product, named))?;
    }
    if let Some(own) = device.report.opaque.pdi {
        let title = format!("{label}: identity on the fabric");
        let certified = chain.fabric_identity().map_or_else(|| "none".to_owned(), hex::encode);
        trail.step(Check::when(certified == own.to_string(), Code::Chain, title, certified, own.to_string()))?;
    }
    if let Some(stated) = device.nonce {
        let title = format!("{label}: challenge beside the report");
        let nonce = device.report.nonce();
        trail.step(Check::when(stated == *nonce, Code::Nonce, title, hex::encode(nonce), hex::encode(stated)))?;
    }
    Some(())
}

fn firmware(label: &str, device: &Device, chain: &DeviceChain<'_>, policy: &Policy) -> Check {
    let title = format!("{label}: firmware that holds the key");
    match (device.report.opaque.fwid, chain.fwid()) {
        (Some(reported), Some(certified)) => {
            Check::when(reported == certified, Code::Chain, title, hex::encode(certified), hex::encode(reported))
        }
        (Some(reported), None) => {
            Check::fail(Code::Chain, title, hex::encode(reported), "no digest in the certificate")
        }
        (None, _) if chain.chip.architecture.is_switch() => {
            Check::skip(Code::Chain, title, "nothing: switches do not report it", "none in the report")
        }
        (None, _) if policy.nvidia.allow_missing_fwid => {
            let wanted = "nothing: the policy takes firmware that does not report it";
            Check::skip(Code::Chain, title, wanted, "none in the report")
        }
        (None, certified) => {
            let wanted = certified.map_or_else(|| "a digest".to_owned(), hex::encode);
            Check::fail(Code::Chain, title, wanted, "none in the report: firmware of driver 535 or 545")
        }
    }
}

/// The challenge of all the devices.
fn one_challenge(trail: &mut Trail, given: &Given<'_>) -> Option<[u8; 32]> {
    let nonces = || given.evidence.devices().iter().map(|device| *device.report.nonce());
    let first = nonces().next()?;
    let title = "challenge of the devices";
    if let Some(other) = nonces().find(|nonce| *nonce != first) {
        let found = format!("{} and {}", hex::encode(first), hex::encode(other));
        trail.step(Check::fail(Code::Nonce, title, "one that all of them answered", found))?;
        return None;
    }
    let found = hex::encode(first);
    trail.step(match given.nonce {
        Some(wanted) => Check::when(wanted == first, Code::Nonce, title, hex::encode(wanted), found),
        None => {
            let wanted = "nothing: the devices are only looked at, and are bound to no conversation";
            Check::skip(Code::Nonce, title, wanted, found)
        }
    })?;
    Some(first)
}

fn each_once(devices: &[DeviceClaims]) -> Check {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let twice = devices.iter().find_map(|device| {
        let before = seen.insert(&device.ueid, &device.label)?;
        Some(format!("{before} and {} are one device, ueid {}", device.label, device.ueid))
    });
    let found = twice.clone().unwrap_or_else(|| format!("{} different devices", devices.len()));
    Check::when(twice.is_none(), Code::PlatformNotAllowed, "devices", "each device once", found)
}
