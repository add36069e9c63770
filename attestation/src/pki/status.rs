//! STUB
use crate::class::Anchored;
use crate::trail::Trail;
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, OcspResponse, RevocationList};
pub(crate) struct StatusRules<'a> {
    pub(crate) title: &'a str,
    pub(crate) answers: &'a [OcspResponse],
    pub(crate) lists: &'a [RevocationList],
    pub(crate) required: bool,
    pub(crate) allow_hold: bool,
    pub(crate) anchored: Anchored<'a>,
    pub(crate) now: UnixTime,
}
pub(crate) fn check_status(
    _t: &mut Trail,
    r: &StatusRules<'_>,
    _p: &[(&Certificate, &Certificate)],
) -> Option<Option<UnixTime>> {
    let _ = (r.title, r.answers, r.lists, r.required, r.allow_hold, r.anchored, r.now);
    Some(None)
}
