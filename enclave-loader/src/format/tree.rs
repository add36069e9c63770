//! Ciphertext trees (spec section "Trees"): what the publisher sealed, chunk by chunk.
//!
//! A holder of the key can make chunks that authenticate; only the publisher can sign a
//! root. The shape is that of RFC 9162 section 2.1.1.

use aws_lc_rs::digest;

use super::core::{Hash, Suite};
use super::limits::HASH_BYTES;

/// The leaf of chunk `index` of blob `blob`.
pub(crate) fn leaf(suite: Suite, blob: u32, index: u64, ciphertext: &[u8], tag: &[u8]) -> Hash {
    let mut prefix = [0; 13];
    prefix[1..5].copy_from_slice(&blob.to_be_bytes());
    prefix[5..].copy_from_slice(&index.to_be_bytes());
    hash(suite, &[&prefix, ciphertext, tag])
}

/// The root over `leaves`, in order. No leaves give the hash of nothing, which no core holds.
pub(crate) fn root(suite: Suite, leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hash(suite, &[]),
        [leaf] => *leaf,
        _ => {
            // The largest power of two below the number of leaves.
            let half = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(half);
            hash(suite, &[&[1], &root(suite, left), &root(suite, right)])
        }
    }
}

fn hash(suite: Suite, parts: &[&[u8]]) -> Hash {
    match suite {
        Suite::Blake3 => {
            let mut hasher = blake3::Hasher::new();
            for part in parts {
                hasher.update(part);
            }
            *hasher.finalize().as_bytes()
        }
        Suite::Sha256 => {
            let mut context = digest::Context::new(&digest::SHA256);
            for part in parts {
                context.update(part);
            }
            let mut hash = [0; HASH_BYTES];
            hash.copy_from_slice(context.finish().as_ref());
            hash
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::core::sha256;

    fn node(left: &Hash, right: &Hash) -> Hash {
        sha256(&[&[1][..], left, right].concat())
    }

    #[test]
    fn has_the_shape_of_rfc_9162() {
        let leaves: Vec<Hash> = (0..7).map(|number| [number; 32]).collect();
        let quad = node(&node(&leaves[0], &leaves[1]), &node(&leaves[2], &leaves[3]));
        let triple = node(&node(&leaves[4], &leaves[5]), &leaves[6]);
        assert_eq!(root(Suite::Sha256, &leaves), node(&quad, &triple));
        assert_eq!(root(Suite::Sha256, &leaves[..1]), leaves[0]);
    }

    #[test]
    fn a_leaf_binds_its_place() {
        let base = leaf(Suite::Sha256, 1, 2, b"ciphertext", &[0; 16]);
        let mut bytes = vec![0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
        bytes.extend_from_slice(b"ciphertext");
        bytes.extend_from_slice(&[0; 16]);
        assert_eq!(base, sha256(&bytes));
        assert_ne!(base, leaf(Suite::Sha256, 2, 2, b"ciphertext", &[0; 16]));
        assert_ne!(base, leaf(Suite::Sha256, 1, 3, b"ciphertext", &[0; 16]));
        assert_ne!(base, leaf(Suite::Blake3, 1, 2, b"ciphertext", &[0; 16]));
    }
}
