//! What one quote proves (protocol.md A1): the preimage, and its hash in REPORT_DATA.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha512};

/// Domain separation of the preimage; frozen.
const TAG: &[u8] = b"strongroom/report-data/v1";

/// Whether the evidence comes from hardware or from the simulated platform. A verifier takes
/// it from its own verdict type, never from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A vendor's hardware: "hw".
    Hardware,
    /// The simulated platform: "sim".
    Simulated,
}

impl Class {
    /// The name in the preimage.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Hardware => "hw",
            Class::Simulated => "sim",
        }
    }
}

/// What the quote was made for. A verifier takes it from what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A client opens a session: "session".
    Session,
    /// An instance asks its broker for keys: "release".
    Release,
    /// An instance renews its lease: "renewal".
    Renewal,
}

impl Purpose {
    /// The name in the preimage.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Session => "session",
            Purpose::Release => "release",
            Purpose::Renewal => "renewal",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Bytes at the end of a preimage that depend on the question: the root, and the tree's size.
const QUESTION: usize = 32 + 8;

/// Whether two preimages say the same of the same statement, and differ in the question that
/// they answer.
pub(crate) fn same_but_for_root(a: &[u8], b: &[u8]) -> bool {
    let common = |bytes: &[u8]| bytes.len().checked_sub(QUESTION);
    a != b
        && common(a).is_some()
        && common(a) == common(b)
        && common(a).and_then(|n| a.get(..n)) == common(b).and_then(|n| b.get(..n))
}

/// `"strongroom/report-data/v1" ‖ 0 ‖ class ‖ 0 ‖ purpose ‖ 0 ‖ statement hash ‖ root ‖ u64be(tree size)`.
///
/// `statement_hash` is SHA-256 of the epoch statement's bytes; `root` and `tree_size` are the
/// freshness tree's. The instance key signs these bytes as they are (A2).
#[must_use]
pub fn preimage(class: Class, purpose: Purpose, statement_hash: &[u8; 32], root: &[u8; 32], tree_size: u64) -> Vec<u8> {
    let parts: [&[u8]; 9] = [
        TAG,
        &[0],
        class.as_str().as_bytes(),
        &[0],
        purpose.as_str().as_bytes(),
        &[0],
        statement_hash,
        root,
        &tree_size.to_be_bytes(),
    ];
    parts.concat()
}

/// The 64 bytes that the platform quotes: SHA-512 of the preimage.
#[must_use]
pub fn report_data(preimage: &[u8]) -> [u8; 64] {
    Sha512::digest(preimage).into()
}

/// What a virtual TPM quotes instead, as its nonce: SHA-256 of the preimage. Its report data are
/// the paravisor's own.
#[must_use]
pub fn nonce(preimage: &[u8]) -> [u8; 32] {
    Sha256::digest(preimage).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preimage_is_laid_out_as_specified() {
        let bytes = preimage(Class::Hardware, Purpose::Session, &[0xaa; 32], &[0xbb; 32], 0x0102);
        let wanted = [
            b"strongroom/report-data/v1\0hw\0session\0".as_slice(),
            &[0xaa; 32],
            &[0xbb; 32],
            &[0, 0, 0, 0, 0, 0, 1, 2],
        ]
        .concat();
        assert_eq!(bytes, wanted);
    }

    /// The worked example of docs/specs/channel.md, computed there with another program.
    #[test]
    fn the_worked_example() {
        let leaves = [b"{\"v\":1}".as_slice(), b"other"].map(crate::freshness::leaf);
        assert_eq!(hex::encode(leaves[0]), "92ac228a90ecfefb37ba6b7bb7fe3ade85306078948c47b5ef1b02d268349b20");
        let root = crate::freshness::Tree::new(leaves.to_vec()).root();
        assert_eq!(hex::encode(root), "ced053b86a5db7b4abfb1babd2ac5b134e98057d73a2186ab9d4c19abecc208f");
        let bytes = preimage(Class::Simulated, Purpose::Session, &crate::statement::hash(b"statement"), &root, 2);
        assert_eq!(
            hex::encode(report_data(&bytes)),
            "6170548d9d91afdc9f92caf7b003803f69f56b1f12ba6d2b37d17039994ac7cb\
             0cd0913473d46e30f36e476fcf673304cfdc6b52684cfa7064e0c8c17ffce3b5"
        );
    }

    #[test]
    fn every_input_changes_the_report_data() {
        let base = (Class::Simulated, Purpose::Release, [1; 32], [2; 32], 3);
        let of =
            |(class, purpose, statement, root, size)| report_data(&preimage(class, purpose, &statement, &root, size));
        let all = [
            of(base),
            of((Class::Hardware, base.1, base.2, base.3, base.4)),
            of((base.0, Purpose::Renewal, base.2, base.3, base.4)),
            of((base.0, Purpose::Session, base.2, base.3, base.4)),
            of((base.0, base.1, [9; 32], base.3, base.4)),
            of((base.0, base.1, base.2, [9; 32], base.4)),
            of((base.0, base.1, base.2, base.3, 9)),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
