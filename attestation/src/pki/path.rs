//! A path from a certificate up to a pinned root, built from an untrusted bag.

use crate::class::Anchored;
use crate::error::{Check, Code};
use crate::pki::unfit;
use crate::trail::Trail;
use crate::trust_anchors::{VendorRoot, is_known, looks_like_development, valid_until};
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, oid};

/// Signatures that may be checked for one path. A genuine one takes at most five; whoever fills
/// the bag chooses how many certificates bear the right names.
const MAX_SIGNATURES: u32 = 24;

/// Critical extensions whose meaning a path here keeps to, or that only narrow what a leaf is for.
/// Policies are among them because no policy is asked for (RFC 5280 6.1.1: any will do).
const KNOWN_CRITICAL: [&[u8]; 5] = [
    oid::BASIC_CONSTRAINTS,
    oid::KEY_USAGE,
    oid::EXTENDED_KEY_USAGE,
    oid::SUBJECT_ALTERNATIVE_NAME,
    oid::CERTIFICATE_POLICIES,
];

/// What a path must be.
pub(crate) struct PathRules<'a, 't> {
    /// What the checks are called, for example "PCK certificate chain".
    pub(crate) title: &'t str,
    pub(crate) anchored: Anchored<'a>,
    /// The vendor's pinned roots.
    pub(crate) roots: &'a [VendorRoot],
    /// Most certificates between leaf and root.
    pub(crate) intermediates: usize,
    pub(crate) now: UnixTime,
}

/// A leaf, the certificates above it, and the pinned root: each signed by the next.
#[derive(Clone, Debug)]
pub(crate) struct Path<'a> {
    /// From the leaf up, without the root.
    pub(crate) certificates: Vec<&'a Certificate>,
    pub(crate) root: &'a Certificate,
}

impl<'a> Path<'a> {
    /// Finds a path from `leaf` to a root through certificates known with the root and those in
    /// `bag`, and checks that every certificate on it is fit for it: the issuers are CAs, the leaf
    /// is none, no unknown critical extension, the development mark on all or none. Notes the
    /// outcome; `None` when it failed.
    pub(crate) fn build(
        trail: &mut Trail,
        rules: &PathRules<'a, '_>,
        leaf: &'a Certificate,
        bag: &[&'a Certificate],
    ) -> Option<Path<'a>> {
        let title = rules.title;
        if !rules.anchored.development && looks_like_development(leaf) {
            trail.step(simulated(title, leaf))?;
        }
        let mut search = Search { rules, bag, budget: MAX_SIGNATURES, development: None };
        let found = search.up_from(&mut vec![leaf]);
        let Some(path) = found else {
            if let Some(marked) = search.development.filter(|_| !rules.anchored.development) {
                trail.step(simulated(title, marked))?;
            }
            let wanted = "a signature at each step up to a pinned root";
            let found = match search.budget {
                0 => "too many certificates of the issuers' names".to_owned(),
                _ => format!("{}, of which no issuer leads to one", leaf.subject.shown()),
            };
            trail.step(Check::fail(Code::Chain, title, wanted, found))?;
            return None;
        };
        trail.step(match path.objection(rules.anchored.development) {
            Some(objection) => Check::fail(Code::Chain, title, "certificates fit for it", objection),
            None => Check::pass(Code::Chain, title, "a signature at each step up to a pinned root", path.shown()),
        })?;
        trail.rests_on(path.all());
        Some(path)
    }

    /// [`check_dates`] of every certificate of the path.
    pub(crate) fn check_dates(&self, trail: &mut Trail, title: &str, now: UnixTime) -> Option<UnixTime> {
        check_dates(trail, title, self.all(), now)
    }

    pub(crate) fn leaf(&self) -> &'a Certificate {
        // A path is never built without its leaf.
        self.certificates.first().copied().unwrap_or(self.root)
    }

    /// The certificate that signed the leaf.
    pub(crate) fn issuer_of_leaf(&self) -> &'a Certificate {
        self.certificates.get(1).copied().unwrap_or(self.root)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &'a Certificate> {
        self.certificates.iter().copied().chain([self.root])
    }

    fn shown(&self) -> String {
        self.all().map(|certificate| certificate.subject.shown()).collect::<Vec<_>>().join(" <- ")
    }

    /// What is wrong with certificates whose signatures hold, if anything is.
    fn objection(&self, development: bool) -> Option<String> {
        if self.leaf().is_ca() != Some(false) {
            return Some("an end certificate that is a CA".to_owned());
        }
        for (place, certificate) in self.all().enumerate() {
            let name = certificate.subject.shown();
            // RFC 5280 4.2.1.9: how many authorities may stand between it and the leaf.
            if certificate.path_length().is_some_and(|most| place.saturating_sub(1) > usize::from(most)) {
                return Some(format!("{name}, which may not have {} authorities below it", place.saturating_sub(1)));
            }
            if let Some(objection) = unfit(certificate, &KNOWN_CRITICAL, development) {
                return Some(objection);
            }
        }
        None
    }
}

/// The last moment at which all of `certificates` are valid; notes a failure when one is not valid at `now`.
pub(crate) fn check_dates<'a>(
    trail: &mut Trail,
    title: &str,
    certificates: impl IntoIterator<Item = &'a Certificate>,
    now: UnixTime,
) -> Option<UnixTime> {
    let all: Vec<&Certificate> = certificates.into_iter().collect();
    let wanted = format!("all valid at {now}");
    match valid_until(&all, now) {
        Ok(until) => {
            trail.lasts(title, until);
            trail.step(Check::pass(Code::CollateralExpired, title, wanted, format!("valid until {until}")))?;
            Some(until)
        }
        Err(outside) => {
            let name = outside.subject.shown();
            let found = format!("{name}: {} to {}", outside.not_before, outside.not_after);
            trail.step(Check::fail(Code::CollateralExpired, title, wanted, found))?;
            None
        }
    }
}

struct Search<'a, 'r> {
    rules: &'r PathRules<'a, 'r>,
    bag: &'r [&'a Certificate],
    budget: u32,
    /// An issuer that is marked for development, for saying so.
    development: Option<&'a Certificate>,
}

impl<'a> Search<'a, '_> {
    /// Goes up from the last of `below`; the first path that reaches a root is the answer. Of
    /// several certificates of one authority, those valid now come first.
    fn up_from(&mut self, below: &mut Vec<&'a Certificate>) -> Option<Path<'a>> {
        let last = *below.last()?;
        for VendorRoot { root, known } in self.rules.roots {
            if last.issuer == root.subject && (is_known(last, known) || self.signed(last, root)) {
                return Some(Path { certificates: below.clone(), root });
            }
        }
        if below.len() > self.rules.intermediates {
            return None;
        }
        let now = self.rules.now;
        let known = || self.rules.roots.iter().flat_map(|vendor| &vendor.known);
        // What came with the evidence goes first, so that an authority's certificate that was
        // issued again is the one that counts; a copy of a known one is that one.
        let supplied = self.bag.iter().map(|copy| known().find(|known| known == copy).unwrap_or(copy));
        let mut issuers: Vec<&'a Certificate> = supplied
            .chain(known())
            .filter(|candidate| candidate.subject == last.issuer && candidate.may_issue())
            .filter(|candidate| !below.contains(candidate))
            .collect();
        issuers.sort_by_key(|issuer| now < issuer.not_before || now > issuer.not_after);
        for issuer in issuers {
            if !self.signed(last, issuer) {
                continue;
            }
            if looks_like_development(issuer) {
                self.development = Some(issuer);
            }
            below.push(issuer);
            let path = self.up_from(below);
            below.pop();
            if path.is_some() {
                return path;
            }
        }
        None
    }

    fn signed(&mut self, certificate: &Certificate, issuer: &Certificate) -> bool {
        match self.budget.checked_sub(1) {
            Some(left) => {
                self.budget = left;
                certificate.is_signed_by_remembering(issuer, self.rules.anchored.remembered)
            }
            None => false,
        }
    }
}

fn simulated(title: &str, certificate: &Certificate) -> Check {
    let found = format!("{}, issued by {}", certificate.subject.shown(), certificate.issuer.shown());
    Check::fail(
        Code::Simulated,
        format!("class of the platform ({title})"),
        "hardware, under a compiled-in vendor root",
        format!("a simulated platform: {found}"),
    )
}
