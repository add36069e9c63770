//! The certificate of the vTPM's attestation key, up to Microsoft's root.

use crate::azure::authenticate::Given;
use crate::error::{Check, Code};
use crate::pki::{Path, PathRules};
use crate::trail::Trail;
use crate::trust_anchors::plain_name;
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, PublicKey};

const TITLE: &str = "certificate of the attestation key";
/// What the authorities of these keys have in their names.
const AUTHORITY: &str = "Virtual TPM CA";

/// Checks the certificate whose key is `attestation_key`. `Some(None)` when none was supplied and
/// none is required; else until when it is valid. One for another key is refused: it was meant for
/// this one.
pub(super) fn check(trail: &mut Trail, given: &Given<'_>, attestation_key: &[u8]) -> Option<Option<UnixTime>> {
    let wanted = "a certificate of the key in the run-time data";
    let of_key = |certificate: &&Certificate| matches!(&certificate.public_key, PublicKey::Rsa { key, .. } if key == attestation_key);
    let certificates = given.bag.certificates();
    let Some(leaf) = certificates.iter().find(of_key) else {
        let other = certificates.iter().find(|certificate| is_of_attestation_key(certificate));
        trail.step(match other {
            Some(other) => Check::fail(Code::Chain, TITLE, wanted, format!("one of another key, {}", named(other))),
            None if given.policy.azure.require_ak_certificate => {
                Check::fail(Code::NoEndorsement, TITLE, wanted, Check::NONE_SUPPLIED)
            }
            None => Check::skip(Code::Chain, TITLE, "nothing: the policy does not require one", Check::NONE_SUPPLIED),
        })?;
        return Some(None);
    };
    trail.step(Check::pass(Code::Chain, TITLE, wanted, named(leaf)))?;
    let bag: Vec<&Certificate> = certificates.iter().collect();
    let rules = PathRules {
        title: "attestation key's chain to a pinned root",
        anchored: given.anchored,
        roots: &given.anchored.roots.vtpm,
        intermediates: 2,
        now: given.now,
    };
    let path = Path::build(trail, &rules, leaf, &bag)?;
    path.check_dates(trail, "attestation key's certificate dates", given.now).map(Some)
}

fn is_of_attestation_key(certificate: &Certificate) -> bool {
    let issuer = certificate.issuer.common_name().map(plain_name).unwrap_or_default();
    certificate.is_ca() == Some(false) && issuer.contains(AUTHORITY)
}

fn named(certificate: &Certificate) -> String {
    format!("issued by {}", certificate.issuer.shown())
}
