//! QUIC's variable-length integers (RFC 9000, section 16), which binary HTTP and chunked OHTTP share.

/// The largest number of bytes in one integer.
pub(crate) const MOST: usize = 8;

/// Reads an integer from the start of `bytes`: its value and length, or `None` when more bytes are needed.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let len = 1_usize << (first >> 6);
    let rest = bytes.get(1..len)?;
    let value = rest.iter().fold(u64::from(first & 0x3f), |value, byte| (value << 8) | u64::from(*byte));
    Some((value, len))
}

/// Appends `value` in its shortest form. Lengths in memory always fit in 62 bits; what would not is saturated.
pub(crate) fn write(value: usize, out: &mut Vec<u8>) {
    let value = u64::try_from(value).unwrap_or(u64::MAX).min((1 << 62) - 1);
    let [.., b3, b2, b1, b0] = value.to_be_bytes();
    if value < 1 << 6 {
        out.push(b0);
    } else if value < 1 << 14 {
        out.extend_from_slice(&[b1 | 0x40, b0]);
    } else if value < 1 << 30 {
        out.extend_from_slice(&[b3 | 0x80, b2, b1, b0]);
    } else {
        out.extend_from_slice(&(value | (3 << 62)).to_be_bytes());
    }
}

/// Appends a length and the bytes.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write(bytes.len(), out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_rfc_9000_appendix_a() {
        for (bytes, value) in [
            (&[0x25][..], 37),
            (&[0x7b, 0xbd], 15_293),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
        ] {
            assert_eq!(read(bytes), Some((value, bytes.len())));
            let mut out = Vec::new();
            write(usize::try_from(value).unwrap(), &mut out);
            assert_eq!(out, bytes);
            assert_eq!(read(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn every_length_class_comes_back() {
        for value in [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30] {
            let mut out = Vec::new();
            write(value, &mut out);
            assert_eq!(read(&out), Some((value as u64, out.len())));
        }
    }
}
