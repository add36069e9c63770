//! Authentic claims and the certificates that they rest on, against the policy's deny lists.

use crate::claims::AuthenticatedClaims;
use crate::deny::{Denied, DeniedSubject, DenyList};
use crate::error::{Check, Code};
use crate::policy::Policy;
use crate::snp::SnpClaims;
use crate::tdx::TdxClaims;
use crate::unix_time::UnixTime;

/// Every title of these checks begins with this one.
const TITLE: &str = "deny list";
const PLATFORM: &str = "deny list: platform";
/// Lengths of the identities that AMD gives: Turin's short form, and CHIP_ID.
const AMD_IDENTITIES: [usize; 2] = [8, 64];
/// Length of a PPID.
const INTEL_IDENTITIES: [usize; 1] = [16];

/// Whether a check is one of those made here: that a measurement is not denied does not say that
/// it is one of those wanted.
pub(crate) fn is_of_deny_list(check: &Check) -> bool {
    check.title.starts_with(TITLE)
}

/// Whether a check asks for the platform among those denied.
pub(crate) fn is_of_denied_platform(check: &Check) -> bool {
    check.title == PLATFORM
}

/// Asks every list of the policy for the platform, its kind, what was measured at launch, every
/// certificate that was used, and what Intel advises. What a list names and the evidence does not
/// tell is refused: it could be the one.
pub(crate) fn answer(
    claims: &AuthenticatedClaims,
    fingerprints: &[[u8; 32]],
    policy: &Policy,
    now: UnixTime,
) -> Vec<Check> {
    let lists: Vec<&DenyList> = policy.deny_lists().collect();
    if lists.is_empty() {
        let wanted = "nothing: the policy has no deny list";
        return vec![Check::skip(Code::CollateralExpired, TITLE, wanted, "none")];
    }
    vec![
        dates(&lists, now),
        platform(claims, &lists),
        measurement(claims, &lists),
        certificates(fingerprints, &lists),
        advisories(claims.tdx(), &lists),
    ]
}

/// The same for devices, of which lists name certificates.
pub(crate) fn answer_devices(fingerprints: &[[u8; 32]], policy: &Policy, now: UnixTime) -> Vec<Check> {
    let lists: Vec<&DenyList> = policy.deny_lists().collect();
    match lists.as_slice() {
        [] => Vec::new(),
        _ => vec![dates(&lists, now), certificates(fingerprints, &lists)],
    }
}

/// An edition that has ended may lack what was found since.
fn dates(lists: &[&DenyList], now: UnixTime) -> Check {
    let ended = lists.iter().find(|list| list.not_after().is_some_and(|end| now > end));
    let shown = |list: &DenyList| match list.not_after() {
        Some(end) => format!("{}, until {end}", list.shown()),
        None => list.shown(),
    };
    let found = match ended {
        Some(list) => shown(list),
        None => lists.iter().map(|list| shown(list)).collect::<Vec<_>>().join("; "),
    };
    Check::when(ended.is_none(), Code::CollateralExpired, TITLE, format!("valid at {now}"), found)
}

fn platform(claims: &AuthenticatedClaims, lists: &[&DenyList]) -> Check {
    let (identities, lengths) = match (claims.snp(), claims.tdx()) {
        (Some(snp), _) => (chip(snp), AMD_IDENTITIES.as_slice()),
        (None, Some(tdx)) => {
            (tdx.platform_identity().map(|ppid| ppid.to_vec()).into_iter().collect(), INTEL_IDENTITIES.as_slice())
        }
        (None, None) => (Vec::new(), [].as_slice()),
    };
    let fmspc = claims.tdx().map(|tdx| tdx.pck.fmspc);
    let listed = find(lists, |subject| match subject {
        DeniedSubject::Platform(named) => identities.contains(&named.0),
        DeniedSubject::Fmspc(named) => Some(*named) == fmspc,
        _ => false,
    });
    let named =
        |subject: &DeniedSubject| matches!(subject, DeniedSubject::Platform(named) if lengths.contains(&named.0.len()));
    let unknown = identities.is_empty().then_some("a platform that does not show which one it is");
    verdict(Code::PlatformNotAllowed, PLATFORM, lists, listed, unknown.filter(|_| find(lists, named).is_some()))
}

/// Every way to name this chip: as the report shows it, whoever vouches for that, and as its
/// certificate does, which a report that masks its chip id still needs.
fn chip(claims: &SnpClaims) -> Vec<Vec<u8>> {
    let length = claims.product.hwid_len();
    let shown = claims.chip_id.get(..length).filter(|id| id.iter().any(|byte| *byte != 0));
    let mut names = Vec::new();
    for significant in [shown, claims.certified_chip.as_deref()].into_iter().flatten() {
        let mut long = significant.to_vec();
        long.resize(claims.chip_id.len(), 0);
        names.extend([significant.to_vec(), long]);
    }
    names
}

fn measurement(claims: &AuthenticatedClaims, lists: &[&DenyList]) -> Check {
    let snp = claims.snp().map(|snp| snp.measurement);
    let measured = snp.or(claims.tdx().map(|tdx| tdx.mr_td.0));
    let listed =
        find(lists, |subject| matches!(subject, DeniedSubject::Measurement(named) if Some(named.0) == measured));
    verdict(Code::Measurement, "deny list: launch measurement", lists, listed, None)
}

fn certificates(fingerprints: &[[u8; 32]], lists: &[&DenyList]) -> Check {
    let listed =
        find(lists, |subject| matches!(subject, DeniedSubject::Certificate(named) if fingerprints.contains(&named.0)));
    verdict(Code::Revoked, "deny list: certificates", lists, listed, None)
}

fn advisories(claims: Option<&TdxClaims>, lists: &[&DenyList]) -> Check {
    let title = "deny list: advisories";
    let Some(tdx) = claims else {
        return Check::skip(Code::Tcb, title, "nothing: advisories are for Intel's platforms", "another platform");
    };
    let found = tdx.tcb.as_ref().map(|tcb| tcb.advisories.as_slice()).unwrap_or_default();
    let listed = find(
        lists,
        |subject| matches!(subject, DeniedSubject::Advisory(named) if found.iter().any(|one| one.eq_ignore_ascii_case(named))),
    );
    let complete = tdx.tcb.as_ref().is_some_and(|tcb| tcb.complete);
    let any = find(lists, |subject| matches!(subject, DeniedSubject::Advisory(_))).is_some();
    let unknown =
        (any && !complete).then_some("a platform without TCB info and QE identity, which name its advisories");
    verdict(Code::Tcb, title, lists, listed, unknown)
}

/// The first entry whose subject is the one, with its list.
fn find<'a>(lists: &[&'a DenyList], is_it: impl Fn(&DeniedSubject) -> bool) -> Option<(&'a DenyList, &'a Denied)> {
    lists.iter().find_map(|list| Some((*list, list.entries().iter().find(|entry| is_it(&entry.subject))?)))
}

fn verdict(
    code: Code,
    title: &str,
    lists: &[&DenyList],
    listed: Option<(&DenyList, &Denied)>,
    unknown: Option<&str>,
) -> Check {
    let all = lists.iter().map(|list| list.shown()).collect::<Vec<_>>().join(" and ");
    match (listed, unknown) {
        (Some((list, entry)), _) => {
            let found = format!("{}: {}", entry.subject.shown(), entry.reason);
            Check::fail(code, title, format!("not on {}", list.shown()), found)
        }
        (None, Some(unknown)) => Check::fail(code, title, format!("known not to be on {all}"), unknown),
        (None, None) => Check::pass(code, title, format!("not on {all}"), format!("not on {all}")),
    }
}

#[cfg(test)]
mod tests {
    use strongroom_simulated_platform::{PckCa, SimulatedIntel, TdBody};

    use super::*;
    use crate::error::State;
    use crate::snp::{EndorsementKey, Product, SnpReport};
    use crate::{Artefacts, DevelopmentAnchors, Expected, Simulated, verify};

    const GENOA: &[u8] = include_bytes!("../../../tests/vectors/snp/012-genoa-v5/report.bin");
    const TURIN: &[u8] = include_bytes!("../../../tests/vectors/snp/013-turin-v5/report.bin");

    fn claims(report: &[u8], product: Product) -> SnpClaims {
        SnpClaims::new(&SnpReport::parse(report).unwrap(), product, EndorsementKey::Vcek)
    }

    #[test]
    fn a_masked_chip_is_known_by_its_certificate() {
        let mut genoa = claims(GENOA, Product::Genoa);
        genoa.certified_chip = Some(std::mem::replace(&mut genoa.chip_id, [0; 64]).to_vec());
        assert!(chip(&genoa).contains(&GENOA[0x1A0..0x1E0].to_vec()));
        let mut turin = claims(TURIN, Product::Turin);
        turin.certified_chip = Some(turin.chip_id[..8].to_vec());
        turin.chip_id = [0; 64];
        for name in [&TURIN[0x1A0..0x1A8], &TURIN[0x1A0..0x1E0]] {
            assert!(chip(&turin).contains(&name.to_vec()));
        }
        turin.certified_chip = None;
        assert!(chip(&turin).is_empty(), "nothing tells it");
    }
    /// Claims of a TD that everything was supplied for.
    fn td() -> TdxClaims {
        let now = UnixTime::from_secs(1_800_000_000);
        let intel = SimulatedIntel::published(now.as_secs()).unwrap();
        let td = intel.td([3; 32], PckCa::Platform, TdBody::healthy(), now.as_secs()).unwrap();
        let evidence = td.evidence(&[7; 64]).unwrap();
        let mut artefacts = Artefacts::default();
        for bytes in evidence.collateral.artefacts().iter().chain([&evidence.quote]) {
            artefacts.add(bytes).unwrap();
        }
        let (evidence, bag) = artefacts.into_evidence().unwrap();
        let anchors = DevelopmentAnchors::new(intel.root_certificate_der()).unwrap();
        let expected = Expected::unbound_for_inspection();
        let appraisal = verify::<Simulated>(&evidence, &bag, &anchors, &Policy::authentic(), &expected, now);
        appraisal.claims().unwrap().tdx().unwrap().clone()
    }

    #[test]
    fn an_advisory_that_is_not_borne_refuses_whatever_else_the_level_says() {
        let advisory = |name: &str| DeniedSubject::Advisory(name.to_owned());
        let entry = Denied { subject: advisory("INTEL-SA-00615"), reason: "MMIO stale data".to_owned() };
        let list = DenyList::new("bank".to_owned(), 1, None, vec![entry]).unwrap();
        let state = |claims: &TdxClaims| advisories(Some(claims), &[&list]).state;
        let mut claims = td();
        let advised = |claims: &mut TdxClaims, names: &[&str], complete: bool| {
            let tcb = claims.tcb.as_mut().unwrap();
            tcb.advisories = names.iter().map(|name| (*name).to_owned()).collect();
            tcb.complete = complete;
        };
        assert_eq!(state(&claims), State::Pass);
        advised(&mut claims, &["INTEL-SA-00614", "INTEL-SA-006150"], true);
        assert_eq!(state(&claims), State::Pass, "others");
        for name in ["INTEL-SA-00615", "intel-sa-00615"] {
            advised(&mut claims, &["INTEL-SA-00614", name], true);
            assert_eq!(state(&claims), State::Fail, "{name}");
        }
        assert!(advisories(Some(&claims), &[&list]).found.ends_with("MMIO stale data"));
        advised(&mut claims, &[], false);
        assert_eq!(state(&claims), State::Fail, "half of the collateral tells half of them");
        claims.tcb = None;
        assert_eq!(state(&claims), State::Fail, "none tells nothing");
    }
}
