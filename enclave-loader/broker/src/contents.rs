//! What the store holds, as one value: so that no single old record can be put back.
//!
//! Each record is sealed for its place, and an earlier value of the same place opens there too.
//! So the store remembers the exclusive or of a keyed hash of every record; a record that is
//! added, removed or put back from an old copy changes it, and without the key nobody can
//! tell how. Only an old copy of the whole store still fits itself.

use aws_lc_rs::hmac;

/// The exclusive or of the keyed hashes of a set of records. Empty at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Contents([u8; 32]);

impl Contents {
    /// Adds a record that is not in it, or takes away one that is.
    pub(crate) fn toggle(&mut self, key: &hmac::Key, table: &str, place: &[u8], sealed: &[u8]) {
        let mut context = hmac::Context::with_key(key);
        for part in [table.as_bytes(), place, sealed] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        for (to, from) in self.0.iter_mut().zip(context.sign().as_ref()) {
            *to ^= from;
        }
    }

    /// As it is stored.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the stored form.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().map(Self).ok()
    }
}
