//! PEM text (RFC 7468): certificates and revocation lists among any other text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Refusal;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// Labels whose objects are kept; others (keys, parameters) are passed over.
const LABELS: [&str; 2] = ["CERTIFICATE", "X509 CRL"];

/// Whether `bytes` are text with a PEM header, rather than DER that happens to contain one.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    !matches!(bytes, [0x30, 0x80..=0xFF, ..]) && find(bytes, BEGIN.as_bytes()).is_some()
}

/// The DER of every certificate and revocation list in the text.
pub(super) fn objects(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest: &str = &text;
    let mut objects = Vec::new();
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (label, body) = after.split_once(DASHES).ok_or_else(broken)?;
        let end = format!("-----END {label}-----");
        let (body, after) = body.split_once(end.as_str()).ok_or_else(broken)?;
        if LABELS.contains(&label) {
            let digits: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            objects.push(STANDARD.decode(digits).map_err(|_| broken())?);
        }
        rest = after;
    }
    Ok(objects)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn broken() -> Refusal {
    super::malformed("a PEM object is not complete base64 between BEGIN and END lines".to_owned())
}
