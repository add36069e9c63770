//! PEM text (RFC 7468): certificates, revocation lists and OCSP responses among any other text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Refusal;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// Labels whose objects are kept; others (keys, parameters) are passed over.
const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CRL", "OCSP RESPONSE"];

/// How a space is written where PEM text was percent-encoded.
const ENCODED_BEGIN: &str = "BEGIN%20";

/// Whether `bytes` are text with a PEM header, rather than DER that happens to contain one.
pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    let found = |needle: &str| find(bytes, needle.as_bytes()).is_some();
    !matches!(bytes, [0x30, 0x80..=0xFF, ..]) && (found(BEGIN) || found(ENCODED_BEGIN))
}

/// The DER of every certificate, revocation list and OCSP response in the text.
pub(crate) fn objects(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let decoded = if find(bytes, ENCODED_BEGIN.as_bytes()).is_some() { percent_decoded(bytes) } else { bytes.to_vec() };
    let text = String::from_utf8_lossy(&decoded);
    let mut rest: &str = &text;
    let mut objects = Vec::new();
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (label, body) = after.split_once(DASHES).ok_or_else(broken)?;
        let end = format!("-----END {label}-----");
        let (body, after) = body.split_once(end.as_str()).ok_or_else(broken)?;
        if LABELS.contains(&label) {
            let digits: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            objects.push(STANDARD.decode(digits).map_err(|_| broken())?);
        }
        rest = after;
    }
    Ok(objects)
}

/// The DER of certificates in text that holds nothing else: no other objects, no text around them, no
/// bytes after them but line ends and NULs. What a platform's own firmware writes has this form.
pub(crate) fn certificates_only(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| broken())?;
    let line_end = ['\n', '\r'];
    let mut rest = text.trim_end_matches('\0').trim_end_matches(line_end);
    let mut objects = Vec::new();
    while !rest.is_empty() {
        let body = rest.strip_prefix("-----BEGIN CERTIFICATE-----").ok_or_else(broken)?;
        let (body, after) = body.split_once("-----END CERTIFICATE-----").ok_or_else(broken)?;
        let digits: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        objects.push(STANDARD.decode(digits).map_err(|_| broken())?);
        rest = after.trim_start_matches(line_end);
    }
    Ok(objects)
}

/// Undoes percent-encoding (RFC 3986 2.1), in which Intel's service sends chains in headers. What
/// is no escape stays as it is.
fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let escape = match rest {
            [b'%', high, low, ..] => {
                std::str::from_utf8(&[*high, *low]).ok().and_then(|d| u8::from_str_radix(d, 16).ok())
            }
            _ => None,
        };
        decoded.push(escape.unwrap_or(*first));
        rest = if escape.is_some() { rest.get(3..).unwrap_or_default() } else { after };
    }
    decoded
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn broken() -> Refusal {
    super::malformed("a PEM object is not complete base64 between BEGIN and END lines".to_owned())
}
