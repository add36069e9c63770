//! One blob that is being read: its leaf list is verified once, then each chunk by its leaf.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blob_file_len;
use crate::error::LoadError;
use crate::format::chunk::ChunkCipher;
use crate::format::core::{BlobRecord, Hash, Header, Suite};
use crate::format::limits::{HASH_BYTES, TAG_BYTES};
use crate::format::tree;
use crate::seal::blob_path;

/// A blob whose leaf list leads to the signed root.
pub(crate) struct OpenBlob {
    number: u32,
    path: PathBuf,
    file: File,
    suite: Suite,
    chunk_bytes: u32,
    record: BlobRecord,
    leaves: Vec<Hash>,
    cipher: Arc<ChunkCipher>,
}

impl OpenBlob {
    /// Opens blob `number` and verifies its leaf list.
    pub(crate) fn open(
        directory: &Path,
        number: u32,
        record: &BlobRecord,
        header: &Header,
        cipher: Arc<ChunkCipher>,
    ) -> Result<Self, LoadError> {
        let chunk_bytes = header.chunk_bytes();
        let path = blob_path(directory, number);
        let file = File::open(&path).map_err(|error| LoadError::io("open", &path, &error))?;
        let mut leaves = vec![[0; HASH_BYTES]; record.chunks as usize];
        file.read_exact_at(leaves.as_flattened_mut(), record.leaves_at(chunk_bytes))
            .map_err(|error| read_failed(&error, directory, number, record, chunk_bytes))?;
        if tree::root(header.suite, &leaves) != record.root {
            return Err(LoadError::TamperedLeaves { blob: number });
        }
        Ok(Self { number, path, file, suite: header.suite, chunk_bytes, record: record.clone(), leaves, cipher })
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Reads chunk `index` into `out`, which has the chunk's length. First the ciphertext must
    /// be the one whose leaf the publisher signed; then it must authenticate. On an error,
    /// `out` holds zeros.
    pub(crate) fn read_chunk(&self, index: u64, out: &mut [u8]) -> Result<(), LoadError> {
        let result = self.read_chunk_unwiped(index, out);
        if result.is_err() {
            out.fill(0);
        }
        result
    }

    fn read_chunk_unwiped(&self, index: u64, out: &mut [u8]) -> Result<(), LoadError> {
        let tampered = LoadError::Tampered { blob: self.number, chunk: index };
        let leaf = usize::try_from(index).ok().and_then(|index| self.leaves.get(index)).ok_or(tampered.clone())?;
        let at = index * (u64::from(self.chunk_bytes) + TAG_BYTES as u64);
        let mut tag = [0; TAG_BYTES];
        self.file
            .read_exact_at(out, at)
            .and_then(|()| self.file.read_exact_at(&mut tag, at + out.len() as u64))
            .map_err(|error| {
                let directory = self.path.parent().and_then(Path::parent).unwrap_or(Path::new("."));
                read_failed(&error, directory, self.number, &self.record, self.chunk_bytes)
            })?;
        if tree::leaf(self.suite, self.number, index, out, &tag) != *leaf {
            return Err(tampered);
        }
        self.cipher.open(index, &tag, out).map_err(|_| tampered)
    }
}

/// Refuses a blob whose file is missing, shorter or longer than the core says.
pub(crate) fn check_length(
    directory: &Path,
    blob: u32,
    record: &BlobRecord,
    chunk_bytes: u32,
) -> Result<(), LoadError> {
    let wanted = record.file_len(chunk_bytes);
    let found = blob_file_len(directory, blob)?;
    match found.cmp(&wanted) {
        std::cmp::Ordering::Less => Err(LoadError::Truncated { blob, wanted, found }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(LoadError::ExtraBytes { blob, wanted, found }),
    }
}

/// An end of file where there should be bytes means that the blob shrank since it was measured.
fn read_failed(error: &io::Error, directory: &Path, blob: u32, record: &BlobRecord, chunk_bytes: u32) -> LoadError {
    if error.kind() == io::ErrorKind::UnexpectedEof
        && let Err(error) = check_length(directory, blob, record, chunk_bytes)
    {
        return error;
    }
    LoadError::io("read", &blob_path(directory, blob), error)
}
