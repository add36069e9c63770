//! GUIDs as firmware stores them: the first three groups little-endian (UEFI 2.10, appendix A).

/// 16 bytes in the order of the image.
pub(super) type Guid = [u8; 16];

/// The stored form of a GUID whose digits are read as one number; for constants.
pub(super) const fn guid(digits: u128) -> Guid {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = digits.to_be_bytes();
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

/// The text form, for messages.
pub(super) fn text(stored: &Guid) -> String {
    let [a, b, c, d, e, f, g, h, i, j, rest @ ..] = stored;
    let hex = |bytes: &[u8]| hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", hex(&[*d, *c, *b, *a]), hex(&[*f, *e]), hex(&[*h, *g]), hex(&[*i, *j]), hex(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_groups_are_turned() {
        let stored = guid(0x96b582de_1fb2_45f7_baea_a366c55a082d);
        assert_eq!(hex::encode(stored), "de82b596b21ff745baeaa366c55a082d");
        assert_eq!(text(&stored), "96b582de-1fb2-45f7-baea-a366c55a082d");
    }
}
