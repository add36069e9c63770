//! A model that is open: its files, and the blobs that their readers share.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::blob::OpenBlob;
use super::stream::ModelReader;
use crate::error::LoadError;
use crate::format::chunk::ChunkCipher;
use crate::format::core::{Core, Hash};
use crate::format::private::FileEntry;
use crate::parallel::{for_each, workers};
use crate::seal::{CHUNKS_BETWEEN_REPORTS, Progress};

/// Blobs whose leaf lists stay in memory, at most 512 KiB each: tensors are read in an order
/// of their own.
const OPEN_BLOBS: usize = 8;
/// Bytes that are read at a time when files are hashed again.
const HASH_BUFFER_BYTES: usize = 16 << 20;

/// A sealed model whose keys fit: its files can be read. Cheap to clone; holds the keys of its
/// blobs, which are wiped with the last clone and reader.
#[derive(Clone)]
pub struct SealedModel(Arc<Unlocked>);

/// What all readers of a model share.
pub(super) struct Unlocked {
    directory: PathBuf,
    model_id: Hash,
    pub(super) core: Core,
    files: Vec<FileEntry>,
    /// One a blob.
    ciphers: Vec<Arc<ChunkCipher>>,
    /// The blobs used last, the newest first.
    open: Mutex<VecDeque<Arc<OpenBlob>>>,
    /// Why the first reader that failed did.
    failure: Mutex<Option<LoadError>>,
}

impl SealedModel {
    /// A model whose files and ciphers were opened with the right keys.
    pub(super) fn new(
        directory: PathBuf,
        model_id: Hash,
        core: Core,
        files: Vec<FileEntry>,
        ciphers: Vec<Arc<ChunkCipher>>,
    ) -> Self {
        let (open, failure) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Unlocked { directory, model_id, core, files, ciphers, open, failure }))
    }

    /// SHA-256 of the core.
    #[must_use]
    pub fn model_id(&self) -> Hash {
        self.0.model_id
    }

    /// The files of the model, sorted by path.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.0.files
    }

    /// A reader of the file `path`. It gives verified plaintext only.
    ///
    /// # Errors
    /// `NoSuchFile`.
    pub fn reader(&self, path: &str) -> Result<ModelReader, LoadError> {
        let file = self.0.files.iter().find(|file| file.path == path);
        let file = file.ok_or_else(|| LoadError::NoSuchFile { path: path.to_owned() })?;
        Ok(ModelReader::new(Arc::clone(&self.0), file.offset, file.len))
    }

    /// Why a reader failed first, if one did: an engine that reads through [`ModelReader`] may
    /// report an error of its own instead.
    #[must_use]
    pub fn take_failure(&self) -> Option<LoadError> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Verifies every chunk of every blob, padding included, on all cores.
    ///
    /// # Errors
    /// The first thing that is not as the publisher sealed it.
    pub fn verify_all(&self, progress: &dyn Fn(Progress)) -> Result<(), LoadError> {
        let chunk_bytes = self.0.core.header.chunk_bytes();
        let total = self.0.core.total_len();
        let batch = (workers() * CHUNKS_BETWEEN_REPORTS) as u64;
        let mut done = 0;
        for (record, blob) in self.0.core.blobs.iter().zip(0..) {
            let open = self.0.open_blob(blob)?;
            for first in (0..u64::from(record.chunks)).step_by(usize::try_from(batch).unwrap_or(usize::MAX)) {
                let count = batch.min(u64::from(record.chunks) - first);
                for_each(
                    workers(),
                    0..usize::try_from(count).unwrap_or(usize::MAX),
                    || Zeroizing::new(vec![0; chunk_bytes as usize]),
                    |buffer, number| {
                        let index = first + number as u64;
                        let len = record.chunk_len(index, chunk_bytes) as usize;
                        open.read_chunk(index, &mut buffer[..len])
                    },
                )?;
                done = (done + count * u64::from(chunk_bytes)).min(total);
                progress(Progress { done, total });
            }
        }
        Ok(())
    }

    /// Reads every file and compares its SHA-256 with the manifest's: what `verify --deep`
    /// adds to [`SealedModel::verify_all`].
    ///
    /// # Errors
    /// `FileHash`, or whatever reading finds.
    pub fn verify_files(&self, progress: &dyn Fn(Progress)) -> Result<(), LoadError> {
        let total = self.0.files.iter().map(|file| file.len).sum();
        let mut buffer = Zeroizing::new(vec![0; HASH_BUFFER_BYTES]);
        let mut done = 0;
        for file in &self.0.files {
            let mut reader = ModelReader::new(Arc::clone(&self.0), file.offset, file.len);
            let mut context = digest::Context::new(&digest::SHA256);
            loop {
                let len = reader.read_verified(&mut buffer)?;
                if len == 0 {
                    break;
                }
                context.update(&buffer[..len]);
                done += len as u64;
                progress(Progress { done, total });
            }
            if context.finish().as_ref() != file.sha256 {
                return Err(LoadError::FileHash { path: file.path.clone() });
            }
        }
        Ok(())
    }
}

/// Says which model it is; keys and file names stay inside.
impl fmt::Debug for SealedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedModel({})", hex::encode(self.0.model_id))
    }
}

impl Unlocked {
    pub(super) fn note_failure(&self, error: &LoadError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
    }

    /// The blob `blob` with its leaf list verified against the signed root.
    pub(super) fn open_blob(&self, blob: u32) -> Result<Arc<OpenBlob>, LoadError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let position = open.iter().position(|open| open.number() == blob);
        if let Some(found) = position.and_then(|position| open.remove(position)) {
            open.push_front(Arc::clone(&found));
            return Ok(found);
        }
        let (Some(record), Some(cipher)) = (self.core.blobs.get(blob as usize), self.ciphers.get(blob as usize)) else {
            return Err(LoadError::Format("a file lies outside the blobs"));
        };
        let opened = OpenBlob::open(&self.directory, blob, record, &self.core.header, Arc::clone(cipher))?;
        let opened = Arc::new(opened);
        open.push_front(Arc::clone(&opened));
        open.truncate(OPEN_BLOBS);
        Ok(opened)
    }
}
