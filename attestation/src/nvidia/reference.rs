//! Manifests that NVIDIA signed, and the comparison of a device's measurements with them
//! (NVIDIA/attestation-sdk, `generate_set_measurement_claims`).

use std::collections::BTreeSet;

use crate::class::Anchored;
use crate::endorsements::Endorsements;
use crate::error::{Check, Code};
use crate::hex_bytes::HexBytes;
use crate::nvidia::chip::Architecture;
use crate::nvidia::claims::{DeviceClaims, ManifestClaims};
use crate::nvidia::manifest::{self, Edition, Golden, Manifest};
use crate::nvidia::policy::NvidiaPolicy;
use crate::pki::{StatusRules, check_status};
use crate::trail::Trail;
use crate::unix_time::UnixTime;
use crate::x509::Certificate;

/// The index of what Hopper's first video decoder measures, which means nothing while it is off.
const HOPPER_NVDEC0: u8 = 35;

/// What the manifest is about, of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Driver,
    Firmware,
}

/// A manifest whose signature, chain, dates and revocation hold. Only [`Reference::authenticate`] makes
/// one.
pub(super) struct Reference<'a> {
    manifest: &'a Manifest,
    /// Since when its signer's certificate is valid.
    signed_since: UnixTime,
    pub(super) until: UnixTime,
}

impl<'a> Reference<'a> {
    /// Authenticates every manifest among the endorsements; each must speak of one of `devices`. Notes
    /// the outcome; `None` when one failed.
    pub(super) fn authenticate_all(
        trail: &mut Trail,
        bag: &'a Endorsements,
        (devices, policy): (&[DeviceClaims], &NvidiaPolicy),
        anchored: Anchored<'a>,
        now: UnixTime,
    ) -> Option<Vec<Reference<'a>>> {
        let mut references = Vec::new();
        // In an order of their own, not the sender's: the answer is the same in all of them.
        let mut manifests: Vec<&Manifest> = bag.manifests().iter().collect();
        manifests.sort_by_cached_key(|manifest| (manifest.shown(), manifest.sha256()));
        for manifest in manifests {
            let about = format!("manifest of {}", manifest.shown());
            let given = manifest::Given { title: &format!("{about}:"), manifest, anchored, now };
            let (path, path_until) = manifest::authenticate(trail, &given)?;
            let certificates: Vec<&Certificate> = path.all().collect();
            let pairs: Vec<(&Certificate, &Certificate)> =
                certificates.iter().copied().zip(certificates.iter().skip(1).copied()).collect();
            let rules = StatusRules {
                title: &format!("{about}: revocation of the certificates"),
                answers: bag.ocsp_responses(),
                lists: bag.revocation_lists(),
                required: policy.require_revocation,
                allow_hold: policy.allow_certificate_hold,
                anchored,
                now,
            };
            let status_until = check_status(trail, &rules, &pairs)?;
            let reference = Reference {
                manifest,
                signed_since: path.leaf().not_before,
                until: status_until.unwrap_or(path_until).min(path_until),
            };
            trail.step(reference.is_used(&about, devices))?;
            references.push(reference);
        }
        Some(references)
    }

    /// A manifest that is about none of the devices was meant for others, or one of them is not what
    /// whoever chose the manifest thought.
    fn is_used(&self, about: &str, devices: &[DeviceClaims]) -> Check {
        let used = devices.iter().any(|device| self.role(device).is_some());
        let shown = devices.iter().map(|device| {
            let driver =
                device.driver_version.as_ref().map(|version| format!(" driver {version},")).unwrap_or_default();
            format!("{} {}:{driver} firmware {}", device.label, device.architecture.name(), device.vbios_version)
        });
        let title = format!("{about}: device");
        let found = shown.collect::<Vec<_>>().join("; ");
        Check::when(used, Code::Measurement, title, format!("a device that is {}", self.manifest.shown()), found)
    }

    /// What the manifest is of this device, if it is about it at all: the product, the kind and the
    /// version say so.
    fn role(&self, device: &DeviceClaims) -> Option<Role> {
        let (product, edition) = match device.architecture {
            Architecture::Hopper => ("GH100", Edition::Gpu),
            Architecture::Blackwell => ("GB100", Edition::Gpu),
            Architecture::Ls10 => ("LS10", Edition::Switch),
        };
        let version = self.manifest.colloquial_version();
        if self.manifest.product() != product || self.manifest.edition() != edition {
            return None;
        }
        if device.driver_version.as_deref() == Some(version) {
            return Some(Role::Driver);
        }
        version.eq_ignore_ascii_case(&device.vbios_version).then_some(Role::Firmware)
    }

    fn claims(&self) -> ManifestClaims {
        ManifestClaims {
            sha256: HexBytes(self.manifest.sha256()),
            of: self.manifest.shown(),
            signer_not_before: self.signed_since,
        }
    }

    /// The manifests that are about this device, for its claims.
    pub(super) fn of(references: &[Reference<'_>], device: &DeviceClaims) -> Vec<ManifestClaims> {
        references.iter().filter(|reference| reference.role(device).is_some()).map(Reference::claims).collect()
    }

    /// Compares a device with every manifest that is about it.
    pub(super) fn compare_all(
        references: &[Reference<'_>],
        device: &DeviceClaims,
        policy: &NvidiaPolicy,
    ) -> Vec<Check> {
        let roles: &[Role] = if device.is_switch() { &[Role::Firmware] } else { &[Role::Driver, Role::Firmware] };
        let of_role = |role: Role| references.iter().filter(move |reference| reference.role(device) == Some(role));
        let mut checks = Vec::new();
        for role in roles {
            for reference in of_role(*role) {
                checks.push(reference.compare(device, *role));
                checks.extend(reference.pinned(device, *role, policy));
            }
            if of_role(*role).next().is_none() {
                checks.push(absent(device, *role, policy));
            }
        }
        for driver in of_role(Role::Driver) {
            checks.extend(of_role(Role::Firmware).map(|firmware| apart(device, driver, firmware)));
        }
        checks
    }

    fn active(&self) -> impl Iterator<Item = &Golden> {
        self.manifest.golden().iter().filter(|golden| golden.active)
    }

    fn compare(&self, device: &DeviceClaims, role: Role) -> Check {
        let measured = |index: u8| device.measurements.iter().find(|measurement| measurement.index == index);
        let decoder_off = device.architecture == Architecture::Hopper && device.nvdec0 == Some(false);
        let compared = || self.active().filter(|golden| !(decoder_off && golden.index == HOPPER_NVDEC0));
        let differ: Vec<String> = compared()
            .filter(|golden| !measured(golden.index).is_some_and(|found| golden.alternatives.contains(&found.digest.0)))
            .map(|golden| match measured(golden.index) {
                Some(_) => golden.index.to_string(),
                None => format!("{} (not measured)", golden.index),
            })
            .collect();
        let skipped = if decoder_off && compared().count() < self.active().count() {
            format!(", {HOPPER_NVDEC0} left out as its decoder is off")
        } else {
            String::new()
        };
        let count = compared().count();
        let wanted = format!("{count} values as in {}{skipped}", self.manifest.shown());
        let found = match differ.as_slice() {
            [] => "all equal".to_owned(),
            differ => format!("others at {}", differ.join(", ")),
        };
        // A manifest without a value that counts would compare with anything.
        let holds = differ.is_empty() && count > 0;
        Check::when(holds, Code::Measurement, title(device, role, "measurements"), wanted, found)
    }

    fn pinned(&self, device: &DeviceClaims, role: Role, policy: &NvidiaPolicy) -> Vec<Check> {
        let mut checks = Vec::new();
        let sha256 = HexBytes(self.manifest.sha256());
        if let Some(allowed) = &policy.manifest_digests {
            let wanted = format!("one of the {} that the policy names", allowed.len());
            let title = title(device, role, "manifest's digest");
            checks.push(Check::when(allowed.contains(&sha256), Code::Measurement, title, wanted, sha256.to_string()));
        }
        if let Some(least) = policy.minimum_manifest_date {
            let since = self.signed_since;
            let title = title(device, role, "manifest's age");
            let wanted = format!("a signer whose certificate begins at {least} or later");
            checks.push(Check::when(since >= least, Code::Tcb, title, wanted, since.to_string()));
        }
        checks
    }
}

fn absent(device: &DeviceClaims, role: Role, policy: &NvidiaPolicy) -> Check {
    let id = match role {
        Role::Driver => &device.driver_manifest_id,
        Role::Firmware => &device.vbios_manifest_id,
    };
    let title = title(device, role, "measurements");
    let name = id.as_deref().unwrap_or("one for this board, which the report does not name");
    if policy.require_manifests {
        return Check::fail(Code::NoEndorsement, title, format!("NVIDIA's manifest {name}"), Check::NONE_SUPPLIED);
    }
    let wanted = format!("nothing: the policy does not require the manifest {name}");
    Check::skip(Code::NoEndorsement, title, wanted, Check::NONE_SUPPLIED)
}

/// Two manifests that both claim a value would leave it open which one counts.
fn apart(device: &DeviceClaims, driver: &Reference<'_>, firmware: &Reference<'_>) -> Check {
    let of_driver: BTreeSet<u8> = driver.active().map(|golden| golden.index).collect();
    let both: Vec<String> = firmware
        .active()
        .filter(|golden| of_driver.contains(&golden.index))
        .map(|golden| golden.index.to_string())
        .collect();
    let found = if both.is_empty() { "none".to_owned() } else { both.join(", ") };
    let title = format!("{}: values in both manifests", device.label);
    Check::when(both.is_empty(), Code::Measurement, title, "none", found)
}

fn title(device: &DeviceClaims, role: Role, what: &str) -> String {
    let role = match role {
        Role::Driver => "driver",
        Role::Firmware => "firmware",
    };
    format!("{}: {role}'s {what}", device.label)
}
