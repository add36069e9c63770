//! The proof that an entry is in the log's tree (RFC 9162 2.1.3.2), and the log's signature over the
//! tree: a checkpoint (C2SP tlog-checkpoint, signed-note).

use serde::Deserialize;
use strongroom_attestation::crypto::sha256;

use super::log_entry::Number;
use crate::provenance::dsse::base64;
use crate::provenance::{EcPublicKey, ProvenanceError};

/// Hashes of a proof in a tree of 2^63 entries.
const MAX_HASHES: usize = 64;
/// Lines of a checkpoint, signatures of witnesses included.
const MAX_LINES: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct InclusionText {
    log_index: Number,
    root_hash: String,
    tree_size: Number,
    #[serde(default)]
    hashes: Vec<String>,
    checkpoint: CheckpointText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointText {
    envelope: String,
}

/// A proof that nobody has verified.
pub(super) struct Inclusion {
    index: u64,
    size: u64,
    root: [u8; 32],
    hashes: Vec<[u8; 32]>,
    checkpoint: String,
}

impl Inclusion {
    pub(super) fn read(text: &InclusionText) -> Result<Self, ProvenanceError> {
        if text.hashes.len() > MAX_HASHES {
            return Err(ProvenanceError::TooLarge { what: "a proof of inclusion", limit: MAX_HASHES });
        }
        Ok(Self {
            index: text.log_index.0,
            size: text.tree_size.0,
            root: hash(&text.root_hash)?,
            hashes: text.hashes.iter().map(|text| hash(text)).collect::<Result<_, _>>()?,
            checkpoint: text.checkpoint.envelope.clone(),
        })
    }

    /// Verifies that `body` is in the tree, and that the log signed the tree.
    ///
    /// # Errors
    /// `Log`.
    pub(super) fn verify(&self, body: &[u8], log_id: &[u8], key: &EcPublicKey) -> Result<(), ProvenanceError> {
        if self.implied_root(body) != Some(self.root) {
            return Err(ProvenanceError::Log("the proof of inclusion does not hold"));
        }
        self.verify_checkpoint(log_id, key).ok_or(ProvenanceError::Log("the signature over the tree does not verify"))
    }

    /// RFC 9162 2.1.3.2, steps 1 to 4. `None` where the proof has too few or too many hashes.
    fn implied_root(&self, body: &[u8]) -> Option<[u8; 32]> {
        if self.index >= self.size {
            return None;
        }
        let (mut place, mut last) = (self.index, self.size.checked_sub(1)?);
        let mut node = sha256(&[&[0], body].concat());
        for hash in &self.hashes {
            if last == 0 {
                return None;
            }
            if place & 1 == 1 || place == last {
                node = parent(hash, &node);
                while place & 1 == 0 && place != 0 {
                    (place, last) = (place >> 1, last >> 1);
                }
            } else {
                node = parent(&node, hash);
            }
            (place, last) = (place >> 1, last >> 1);
        }
        (last == 0).then_some(node)
    }

    /// The checkpoint is of this tree, and one of its signatures is the log's.
    fn verify_checkpoint(&self, log_id: &[u8], key: &EcPublicKey) -> Option<()> {
        let (text, signatures) = self.checkpoint.split_once("\n\n")?;
        let signed = format!("{text}\n");
        let mut lines = text.split('\n');
        let (_origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        if size != self.size.to_string() || hash(root).ok()? != self.root {
            return None;
        }
        let hint = log_id.get(..4)?;
        let is_the_logs = |line: &str| {
            let encoded = line.strip_prefix("\u{2014} ").and_then(|line| line.rsplit_once(' ')).map(|(_, last)| last);
            let bytes = encoded.and_then(|encoded| base64(encoded).ok()).unwrap_or_default();
            bytes.strip_prefix(hint).is_some_and(|signature| key.verify(signed.as_bytes(), signature).is_ok())
        };
        signatures.lines().take(MAX_LINES).any(is_the_logs).then_some(())
    }
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1][..], left, right].concat())
}

fn hash(text: &str) -> Result<[u8; 32], ProvenanceError> {
    base64(text)?.try_into().map_err(|_| ProvenanceError::Malformed("a hash of the log"))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::provenance::EcSigningKey;

    /// The tree of RFC 9162 2.1.1, by its definition.
    fn tree(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [leaf] => sha256(&[&[0], leaf.as_slice()].concat()),
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                parent(&tree(left), &tree(right))
            }
        }
    }

    /// The proof of RFC 9162 2.1.3.1, by its definition.
    fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<[u8; 32]> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        let (mut path, other) =
            if index < half { (path(index, left), tree(right)) } else { (path(index - half, right), tree(left)) };
        path.push(other);
        path
    }

    #[test]
    fn every_place_of_every_small_tree_is_proved_and_no_other() {
        for size in 1..20_usize {
            let leaves: Vec<Vec<u8>> = (0..size).map(|leaf| vec![u8::try_from(leaf).expect("small")]).collect();
            for index in 0..size {
                let mut proof = Inclusion {
                    index: index as u64,
                    size: size as u64,
                    root: tree(&leaves),
                    hashes: path(index, &leaves),
                    checkpoint: String::new(),
                };
                assert_eq!(proof.implied_root(&leaves[index]), Some(proof.root), "{index} of {size}");
                assert_ne!(proof.implied_root(b"another"), Some(proof.root));
                proof.hashes.push([0; 32]);
                assert_eq!(proof.implied_root(&leaves[index]), None, "a hash too many");
                proof.hashes.truncate(proof.hashes.len() - 2.min(proof.hashes.len()));
                assert!(size == 1 || proof.implied_root(&leaves[index]) != Some(proof.root), "a hash too few");
                proof.index = proof.size;
                assert_eq!(proof.implied_root(&leaves[index]), None, "a place outside");
            }
        }
    }

    #[test]
    fn a_checkpoint_is_of_this_tree_and_by_this_log() {
        let key = EcSigningKey::generate().expect("a key");
        let checkpoint = |size: u64, root: &[u8], key: &EcSigningKey| {
            let text = format!("log\n{size}\n{}\n", STANDARD.encode(root));
            let signature = [&[1, 2, 3, 4], key.sign(text.as_bytes()).expect("signs").as_slice()].concat();
            format!("{text}\n\u{2014} log {}\n", STANDARD.encode(signature))
        };
        let holds = |checkpoint: String, id: &[u8]| {
            let proof = Inclusion { index: 0, size: 7, root: [9; 32], hashes: Vec::new(), checkpoint };
            proof.verify_checkpoint(id, key.public()).is_some()
        };
        let id = [1, 2, 3, 4, 5];
        assert!(holds(checkpoint(7, &[9; 32], &key), &id));
        assert!(!holds(checkpoint(8, &[9; 32], &key), &id), "another size");
        assert!(!holds(checkpoint(7, &[8; 32], &key), &id), "another root");
        assert!(!holds(checkpoint(7, &[9; 32], &EcSigningKey::generate().expect("a key")), &id), "another key");
        assert!(!holds(checkpoint(7, &[9; 32], &key), &[1, 2, 3, 5]), "another hint");
        assert!(!holds(String::new(), &id), "no checkpoint");
    }
}
