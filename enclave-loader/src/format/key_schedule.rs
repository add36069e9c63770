//! From a root key to the keys of blobs, and the commitment that names it
//! (spec section "Keys").

use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

use super::core::{Hash, Header};
use super::limits::HASH_BYTES;
use crate::secret::ArtifactKey;

const COMMIT_LABEL: &[u8] = b"strongroom-sealed/v1/commit";
const BLOB_LABEL: &[u8] = b"strongroom-sealed/v1/blob";

/// A cryptographic library refused inputs of the right sizes: a bug, never a bad ciphertext.
#[derive(Debug)]
pub(crate) struct Unusable;

/// What the core says about the key of run `run`. AES-GCM alone would let one ciphertext
/// open under two keys; this and the derivation by HKDF do not.
pub(crate) fn commitment(key: &ArtifactKey, artifact_id: &[u8; 16], run: u32) -> Hash {
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(hmac::sign(&commit_key(key), &commit_message(artifact_id, run)).as_ref());
    hash
}

/// Whether `key` is the key of run `run`. Takes the same time for every wrong key.
pub(crate) fn commitment_matches(key: &ArtifactKey, artifact_id: &[u8; 16], run: u32, commitment: &Hash) -> bool {
    hmac::verify(&commit_key(key), &commit_message(artifact_id, run), commitment).is_ok()
}

/// DEK_b: the key of one blob, or of the private part, under `salt`.
pub(crate) fn blob_key(
    key: &ArtifactKey,
    header: &Header,
    blob: u32,
    salt: &Hash,
) -> Result<Zeroizing<[u8; 32]>, Unusable> {
    let suite = [header.suite.number()];
    let version = header.version.to_be_bytes();
    let blob = blob.to_be_bytes();
    let info: [&[u8]; 5] = [BLOB_LABEL, &suite, &version, &blob, salt];
    let mut dek = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, &header.artifact_id)
        .extract(key.expose_secret())
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(dek.as_mut_slice()))
        .map_err(|_| Unusable)?;
    Ok(dek)
}

fn commit_key(key: &ArtifactKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret())
}

fn commit_message(artifact_id: &[u8; 16], run: u32) -> Vec<u8> {
    [COMMIT_LABEL, artifact_id, &run.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::core::tests::header;

    fn key(byte: u8) -> ArtifactKey {
        ArtifactKey::from_bytes(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn a_commitment_names_one_key_artifact_and_run() {
        let commitment = commitment(&key(1), &[2; 16], 3);
        assert!(commitment_matches(&key(1), &[2; 16], 3, &commitment));
        assert!(!commitment_matches(&key(0), &[2; 16], 3, &commitment));
        assert!(!commitment_matches(&key(1), &[0; 16], 3, &commitment));
        assert!(!commitment_matches(&key(1), &[2; 16], 0, &commitment));
    }

    #[test]
    fn every_input_changes_the_blob_key() {
        let base = blob_key(&key(1), &header(), 0, &[0; 32]).expect("derives");
        let mut other = header();
        other.version += 1;
        let mut others = vec![
            blob_key(&key(2), &header(), 0, &[0; 32]),
            blob_key(&key(1), &header(), 1, &[0; 32]),
            blob_key(&key(1), &header(), 0, &[1; 32]),
            blob_key(&key(1), &other, 0, &[0; 32]),
        ];
        other = header();
        other.artifact_id[15] ^= 1;
        others.push(blob_key(&key(1), &other, 0, &[0; 32]));
        for changed in others {
            assert_ne!(*changed.expect("derives"), *base);
        }
    }
}
