//! The blobs of a sealed model, written chunk by chunk on all cores.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::Progress;
use super::checkpoint::{Partial, blob_path};
use super::layout::Layout;
use super::source::Source;
use crate::error::SealError;
use crate::format::chunk::ChunkCipher;
use crate::format::core::{BlobRecord, Hash, Header};
use crate::format::limits::{HASH_BYTES, TAG_BYTES};
use crate::format::tree;
use crate::parallel::{for_each, workers};
use crate::secret::{ArtifactKey, random};

/// Chunks that each thread works through between two calls of the progress function: its buffer
/// is made and wiped once in that time.
pub(crate) const CHUNKS_BETWEEN_REPORTS: usize = 64;
/// Bytes that are hashed at a time.
const HASH_BUFFER_BYTES: usize = 1 << 20;

/// Writes the blobs of one run.
pub(crate) struct BlobWriter<'a> {
    pub(crate) source: &'a Source,
    pub(crate) layout: &'a Layout,
    pub(crate) header: &'a Header,
    pub(crate) key: &'a ArtifactKey,
    pub(crate) run: u32,
}

impl BlobWriter<'_> {
    /// Writes all blobs that `partial` does not have yet; gives the records of all.
    pub(crate) fn write_all(
        &mut self,
        partial: &mut Partial<'_>,
        progress: &dyn Fn(Progress),
    ) -> Result<Vec<BlobRecord>, SealError> {
        let mut records = Vec::new();
        for blob in 0..u32::try_from(self.layout.blobs()).unwrap_or(u32::MAX) {
            let record = match partial.finished(blob, self.layout) {
                Some(record) => record,
                None => {
                    let record = self.write(blob, partial, progress)?;
                    partial.finish_blob(blob, &record)?;
                    record
                }
            };
            let done = self.layout.start(blob) + record.plain_len(self.layout.chunk_bytes);
            progress(Progress { done, total: self.layout.total });
            records.push(record);
        }
        Ok(records)
    }

    fn write(&self, blob: u32, partial: &Partial<'_>, progress: &dyn Fn(Progress)) -> Result<BlobRecord, SealError> {
        let (chunks, last_len) = self.layout.chunks(blob);
        // A blob that was begun before is done again under another salt, so that no key
        // meets a nonce twice.
        let salt = random()?;
        let cipher = ChunkCipher::new(self.key, self.header, blob, &salt, chunks)
            .map_err(|_| SealError::Crypto { what: "deriving the key of a blob" })?;
        let path = blob_path(partial.path(), blob);
        let file = File::create(&path).map_err(|error| SealError::io("create", &path, &error))?;
        let record = BlobRecord { chunks, last_len, run: self.run, salt, root: [0; HASH_BYTES] };
        let mut target = Target { blob, cipher, record, path, file };

        let mut leaves = vec![[0; HASH_BYTES]; chunks as usize];
        let batch = workers() * CHUNKS_BETWEEN_REPORTS;
        for (number, slots) in leaves.chunks_mut(batch).enumerate() {
            let first = number as u64 * batch as u64;
            let done = self.layout.start(blob) + first * u64::from(self.layout.chunk_bytes);
            progress(Progress { done, total: self.layout.total });
            for_each(
                workers(),
                slots.iter_mut().enumerate(),
                || Scratch::new(self.layout.chunk_bytes),
                |scratch, (slot, leaf)| {
                    *leaf = self.write_chunk(scratch, &target, first + slot as u64)?;
                    Ok::<(), SealError>(())
                },
            )?;
        }
        target.write(leaves.as_flattened(), target.record.leaves_at(self.layout.chunk_bytes))?;
        target.file.sync_all().map_err(|error| SealError::io("flush", &target.path, &error))?;
        target.record.root = tree::root(self.header.suite, &leaves);
        Ok(target.record)
    }

    fn write_chunk(&self, scratch: &mut Scratch, target: &Target, index: u64) -> Result<Hash, SealError> {
        let chunk_bytes = self.layout.chunk_bytes;
        let len = target.record.chunk_len(index, chunk_bytes) as usize;
        let (chunk, rest) = scratch.buffer.split_at_mut(len);
        scratch.open.read(self.source, self.layout.start(target.blob) + index * u64::from(chunk_bytes), chunk)?;
        let tag = target.cipher.seal(index, chunk).map_err(|_| SealError::Crypto { what: "encrypting a chunk" })?;
        let leaf = tree::leaf(self.header.suite, target.blob, index, chunk, &tag);
        rest[..TAG_BYTES].copy_from_slice(&tag);
        let at = index * (u64::from(chunk_bytes) + TAG_BYTES as u64);
        target.write(&scratch.buffer[..len + TAG_BYTES], at)?;
        Ok(leaf)
    }
}

/// The blob that is being written.
struct Target {
    blob: u32,
    cipher: ChunkCipher,
    record: BlobRecord,
    path: PathBuf,
    file: File,
}

impl Target {
    fn write(&self, bytes: &[u8], at: u64) -> Result<(), SealError> {
        self.file.write_all_at(bytes, at).map_err(|error| SealError::io("write", &self.path, &error))
    }
}

/// SHA-256 of each file, in order; ends early, with whatever it has, once `stop` is set.
pub(crate) fn hash_files(source: &Source, stop: &AtomicBool) -> Result<Vec<Hash>, SealError> {
    let mut buffer = Zeroizing::new(vec![0; HASH_BUFFER_BYTES]);
    let mut hashes = Vec::with_capacity(source.files.len());
    for entry in &source.files {
        let file = entry.open()?;
        let mut context = digest::Context::new(&digest::SHA256);
        let mut at = 0;
        while at < entry.stamp.len {
            if stop.load(Ordering::Relaxed) {
                return Ok(hashes);
            }
            let len = usize::try_from(entry.stamp.len - at).unwrap_or(usize::MAX).min(buffer.len());
            entry.read(&file, at, &mut buffer[..len])?;
            context.update(&buffer[..len]);
            at += len as u64;
        }
        let mut hash = [0; HASH_BYTES];
        hash.copy_from_slice(context.finish().as_ref());
        hashes.push(hash);
    }
    Ok(hashes)
}

/// What a thread keeps from chunk to chunk.
struct Scratch {
    /// Room for a chunk and its tag.
    buffer: Zeroizing<Vec<u8>>,
    open: OpenFile,
}

impl Scratch {
    fn new(chunk_bytes: u32) -> Self {
        Self { buffer: Zeroizing::new(vec![0; chunk_bytes as usize + TAG_BYTES]), open: OpenFile(None) }
    }
}

/// The file that a thread read last: neighbouring chunks are mostly of the same one.
struct OpenFile(Option<(usize, File)>);

impl OpenFile {
    /// Fills `buffer` from the address space at `at`, with zeros where there is no file. Files
    /// begin at chunks, so a chunk holds bytes of one file at most.
    fn read(&mut self, source: &Source, at: u64, buffer: &mut [u8]) -> Result<(), SealError> {
        let number = source.files.partition_point(|file| file.offset + file.stamp.len <= at);
        let Some(entry) = source.files.get(number).filter(|file| file.offset <= at) else {
            buffer.fill(0);
            return Ok(());
        };
        let offset = at - entry.offset;
        let len = usize::try_from(entry.stamp.len - offset).unwrap_or(usize::MAX).min(buffer.len());
        let (data, padding) = buffer.split_at_mut(len);
        padding.fill(0);
        let file = match &self.0 {
            Some((open, file)) if *open == number => file,
            _ => &self.0.insert((number, entry.open()?)).1,
        };
        entry.read(file, offset, data)
    }
}
