//! A reader of DER that keeps bytes as they are.

/// How a certificate writes its first date: 0x17 UTCTime, 0x18 GeneralizedTime.
pub(crate) fn not_before_tag(certificate: &[u8]) -> u8 {
    let to_be_signed = children(content(certificate))[0].clone();
    // Version, serial number, algorithm, issuer, validity.
    content(&children(content(&to_be_signed))[4])[0]
}

/// What is in a DER value.
pub(crate) fn content(der: &[u8]) -> &[u8] {
    split(der).1
}

/// The values one after the other.
pub(crate) fn children(mut content: &[u8]) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    while !content.is_empty() {
        let (whole, _, rest) = split(content);
        values.push(whole.to_vec());
        content = rest;
    }
    values
}

/// The tags of a value and of everything in it.
pub(crate) fn tags(der: &[u8]) -> Vec<u8> {
    let mut tags_found = vec![der[0]];
    if der[0] & 0x20 != 0 {
        for child in children(content(der)) {
            tags_found.extend(tags(&child));
        }
    }
    tags_found
}

/// The first value, its content, and what is behind it.
fn split(der: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (header, length) = match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(der[2])),
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        other => panic!("length {other}"),
    };
    let end = header + length;
    (&der[..end], &der[header..end], &der[end..])
}
