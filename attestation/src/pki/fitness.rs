//! Whether a certificate may stand on a path of its class at all, whoever signed it.

use crate::trust_anchors::{DEVELOPMENT_LIFETIME_SECS, DEVELOPMENT_OID, carries_development_mark, lifetime_secs};
use crate::x509::Certificate;

/// What is wrong with the certificate, if anything is: a critical extension that is not in
/// `known_critical` (RFC 5280 4.2); under a development root, no mark, or a life of over seven days.
pub(crate) fn unfit(certificate: &Certificate, known_critical: &[&[u8]], development: bool) -> Option<String> {
    let name = certificate.subject.shown();
    let known = |oid: &[u8]| known_critical.contains(&oid) || (development && oid == DEVELOPMENT_OID);
    if certificate.extensions.iter().any(|extension| extension.critical && !known(&extension.oid)) {
        return Some(format!("{name} with an unknown critical extension"));
    }
    if development && !carries_development_mark(certificate) {
        return Some(format!("{name} without the development mark"));
    }
    if development && lifetime_secs(certificate) > DEVELOPMENT_LIFETIME_SECS {
        return Some(format!("{name} for development that lives over seven days"));
    }
    None
}
