//! Revocation of the intermediates. AMD's lists cover what the ARK issued; endorsement keys all
//! have serial number zero and are never listed.

use crate::endorsements::Endorsements;
use crate::error::{Check, Code};
use crate::remembered::Remembered;
use crate::snp::chain::Chain;
use crate::snp::product::Product;
use crate::trail::Trail;
use crate::unix_time::UnixTime;
use crate::x509::RevocationList;

const TITLE: &str = "revocation";

/// Serials that AMD's lists are known to revoke, refused also when no list is at hand: the first
/// SEV-Genoa (list of 2024-10-23).
const KNOWN_REVOKED: &[(Product, &[u8])] = &[(Product::Genoa, &[0x02, 0x00, 0x01])];

/// Checks the chain's intermediate and root against every list of that root in the bag. Returns
/// until when the answer is good; `None` inside when no list was at hand and none is required.
pub(super) fn check(
    trail: &mut Trail,
    chain: &Chain<'_>,
    bag: &Endorsements,
    required: bool,
    remembered: &Remembered,
    now: UnixTime,
) -> Option<Option<UnixTime>> {
    let root = &chain.root.ark;
    let root_name = root.subject.shown();
    let known =
        KNOWN_REVOKED.iter().any(|(line, serial)| *line == chain.root.product && chain.intermediate.serial == *serial);
    if known {
        revoked(trail, chain)?;
    }
    let lists: Vec<&RevocationList> =
        bag.revocation_lists().iter().filter(|list| list.issuer == root.subject).collect();
    for list in &lists {
        if !root.may_sign_revocation_lists() || !list.is_signed_by(root, remembered) {
            let found = Check::FOREIGN_LIST;
            let wanted = format!("lists that {root_name} signed");
            trail.step(Check::fail(Code::Revoked, TITLE, wanted, found))?;
        }
        if list.has_critical_extension {
            let found = "a critical extension that this verifier does not know";
            trail.step(Check::fail(Code::Revoked, TITLE, "a complete list", found))?;
        }
        // A serial stays revoked whatever the date of the list that said so.
        if list.revokes(&chain.intermediate.serial) || list.revokes(&root.serial) {
            revoked(trail, chain)?;
        }
    }
    let until = lists
        .iter()
        .filter(|list| list.this_update <= now)
        .filter_map(|list| list.next_update.filter(|until| now <= *until))
        .max();
    let wanted = format!("a list of {root_name} that is valid at {now}");
    match (until, lists.first()) {
        (Some(until), _) => {
            trail.lasts(TITLE, until);
            let found = format!("not listed; valid until {until}");
            trail.step(Check::pass(Code::Revoked, TITLE, wanted, found))?;
        }
        (None, Some(list)) => {
            let end = list.next_update.map_or("no end".to_owned(), |end| end.to_string());
            let found = format!("{} to {end}", list.this_update);
            trail.step(Check::fail(Code::CollateralExpired, TITLE, wanted, found))?;
        }
        (None, None) if required => {
            trail.step(Check::fail(Code::Revoked, TITLE, wanted, Check::NONE_SUPPLIED))?;
        }
        (None, None) => {
            let wanted = "nothing: the policy does not require a revocation list";
            trail.step(Check::skip(Code::Revoked, TITLE, wanted, Check::NONE_SUPPLIED))?;
        }
    }
    Some(until)
}

/// Ends the trail.
fn revoked(trail: &mut Trail, chain: &Chain<'_>) -> Option<()> {
    let serial = hex::encode(&chain.intermediate.serial);
    let found = format!("{} (serial {serial}) is revoked", chain.intermediate.subject.shown());
    trail.step(Check::fail(Code::Revoked, TITLE, "no certificate of the chain is listed", found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::State;
    use crate::trust_anchors::{HardwareAnchors, SnpRoot};
    use crate::x509::Certificate;

    const GENOA_LIST: &[u8] = include_bytes!("../../../tests/vectors/snp/021-genoa-revocation-list/crl.der");
    const MILAN_LIST: &[u8] = include_bytes!("../../../tests/vectors/snp/022-milan-revocation-list/crl.der");

    /// The outcome for an intermediate of Genoa with this serial number.
    fn outcome(serial: &[u8], lists: &[&[u8]], required: bool, now: &str) -> (State, Code) {
        let anchors = HardwareAnchors::compiled_in();
        let root: &SnpRoot = anchors.roots().snp.iter().find(|root| root.product == Product::Genoa).unwrap();
        let mut intermediate: Certificate = root.intermediates[0].clone();
        intermediate.serial = serial.to_vec();
        let chain = Chain { leaf: &intermediate, intermediate: &intermediate, root };
        let mut bag = Endorsements::default();
        for list in lists {
            bag.add(list).unwrap();
        }
        let mut trail = Trail::default();
        let now = UnixTime::parse_rfc3339(now).unwrap();
        check(&mut trail, &chain, &bag, required, &Remembered::new(8), now);
        let last = trail.into_checks().pop().unwrap();
        (last.state, last.code)
    }

    const IN_DATE: &str = "2025-01-01T00:00:00Z";
    const GOOD: &[u8] = &[2, 0, 2];
    const REVOKED: &[u8] = &[2, 0, 1];

    #[test]
    fn the_first_ask_of_genoa_is_revoked_with_and_without_a_list() {
        let fail = (State::Fail, Code::Revoked);
        assert_eq!(outcome(REVOKED, &[GENOA_LIST], true, IN_DATE), fail);
        assert_eq!(outcome(REVOKED, &[], false, IN_DATE), fail);
        assert_eq!(outcome(REVOKED, &[GENOA_LIST], true, "2030-01-01T00:00:00Z"), fail);
        assert_eq!(outcome(GOOD, &[GENOA_LIST], true, IN_DATE), (State::Pass, Code::Revoked));
    }

    #[test]
    fn a_list_counts_in_its_dates_only_and_for_its_issuer_only() {
        let expired = (State::Fail, Code::CollateralExpired);
        assert_eq!(outcome(GOOD, &[GENOA_LIST], false, "2025-11-03T01:00:01Z"), expired);
        assert_eq!(outcome(GOOD, &[GENOA_LIST], false, "2024-10-23T04:36:23Z"), expired);
        let passed = (State::Pass, Code::Revoked);
        assert_eq!(outcome(GOOD, &[GENOA_LIST], true, "2025-11-03T01:00:00Z"), passed);
        assert_eq!(outcome(GOOD, &[GENOA_LIST], true, "2024-10-23T04:36:24Z"), passed);
        let missing = (State::Fail, Code::Revoked);
        assert_eq!(outcome(GOOD, &[MILAN_LIST], true, IN_DATE), missing);
        assert_eq!(outcome(GOOD, &[MILAN_LIST], false, IN_DATE), (State::Skip, Code::Revoked));
    }

    #[test]
    fn no_bit_of_a_list_is_ignored() {
        for bit in (0..GENOA_LIST.len() * 8).step_by(3) {
            let mut changed = GENOA_LIST.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            if Endorsements::default().add(&changed).is_err() {
                continue;
            }
            let (state, _) = outcome(GOOD, &[&changed], true, IN_DATE);
            assert_eq!(state, State::Fail, "bit {bit}");
        }
    }
}
