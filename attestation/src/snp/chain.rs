//! From a VCEK or VLEK to the pinned root, built by role from an untrusted bag.

use crate::class::Anchored;
use crate::endorsements::Endorsements;
use crate::error::{Check, Code};
use crate::pki::unfit;
use crate::snp::endorsement_key::claimed_product;
use crate::snp::report::SigningKey;
use crate::trail::Trail;
use crate::trust_anchors::{SnpRoot, is_known, is_rsa_4096, looks_like_development};
use crate::x509::{Certificate, oid};

const TITLE: &str = "certificate chain to a pinned root";

/// A chain whose signatures hold: the endorsement key's certificate, its issuer, the root.
pub(super) struct Chain<'a> {
    pub(super) leaf: &'a Certificate,
    pub(super) intermediate: &'a Certificate,
    pub(super) root: &'a SnpRoot,
}

/// Finds an intermediate (compiled in, or in the bag) that signed `leaf` and that the root of the
/// claimed product line signed. The root is always a pinned one.
pub(super) fn build<'a>(
    trail: &mut Trail,
    leaf: &'a Certificate,
    kind: SigningKey,
    bag: &'a Endorsements,
    anchored: Anchored<'a>,
) -> Option<Chain<'a>> {
    if !anchored.development {
        refuse_development(trail, leaf)?;
    }
    let product = claimed_product(leaf, kind);
    let root = product.and_then(|line| anchored.roots.snp.iter().find(|root| root.product == line));
    let Some(root) = root else {
        let wanted = "an issuer of a product line whose root is pinned";
        trail.step(Check::fail(Code::Chain, TITLE, wanted, leaf.issuer.shown()))?;
        return None;
    };

    let signed = |certificate: &Certificate, issuer| certificate.is_signed_by_remembering(issuer, anchored.remembered);
    let mut named = None;
    let mut issuers = Vec::new();
    let mut intermediate = None;
    for candidate in root.intermediates.iter().chain(bag.certificates()) {
        if candidate.subject != leaf.issuer {
            continue;
        }
        named.get_or_insert(candidate);
        // Whoever fills the bag chooses how many there are and how large their keys: what is
        // quick to see comes before a signature, and each signature is checked once.
        if !is_rsa_4096(candidate) || !candidate.may_issue() || !signed(leaf, candidate) {
            continue;
        }
        if is_known(candidate, &root.intermediates) || signed(candidate, &root.ark) {
            intermediate = Some(candidate);
            break;
        }
        issuers.push(candidate);
    }
    let Some(intermediate) = intermediate else {
        if !anchored.development
            && let Some(issuer) = issuers.iter().find(|issuer| looks_like_development(issuer))
        {
            refuse_development(trail, issuer)?;
        }
        let root_name = root.ark.subject.shown();
        let found = match (issuers.first(), named) {
            (Some(_), _) => format!("an issuer of that name that {root_name} did not sign"),
            (None, Some(_)) => "no issuer of that name that may issue with RSA-4096 and signed it".to_owned(),
            (None, None) => format!("no certificate of {}", leaf.issuer.shown()),
        };
        let wanted = format!("{} <- {} <- {root_name}", leaf.subject.shown(), leaf.issuer.shown());
        trail.step(Check::fail(Code::Chain, TITLE, wanted, found))?;
        return None;
    };

    let chain = Chain { leaf, intermediate, root };
    let found = chain.objection(anchored.development);
    let shown = chain.shown();
    trail.step(match found {
        Some(objection) => Check::fail(Code::Chain, TITLE, "certificates fit for it", objection),
        None => Check::pass(Code::Chain, TITLE, "a signature at each step", shown),
    })?;
    trail.rests_on(chain.certificates());
    Some(chain)
}

impl<'a> Chain<'a> {
    pub(super) fn certificates(&self) -> [&'a Certificate; 3] {
        [self.leaf, self.intermediate, &self.root.ark]
    }

    fn shown(&self) -> String {
        self.certificates().map(|certificate| certificate.subject.shown()).join(" <- ")
    }

    /// What is wrong with certificates whose signatures hold, if anything is.
    fn objection(&self, development: bool) -> Option<String> {
        if self.leaf.is_ca() != Some(false) {
            return Some("an endorsement key that is a CA".to_owned());
        }
        if !is_rsa_4096(&self.root.ark) {
            return Some("a root whose key is not RSA-4096".to_owned());
        }
        let known = [oid::BASIC_CONSTRAINTS, oid::KEY_USAGE];
        self.certificates().into_iter().find_map(|certificate| unfit(certificate, &known, development))
    }
}

/// Ends the trail with `SIMULATED` when the certificate is marked for development.
fn refuse_development(trail: &mut Trail, certificate: &Certificate) -> Option<()> {
    if !looks_like_development(certificate) {
        return Some(());
    }
    let found = format!("{}, issued by {}", certificate.subject.shown(), certificate.issuer.shown());
    trail.step(Check::fail(
        Code::Simulated,
        "class of the platform",
        "hardware, under a compiled-in vendor root",
        format!("a simulated platform: {found}"),
    ))
}
