//! AMD's certificate table, which the host hands to the guest with an extended report (GHCB
//! specification, SNP_GUEST_REQUEST): GUID, offset and length of each entry, then the entries.

use crate::error::Refusal;

/// GUID, then offset and length as little-endian u32.
const ENTRY_LEN: usize = 24;
/// Entries a table may have; six kinds are known.
const MAX_ENTRIES: usize = 32;

/// GUIDs of entries that hold certificates or revocation lists, in the order of their text.
const KNOWN: [[u8; 16]; 5] = [
    // c0b406a4-a803-4952-9743-3fb6014cd0ae: ARK. It is kept like the others and anchors nothing.
    *b"\xc0\xb4\x06\xa4\xa8\x03\x49\x52\x97\x43\x3f\xb6\x01\x4c\xd0\xae",
    // 4ab7b379-bbac-4fe4-a02f-05aef327c782: ASK or ASVK
    *b"\x4a\xb7\xb3\x79\xbb\xac\x4f\xe4\xa0\x2f\x05\xae\xf3\x27\xc7\x82",
    // 63da758d-e664-4564-adc5-f4b93be8accd: VCEK
    *b"\x63\xda\x75\x8d\xe6\x64\x45\x64\xad\xc5\xf4\xb9\x3b\xe8\xac\xcd",
    // a8074bc2-a25a-483e-aae6-39c045a0b8a1: VLEK
    *b"\xa8\x07\x4b\xc2\xa2\x5a\x48\x3e\xaa\xe6\x39\xc0\x45\xa0\xb8\xa1",
    // 92f81bc3-5811-4d3d-97ff-d19f88dc67ea: revocation list
    *b"\x92\xf8\x1b\xc3\x58\x11\x4d\x3d\x97\xff\xd1\x9f\x88\xdc\x67\xea",
];

/// An entry of another kind that hosts put into the table: ecae0c0f-9502-43b1-afa2-0ae2e0d565b6, a
/// provider's notes about its platform. It is passed over, as every other is.
const NOTES: [u8; 16] = *b"\xec\xae\x0c\x0f\x95\x02\x43\xb1\xaf\xa2\x0a\xe2\xe0\xd5\x65\xb6";

/// The contents of the entries of known kind; `None` when `bytes` are no table.
///
/// A table is told by the GUID it begins with, or, where that is one that nobody here knows, by its
/// sound layout and an entry of known kind further on.
pub(super) fn entries(bytes: &[u8]) -> Option<Result<Vec<&[u8]>, Refusal>> {
    let first = bytes.first_chunk::<16>()?;
    let table = read(bytes);
    let known = KNOWN.contains(first) || *first == NOTES;
    let empty = bytes.first_chunk::<ENTRY_LEN>() == Some(&[0; ENTRY_LEN]);
    let known_later = || table.as_ref().is_ok_and(|contents| !contents.is_empty());
    (known || empty || known_later()).then_some(table)
}

fn read(bytes: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
    let mut contents = Vec::new();
    let mut rest = bytes;
    for _ in 0..MAX_ENTRIES {
        let Some((entry, after)) = rest.split_first_chunk::<ENTRY_LEN>() else {
            return Err(broken("has no end"));
        };
        if entry == &[0; ENTRY_LEN] {
            return Ok(contents);
        }
        rest = after;
        let [guid @ .., o0, o1, o2, o3, l0, l1, l2, l3] = entry;
        let (offset, length) = (u32::from_le_bytes([*o0, *o1, *o2, *o3]), u32::from_le_bytes([*l0, *l1, *l2, *l3]));
        let end = offset.checked_add(length).ok_or_else(|| broken("has an impossible length"))?;
        let (start, end) = (usize::try_from(offset), usize::try_from(end));
        let content = start.ok().zip(end.ok()).and_then(|(start, end)| bytes.get(start..end));
        let content = content.ok_or_else(|| broken("points past its end"))?;
        if KNOWN.contains(guid) && !content.is_empty() {
            contents.push(content);
        }
    }
    Err(broken("has too many entries"))
}

fn broken(why: &str) -> Refusal {
    super::malformed(format!("the certificate table {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with one VCEK entry at `offset` of `length` bytes, over `total` bytes.
    fn table(offset: u32, length: u32, total: usize) -> Vec<u8> {
        let mut bytes = KNOWN[2].to_vec();
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[0; ENTRY_LEN]);
        bytes.resize(total, 7);
        bytes
    }

    #[test]
    fn entries_are_cut_where_the_table_says() {
        let bytes = table(48, 4, 52);
        assert_eq!(entries(&bytes).unwrap().unwrap(), [&[7; 4]]);
        assert_eq!(entries(&[0; 24]).unwrap().unwrap().len(), 0, "an empty table");
        assert!(entries(b"\x30\x82\x01\x01\x30\x82\x01\x01\x30\x82\x01\x01\x30\x82\x01\x01").is_none());
    }

    #[test]
    fn an_unknown_entry_in_front_does_not_hide_the_others() {
        let unknown =
            |offset: u32, length: u32| [&[0xAB; 16], &offset.to_le_bytes()[..], &length.to_le_bytes()].concat();
        let behind = |first: Vec<u8>| [first, table(72, 4, 52)].concat();
        assert_eq!(entries(&behind(unknown(0, 0))).unwrap().unwrap(), [&[7; 4]]);
        // Without a known entry, or with a layout that does not hold, they are no table's bytes.
        assert!(entries(&[unknown(0, 0), vec![0; ENTRY_LEN]].concat()).is_none());
        assert!(entries(&behind(unknown(0, 1000))).is_none());
    }

    #[test]
    fn a_table_that_points_outside_or_never_ends_is_refused() {
        assert!(entries(&table(48, 5, 52)).unwrap().is_err());
        assert!(entries(&table(u32::MAX, u32::MAX, 52)).unwrap().is_err());
        assert!(entries(&table(48, 4, 52)[..24]).unwrap().is_err());
        let endless = table(0, 0, 48)[..24].repeat(MAX_ENTRIES + 1);
        assert!(entries(&endless).unwrap().is_err());
    }
}
