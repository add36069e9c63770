//! Whether NVIDIA made a manifest: its digest, its signature, the signer's certificates, their dates.
//! Revocation is judged by the caller, on the path that comes out.

use super::Manifest;
use crate::class::{Anchored, Class, Hardware};
use crate::error::{Check, Code, Refusal};
use crate::pki::{Path, PathRules};
use crate::remembered::Remembered;
use crate::trail::Trail;
use crate::trust_anchors::HardwareAnchors;
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, oid};

/// Signer (L4), L3, the product's authority, root.
const CERTIFICATES: usize = 4;

/// What is asked.
pub(crate) struct Given<'a> {
    /// What the checks call it, for example "driver manifest".
    pub(crate) title: &'a str,
    pub(crate) manifest: &'a Manifest,
    pub(crate) anchored: Anchored<'a>,
    pub(crate) now: UnixTime,
}

/// Steps, stopping at the first failure; the path that was taken and until when it is good.
pub(crate) fn authenticate<'a>(trail: &mut Trail, given: &Given<'a>) -> Option<(Path<'a>, UnixTime)> {
    let Given { title, manifest, anchored, now } = *given;
    let shown = manifest.shown();
    let over = manifest.signature.is_over(&manifest.digest);
    let found = if over { shown.clone() } else { format!("another: {shown} was changed after signing") };
    trail.step(Check::when(over, Code::Signature, format!("{title} digest"), "the one that is signed", found))?;

    // A manifest cannot be read without a certificate.
    let signer = manifest.certificates().first()?;
    let made = manifest.signature.is_made_by(signer, anchored.remembered);
    let by = signer.subject.shown();
    let found = if made { format!("made by {by}") } else { format!("it does not verify: {shown}, {by}") };
    let wanted = "made by the key of the first certificate";
    trail.step(Check::when(made, Code::Signature, format!("{title} signature"), wanted, found))?;

    let path = signers_path(trail, given, signer)?;
    let until = path.check_dates(trail, &format!("{title} signer's dates"), now)?;
    Some((path, until))
}

/// The path from `signer` to a pinned root, of exactly the certificates in the document: none of them is
/// left unchecked, and none comes from elsewhere.
fn signers_path<'a>(trail: &mut Trail, given: &Given<'a>, signer: &'a Certificate) -> Option<Path<'a>> {
    let certificates = given.manifest.certificates();
    let title = format!("{} signer's chain", given.title);
    if certificates.len() != CERTIFICATES {
        let found = format!("{} certificates", certificates.len());
        trail.step(Check::fail(Code::Chain, title, "the four from the signer to the root", found))?;
        return None;
    }
    let rules = PathRules {
        title: &title,
        anchored: given.anchored,
        roots: &given.anchored.roots.nvidia_manifests,
        intermediates: 2,
        now: given.now,
    };
    let bag: Vec<&Certificate> = certificates.iter().skip(1).collect();
    let path = Path::build(trail, &rules, signer, &bag)?;
    let same = path.all().map(Certificate::der).eq(certificates.iter().map(Certificate::der));
    let (holds, found) = match (same, is_for_signing(signer)) {
        (false, _) => (false, "others, or in another order".to_owned()),
        (true, false) => (false, format!("{}, whose key is for something else", signer.subject.shown())),
        (true, true) => (true, "the same".to_owned()),
    };
    let wanted = "exactly those of that chain, the first one for signing";
    trail.step(Check::when(holds, Code::Chain, format!("{} certificates", given.title), wanted, found))?;
    Some(path)
}

/// Whether the key may sign documents. The authorities above certify keys for other purposes too, such as
/// status responders', and say so in an extended key usage; a signer of manifests has none.
fn is_for_signing(signer: &Certificate) -> bool {
    signer.may_sign_data() && signer.extension(oid::EXTENDED_KEY_USAGE).is_none()
}

/// Whether NVIDIA made this reference integrity manifest, as of `now`, and how long that lasts: its
/// digest and signature hold, and its certificates lead to the pinned root and are in their dates.
/// Whether one of them is revoked is not asked here.
pub fn authenticate_manifest(document: &[u8], anchors: &HardwareAnchors, now: UnixTime) -> Result<UnixTime, Refusal> {
    let manifest = Manifest::parse(document)?;
    let remembered = Remembered::new(0);
    let anchored = Hardware::anchored(anchors, &remembered);
    let mut trail = Trail::default();
    let outcome = authenticate(&mut trail, &Given { title: "manifest", manifest: &manifest, anchored, now });
    match (outcome, Refusal::from_checks(trail.into_parts().checks)) {
        (Some((_, until)), None) => Ok(until),
        (_, Some(refusal)) => Err(refusal),
        // A trail that ends early holds the failure that ended it.
        (None, None) => Err(super::malformed("it has no certificate")),
    }
}
