//! The device digest, field 14 of the statement: one hash over all evidence of the composite
//! but the CPU's, so that the CPU's quote binds the rest (protocol.md 1.3).

use sha2::{Digest as _, Sha256};

use crate::cbor::Value;

/// The label of the CPU's evidence, which quotes the digest and so is not in it.
pub const CPU_LABEL: &str = "cpu0";

/// SHA-256 of the deterministic CBOR of `[* [label, media type, SHA-256(value)]]`, sorted by
/// label. Each record is (label, media type, value bytes); an instance without devices has
/// the digest of the empty list. The caller leaves out [`CPU_LABEL`].
pub fn digest<'a>(records: impl IntoIterator<Item = (&'a str, &'a str, &'a [u8])>) -> [u8; 32] {
    let mut records: Vec<(&str, &str, [u8; 32])> = records
        .into_iter()
        .map(|(label, media_type, value)| (label, media_type, Sha256::digest(value).into()))
        .collect();
    records.sort_unstable();
    let list = Value::array(records.iter().map(|(label, media_type, hash)| {
        Value::array([Value::Text(label), Value::Text(media_type), Value::Bytes(hash)])
    }));
    Sha256::digest(list.encode()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_devices_is_the_hash_of_an_empty_list() {
        assert_eq!(digest([]), <[u8; 32]>::from(Sha256::digest([0x80])));
    }

    #[test]
    fn the_order_given_does_not_matter_and_the_content_does() {
        let gpu0 = ("gpu0", "application/x", b"a".as_slice());
        let gpu1 = ("gpu1", "application/x", b"b".as_slice());
        assert_eq!(digest([gpu0, gpu1]), digest([gpu1, gpu0]));
        assert_ne!(digest([gpu0, gpu1]), digest([gpu0]));
        assert_ne!(digest([gpu0]), digest([("gpu1", gpu0.1, gpu0.2)]));
        assert_ne!(digest([gpu0]), digest([(gpu0.0, "application/y", gpu0.2)]));
        assert_ne!(digest([gpu0]), digest([(gpu0.0, gpu0.1, b"c".as_slice())]));
    }

    #[test]
    fn the_encoding_is_as_specified() {
        let hash = Sha256::digest(b"v");
        let encoded = [&[0x81, 0x83, 0x61, b'l', 0x61, b'm', 0x58, 0x20], hash.as_slice()].concat();
        assert_eq!(digest([("l", "m", b"v".as_slice())]), <[u8; 32]>::from(Sha256::digest(encoded)));
    }
}
