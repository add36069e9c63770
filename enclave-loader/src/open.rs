//! Opening: the signature first, then the keys, then the list of files, then chunks.

mod blob;
mod sealed_model;
mod stream;
mod verify;

pub use sealed_model::SealedModel;
pub use stream::ModelReader;

use std::fmt;
use std::io;
use std::sync::Arc;

use strongroom_channel::cose::{VerifyingKey, media};
use strongroom_channel::trust_file::Environment;
use zeroize::Zeroizing;

use crate::error::LoadError;
use crate::format::chunk::ChunkCipher;
use crate::format::core::{Core, Hash, Suite, sha256};
use crate::format::key_schedule::commitment_matches;
use crate::format::keys::{KEYS_FILE, WrappedKeys};
use crate::format::limits::{HASH_BYTES, MAX_KEYS_BYTES, MAX_MANIFEST_BYTES, PRIVATE_BLOB, TAG_BYTES};
use crate::format::manifest::{self, MANIFEST_FILE};
use crate::format::private;
use crate::format::tree;
use crate::inspect::Description;
use crate::secret::ArtifactKey;
use crate::store::{ModelStore, Place};

/// Reads the manifest of the sealed model at `place` and verifies that `publisher`, a key
/// from a trusted configuration, signed it. Steps 1 to 3 of opening.
///
/// # Errors
/// `Signature` where another key signed, `Format`, `Unsupported` or `Io` otherwise.
pub fn open_manifest(place: impl Into<Place>, publisher: &VerifyingKey) -> Result<SignedManifest, LoadError> {
    // 1. The manifest's two parts.
    let store = place.into().store()?;
    let bytes = read_bounded(&*store, MANIFEST_FILE, MAX_MANIFEST_BYTES)?;
    let (signed_core, private) = manifest::decode(&bytes)?;
    // 2. The signature, before any byte of the core is looked at.
    let core_bytes = publisher.verify1(media::SEALED_CORE, signed_core).map_err(|_| LoadError::Signature)?;
    // 3. The core, within the limits.
    let core = Core::decode(&core_bytes)?;
    Ok(SignedManifest { store, model_id: sha256(&core_bytes), core, private: private.to_vec() })
}

/// Reads the wrapped keys of the sealed model at `place`, for its recipient to unwrap.
///
/// # Errors
/// `Format` or `Io`.
pub fn read_wrapped_keys(place: impl Into<Place>) -> Result<WrappedKeys, LoadError> {
    WrappedKeys::decode(&read_bounded(&*place.into().store()?, KEYS_FILE, MAX_KEYS_BYTES)?)
}

/// Ciphertext and tag.
type SealedChunk = (Vec<u8>, [u8; TAG_BYTES]);

/// A manifest that the pinned publisher signed. Only [`open_manifest`] makes one.
pub struct SignedManifest {
    store: Arc<dyn ModelStore>,
    model_id: Hash,
    core: Core,
    private: Vec<u8>,
}

impl SignedManifest {
    /// SHA-256 of the core: what brokers, statements and receipts name the model by.
    #[must_use]
    pub fn model_id(&self) -> Hash {
        self.model_id
    }

    /// The artifact, one sealing of one version.
    #[must_use]
    pub fn artifact_id(&self) -> [u8; 16] {
        self.core.header.artifact_id
    }

    /// The model's public name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.header.name
    }

    /// The model's version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.core.header.version
    }

    /// Algorithms of its trees.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.core.header.suite
    }

    /// What the model is for.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.core.header.environment
    }

    /// Model id of the version before this one, if the publisher named it.
    #[must_use]
    pub fn previous(&self) -> Option<Hash> {
        self.core.header.previous
    }

    /// Model id of the model that this is an adapter or an update of; `None` for a model of its own.
    #[must_use]
    pub fn base(&self) -> Option<Hash> {
        self.core.header.base
    }

    /// The number of keys that open the model, one a sealing run.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.core.commitments.len()
    }

    /// All that is public about the model.
    #[must_use]
    pub fn description(&self) -> Description {
        Description::new(self.model_id, &self.core)
    }

    /// Whether `keys` are the keys of this artifact, in the order of its runs. Nothing is
    /// decrypted; every commitment is compared, whatever the ones before gave.
    ///
    /// # Errors
    /// `WrongKey`.
    pub fn check_keys(&self, keys: &[ArtifactKey]) -> Result<(), LoadError> {
        let artifact_id = self.artifact_id();
        let all =
            keys.iter().zip(&self.core.commitments).zip(0..).fold(true, |all, ((key, commitment), run)| {
                commitment_matches(key, &artifact_id, run, commitment) & all
            });
        if all && keys.len() == self.core.commitments.len() { Ok(()) } else { Err(LoadError::WrongKey) }
    }

    /// Opens the model with the keys of all its runs. Steps 4 to 6 of opening; the keys are used
    /// up by deriving, and can be dropped afterwards.
    ///
    /// # Errors
    /// `WrongKey`, `TamperedPrivate`, `Format`, `Truncated`, `ExtraBytes` or `Io`.
    pub fn unlock(self, keys: &[ArtifactKey]) -> Result<SealedModel, LoadError> {
        // 4. The commitments, before anything is decrypted.
        self.check_keys(keys)?;
        // 5. The private part: its root, then its chunks, then what it says.
        let plain = self.open_private(keys)?;
        let files = private::decode(&plain, self.core.header.chunk_bytes(), self.core.total_len())?;
        // 6. Every blob is there with its length. Its content is verified when it is read.
        let mut ciphers = Vec::with_capacity(self.core.blobs.len());
        for (record, blob) in self.core.blobs.iter().zip(0..) {
            blob::check_length(&*self.store, blob, record, self.core.header.chunk_bytes())?;
            let key = keys.get(record.run as usize).ok_or(LoadError::WrongKey)?;
            let cipher = ChunkCipher::new(key, &self.core.header, blob, &record.salt, record.chunks);
            ciphers.push(Arc::new(cipher.map_err(|_| LoadError::WrongKey)?));
        }
        Ok(SealedModel::new(self.store, self.model_id, self.core, files, ciphers))
    }

    /// The chunks of the private part and their tags, if they lead to the signed root.
    fn signed_private(&self) -> Result<Vec<SealedChunk>, LoadError> {
        let header = &self.core.header;
        let record = &self.core.private;
        let chunk_bytes = u64::from(header.chunk_bytes());
        let chunks = record.len.div_ceil(chunk_bytes);
        if self.private.len() as u64 != record.len + chunks * TAG_BYTES as u64 {
            return Err(LoadError::TamperedPrivate);
        }
        let sealed_chunk = header.chunk_bytes() as usize + TAG_BYTES;
        let split = |sealed: &[u8]| sealed.split_last_chunk::<TAG_BYTES>().map(|(chunk, tag)| (chunk.to_vec(), *tag));
        let sealed: Vec<_> =
            self.private.chunks(sealed_chunk).map(split).collect::<Option<_>>().ok_or(LoadError::TamperedPrivate)?;
        let leaves: Vec<Hash> = sealed
            .iter()
            .zip(0..)
            .map(|((chunk, tag), index)| tree::leaf(header.suite, PRIVATE_BLOB, index, chunk, tag))
            .collect();
        match tree::root(header.suite, &leaves) == record.root {
            true => Ok(sealed),
            false => Err(LoadError::TamperedPrivate),
        }
    }

    fn open_private(&self, keys: &[ArtifactKey]) -> Result<Zeroizing<Vec<u8>>, LoadError> {
        let header = &self.core.header;
        let sealed = self.signed_private()?;
        // The private part belongs to the last run.
        let key = keys.last().ok_or(LoadError::WrongKey)?;
        let chunks = u32::try_from(sealed.len()).map_err(|_| LoadError::TamperedPrivate)?;
        let cipher = ChunkCipher::new(key, header, PRIVATE_BLOB, &[0; HASH_BYTES], chunks)
            .map_err(|_| LoadError::TamperedPrivate)?;
        let mut plain = Zeroizing::new(Vec::with_capacity(self.private.len()));
        for ((chunk, tag), index) in sealed.into_iter().zip(0..) {
            let mut chunk = Zeroizing::new(chunk);
            cipher.open(index, &tag, &mut chunk).map_err(|_| LoadError::TamperedPrivate)?;
            plain.extend_from_slice(&chunk);
        }
        Ok(plain)
    }
}

/// The bytes of the manifest of the sealed model at `place`, within the limit.
pub(crate) fn read_manifest(place: &Place) -> Result<Vec<u8>, LoadError> {
    read_bounded(&*place.store()?, MANIFEST_FILE, MAX_MANIFEST_BYTES)
}

fn read_bounded(store: &dyn ModelStore, file: &str, limit: u64) -> Result<Vec<u8>, LoadError> {
    store.read_all(file, limit).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => LoadError::Format("a file is larger than the format allows"),
        _ => LoadError::io("read", &store.describe(file), &error),
    })
}

/// Says which model it is.
impl fmt::Debug for SignedManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedManifest({})", hex::encode(self.model_id))
    }
}
