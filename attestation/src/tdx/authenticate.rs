//! From bytes to authentic claims: who signed this quote, and what does Intel say of that platform?
//! (docs/specs/evidence.md, "Checks".)

use crate::class::Anchored;
use crate::crypto;
use crate::endorsements::Endorsements;
use crate::error::{Check, Code};
use crate::pki::{ListRules, Path, PathRules, check_lists};
use crate::policy::Policy;
use crate::tdx::claims::{TdxClaims, TdxTcb};
use crate::tdx::collateral::{Checked, Collateral};
use crate::tdx::level::{Level, isv_level, module_objection, platform_level};
use crate::tdx::pck::{PckCa, PckExtension};
use crate::tdx::quote::TdxQuote;
use crate::tdx::{QeIdentity, TcbInfo};
use crate::trail::Trail;
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, PublicKey};

/// Most PCK certificates that are tried when the quote carries none.
pub(super) const MAX_CANDIDATES: usize = 8;

/// What everything about one quote is checked against.
pub(crate) struct Given<'a> {
    pub(crate) quote: &'a TdxQuote,
    pub(crate) bag: &'a Endorsements,
    pub(crate) anchored: Anchored<'a>,
    pub(crate) policy: &'a Policy,
    pub(crate) now: UnixTime,
}

/// Claims that a root vouches for, and until when.
pub(crate) struct Authentic {
    pub(crate) claims: TdxClaims,
    pub(crate) valid_until: UnixTime,
}

/// Runs the steps in order and stops at the first that fails:
///
/// 1. the quote's structure (already refused otherwise)
/// 2. a PCK certificate is at hand, in the quote or in the bag
/// 3. its chain leads to the pinned root, inside its dates, not revoked
/// 4. it names the platform
/// 5. its key signed the quoting enclave's report, which names the attestation key, which signed
///    the quote
/// 6. the quoting enclave is Intel's
/// 7. TCB info, for this platform; the TDX module is one that it knows
///
/// Whether the levels found there are good enough is the policy's question.
pub(crate) fn authenticate(trail: &mut Trail, given: &Given<'_>) -> Option<Authentic> {
    let quote = given.quote;
    let found = format!("version {}", quote.version());
    trail.step(Check::pass(Code::Parse, "quote structure", "a TDX quote, version 4 or 5", found))?;

    let leaf = pck_certificate(trail, given)?;
    let bag: Vec<&Certificate> = quote.chain().iter().chain(given.bag.certificates()).collect();
    let (ca, mut until) = check_chain(trail, given, leaf, &bag)?;
    let pck = PckExtension::read(leaf);
    let title = "platform of the certificate";
    let wanted = "PPID, TCB, PCE and FMSPC in the SGX extension";
    let pck = match pck {
        Ok(pck) => pck,
        Err(error) => {
            trail.step(Check::fail(Code::Chain, title, wanted, error.to_string()))?;
            return None;
        }
    };
    trail.step(Check::pass(Code::Chain, title, wanted, format!("FMSPC {}", hex::encode(pck.fmspc))))?;
    check_signatures(trail, quote, leaf)?;

    let collateral = Collateral {
        bag: given.bag,
        anchored: given.anchored,
        required: given.policy.tdx.require_collateral,
        lists_required: lists_required(given.policy),
        now: given.now,
    };
    let identity = collateral.qe_identity(trail)?;
    let qe_level = match &identity {
        Some(Checked { item, .. }) => Some(check_quoting_enclave(trail, quote, item)?),
        None => None,
    };
    let info = collateral.tcb_info(trail, &pck)?;
    if let Some(Checked { item, .. }) = &info {
        check_module(trail, quote, item)?;
    }
    let ends = identity.as_ref().map(|checked| checked.until).into_iter().chain(info.as_ref().map(|info| info.until));
    until = ends.fold(until, UnixTime::min);
    let tcb = tcb(quote, &pck, identity.map(|checked| checked.item), qe_level, info.map(|checked| checked.item));
    Some(Authentic { claims: TdxClaims::new(quote, &pck, ca, tcb), valid_until: until })
}

fn lists_required(policy: &Policy) -> bool {
    policy.require_revocation || policy.tdx.require_collateral
}

/// The certificate in the quote, or the one in the bag whose key signed the QE report.
fn pck_certificate<'a>(trail: &mut Trail, given: &Given<'a>) -> Option<&'a Certificate> {
    let (title, wanted) = ("PCK certificate", "the certificate of the platform's key");
    let quote = given.quote;
    let candidates = pck_candidates(quote, given.bag);
    if candidates.len() > MAX_CANDIDATES {
        let found = format!("{} of them, of which at most {MAX_CANDIDATES} are tried", candidates.len());
        trail.step(Check::fail(Code::NoEndorsement, title, wanted, found))?;
        return None;
    }
    let chosen = match candidates.as_slice() {
        [only] => Some(only),
        several => several.iter().find(|leaf| signs_qe_report(quote, leaf)).or(several.first()),
    };
    let Some(leaf) = chosen else {
        trail.step(Check::fail(Code::NoEndorsement, title, wanted, "none, in the quote or beside it"))?;
        return None;
    };
    trail.step(Check::pass(Code::NoEndorsement, title, wanted, leaf.subject.shown()))?;
    Some(leaf)
}

/// The PCK certificates in the quote; those in the bag where it carries none.
pub(super) fn pck_candidates<'a>(quote: &'a TdxQuote, bag: &'a Endorsements) -> Vec<&'a Certificate> {
    let of_pck = |certificate: &&'a Certificate| PckExtension::is_in(certificate);
    let own: Vec<_> = quote.chain().iter().filter(of_pck).collect();
    if !own.is_empty() {
        return own;
    }
    bag.certificates().iter().filter(of_pck).collect()
}

/// Chain, dates and revocation of the PCK certificate: which authority, and until when.
fn check_chain<'a>(
    trail: &mut Trail,
    given: &Given<'a>,
    leaf: &'a Certificate,
    bag: &[&'a Certificate],
) -> Option<(PckCa, UnixTime)> {
    let rules = PathRules {
        title: "PCK certificate chain to a pinned root",
        anchored: given.anchored,
        roots: &given.anchored.roots.intel,
        intermediates: 1,
        now: given.now,
    };
    let path = Path::build(trail, &rules, leaf, bag)?;
    trail.step(own_chain(given.quote, &path))?;
    let issuer = path.issuer_of_leaf();
    let title = "authority of the PCK certificate";
    let wanted = "Intel SGX PCK Platform CA or Intel SGX PCK Processor CA";
    let Some(ca) = issuer.subject.common_name().and_then(PckCa::of_name) else {
        trail.step(Check::fail(Code::Chain, title, wanted, issuer.subject.shown()))?;
        return None;
    };
    trail.step(Check::pass(Code::Chain, title, wanted, issuer.subject.shown()))?;
    let mut until = path.check_dates(trail, "PCK certificate dates", given.now)?;
    let required = lists_required(given.policy);
    let lists = |title| ListRules {
        title,
        lists: given.bag.revocation_lists(),
        required,
        remembered: given.anchored.remembered,
        now: given.now,
    };
    for end in [
        check_lists(trail, &lists("revocation of the PCK authority"), path.root, &[issuer])?,
        check_lists(trail, &lists("revocation of the PCK"), issuer, &[leaf])?,
    ] {
        until = end.map_or(until, |end| until.min(end));
    }
    Some((ca, until))
}

/// Every certificate that the quote carries must be on the path, or be the root's own under another
/// date: a changed one would otherwise pass, since the authorities are known without it.
fn own_chain(quote: &TdxQuote, path: &Path<'_>) -> Check {
    let (title, wanted) = ("certificates in the quote", "those of the path to the pinned root, and no others");
    let is_root = |carried: &Certificate| {
        carried == path.root || (carried.subject == path.root.subject && carried.is_signed_by(path.root))
    };
    let stranger = quote.chain().iter().find(|carried| !path.certificates.contains(carried) && !is_root(carried));
    match stranger {
        Some(stranger) => Check::fail(Code::Chain, title, wanted, stranger.subject.shown()),
        None => Check::pass(Code::Chain, title, wanted, format!("{} certificates", quote.chain().len())),
    }
}

/// Three signatures in a row: the PCK's over the QE report, the QE report's word for the
/// attestation key, the attestation key's over the quote.
fn check_signatures(trail: &mut Trail, quote: &TdxQuote, leaf: &Certificate) -> Option<()> {
    let holds = |holds: bool| if holds { "it verifies" } else { "it does not verify" };
    let signed = signs_qe_report(quote, leaf);
    let wanted = "made by the PCK over the quoting enclave's report";
    trail.step(Check::when(signed, Code::Signature, "signature of the QE report", wanted, holds(signed)))?;

    let bound = names_attestation_key(quote);
    let wanted = "the hash of the attestation key, then zeros, in the QE report";
    let found = if bound { "it is there" } else { "something else" };
    trail.step(Check::when(bound, Code::Signature, "attestation key", wanted, found))?;

    let point = [&[0x04], quote.attestation_key().as_slice()].concat();
    let signed = crypto::verify_ecdsa_p256_sha256(&point, quote.signed_bytes(), quote.signature()).is_ok();
    let wanted = "made by the attestation key over the bytes as received";
    trail.step(Check::when(signed, Code::Signature, "signature of the quote", wanted, holds(signed)))
}

pub(super) fn signs_qe_report(quote: &TdxQuote, leaf: &Certificate) -> bool {
    let PublicKey::P256(point) = &leaf.public_key else { return false };
    crypto::verify_ecdsa_p256_sha256(point, quote.qe_report().bytes(), quote.qe_signature()).is_ok()
}

fn names_attestation_key(quote: &TdxQuote) -> bool {
    let named = [quote.attestation_key().as_slice(), quote.qe_auth_data()].concat();
    let mut wanted = [0; 64];
    let (digest, _zeros) = wanted.split_at_mut(32);
    digest.copy_from_slice(&crypto::sha256(&named));
    quote.qe_report().report_data() == wanted
}

fn check_quoting_enclave(trail: &mut Trail, quote: &TdxQuote, identity: &QeIdentity) -> Option<Level> {
    let objection = identity.objection(quote.qe_report());
    let found = objection.unwrap_or("as its identity says");
    let wanted = "Intel's, not debugged";
    trail.step(Check::when(objection.is_none(), Code::Chain, "quoting enclave", wanted, found))?;
    Some(isv_level(&identity.fields.tcb_levels, quote.qe_report().isvsvn()))
}

fn check_module(trail: &mut Trail, quote: &TdxQuote, info: &TcbInfo) -> Option<()> {
    let wanted = "one that TCB info names, with its signer and attributes";
    trail.step(match module_objection(info, quote.body()) {
        Ok(name) => Check::pass(Code::Tcb, "TDX module", wanted, name),
        Err(objection) => Check::fail(Code::Tcb, "TDX module", wanted, objection),
    })
}

/// What Intel says of platform, module and quoting enclave together; of what is at hand.
fn tcb(
    quote: &TdxQuote,
    pck: &PckExtension,
    identity: Option<&QeIdentity>,
    qe: Option<Level>,
    info: Option<&TcbInfo>,
) -> Option<TdxTcb> {
    let platform = info.map(|info| platform_level(info, pck, quote.body()));
    let complete = platform.is_some() && qe.is_some();
    let level = match (platform, qe) {
        (Some(platform), Some(qe)) => platform.with_part(&qe),
        (Some(level), None) | (None, Some(level)) => level,
        (None, None) => return None,
    };
    let numbers = info
        .map(|info| info.fields.tcb_evaluation_data_number)
        .into_iter()
        .chain(identity.map(|identity| identity.fields.tcb_evaluation_data_number));
    Some(TdxTcb {
        status: level.status,
        date: level.date,
        advisories: level.advisories,
        evaluation_data_number: numbers.min().unwrap_or(0),
        complete,
    })
}
