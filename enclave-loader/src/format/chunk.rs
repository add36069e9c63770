//! One chunk: AES-256-GCM (spec section "Chunks").

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;

use super::core::{Hash, Header};
use super::key_schedule::{Unusable, blob_key};
use super::limits::{HASH_BYTES, TAG_BYTES};
use crate::secret::ArtifactKey;

const CHUNK_LABEL: &[u8; 26] = b"strongroom-sealed/v1/chunk";
const AAD_BYTES: usize = CHUNK_LABEL.len() + HASH_BYTES + 4 + 8 + 4 + 1;

/// Seals and opens the chunks of one blob. The library wipes the key schedule on drop.
pub(crate) struct ChunkCipher {
    key: LessSafeKey,
    header_digest: Hash,
    blob: u32,
    chunks: u32,
}

impl ChunkCipher {
    /// The cipher of blob `blob` with `chunks` chunks under `salt`.
    pub(crate) fn new(
        key: &ArtifactKey,
        header: &Header,
        blob: u32,
        salt: &Hash,
        chunks: u32,
    ) -> Result<Self, Unusable> {
        let dek = blob_key(key, header, blob, salt)?;
        let key = UnboundKey::new(&AES_256_GCM, dek.as_slice()).map_err(|_| Unusable)?;
        Ok(Self { key: LessSafeKey::new(key), header_digest: header.digest(), blob, chunks })
    }

    /// Encrypts chunk `index` in place and returns its tag. Each index once a cipher.
    pub(crate) fn seal(&self, index: u64, in_out: &mut [u8]) -> Result<[u8; TAG_BYTES], Unusable> {
        let aad = Aad::from(self.associated_data(index, in_out.len()));
        let tag = self.key.seal_in_place_separate_tag(self.nonce(index), aad, in_out).map_err(|_| Unusable)?;
        tag.as_ref().try_into().map_err(|_| Unusable)
    }

    /// Decrypts chunk `index` in place; on an error `in_out` holds zeros.
    pub(crate) fn open(&self, index: u64, tag: &[u8; TAG_BYTES], in_out: &mut [u8]) -> Result<(), Unspecified> {
        let aad = Aad::from(self.associated_data(index, in_out.len()));
        let opened = self.key.open_in_place_separate_tag(self.nonce(index), aad, tag, in_out).map(|_| ());
        if opened.is_err() {
            in_out.fill(0);
        }
        opened
    }

    /// Decrypts chunk `index` from `sealed` into `out`, of the same length; on an error `out` holds zeros.
    pub(crate) fn open_into(
        &self,
        index: u64,
        tag: &[u8; TAG_BYTES],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<(), Unspecified> {
        let aad = Aad::from(self.associated_data(index, sealed.len()));
        let opened = self.key.open_separate_gather(self.nonce(index), aad, sealed, tag, out);
        if opened.is_err() {
            out.fill(0);
        }
        opened
    }

    fn is_final(&self, index: u64) -> u8 {
        u8::from(index + 1 == u64::from(self.chunks))
    }

    fn nonce(&self, index: u64) -> Nonce {
        Nonce::assume_unique_for_key(nonce_bytes(index, self.is_final(index)))
    }

    fn associated_data(&self, index: u64, plaintext_len: usize) -> [u8; AAD_BYTES] {
        // Chunks are at most 8 MiB; a longer one could not have come from this format.
        let len = u32::try_from(plaintext_len).unwrap_or(u32::MAX);
        let mut aad = [0; AAD_BYTES];
        let mut rest = aad.as_mut_slice();
        for part in [
            CHUNK_LABEL.as_slice(),
            &self.header_digest,
            &self.blob.to_be_bytes(),
            &index.to_be_bytes(),
            &len.to_be_bytes(),
            &[self.is_final(index)],
        ] {
            let (head, tail) = rest.split_at_mut(part.len());
            head.copy_from_slice(part);
            rest = tail;
        }
        aad
    }
}

/// u32 0 ‖ u56 index ‖ u8 final.
fn nonce_bytes(index: u64, is_final: u8) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[3..11].copy_from_slice(&index.to_be_bytes());
    nonce[11] = is_final;
    nonce
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use zeroize::Zeroizing;

    use super::*;
    use crate::format::core::tests::header;
    use crate::format::limits::MAX_CHUNKS;

    fn cipher(blob: u32, chunks: u32) -> ChunkCipher {
        let key = ArtifactKey::from_bytes(Zeroizing::new([1; 32]));
        ChunkCipher::new(&key, &header(), blob, &[2; 32], chunks).unwrap_or_else(|_| panic!("a cipher"))
    }

    #[test]
    fn no_nonce_repeats_in_a_blob_whatever_its_length() {
        let nonces: HashSet<_> =
            (0..u64::from(MAX_CHUNKS)).flat_map(|index| [nonce_bytes(index, 0), nonce_bytes(index, 1)]).collect();
        assert_eq!(nonces.len(), 2 * MAX_CHUNKS as usize);
    }

    #[test]
    fn the_nonce_has_the_layout_of_the_page() {
        let nonce = nonce_bytes(0x0001_0203, 1);
        assert_eq!(nonce, [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 1]);
    }

    #[test]
    fn opens_only_in_its_place() {
        let sealed_by = cipher(0, 3);
        let mut sealed = *b"plaintext";
        let tag = sealed_by.seal(1, &mut sealed).unwrap_or_else(|_| panic!("seals"));
        let open = |cipher: &ChunkCipher, index, len: usize| {
            let mut bytes = sealed;
            let opened = cipher.open(index, &tag, &mut bytes[..len]).is_ok();
            assert!(opened || bytes[..len].iter().all(|byte| *byte == 0));
            opened && bytes == *b"plaintext"
        };
        assert!(open(&sealed_by, 1, 9));
        assert!(!open(&sealed_by, 0, 9), "another index");
        assert!(!open(&sealed_by, 1, 8), "another length");
        assert!(!open(&cipher(1, 3), 1, 9), "another blob");
        assert!(!open(&cipher(0, 2), 1, 9), "now the last chunk");
    }
}
