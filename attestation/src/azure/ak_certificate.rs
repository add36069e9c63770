//! The certificate of the vTPM's attestation key, up to Microsoft's root.

use crate::azure::authenticate::Given;
use crate::error::{Check, Code};
use crate::pki::{Path, PathRules};
use crate::trail::Trail;
use crate::trust_anchors::plain_name;
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, PublicKey};

const TITLE: &str = "certificate of the attestation key";
const CHAIN: &str = "attestation key's chain to a pinned root";
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
    if !has_issuer(given, leaf) {
        let found = format!("no certificate of {}", leaf.issuer.shown());
        trail.step(match given.policy.azure.require_ak_certificate {
            true => Check::fail(Code::NoEndorsement, CHAIN, "the authorities above it", found),
            false => Check::skip(Code::Chain, CHAIN, "nothing: the policy does not require it", found),
        })?;
        return Some(None);
    }
    let bag: Vec<&Certificate> = certificates.iter().collect();
    let rules = PathRules {
        title: CHAIN,
        anchored: given.anchored,
        roots: &given.anchored.roots.vtpm,
        intermediates: 2,
        now: given.now,
    };
    let path = Path::build(trail, &rules, leaf, &bag)?;
    path.check_dates(trail, "attestation key's certificate dates", given.now).map(Some)
}

/// Whether any certificate at hand bears the issuer's name: there are dozens of authorities, one a
/// region, and a guest often sends its own certificate only.
fn has_issuer(given: &Given<'_>, leaf: &Certificate) -> bool {
    let roots = &given.anchored.roots.vtpm;
    let known = roots.iter().flat_map(|vendor| vendor.known.iter().chain([&vendor.root]));
    known.chain(given.bag.certificates()).any(|certificate| certificate.subject == leaf.issuer)
}

fn is_of_attestation_key(certificate: &Certificate) -> bool {
    let issuer = certificate.issuer.common_name().map(plain_name).unwrap_or_default();
    certificate.is_ca() == Some(false) && issuer.contains(AUTHORITY)
}

fn named(certificate: &Certificate) -> String {
    format!("issued by {}", certificate.issuer.shown())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::AzureEvidence;
    use crate::class::{Class, Hardware};
    use crate::endorsements::Endorsements;
    use crate::error::State;
    use crate::evidence::Evidence;
    use crate::policy::Policy;
    use crate::remembered::Remembered;
    use crate::trust_anchors::HardwareAnchors;

    const EVIDENCE: &[u8] = include_bytes!("../../../tests/vectors/azure-ak/evidence.json");
    const CLOUD: [&[u8]; 3] = [
        include_bytes!("../../../tests/vectors/azure-ak/ak-cloud-ca-24.pem"),
        include_bytes!("../../../tests/vectors/azure-ak/cloud-ca-24.pem"),
        include_bytes!("../../../tests/vectors/azure-ak/cloud-ca-2025.pem"),
    ];
    const GLOBAL: &[u8] = include_bytes!("../../../tests/vectors/azure-ak/ak-global-ca-03.pem");

    /// The last check for the key of the first certificate, or for another key.
    fn outcome(pem: &[&[u8]], own_key: bool, change: impl Fn(&mut Policy), now: &str) -> (State, Code) {
        let mut bag = Endorsements::default();
        for text in pem {
            bag.add(text).unwrap();
        }
        let PublicKey::Rsa { key, .. } = bag.certificates()[0].public_key.clone() else { panic!("an RSA key") };
        let key = if own_key { key } else { vec![7; 8] };
        let Evidence::Azure(evidence) = Evidence::parse(EVIDENCE).unwrap() else { panic!("a paravisor's") };
        let evidence: &AzureEvidence = &evidence;
        let mut policy = Policy::authentic();
        change(&mut policy);
        let anchors = HardwareAnchors::compiled_in();
        let now = UnixTime::parse_rfc3339(now).unwrap();
        let remembered = Remembered::new(8);
        let anchored = Hardware::anchored(&anchors, &remembered);
        let given = Given { evidence, bag: &bag, anchored, policy: &policy, now };
        let mut trail = Trail::default();
        let _ = check(&mut trail, &given, &key);
        let last = trail.into_checks().pop().unwrap();
        (last.state, last.code)
    }

    #[test]
    fn both_hierarchies_lead_to_the_root() {
        let passed = (State::Pass, Code::CollateralExpired);
        assert_eq!(outcome(&CLOUD, true, |_| (), "2026-07-01T00:00:00Z"), passed);
        assert_eq!(outcome(&[GLOBAL], true, |_| (), "2026-07-01T00:00:00Z"), passed);
        let expired = (State::Fail, Code::CollateralExpired);
        assert_eq!(outcome(&CLOUD, true, |_| (), "2027-06-03T00:00:01Z"), expired);
        assert_eq!(outcome(&[GLOBAL], true, |_| (), "2025-11-30T00:00:00Z"), expired);
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        assert_eq!(outcome(&CLOUD, false, |_| (), "2026-07-01T00:00:00Z"), (State::Fail, Code::Chain));
    }

    #[test]
    fn authorities_that_are_not_at_hand_are_skipped_only_where_the_policy_allows() {
        let alone = &CLOUD[..1];
        let now = "2026-07-01T00:00:00Z";
        assert_eq!(outcome(alone, true, |_| (), now), (State::Skip, Code::Chain));
        let required = |policy: &mut Policy| policy.azure.require_ak_certificate = true;
        assert_eq!(outcome(alone, true, required, now), (State::Fail, Code::NoEndorsement));
        // The region's authority is there, and its own issuer is not.
        assert_eq!(outcome(&CLOUD[..2], true, |_| (), now), (State::Fail, Code::Chain));
    }

    #[test]
    fn no_bit_of_the_certificate_is_ignored() {
        let mut bag = Endorsements::default();
        bag.add(GLOBAL).unwrap();
        let der = bag.certificates()[0].der().to_vec();
        for bit in (0..der.len() * 8).step_by(37) {
            let mut changed = der.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            if Endorsements::default().add(&changed).is_err() || !is_rsa(&changed) {
                continue;
            }
            let (state, _) =
                outcome(&[&changed], true, |p| p.azure.require_ak_certificate = true, "2026-07-01T00:00:00Z");
            assert_eq!(state, State::Fail, "bit {bit}");
        }
    }

    fn is_rsa(der: &[u8]) -> bool {
        Certificate::parse(der).is_ok_and(|certificate| matches!(certificate.public_key, PublicKey::Rsa { .. }))
    }
}
