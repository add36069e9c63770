//! A device's certificates: five, in order, from the key that signs reports to NVIDIA's pinned root.
//! Each chip is certified under authorities of its own family, and shows there which one it is.

use crate::class::Anchored;
use crate::error::{Check, Code};
use crate::nvidia::chip::Chip;
use crate::nvidia::fwid;
use crate::pki::{check_dates, unfit};
use crate::trail::Trail;
use crate::trust_anchors::{VendorRoot, looks_like_development, plain_name};
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, oid};

/// Leaf, device, provisioner, family, root.
pub(crate) const CHAIN_LEN: usize = 5;

/// Critical extensions that NVIDIA's certificates have, and whose meaning is kept to here.
const KNOWN_CRITICAL: [&[u8]; 2] = [oid::BASIC_CONSTRAINTS, oid::KEY_USAGE];

/// What ends the common name of the key that signs reports.
const LEAF_SUFFIX: &str = " FMC LF";

/// A chain whose signatures hold up to a pinned root, in its dates. Only [`authenticate`] makes one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeviceChain<'a> {
    pub(crate) leaf: &'a Certificate,
    /// Of the chip itself.
    pub(crate) device: &'a Certificate,
    pub(crate) provisioner: &'a Certificate,
    pub(crate) family: &'a Certificate,
    pub(crate) root: &'a Certificate,
    pub(crate) chip: Chip,
    pub(crate) until: UnixTime,
}

/// Whether a certificate is of a key that signs reports, as its name says: what begins a chain.
pub(crate) fn is_leaf(certificate: &Certificate) -> bool {
    certificate.subject.common_name().map(plain_name).is_some_and(|name| name.ends_with(LEAF_SUFFIX))
}

impl DeviceChain<'_> {
    /// What the chip is called on the NVLink fabric: the last eight bytes of its certificate's name
    /// (which begins with a byte for the kind of device). Switches repeat theirs in their reports and
    /// name the GPUs that they connect (docs/decisions/0007-gpus-by-their-certificates.md).
    pub(crate) fn fabric_identity(&self) -> Option<[u8; 8]> {
        let digits = self.device.subject.serial_number()?;
        let bytes: [u8; 9] = hex::decode(digits).ok()?.try_into().ok()?;
        let [_kind, identity @ ..] = bytes;
        Some(identity)
    }

    /// The claim `hwmodel`: what the chip's certificate calls it.
    pub(crate) fn hardware_model(&self) -> String {
        self.device.subject.common_name().map(plain_name).unwrap_or_default().to_owned()
    }

    /// Firmware digest in the leaf, if it can be read.
    pub(crate) fn fwid(&self) -> Option<[u8; 48]> {
        fwid::read(self.leaf)
    }

    /// Pairs of a certificate and its issuer whose revocation is asked for: not the leaf, which no
    /// responder knows, and not the root.
    pub(crate) fn revocable(&self) -> [(&Certificate, &Certificate); 3] {
        [(self.device, self.provisioner), (self.provisioner, self.family), (self.family, self.root)]
    }
}

/// Checks `chain` as it stands; nothing is searched for, so that each certificate in it is one that the
/// answer rests on. Notes the outcome; `None` when it failed.
pub(crate) fn authenticate<'a>(
    trail: &mut Trail,
    label: &str,
    chain: &'a [Certificate],
    anchored: Anchored<'a>,
    now: UnixTime,
) -> Option<DeviceChain<'a>> {
    let title = format!("{label}: certificate chain");
    if !anchored.development
        && let Some(marked) = chain.iter().find(|certificate| looks_like_development(certificate))
    {
        let found = format!("a simulated device: {}", marked.subject.shown());
        let wanted = "hardware, under a compiled-in vendor root";
        trail.step(Check::fail(Code::Simulated, format!("{label}: class of the device"), wanted, found))?;
    }
    let shown = || chain.iter().map(|certificate| certificate.subject.shown()).collect::<Vec<_>>().join(" <- ");
    let [leaf, device, provisioner, family, root] = chain else {
        let wanted = format!("{CHAIN_LEN} certificates, the report's key first and NVIDIA's root last");
        trail.step(Check::fail(Code::Chain, title, wanted, format!("{}: {}", chain.len(), shown())))?;
        return None;
    };
    let wanted = "a signature at each step up to the pinned root";
    if let Some(objection) = objection(chain, anchored) {
        trail.step(Check::fail(Code::Chain, title, wanted, objection))?;
        return None;
    }
    trail.step(Check::pass(Code::Chain, title.clone(), wanted, shown()))?;
    trail.rests_on(chain);
    let chip = match Chip::of_chain([leaf, device, provisioner, family]) {
        Ok(chip) => chip,
        Err(found) => {
            let wanted = "certificates of one family of devices";
            trail.step(Check::fail(Code::Chain, format!("{label}: family of the chain"), wanted, found))?;
            return None;
        }
    };
    let until = check_dates(trail, &format!("{label}: dates of the certificates"), chain, now)?;
    Some(DeviceChain { leaf, device, provisioner, family, root, chip, until })
}

/// What is wrong with five certificates in a row, if anything is.
fn objection(chain: &[Certificate], anchored: Anchored<'_>) -> Option<String> {
    let root = chain.last()?;
    // Another root has the same name: its bytes are what counts, and with them its key.
    if !anchored.roots.nvidia_devices.iter().any(|VendorRoot { root: pinned, .. }| pinned.der() == root.der()) {
        return Some(format!("{}, which is not the pinned root of that name", root.subject.shown()));
    }
    for (place, (certificate, issuer)) in chain.iter().zip(chain.iter().skip(1)).enumerate() {
        let (name, above) = (certificate.subject.shown(), issuer.subject.shown());
        if !issuer.may_issue() || issuer.path_length().is_some_and(|most| place > usize::from(most)) {
            return Some(format!("{above}, which may not issue {name}"));
        }
        if !certificate.is_signed_by_remembering(issuer, anchored.remembered) {
            return Some(format!("{name}, which {above} did not sign"));
        }
    }
    let leaf = chain.first()?;
    if leaf.is_ca() != Some(false) || !leaf.may_sign_data() {
        return Some(format!("{}, whose key is not for signing reports", leaf.subject.shown()));
    }
    chain.iter().find_map(|certificate| unfit(certificate, &KNOWN_CRITICAL, anchored.development))
}
