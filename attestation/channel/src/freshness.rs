//! The freshness tree: one quote answers many clients' nonces (protocol.md 1.3).
//!
//! A Merkle tree as in RFC 9162 section 2.1. Each client recomputes its own leaf from the
//! request it sent, and the root from the proof; the root is what the platform quotes.

use sha2::{Digest as _, Sha256};

/// Most leaves under one root; 12 hashes of proof.
pub const MAX_LEAVES: u64 = 4096;

/// Longest proof that is read: the tree of [`MAX_LEAVES`] has twelve levels under its root.
pub const MAX_PROOF: usize = 12;

/// Domain separation of the leaf; frozen.
const LEAF_TAG: &[u8] = b"strongroom/leaf/v1";
/// Prefix of leaf hashes (RFC 9162 section 2.1.1).
const LEAF_PREFIX: [u8; 1] = [0x00];
/// Prefix of node hashes.
const NODE_PREFIX: [u8; 1] = [0x01];
/// The place of a channel binding, which this version does not use.
const NO_CHANNEL_BINDING: [u8; 32] = [0; 32];

/// The leaf of a request: `SHA-256(0x00 ‖ "strongroom/leaf/v1" ‖ SHA-256(body) ‖ 32 zero bytes)`.
///
/// `request_body` is the body exactly as sent (or, for a release, the release body), so that
/// nothing is re-encoded.
#[must_use]
pub fn leaf(request_body: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(LEAF_PREFIX)
        .chain_update(LEAF_TAG)
        .chain_update(Sha256::digest(request_body))
        .chain_update(NO_CHANNEL_BINDING)
        .finalize()
        .into()
}

/// A tree over the leaves of one batch.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The leaves, then each level above them; the last has one node (none for no leaves).
    levels: Vec<Vec<[u8; 32]>>,
}

impl Tree {
    /// The tree over `leaves`, in their order. A verifier refuses more than [`MAX_LEAVES`].
    #[must_use]
    pub fn new(leaves: Vec<[u8; 32]>) -> Tree {
        let mut levels = Vec::new();
        let mut level = leaves;
        while level.len() > 1 {
            // An odd last node rises unchanged, which is RFC 9162's split at the largest
            // power of two, seen from below.
            let above = level.chunks(2).filter_map(|pair| match pair {
                [left, right] => Some(node(left, right)),
                odd => odd.first().copied(),
            });
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Tree { levels }
    }

    /// The root hash; for no leaves SHA-256 of nothing, as in RFC 9162, which no proof reaches.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let top = self.levels.last().and_then(|level| level.first());
        top.copied().unwrap_or_else(|| Sha256::digest([]).into())
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The inclusion proof of leaf `index`, from below upwards. Empty for an index outside
    /// the tree, and then [`root_from_proof`] refuses that index.
    #[must_use]
    pub fn proof(&self, index: u64) -> Vec<[u8; 32]> {
        let Ok(mut index) = usize::try_from(index) else { return Vec::new() };
        if self.levels.first().is_none_or(|leaves| index >= leaves.len()) {
            return Vec::new();
        }
        let mut proof = Vec::new();
        for level in &self.levels {
            if let Some(sibling) = level.get(index ^ 1) {
                proof.push(*sibling);
            }
            index >>= 1;
        }
        proof
    }
}

/// The root that `proof` leads to from `leaf` at `index` in a tree of `size` leaves
/// (RFC 9162 section 2.1.3.2). `None` when index, size and proof do not fit together.
#[must_use]
pub fn root_from_proof(leaf: [u8; 32], index: u64, size: u64, proof: &[[u8; 32]]) -> Option<[u8; 32]> {
    if index >= size || size > MAX_LEAVES {
        return None;
    }
    let mut position = index;
    let mut last = size.checked_sub(1)?;
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if position & 1 == 1 || position == last {
            hash = node(sibling, &hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(NODE_PREFIX).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: u64) -> Vec<[u8; 32]> {
        (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
    }

    /// RFC 9162 section 2.1.1, word for word: split at the largest power of two below n.
    fn root_by_definition(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&root_by_definition(&leaves[..split]), &root_by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_leaf_is_the_formula() {
        let mut bytes = vec![0u8];
        bytes.extend_from_slice(b"strongroom/leaf/v1");
        bytes.extend_from_slice(&Sha256::digest(b"body"));
        bytes.extend_from_slice(&[0; 32]);
        assert_eq!(leaf(b"body"), <[u8; 32]>::from(Sha256::digest(bytes)));
    }

    #[test]
    fn one_client_needs_no_proof() {
        let tree = Tree::new(leaves(1));
        assert_eq!(tree.root(), leaves(1)[0]);
        assert!(tree.proof(0).is_empty());
        assert_eq!(root_from_proof(leaves(1)[0], 0, 1, &[]), Some(tree.root()));
    }

    #[test]
    fn every_leaf_of_every_small_tree_proves_the_rfc_root() {
        for size in 1..=65 {
            let leaves = leaves(size);
            let tree = Tree::new(leaves.clone());
            assert_eq!(tree.root(), root_by_definition(&leaves), "{size}");
            for index in 0..size {
                let proof = tree.proof(index);
                assert_eq!(
                    root_from_proof(leaves[index as usize], index, size, &proof),
                    Some(tree.root()),
                    "{index} of {size}"
                );
            }
        }
    }

    #[test]
    fn the_largest_tree_has_the_longest_proof() {
        let tree = Tree::new(leaves(MAX_LEAVES));
        assert_eq!(tree.proof(0).len(), MAX_PROOF);
        assert_eq!(root_from_proof(leaves(1)[0], 0, MAX_LEAVES, &tree.proof(0)), Some(tree.root()));
        assert_eq!(root_from_proof(leaves(1)[0], 0, MAX_LEAVES + 1, &tree.proof(0)), None);
    }

    #[test]
    fn an_empty_tree_proves_nothing() {
        let tree = Tree::new(Vec::new());
        assert_eq!((tree.size(), tree.proof(0).len()), (0, 0));
        assert_eq!(root_from_proof([0; 32], 0, 0, &[]), None);
    }

    #[test]
    fn a_proof_too_short_or_too_long_is_refused() {
        let tree = Tree::new(leaves(7));
        let proof = tree.proof(3);
        assert_eq!(root_from_proof(leaves(7)[3], 3, 7, &proof[..2]), None);
        assert_eq!(root_from_proof(leaves(7)[3], 3, 7, &[proof.as_slice(), &[[0; 32]]].concat()), None);
        assert_eq!(root_from_proof(leaves(7)[3], 7, 7, &proof), None);
        assert_eq!(root_from_proof(leaves(7)[3], u64::MAX, 7, &proof), None);
        assert!(tree.proof(7).is_empty());
    }

    proptest! {
        #[test]
        fn another_leaf_index_or_hash_gives_no_such_root(size in 2u64..200, at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), bit in 0usize..256) {
            let leaves = leaves(size);
            let tree = Tree::new(leaves.clone());
            let index = at.index(leaves.len());
            let proof = tree.proof(index as u64);
            let other_index = other.index(leaves.len());
            if other_index != index {
                prop_assert_ne!(root_from_proof(leaves[index], other_index as u64, size, &proof), Some(tree.root()));
            }
            let mut flipped = leaves[index];
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_from_proof(flipped, index as u64, size, &proof), Some(tree.root()));
        }
    }
}
