//! PEM text (RFC 7468) of keys and certificates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::ProvenanceError;
use super::limits::MAX_PEM_BYTES;

pub(super) const PUBLIC_KEY: &str = "PUBLIC KEY";
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY";
pub(super) const CERTIFICATE: &str = "CERTIFICATE";

const DASHES: &str = "-----";
/// What stands around the labels of an object, and more.
const MARKS: usize = 64;
/// Base64 digits in a line.
const LINE: usize = 64;

/// An object's label and bytes, which may be a key's.
pub(super) type Object<'a> = (&'a str, Zeroizing<Vec<u8>>);

/// The label and the bytes of every object in the text. Text between objects is passed over, as
/// tools write there what the object says.
///
/// # Errors
/// `TooLarge`, and `Malformed` for an object that is not complete.
pub(super) fn objects(text: &str) -> Result<Vec<Object<'_>>, ProvenanceError> {
    if text.len() > MAX_PEM_BYTES {
        return Err(ProvenanceError::TooLarge { what: "the PEM text", limit: MAX_PEM_BYTES });
    }
    let broken = ProvenanceError::Malformed("PEM text");
    let mut rest = text;
    let mut objects = Vec::new();
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, body) = after.split_once(DASHES).ok_or_else(|| broken.clone())?;
        let (body, after) = body.split_once("-----END ").ok_or_else(|| broken.clone())?;
        rest = after.strip_prefix(label).and_then(|after| after.strip_prefix(DASHES)).ok_or_else(|| broken.clone())?;
        let digits: Zeroizing<Vec<u8>> =
            Zeroizing::new(body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
        let bytes = STANDARD.decode(digits.as_slice()).map_err(|_| broken.clone())?;
        objects.push((label, Zeroizing::new(bytes)));
    }
    Ok(objects)
}

/// The bytes of the one object with this label. Others, such as curve parameters before a key, are
/// passed over.
///
/// # Errors
/// Those of [`objects`], and `Key` where there is none or more than one.
pub(super) fn only(text: &str, label: &str, otherwise: &'static str) -> Result<Zeroizing<Vec<u8>>, ProvenanceError> {
    let mut found = objects(text)?.into_iter().filter(|(found, _)| *found == label);
    match (found.next(), found.next()) {
        (Some((_, bytes)), None) => Ok(bytes),
        _ => Err(ProvenanceError::Key(otherwise)),
    }
}

/// One object as PEM text, with lines of 64 digits as `openssl` and Python's `cryptography` write
/// them: the hint in a bundle is a digest of that text.
pub(super) fn text(label: &str, bytes: &[u8]) -> Zeroizing<String> {
    let digits = Zeroizing::new(STANDARD.encode(bytes));
    // With room for all of it: growing would leave copies of a key behind.
    let room = digits.len().saturating_mul(2).saturating_add(label.len().saturating_mul(2)).saturating_add(MARKS);
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place.is_multiple_of(LINE) {
            text.push('\n');
        }
        text.push(digit);
    }
    text.extend(["\n-----END ", label, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_broken_text_does_not() {
        for length in [0, 1, 47, 48, 49, 96, 200] {
            let bytes = vec![7; length];
            let both = format!("a note\n{}{}", &*text(CERTIFICATE, &bytes), &*text(PUBLIC_KEY, b"k"));
            let read = objects(&both).expect("PEM");
            assert_eq!((read[0].0, &*read[0].1), (CERTIFICATE, &bytes));
            assert_eq!(*only(&both, PUBLIC_KEY, "none").expect("one"), b"k");
        }
        let good = text(PUBLIC_KEY, &[1; 60]);
        for wrong in [&good[..good.len() - 8], &good.replace("END PUBLIC", "END PRIVATE"), &good.replace('Q', "*")] {
            assert_eq!(objects(wrong).err(), Some(ProvenanceError::Malformed("PEM text")), "{wrong}");
        }
        assert_eq!(only(&good.repeat(2), PUBLIC_KEY, "two").err(), Some(ProvenanceError::Key("two")));
        assert_eq!(only("", PUBLIC_KEY, "none").err(), Some(ProvenanceError::Key("none")));
    }
}
