//! A strict reader of DER (X.690 section 10): one shape for each value, never past the end, no
//! allocation. It hands out slices of the input, so that signatures are checked over the bytes
//! that were received and nothing is ever encoded again.

use thiserror::Error;

use crate::unix_time::UnixTime;

/// Tags that certificates, revocation lists and OCSP responses use.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const ENUMERATED: u8 = 0x0A;
    pub(crate) const UTF8_STRING: u8 = 0x0C;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const IA5_STRING: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// Constructed, context-specific tag `[number]`.
    pub(crate) const fn context(number: u8) -> u8 {
        0xA0 | number
    }

    /// Primitive, context-specific tag `[number]`, as IMPLICIT tagging of a primitive type leaves it.
    pub(crate) const fn primitive_context(number: u8) -> u8 {
        0x80 | number
    }
}

/// Why bytes are not the DER that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum DerError {
    #[error("the DER ends too early")]
    Truncated,
    #[error("a DER length is not in its shortest form")]
    Length,
    #[error("DER tag {found:#04x} where {wanted:#04x} was wanted")]
    Tag { wanted: u8, found: u8 },
    #[error("DER bytes follow where none are allowed")]
    Trailing,
    #[error("a DER {0} is not in its one allowed form")]
    Value(&'static str),
    #[error("the OCSP responder answered \"{0}\", which is no status of any certificate")]
    Unsuccessful(&'static str),
}

/// One tag, length and value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
    /// Tag and length included, as received.
    pub(crate) raw: &'a [u8],
}

/// Reads elements from the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag of the next element, if there is one.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever its tag.
    pub(crate) fn any(&mut self) -> Result<Element<'a>, DerError> {
        let start = self.rest;
        let (tag, length, header_len) = header(start)?;
        let end = header_len.checked_add(length).ok_or(DerError::Length)?;
        let raw = start.get(..end).ok_or(DerError::Truncated)?;
        let value = raw.get(header_len..).ok_or(DerError::Truncated)?;
        self.rest = start.get(end..).ok_or(DerError::Truncated)?;
        Ok(Element { tag, value, raw })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, wanted: u8) -> Result<Element<'a>, DerError> {
        let found = self.peek().ok_or(DerError::Truncated)?;
        if found != wanted {
            return Err(DerError::Tag { wanted, found });
        }
        self.any()
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, wanted: u8) -> Result<Option<Element<'a>>, DerError> {
        if self.peek() == Some(wanted) { self.any().map(Some) } else { Ok(None) }
    }

    /// The inside of the next element, a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> Result<Reader<'a>, DerError> {
        self.expect(tag::SEQUENCE).map(|element| element.reader())
    }

    /// Refuses bytes that were not read.
    pub(crate) fn finish(&self) -> Result<(), DerError> {
        if self.is_empty() { Ok(()) } else { Err(DerError::Trailing) }
    }

    /// The bytes of a non-negative INTEGER without its sign byte; zero is one zero byte.
    pub(crate) fn unsigned(&mut self) -> Result<&'a [u8], DerError> {
        let value = self.expect(tag::INTEGER)?.value;
        match value {
            [] => Err(DerError::Value("INTEGER")),
            [0, high, ..] if *high < 0x80 => Err(DerError::Value("INTEGER")),
            [0, rest @ ..] if !rest.is_empty() => Ok(rest),
            [first, ..] if *first >= 0x80 => Err(DerError::Value("INTEGER")),
            _ => Ok(value),
        }
    }

    /// A non-negative INTEGER of at most one byte.
    pub(crate) fn small(&mut self) -> Result<u8, DerError> {
        match self.unsigned()? {
            [value] => Ok(*value),
            _ => Err(DerError::Value("INTEGER")),
        }
    }

    /// An ENUMERATED of at most one byte, non-negative (X.690 8.4).
    pub(crate) fn enumerated(&mut self) -> Result<u8, DerError> {
        match self.expect(tag::ENUMERATED)?.value {
            [value @ ..=0x7F] => Ok(*value),
            _ => Err(DerError::Value("ENUMERATED")),
        }
    }

    /// The bytes of an OBJECT IDENTIFIER, as they are encoded.
    pub(crate) fn oid(&mut self) -> Result<&'a [u8], DerError> {
        let value = self.expect(tag::OID)?.value;
        let ends = value.last().is_some_and(|byte| *byte < 0x80);
        // An arc never begins with 80h: that would not be its shortest form.
        let minimal =
            value.iter().zip(std::iter::once(&0).chain(value)).all(|(byte, before)| *byte != 0x80 || *before >= 0x80);
        if ends && minimal { Ok(value) } else { Err(DerError::Value("OBJECT IDENTIFIER")) }
    }

    /// A BOOLEAN that is TRUE, or absent. DER never writes a default value.
    pub(crate) fn optional_true(&mut self) -> Result<bool, DerError> {
        match self.optional(tag::BOOLEAN)?.map(|element| element.value) {
            None => Ok(false),
            Some([0xFF]) => Ok(true),
            Some(_) => Err(DerError::Value("BOOLEAN")),
        }
    }

    /// The bytes of a BIT STRING whose length is a multiple of eight.
    pub(crate) fn whole_bits(&mut self) -> Result<&'a [u8], DerError> {
        match self.expect(tag::BIT_STRING)?.value {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(DerError::Value("BIT STRING")),
        }
    }

    /// A GeneralizedTime in the form of certificates, the only form in OCSP (RFC 6960 4.2.2.1).
    pub(crate) fn generalized_time(&mut self) -> Result<UnixTime, DerError> {
        match self.peek() {
            Some(tag::GENERALIZED_TIME) => self.time(),
            Some(found) => Err(DerError::Tag { wanted: tag::GENERALIZED_TIME, found }),
            None => Err(DerError::Truncated),
        }
    }

    /// A time of a certificate (RFC 5280 4.1.2.5): two-digit years from 1950 to 2049.
    pub(crate) fn time(&mut self) -> Result<UnixTime, DerError> {
        let element = self.any()?;
        let (century, digits) = match (element.tag, element.value) {
            (tag::UTC_TIME, value) => (None, value),
            (tag::GENERALIZED_TIME, [a, b, value @ ..]) => (Some(two_digits([*a, *b])?), value),
            (found, _) => return Err(DerError::Tag { wanted: tag::UTC_TIME, found }),
        };
        let digits: &[u8; 13] = digits.try_into().map_err(|_| DerError::Value("time"))?;
        let [y1, y2, mo1, mo2, d1, d2, h1, h2, mi1, mi2, s1, s2, b'Z'] = *digits else {
            return Err(DerError::Value("time"));
        };
        let year = two_digits([y1, y2])?;
        let century = century.unwrap_or(if year >= 50 { 19 } else { 20 });
        // Two digits each: no u16 overflows.
        let year = u16::from(century).saturating_mul(100).saturating_add(u16::from(year));
        let pairs = [[mo1, mo2], [d1, d2], [h1, h2], [mi1, mi2], [s1, s2]];
        let mut rest = [0; 5];
        for (value, pair) in rest.iter_mut().zip(pairs) {
            *value = two_digits(pair)?;
        }
        UnixTime::from_calendar(year, rest).ok_or(DerError::Value("time"))
    }
}

impl<'a> Element<'a> {
    /// Reads the value as elements.
    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader::new(self.value)
    }
}

/// Writes an `RSAPublicKey` (RFC 8017 A.1.1) from big-endian numbers, as JSON web keys carry them.
/// Numbers too large for a key come out as a key that no signature verifies under.
pub(crate) fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let numbers = [unsigned(modulus), unsigned(exponent)].concat();
    [header_of(tag::SEQUENCE, numbers.len()), numbers].concat()
}

/// Writes an INTEGER that is not negative, from its big-endian bytes.
pub(crate) fn unsigned(number: &[u8]) -> Vec<u8> {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let significant = number.get(start..).unwrap_or_default();
    let sign: &[u8] = if significant.first().is_none_or(|byte| *byte >= 0x80) { &[0] } else { &[] };
    let length = sign.len().saturating_add(significant.len());
    [header_of(tag::INTEGER, length).as_slice(), sign, significant].concat()
}

/// Writes one element. Values of more than 64 KiB do not occur here.
pub(crate) fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    [header_of(tag, value.len()).as_slice(), value].concat()
}

fn header_of(tag: u8, length: usize) -> Vec<u8> {
    match u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes() {
        [0, low @ 0..=0x7F] => vec![tag, low],
        [0, low] => vec![tag, 0x81, low],
        [high, low] => vec![tag, 0x82, high, low],
    }
}

/// Tag, length of the value, and length of the header. Definite lengths in their shortest form,
/// low tag numbers only.
fn header(bytes: &[u8]) -> Result<(u8, usize, usize), DerError> {
    let [tag, first, rest @ ..] = bytes else {
        return Err(DerError::Truncated);
    };
    if tag & 0x1F == 0x1F {
        return Err(DerError::Value("tag"));
    }
    let (length, header_len) = match (*first, rest) {
        (0x00..=0x7F, _) => (usize::from(*first), 2),
        (0x81, [a, ..]) if *a >= 0x80 => (usize::from(*a), 3),
        (0x82, [a, b, ..]) if *a > 0 => (usize::from(u16::from_be_bytes([*a, *b])), 4),
        (0x81 | 0x82, [_, _, ..]) => return Err(DerError::Length),
        (0x81 | 0x82, _) => return Err(DerError::Truncated),
        // Nothing here is larger than 64 KiB, and indefinite lengths are not DER.
        _ => return Err(DerError::Length),
    };
    Ok((*tag, length, header_len))
}

fn two_digits([tens, ones]: [u8; 2]) -> Result<u8, DerError> {
    let digit = |byte: u8| byte.checked_sub(b'0').filter(|digit| *digit < 10).ok_or(DerError::Value("time"));
    Ok(digit(tens)?.saturating_mul(10).saturating_add(digit(ones)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_form() {
        let wrong: [&[u8]; 7] = [
            &[0x04, 0x80, 0, 0],             // indefinite
            &[0x04, 0x81, 0x01, 0],          // should be short
            &[0x04, 0x82, 0x00, 0x80, 0, 0], // should be 81
            &[0x04, 0x83, 0x01, 0x00, 0x00], // larger than anything here
            &[0x04, 0x02, 0],                // past the end
            &[0x1F, 0x81, 0x01],             // high tag number
            &[0x04],
        ];
        for bytes in wrong {
            assert!(Reader::new(bytes).any().is_err(), "{bytes:02x?}");
        }
        let mut long = vec![0x04, 0x81, 0x80];
        long.resize(3 + 0x80, 7);
        assert_eq!(Reader::new(&long).any().unwrap().value.len(), 0x80);
    }

    #[test]
    fn a_written_key_reads_back() {
        for modulus in [&[0xC3; 256][..], &[0x43; 256], &[0x80], &[0, 0, 7]] {
            let der = rsa_public_key(modulus, &[1, 0, 1]);
            let mut numbers = Reader::new(&der).sequence().unwrap();
            let start = modulus.iter().position(|byte| *byte != 0).unwrap();
            assert_eq!(numbers.unsigned(), Ok(&modulus[start..]));
            assert_eq!(numbers.unsigned(), Ok(&[1, 0, 1][..]));
            assert!(numbers.is_empty());
        }
    }

    #[test]
    fn integers_have_one_form() {
        let read = |bytes: &'static [u8]| Reader::new(bytes).unsigned();
        assert_eq!(read(&[2, 1, 0]), Ok(&[0][..]));
        assert_eq!(read(&[2, 2, 0, 0xD5]), Ok(&[0xD5][..]));
        for wrong in [&[2, 0][..], &[2, 2, 0, 0x7F], &[2, 1, 0x80], &[2, 2, 0, 0]] {
            assert!(Reader::new(wrong).unsigned().is_err(), "{wrong:02x?}");
        }
        assert_eq!(Reader::new(&[2, 2, 1, 0]).small(), Err(DerError::Value("INTEGER")));
    }

    #[test]
    fn enumerated_values_have_one_byte_and_times_of_ocsp_one_type() {
        assert_eq!(Reader::new(&[0x0A, 1, 6]).enumerated(), Ok(6));
        for wrong in [&[0x0A, 0][..], &[0x0A, 1, 0x80], &[0x0A, 2, 0, 6], &[2, 1, 6], &[]] {
            assert!(Reader::new(wrong).enumerated().is_err(), "{wrong:02x?}");
        }
        assert!(Reader::new(b"\x18\x0F20250717170446Z").generalized_time().is_ok());
        for wrong in [&b"\x17\x0D250717170446Z"[..], b"\x18\x1120250717170446.5Z", b""] {
            assert!(Reader::new(wrong).generalized_time().is_err(), "{wrong:02x?}");
        }
    }

    #[test]
    fn booleans_and_identifiers_have_one_form() {
        assert_eq!(Reader::new(&[1, 1, 0xFF]).optional_true(), Ok(true));
        assert_eq!(Reader::new(&[4, 0]).optional_true(), Ok(false));
        assert!(Reader::new(&[1, 1, 0]).optional_true().is_err());
        assert!(Reader::new(&[1, 1, 1]).optional_true().is_err());
        assert!(Reader::new(&[6, 2, 0x2A, 0x81]).oid().is_err());
        assert!(Reader::new(&[6, 3, 0x2A, 0x80, 0x01]).oid().is_err());
        assert!(Reader::new(&[6, 0]).oid().is_err());
    }

    #[test]
    fn times_are_calendar_times_in_utc() {
        let read = |tag: u8, text: &str| {
            let mut bytes = vec![tag, text.len() as u8];
            bytes.extend_from_slice(text.as_bytes());
            Reader::new(&bytes).time()
        };
        let wanted = UnixTime::parse_rfc3339("2025-07-17T17:04:46Z").unwrap();
        assert_eq!(read(tag::UTC_TIME, "250717170446Z"), Ok(wanted));
        assert_eq!(read(tag::GENERALIZED_TIME, "20250717170446Z"), Ok(wanted));
        for wrong in ["250717170446", "2507171704Z", "250230000000Z", "25071717044aZ"] {
            assert!(read(tag::UTC_TIME, wrong).is_err(), "{wrong}");
        }
        assert!(read(tag::UTC_TIME, "500101000000Z").is_err(), "1950 is before 1970");
    }
}
