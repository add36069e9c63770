//! The unfinished sealed model: a directory NAME.partial that a later run takes up again.
//!
//! Its checkpoint says what is done. No key is in it, wrapped or not: a later run cannot
//! know the keys of earlier ones, so it draws its own (protocol.md A5).
//!
//! A later run signs what the checkpoint says, so whoever can write the directory must not
//! be able to say it: the publisher signs each checkpoint, and with it the wrapped keys. One
//! without that signature is not taken up.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_attestation::crypto;
use strongroom_channel::cbor::{self, Value};
use strongroom_channel::cose::{SigningKey, VerifyingKey};

use super::layout::Layout;
use super::source::Stamp;
use crate::error::SealError;
use crate::format::core::{BlobRecord, Hash};
use crate::format::keys::{KEYS_FILE, WrappedKeys};
use crate::format::limits::MAX_RUNS;
use crate::format::manifest::MANIFEST_FILE;
use crate::secret::random;

/// The directory of the blobs in a sealed model.
pub(crate) const BLOBS_DIRECTORY: &str = "blobs";
const CHECKPOINT_FILE: &str = "checkpoint.cbor";
/// What the publisher signs a checkpoint as.
const CHECKPOINT_MEDIA: &str = "application/strongroom-seal-checkpoint+cose";

/// Everything that must be the same for a later run to go on where an earlier one ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) suite: u8,
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) environment: String,
    pub(crate) chunk_log2: u8,
    pub(crate) blob_bytes: u64,
    pub(crate) previous: Option<Hash>,
    pub(crate) base: Option<Hash>,
    /// Fingerprint of the deposit key.
    pub(crate) recipient: Hash,
    pub(crate) files: Vec<Stamp>,
}

/// What is done so far.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    plan: Plan,
    pub(crate) artifact_id: [u8; 16],
    /// Seconds since 1970 at the beginning of the first run.
    pub(crate) created: u64,
    /// One a run, this one included.
    pub(crate) commitments: Vec<Hash>,
    finished: Vec<FinishedBlob>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FinishedBlob {
    blob: u32,
    chunks: u32,
    last_len: u32,
    run: u32,
    salt: Hash,
    root: Hash,
}

/// The directory NAME.partial, held by this process alone.
pub(crate) struct Partial<'a> {
    path: PathBuf,
    publisher: &'a SigningKey,
    destination: PathBuf,
    /// Locks the directory until it is dropped.
    lock: File,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) wrapped: WrappedKeys,
}

impl<'a> Partial<'a> {
    /// Takes up what an earlier run with the same `plan` and `publisher` left, or begins anew.
    pub(crate) fn open(destination: &Path, plan: Plan, publisher: &'a SigningKey, now: u64) -> Result<Self, SealError> {
        let path = partial_path(destination);
        fs::create_dir_all(&path).map_err(|error| SealError::io("create", &path, &error))?;
        let lock = lock(&path)?;
        let (checkpoint, wrapped) = match read(&path, &plan, &publisher.verifying_key()) {
            Some(found) => found,
            None => begin(&path, plan, now)?,
        };
        let blobs = path.join(BLOBS_DIRECTORY);
        fs::create_dir_all(&blobs).map_err(|error| SealError::io("create", &blobs, &error))?;
        Ok(Self { path, publisher, destination: destination.to_owned(), lock, checkpoint, wrapped })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The record of blob `blob`, if an earlier run finished it as `layout` wants it and its
    /// file still has the right length.
    pub(crate) fn finished(&self, blob: u32, layout: &Layout) -> Option<BlobRecord> {
        let done = self.checkpoint.finished.iter().find(|done| done.blob == blob)?;
        let record = BlobRecord {
            chunks: done.chunks,
            last_len: done.last_len,
            run: done.run,
            salt: done.salt,
            root: done.root,
        };
        let found = fs::metadata(blob_path(&self.path, blob)).ok()?.len();
        let as_wanted = (record.chunks, record.last_len) == layout.chunks(blob);
        (as_wanted && found == record.file_len(layout.chunk_bytes)).then_some(record)
    }

    /// Records blob `blob`, whose file is on disk.
    pub(crate) fn finish_blob(&mut self, blob: u32, record: &BlobRecord) -> Result<(), SealError> {
        self.checkpoint.finished.retain(|done| done.blob != blob);
        self.checkpoint.finished.push(FinishedBlob {
            blob,
            chunks: record.chunks,
            last_len: record.last_len,
            run: record.run,
            salt: record.salt,
            root: record.root,
        });
        self.save_checkpoint()
    }

    /// Writes wrapped keys and checkpoint: before the first chunk under a new key.
    pub(crate) fn save(&self) -> Result<(), SealError> {
        write_file(&self.path.join(KEYS_FILE), &self.wrapped.encode())?;
        self.save_checkpoint()
    }

    /// Gives the finished directory its name.
    pub(crate) fn publish(self, manifest: &[u8]) -> Result<(), SealError> {
        write_file(&self.path.join(MANIFEST_FILE), manifest)?;
        let checkpoint = self.path.join(CHECKPOINT_FILE);
        fs::remove_file(&checkpoint).map_err(|error| SealError::io("remove", &checkpoint, &error))?;
        sync_directory(&self.path.join(BLOBS_DIRECTORY))?;
        sync_directory(&self.path)?;
        if self.destination.exists() {
            return Err(SealError::DestinationExists { path: self.destination.display().to_string() });
        }
        fs::rename(&self.path, &self.destination)
            .map_err(|error| SealError::io("rename to", &self.destination, &error))?;
        drop(self.lock);
        sync_directory(parent(&self.destination))
    }

    fn save_checkpoint(&self) -> Result<(), SealError> {
        let text = serde_json::to_vec(&self.checkpoint).map_err(|_| SealError::Crypto { what: "writing JSON" })?;
        let signature = self.publisher.sign1(CHECKPOINT_MEDIA, &signed_payload(&text, &self.wrapped));
        let bytes = Value::array([Value::Bytes(&signature), Value::Bytes(&text)]).encode();
        write_file(&self.path.join(CHECKPOINT_FILE), &bytes)
    }
}

/// The file of blob `blob` in the sealed model at `directory`.
pub(crate) fn blob_path(directory: &Path, blob: u32) -> PathBuf {
    directory.join(blob_file(blob))
}

/// The same, as it stands in the sealed model.
pub(crate) fn blob_file(blob: u32) -> String {
    format!("{BLOBS_DIRECTORY}/{blob:04}.bin")
}

/// Replaces the file `path` whole or not at all, and waits until it is on disk.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), SealError> {
    let new = path.with_extension("new");
    let failed = |error| SealError::io("write", path, &error);
    let mut file = File::create(&new).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    sync_directory(parent(path))
}

fn partial_path(destination: &Path) -> PathBuf {
    // Without the slash that may stand at the end.
    let mut name = destination.components().as_path().as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn lock(path: &Path) -> Result<File, SealError> {
    let directory = File::open(path).map_err(|error| SealError::io("open", path, &error))?;
    match directory.try_lock() {
        Ok(()) => Ok(directory),
        Err(TryLockError::WouldBlock) => Err(SealError::Busy { path: path.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(SealError::io("lock", path, &error)),
    }
}

/// What an earlier run left, if it can be gone on with. Anything doubtful begins anew: that
/// costs time only.
fn read(path: &Path, plan: &Plan, publisher: &VerifyingKey) -> Option<(Checkpoint, WrappedKeys)> {
    let bytes = fs::read(path.join(CHECKPOINT_FILE)).ok()?;
    let [signature, text] = cbor::decode(&bytes).and_then(Value::items_exactly::<2>).ok()?;
    let (signature, text) = (signature.bytes().ok()?, text.bytes().ok()?);
    let signed = publisher.verify1(CHECKPOINT_MEDIA, signature).ok()?;
    let mut wrapped = WrappedKeys::decode(&fs::read(path.join(KEYS_FILE)).ok()?).ok()?;
    let checkpoint: Checkpoint = serde_json::from_slice(text).ok()?;
    let runs = checkpoint.commitments.len();
    let usable = checkpoint.plan == *plan
        && wrapped.artifact_id == checkpoint.artifact_id
        && runs < MAX_RUNS
        && wrapped.runs.len() >= runs
        && checkpoint.finished.iter().all(|done| (done.run as usize) < runs);
    if !usable {
        return None;
    }
    // A run that ended between writing its wrapped key and its commitment sealed nothing.
    wrapped.runs.truncate(runs);
    (signed == signed_payload(text, &wrapped)).then_some((checkpoint, wrapped))
}

/// What a checkpoint's signature covers: its text, and the wrapped keys of the runs in it. As
/// digests, for a signed message may be no longer than 1 MiB.
fn signed_payload(text: &[u8], wrapped: &WrappedKeys) -> Vec<u8> {
    let (text, keys) = (crypto::sha256(text), crypto::sha256(&wrapped.encode()));
    Value::array([Value::Bytes(&text), Value::Bytes(&keys)]).encode()
}

fn begin(path: &Path, plan: Plan, now: u64) -> Result<(Checkpoint, WrappedKeys), SealError> {
    let blobs = path.join(BLOBS_DIRECTORY);
    if blobs.exists() {
        fs::remove_dir_all(&blobs).map_err(|error| SealError::io("remove", &blobs, &error))?;
    }
    let artifact_id = random()?;
    let checkpoint = Checkpoint { plan, artifact_id, created: now, commitments: Vec::new(), finished: Vec::new() };
    Ok((checkpoint, WrappedKeys { artifact_id, runs: Vec::new() }))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_directory(path: &Path) -> Result<(), SealError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| SealError::io("flush", path, &error))
}
