//! What a filter may reach: one struct, all off.

use sha2::{Digest, Sha256};

/// The empty map in deterministic CBOR (RFC 8949, section 4.2.1).
const EMPTY_MAP: u8 = 0xa0;

/// What a filter may reach outside itself. Nothing can be granted yet: the struct keeps
/// a place for it in evidence and receipts, so that a later version which can grant
/// something shows in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grants {}

impl Grants {
    /// Nothing but the filter's own memory and processor time.
    pub fn none() -> Self {
        Self {}
    }

    /// The grants in deterministic CBOR: a map from grant to what it is limited to.
    /// A grant that is off is absent, so nothing granted is the empty map.
    pub fn encode(&self) -> Vec<u8> {
        vec![EMPTY_MAP]
    }

    /// SHA-256 of [`encode`](Self::encode): the third part of a plugin's entry in the
    /// epoch statement.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::Grants;

    #[test]
    fn the_digest_of_nothing_is_fixed() {
        // sha256sum of the one byte a0.
        let hex: String = Grants::none().digest().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "c19a797fa1fd590cd2e5b42d1cf5f246e29b91684e2f87404b81dc345c7a56a0");
    }
}
