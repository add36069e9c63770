//! Faults in manifests: the vendor signs what it should not.

use super::{
    architecture::NvidiaArchitecture,
    authority::Authority,
    device_issuance::root_certificate,
    fault::NvidiaFault,
    fault_in_device_certificates::Strangers,
    manifest::{Entry, Manifest},
    manifest_issuance::{ManifestIssuance, ManifestOf, Version},
};
use crate::{certificate::Validity, error::SimulationError, keys::Issuer};

/// The driver's manifest, and the VBIOS's.
const DRIVER: usize = 0;
const VBIOS: usize = 1;
/// An index of the VBIOS that two issues of its manifest disagree on.
const REISSUED_INDEX: usize = 9;

/// One thing wrong in the manifest that is about to be signed, which is the one of that number
/// among those that are wanted.
/// `forger` signs in the name of the authority above the signer and is not it.
pub(crate) fn alter_manifest_issuance<'a>(
    fault: NvidiaFault,
    number: usize,
    wanted: &[ManifestOf],
    issuance: &mut ManifestIssuance<'a>,
    strangers: &'a Strangers,
    forger: &'a dyn Issuer,
    now: u64,
) -> Result<(), SimulationError> {
    if number == VBIOS
        && fault == NvidiaFault::OverlappingManifests
        && let Some(driver) = wanted.first()
    {
        overlap(driver, &mut issuance.manifest);
    }
    if number != DRIVER {
        return Ok(());
    }
    let Some(wanted) = wanted.first() else { return Ok(()) };
    match fault {
        NvidiaFault::ManifestByOtherKey => issuance.signing_key = &strangers.key,
        NvidiaFault::ManifestByOutsider => {
            issuance.signing_key = &strangers.key;
            issuance.signer.key = &strangers.key;
            issuance.signer_issuer = forger;
        }
        NvidiaFault::ManifestForeignRoot => {
            issuance.root = root_certificate(Authority::ManifestRoot, &strangers.key, Validity::around(now))?;
            issuance.ca_issuer = &strangers.key;
        }
        NvidiaFault::ManifestIntermediateIsNoAuthority => issuance.intermediate.may_issue = false,
        NvidiaFault::UnmarkedManifestSigner => issuance.signer.says_development = false,
        NvidiaFault::ExpiredManifestSigner => issuance.signer.validity = Validity::past(now),
        NvidiaFault::FutureManifestSigner => issuance.signer.validity = Validity::future(now),
        NvidiaFault::ManifestOfAnotherDriver => {
            let version = Version::Driver("900.10.00".to_owned());
            issuance.manifest = ManifestOf { version, ..wanted.clone() }.content();
        }
        NvidiaFault::ManifestOfAnotherProduct => {
            let architecture = match wanted.architecture {
                NvidiaArchitecture::Hopper | NvidiaArchitecture::Ls10 => NvidiaArchitecture::Blackwell,
                NvidiaArchitecture::Blackwell => NvidiaArchitecture::Hopper,
            };
            issuance.manifest = ManifestOf { architecture, ..wanted.clone() }.content();
        }
        _ => alter_entries(fault, &mut issuance.manifest.entries),
    }
    Ok(())
}

/// Whether the manifest of that number is to be signed once more, and as what.
pub(crate) fn further_issue(fault: NvidiaFault, number: usize, issuance: &mut ManifestIssuance<'_>) -> bool {
    let again = fault == NvidiaFault::TwoIssues && number == VBIOS;
    if again && let Some(entry) = issuance.manifest.entries.get_mut(REISSUED_INDEX) {
        entry.hashes = vec!["5a".repeat(48)];
        entry.alternatives = "1".to_owned();
    }
    again
}

fn alter_entries(fault: NvidiaFault, entries: &mut [Entry]) {
    let Some(place) = entries.iter().position(|entry| entry.active) else { return };
    match fault {
        NvidiaFault::ManifestRepeatedIndex => {
            if let (Some(index), Some(next)) =
                (entries.get(place).map(|entry| entry.index.clone()), entries.get_mut(place + 1))
            {
                next.index = index;
            }
        }
        NvidiaFault::ManifestAlternatives => {
            if let Some(entry) = entries.get_mut(place) {
                entry.alternatives = (entry.hashes.len() + 1).to_string();
            }
        }
        NvidiaFault::ManifestShortHash => {
            if let Some(hash) = entries.get_mut(place).and_then(|entry| entry.hashes.first_mut()) {
                hash.truncate(64);
            }
        }
        _ => {}
    }
}

/// The VBIOS's manifest has the right value of a measurement that is the driver's.
fn overlap(driver: &ManifestOf, manifest: &mut Manifest) {
    let mut entries = driver.content().entries.into_iter();
    if let Some(entry) = entries.find(|entry| entry.active)
        && let Some(place) = manifest.entries.iter_mut().find(|other| other.index == entry.index)
    {
        *place = entry;
    }
}
