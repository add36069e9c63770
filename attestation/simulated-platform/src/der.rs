//! The few DER values that a certificate or revocation list is made of. The vendors' shapes
//! need them by hand: RSASSA-PSS parameters with and without the default trailer field, a zero
//! serial number, and extension values that are no DER at all.

use std::time::Duration;

use x509_cert::{
    der::{
        DateTime, Encode, Error, Tag, TagNumber,
        asn1::{AnyRef, BitStringRef, GeneralizedTime, Ia5StringRef, Null, ObjectIdentifier, UintRef, Utf8StringRef},
    },
    time::Time,
};

/// Encoded DER.
pub(crate) type Der = Vec<u8>;

pub(crate) fn sequence(parts: &[&[u8]]) -> Result<Der, Error> {
    constructed(Tag::Sequence, parts)
}

pub(crate) fn set(part: &[u8]) -> Result<Der, Error> {
    constructed(Tag::Set, &[part])
}

/// `[number] EXPLICIT`.
pub(crate) fn explicit(number: u32, part: &[u8]) -> Result<Der, Error> {
    constructed(TagNumber(number).context_specific(true), &[part])
}

/// `[number] IMPLICIT` of a primitive value.
pub(crate) fn implicit(number: u32, value: &[u8]) -> Result<Der, Error> {
    AnyRef::new(TagNumber(number).context_specific(false), value)?.to_der()
}

pub(crate) fn object_identifier(dotted: &str) -> Result<Der, Error> {
    ObjectIdentifier::new(dotted).map_err(|_| Error::from(Tag::ObjectIdentifier.value_error()))?.to_der()
}

pub(crate) fn integer(value: u32) -> Result<Der, Error> {
    value.to_der()
}

/// An integer that is not negative, from its big-endian bytes; leading zeros do not count.
pub(crate) fn unsigned_integer(big_endian: &[u8]) -> Result<Der, Error> {
    UintRef::new(big_endian)?.to_der()
}

pub(crate) fn enumerated(value: u8) -> Result<Der, Error> {
    AnyRef::new(Tag::Enumerated, &[value])?.to_der()
}

pub(crate) fn boolean(value: bool) -> Result<Der, Error> {
    value.to_der()
}

pub(crate) fn null() -> Result<Der, Error> {
    Null.to_der()
}

pub(crate) fn octet_string(value: &[u8]) -> Result<Der, Error> {
    AnyRef::new(Tag::OctetString, value)?.to_der()
}

/// A bit string of whole bytes.
pub(crate) fn bit_string(value: &[u8]) -> Result<Der, Error> {
    BitStringRef::from_bytes(value)?.to_der()
}

/// A bit string whose last `unused` bits do not count.
pub(crate) fn named_bits(unused: u8, value: &[u8]) -> Result<Der, Error> {
    BitStringRef::new(unused, value)?.to_der()
}

pub(crate) fn ia5_string(value: &str) -> Result<Der, Error> {
    Ia5StringRef::new(value)?.to_der()
}

pub(crate) fn utf8_string(value: &str) -> Result<Der, Error> {
    Utf8StringRef::new(value)?.to_der()
}

pub(crate) fn printable_string(value: &str) -> Result<Der, Error> {
    AnyRef::new(Tag::PrintableString, value.as_bytes())?.to_der()
}

/// UTCTime until 2049, GeneralizedTime after (RFC 5280 4.1.2.5).
pub(crate) fn time(unix_seconds: u64) -> Result<Der, Error> {
    let date = DateTime::from_unix_duration(Duration::from_secs(unix_seconds))?;
    Time::from(date).to_der()
}

/// GeneralizedTime, whatever the year.
pub(crate) fn generalized_time(unix_seconds: u64) -> Result<Der, Error> {
    GeneralizedTime::from_unix_duration(Duration::from_secs(unix_seconds))?.to_der()
}

fn constructed(tag: Tag, parts: &[&[u8]]) -> Result<Der, Error> {
    AnyRef::new(tag, &parts.concat())?.to_der()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_encodings() {
        assert_eq!(integer(0).unwrap(), [2, 1, 0]);
        assert_eq!(integer(213).unwrap(), [2, 2, 0, 0xd5]);
        assert_eq!(unsigned_integer(&[0, 0, 0xd5, 1]).unwrap(), [2, 3, 0, 0xd5, 1]);
        assert_eq!(unsigned_integer(&[0, 0]).unwrap(), [2, 1, 0]);
        assert_eq!(enumerated(1).unwrap(), [10, 1, 1]);
        assert_eq!(named_bits(1, &[4]).unwrap(), [3, 2, 1, 4]);
        assert_eq!(
            object_identifier("1.3.6.1.4.1.3704.1.3.1").unwrap(),
            hex::decode("060a2b060104019c78010301").unwrap()
        );
        assert_eq!(time(0).unwrap(), b"\x17\x0d700101000000Z");
        assert_eq!(generalized_time(0).unwrap(), b"\x18\x0f19700101000000Z");
        assert_eq!(time(2_600_000_000).unwrap()[0], 0x18);
        assert_eq!(explicit(0, &[2, 1, 2]).unwrap(), [0xa0, 3, 2, 1, 2]);
        assert_eq!(implicit(0, &[7]).unwrap(), [0x80, 1, 7]);
        assert_eq!(sequence(&[&[0; 200]]).unwrap()[..3], [0x30, 0x81, 200]);
    }
}
