//! A model that is open: its files, and the blobs that their readers share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::blob::{OpenBlob, SignedBlob};
use super::stream::ModelReader;
use super::verify::for_each_chunk;
use crate::error::LoadError;
use crate::format::chunk::ChunkCipher;
use crate::format::core::{Core, Hash};
use crate::format::private::FileEntry;
use crate::seal::Progress;
use crate::store::ModelStore;

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
    store: Arc<dyn ModelStore>,
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
        store: Arc<dyn ModelStore>,
        model_id: Hash,
        core: Core,
        files: Vec<FileEntry>,
        ciphers: Vec<Arc<ChunkCipher>>,
    ) -> Self {
        let (open, failure) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Unlocked { store, model_id, core, files, ciphers, open, failure }))
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
        let core = &self.0.core;
        let chunk_bytes = core.header.chunk_bytes();
        let room = || (Vec::new(), Zeroizing::new(vec![0; chunk_bytes as usize]));
        for_each_chunk(core, progress, room, |blob| {
            let open = self.0.open_blob(blob)?;
            Ok(move |(sealed, buffer): &mut (Vec<u8>, Zeroizing<Vec<u8>>), index, len| {
                open.read_chunk(index, sealed, &mut buffer[..len])
            })
        })
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
        let signed = SignedBlob::open(Arc::clone(&self.store), blob, record, &self.core.header)?;
        let opened = Arc::new(OpenBlob::new(signed, Arc::clone(cipher)));
        open.push_front(Arc::clone(&opened));
        open.truncate(OPEN_BLOBS);
        Ok(opened)
    }
}
