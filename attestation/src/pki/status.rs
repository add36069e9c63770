//! Revocation by OCSP responses (RFC 6960), with the authority's revocation lists as the alternative.

mod responder;
#[cfg(test)]
mod tests;

use crate::class::Anchored;
use crate::error::{Check, Code};
use crate::pki::revocation::{ListRules, ask_lists};
use crate::trail::Trail;
use crate::unix_time::UnixTime;
use crate::x509::{CertStatus, Certificate, OcspResponse, RevocationList};

use responder::Signer;

/// Who is asked about revocation, and how much depends on it.
#[derive(Clone, Copy)]
pub(crate) struct StatusRules<'a> {
    /// What the checks are called, for example "revocation of the device's certificates".
    pub(crate) title: &'a str,
    /// All OCSP responses at hand, of whatever authority. Their nonces are not compared: nothing here
    /// asked for them, and dates say how fresh they are.
    pub(crate) answers: &'a [OcspResponse],
    /// All revocation lists at hand, of whatever authority.
    pub(crate) lists: &'a [RevocationList],
    /// Refuse when there is neither for a certificate.
    pub(crate) required: bool,
    /// Go on with a certificate that an OCSP response says is on hold. What a revocation list names is
    /// revoked, for whatever reason.
    pub(crate) allow_hold: bool,
    pub(crate) anchored: Anchored<'a>,
    pub(crate) now: UnixTime,
}

/// Checks certificates against what their issuers, or responders in their names, say of them. `pairs`
/// are each a certificate and the certificate that issued it.
///
/// 1. Each response about a certificate must hold, whatever its date: signed by the issuer or by its
///    responder, no critical extension, and not "revoked".
/// 2. Each revocation list of the issuer must hold, whatever its date, and name neither the certificate
///    nor a responder.
/// 3. A response or a list must be inside its dates. Of the responses inside theirs the worst counts, and
///    of all that are, the earliest end. A response ends with its responder's certificate, at the latest.
///
/// Returns until when all of it is good, `None` inside when nothing was there and nothing is required;
/// `None` outside when a check failed.
pub(crate) fn check_status(
    trail: &mut Trail,
    rules: &StatusRules<'_>,
    pairs: &[(&Certificate, &Certificate)],
) -> Option<Option<UnixTime>> {
    let StatusRules { title, required, now, .. } = *rules;
    let mut until = None;
    let mut good = Vec::new();
    let mut missing = Vec::new();
    for (certificate, issuer) in pairs {
        let name = certificate.subject.shown();
        match standing(trail, rules, certificate, issuer)? {
            Some(standing) => {
                until = earliest(until, Some(standing.until));
                good.push(if standing.on_hold { format!("{name} (on hold, which the policy allows)") } else { name });
            }
            None => missing.push(name),
        }
    }
    if let Some(until) = until {
        trail.lasts(title, until);
        let wanted = format!("for each certificate an OCSP response or a revocation list that is valid at {now}");
        let found = format!("not revoked: {}; valid until {until}", good.join(", "));
        trail.step(Check::pass(Code::Revoked, title, wanted, found))?;
    }
    if !missing.is_empty() {
        let names = missing.join(", ");
        let (none, wanted) = (Check::NONE_SUPPLIED, "an OCSP response or a revocation list");
        trail.step(match required {
            true => Check::fail(Code::Revoked, title, format!("{wanted} that is valid at {now} about {names}"), none),
            false => {
                let wanted = format!("nothing: the policy does not require {wanted} about {names}");
                Check::skip(Code::Revoked, title, wanted, none)
            }
        })?;
    }
    Some(until)
}

/// What is known of one certificate.
struct Standing {
    until: UnixTime,
    on_hold: bool,
}

/// A status of the certificate in a response whose signature holds.
struct Answer<'a> {
    status: CertStatus,
    from: UnixTime,
    end: UnixTime,
    signer: Signer<'a>,
}

impl Answer<'_> {
    fn is_in_date(&self, now: UnixTime) -> bool {
        self.from <= now && now <= self.end
    }
}

/// The standing of `certificate`; `None` inside when neither a response nor a list was there, `None`
/// outside when a check failed and was noted.
fn standing(
    trail: &mut Trail,
    rules: &StatusRules<'_>,
    certificate: &Certificate,
    issuer: &Certificate,
) -> Option<Option<Standing>> {
    let StatusRules { title, allow_hold, anchored, now, .. } = *rules;
    let (name, authority) = (certificate.subject.shown(), issuer.subject.shown());
    let shown =
        |status: CertStatus| format!("{name} (serial {}) is {}", hex::encode(&certificate.serial), status.shown());
    let not_revoked = "no certificate of the chain is revoked";

    // 1. Responses, whatever their dates.
    let mut answers = Vec::new();
    for response in rules.answers {
        for single in response.statuses.iter().filter(|single| single.is_about(certificate, issuer)) {
            let signer = match Signer::of(response, issuer, &anchored) {
                Ok(signer) => signer,
                Err(objection) => {
                    let wanted = format!("responses that {authority} or a responder of it signed");
                    trail.step(Check::fail(Code::Revoked, title, wanted, format!("about {name}: {objection}")))?;
                    return None;
                }
            };
            let status = single.status;
            if matches!(status, CertStatus::Revoked { .. }) && !(allow_hold && status.is_hold()) {
                trail.step(Check::fail(Code::Revoked, title, not_revoked, shown(status)))?;
            }
            let (from, end) = signer.limit(single.this_update, single.end());
            answers.push(Answer { status, from, end, signer });
        }
    }

    // 2. Lists, whatever their dates.
    let lists = ListRules { title, lists: rules.lists, required: false, remembered: anchored.remembered, now };
    let responders = answers.iter().filter_map(|answer| answer.signer.responder());
    let listed = ask_lists(trail, &lists, issuer, &responders.clone().chain([certificate]).collect::<Vec<_>>())?;

    // 3. Dates.
    let in_date = || answers.iter().filter(|answer| answer.is_in_date(now));
    if let Some(unknown) = in_date().find(|answer| answer.status == CertStatus::Unknown) {
        trail.step(Check::fail(Code::Revoked, title, not_revoked, shown(unknown.status)))?;
    }
    trail.rests_on(in_date().filter_map(|answer| answer.signer.responder()));
    let until = earliest(in_date().map(|answer| answer.end).min(), listed.until);
    if let Some(until) = until {
        let on_hold = in_date().any(|answer| answer.status.is_hold());
        return Some(Some(Standing { until, on_hold }));
    }
    let outside = answers.first().map(|answer| format!("{} to {}", answer.from, answer.end)).or_else(|| listed.dates());
    if let Some(dates) = outside {
        let wanted = format!("an OCSP response or a revocation list of {authority} that is valid at {now}");
        trail.step(Check::fail(Code::CollateralExpired, title, wanted, format!("about {name}: {dates}")))?;
    }
    Some(None)
}

/// The earlier of two times, where both are there.
fn earliest(one: Option<UnixTime>, other: Option<UnixTime>) -> Option<UnixTime> {
    [one, other].into_iter().flatten().min()
}
