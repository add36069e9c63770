//! One blob that is being read: its leaf list is verified once, then each chunk by its leaf.

use std::io;
use std::sync::Arc;

use crate::error::LoadError;
use crate::format::chunk::ChunkCipher;
use crate::format::core::{BlobRecord, Hash, Header, Suite};
use crate::format::limits::{HASH_BYTES, TAG_BYTES};
use crate::format::tree;
use crate::seal::blob_file;
use crate::store::{ModelStore, StoredFile};

/// A blob whose leaf list leads to the signed root: its ciphertext can be told from any other.
pub(crate) struct SignedBlob {
    number: u32,
    store: Arc<dyn ModelStore>,
    file: Box<dyn StoredFile>,
    suite: Suite,
    chunk_bytes: u32,
    record: BlobRecord,
    leaves: Vec<Hash>,
}

/// A blob that can be read.
pub(crate) struct OpenBlob {
    blob: SignedBlob,
    cipher: Arc<ChunkCipher>,
}

impl SignedBlob {
    /// Opens blob `number` and verifies its leaf list.
    pub(crate) fn open(
        store: Arc<dyn ModelStore>,
        number: u32,
        record: &BlobRecord,
        header: &Header,
    ) -> Result<Self, LoadError> {
        let chunk_bytes = header.chunk_bytes();
        let name = blob_file(number);
        let file = store.open(&name).map_err(|error| LoadError::io("open", &store.describe(&name), &error))?;
        let mut leaves = vec![[0; HASH_BYTES]; record.chunks as usize];
        file.read_exact_at(leaves.as_flattened_mut(), record.leaves_at(chunk_bytes))
            .map_err(|error| read_failed(&error, &*store, number, record, chunk_bytes))?;
        if tree::root(header.suite, &leaves) != record.root {
            return Err(LoadError::TamperedLeaves { blob: number });
        }
        Ok(Self { number, store, file, suite: header.suite, chunk_bytes, record: record.clone(), leaves })
    }

    /// Reads the ciphertext and tag of chunk `index` into `sealed`, if they are the ones whose leaf the
    /// publisher signed.
    pub(crate) fn read_sealed(&self, index: u64, sealed: &mut Vec<u8>) -> Result<(), LoadError> {
        let tampered = LoadError::Tampered { blob: self.number, chunk: index };
        let leaf = usize::try_from(index).ok().and_then(|index| self.leaves.get(index)).ok_or(tampered.clone())?;
        let at = index * (u64::from(self.chunk_bytes) + TAG_BYTES as u64);
        sealed.resize(self.record.chunk_len(index, self.chunk_bytes) as usize + TAG_BYTES, 0);
        self.file
            .read_exact_at(sealed, at)
            .map_err(|error| read_failed(&error, &*self.store, self.number, &self.record, self.chunk_bytes))?;
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(tampered.clone())?;
        match tree::leaf(self.suite, self.number, index, ciphertext, tag) == *leaf {
            true => Ok(()),
            false => Err(tampered),
        }
    }
}

impl OpenBlob {
    /// `blob`, with the cipher of its key.
    pub(crate) fn new(blob: SignedBlob, cipher: Arc<ChunkCipher>) -> Self {
        Self { blob, cipher }
    }

    pub(crate) fn number(&self) -> u32 {
        self.blob.number
    }

    /// Reads chunk `index` into `out`, which has the chunk's length. First the ciphertext must
    /// be the one whose leaf the publisher signed; then it must authenticate. `sealed` is room for the
    /// ciphertext, which stays in the processor's cache between the two. On an error, `out` holds zeros.
    pub(crate) fn read_chunk(&self, index: u64, sealed: &mut Vec<u8>, out: &mut [u8]) -> Result<(), LoadError> {
        let result = self.read_chunk_unwiped(index, sealed, out);
        if result.is_err() {
            out.fill(0);
        }
        result
    }

    fn read_chunk_unwiped(&self, index: u64, sealed: &mut Vec<u8>, out: &mut [u8]) -> Result<(), LoadError> {
        self.blob.read_sealed(index, sealed)?;
        let tampered = LoadError::Tampered { blob: self.blob.number, chunk: index };
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(tampered.clone())?;
        self.cipher.open_into(index, tag, ciphertext, out).map_err(|_| tampered)
    }
}

/// Refuses a blob whose file is missing, shorter or longer than the core says.
pub(crate) fn check_length(
    store: &dyn ModelStore,
    blob: u32,
    record: &BlobRecord,
    chunk_bytes: u32,
) -> Result<(), LoadError> {
    let wanted = record.file_len(chunk_bytes);
    let name = blob_file(blob);
    let found = store.len(&name).map_err(|error| LoadError::io("look at", &store.describe(&name), &error))?;
    match found.cmp(&wanted) {
        std::cmp::Ordering::Less => Err(LoadError::Truncated { blob, wanted, found }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(LoadError::ExtraBytes { blob, wanted, found }),
    }
}

/// An end of file where there should be bytes means that the blob shrank since it was measured.
fn read_failed(
    error: &io::Error,
    store: &dyn ModelStore,
    blob: u32,
    record: &BlobRecord,
    chunk_bytes: u32,
) -> LoadError {
    if error.kind() == io::ErrorKind::UnexpectedEof
        && let Err(error) = check_length(store, blob, record, chunk_bytes)
    {
        return error;
    }
    LoadError::io("read", &store.describe(&blob_file(blob)), error)
}
