//! Revocation lists of one authority.

use crate::error::{Check, Code};
use crate::remembered::Remembered;
use crate::trail::Trail;
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, RevocationList};

/// Which lists are asked, and how much depends on them.
pub(crate) struct ListRules<'a> {
    /// What the check is called, for example "revocation of the PCK".
    pub(crate) title: &'a str,
    /// All lists at hand, of whatever authority.
    pub(crate) lists: &'a [RevocationList],
    /// Refuse when none of this authority is there.
    pub(crate) required: bool,
    /// Lists whose signatures verified before.
    pub(crate) remembered: &'a Remembered,
    pub(crate) now: UnixTime,
}

/// What the lists of one authority come to where none of them names a certificate that was asked for.
pub(super) struct Listed<'a> {
    /// The last moment of those that are inside their dates.
    pub(super) until: Option<UnixTime>,
    /// The first of all of them, to say what was there.
    first: Option<&'a RevocationList>,
}

/// Checks `certificates`, which `issuer` signed, against every list of `issuer`: each list must be
/// signed by it and complete and name none of them, whatever its date; one must be inside its
/// dates. Returns until when the answer is good, `None` inside when there was no list and none is
/// required; `None` outside when a check failed.
pub(crate) fn check_lists(
    trail: &mut Trail,
    rules: &ListRules<'_>,
    issuer: &Certificate,
    certificates: &[&Certificate],
) -> Option<Option<UnixTime>> {
    let ListRules { title, required, now, .. } = *rules;
    let listed = ask_lists(trail, rules, issuer, certificates)?;
    if let Some(until) = listed.until {
        trail.lasts(title, until);
    }
    let wanted = format!("a list of {} that is valid at {now}", issuer.subject.shown());
    trail.step(match (listed.until, listed.dates()) {
        (Some(until), _) => Check::pass(Code::Revoked, title, wanted, format!("not listed; valid until {until}")),
        (None, Some(dates)) => Check::fail(Code::CollateralExpired, title, wanted, dates),
        (None, None) if required => Check::fail(Code::Revoked, title, wanted, Check::NONE_SUPPLIED),
        (None, None) => {
            let wanted = "nothing: the policy does not require a revocation list";
            Check::skip(Code::Revoked, title, wanted, Check::NONE_SUPPLIED)
        }
    })?;
    Some(listed.until)
}

/// The part of [`check_lists`] that holds whatever the dates; notes only what fails.
pub(super) fn ask_lists<'a>(
    trail: &mut Trail,
    rules: &ListRules<'a>,
    issuer: &Certificate,
    certificates: &[&Certificate],
) -> Option<Listed<'a>> {
    let ListRules { title, now, .. } = *rules;
    let name = issuer.subject.shown();
    let lists: Vec<&RevocationList> = rules.lists.iter().filter(|list| list.issuer == issuer.subject).collect();
    for list in &lists {
        if !issuer.may_sign_revocation_lists() || !list.is_signed_by(issuer, rules.remembered) {
            let found = Check::FOREIGN_LIST;
            trail.step(Check::fail(Code::Revoked, title, format!("lists that {name} signed"), found))?;
        }
        if list.has_critical_extension {
            let found = "a critical extension that this verifier does not know";
            trail.step(Check::fail(Code::Revoked, title, "a complete list", found))?;
        }
        // A serial stays revoked whatever the date of the list that said so.
        if let Some(revoked) = certificates.iter().find(|certificate| list.revokes(&certificate.serial)) {
            let serial = hex::encode(&revoked.serial);
            let found = format!("{} (serial {serial}) is revoked", revoked.subject.shown());
            trail.step(Check::fail(Code::Revoked, title, "no certificate of the chain is listed", found))?;
        }
    }
    let in_date = lists.iter().filter(|list| list.this_update <= now);
    let until = in_date.filter_map(|list| list.next_update.filter(|until| now <= *until)).max();
    Some(Listed { until, first: lists.first().copied() })
}

impl Listed<'_> {
    /// The dates of a list that was there.
    pub(super) fn dates(&self) -> Option<String> {
        let list = self.first?;
        let end = list.next_update.map_or("no end".to_owned(), |end| end.to_string());
        Some(format!("{} to {end}", list.this_update))
    }
}
