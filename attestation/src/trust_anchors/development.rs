//! The mark that every development certificate carries, and the roots that carry it.

use crate::error::{Code, Refusal};
use crate::x509::Certificate;

/// The mark of every development certificate: 1.3.6.1.4.1.32473.5.1, under the number that RFC
/// 5612 sets aside for documentation. It is critical, so that a verifier that does not know it
/// refuses the certificate.
pub(crate) const DEVELOPMENT_OID: &[u8] = &[0x2B, 6, 1, 4, 1, 0x81, 0xFD, 0x59, 5, 1];
/// What the mark says, a DER UTF8String.
const DEVELOPMENT_MARK: &[u8] = b"\x0C\x17DEVELOPMENT - NOT A TEE";
/// Ends the common names of development certificates.
const DEVELOPMENT_SUFFIX: &str = " DEVELOPMENT - NOT A TEE";
/// A development certificate lives at most a week, so that none is left lying about.
pub(crate) const DEVELOPMENT_LIFETIME_SECS: u64 = 7 * 24 * 60 * 60;

/// Reads a root that may anchor simulated evidence.
pub(super) fn root(der: &[u8]) -> Result<Certificate, Refusal> {
    let root = Certificate::parse(der)
        .map_err(|error| Refusal::new(Code::Parse, format!("the development root is no certificate: {error}")))?;
    let refuse = |wanted: &str| Err(Refusal::new(Code::Chain, format!("the development root must {wanted}")));
    if !carries_development_mark(&root) {
        return refuse("carry the critical extension \"DEVELOPMENT - NOT A TEE\"");
    }
    if !root.subject.common_name().is_some_and(|name| name.ends_with(DEVELOPMENT_SUFFIX)) {
        return refuse("be named \"… DEVELOPMENT - NOT A TEE\"");
    }
    if lifetime_secs(&root) > DEVELOPMENT_LIFETIME_SECS {
        return refuse("live at most seven days");
    }
    if !root.may_issue() || !root.is_signed_by(&root) {
        return refuse("be a CA that signs itself");
    }
    Ok(root)
}

/// Whether the certificate carries the development extension as it must be: critical, and with
/// the one value.
pub(crate) fn carries_development_mark(certificate: &Certificate) -> bool {
    certificate
        .extension(DEVELOPMENT_OID)
        .is_some_and(|extension| extension.critical && extension.value == DEVELOPMENT_MARK)
}

/// Whether anything about the certificate says that it is for development.
pub(crate) fn looks_like_development(certificate: &Certificate) -> bool {
    let named = |name: Option<&str>| name.is_some_and(|name| name.ends_with(DEVELOPMENT_SUFFIX));
    certificate.extension(DEVELOPMENT_OID).is_some()
        || named(certificate.subject.common_name())
        || named(certificate.issuer.common_name())
}

/// A name without the suffix that marks it. The mark is judged elsewhere.
pub(crate) fn plain_name(name: &str) -> &str {
    name.strip_suffix(DEVELOPMENT_SUFFIX).unwrap_or(name)
}

/// Seconds between a certificate's first and last moment.
pub(crate) fn lifetime_secs(certificate: &Certificate) -> u64 {
    certificate.not_after.saturating_secs_since(certificate.not_before)
}
