//! Verifying a whole sealed model, with or without its keys.

use std::sync::Arc;

use super::SignedManifest;
use super::blob::{SignedBlob, check_length};
use crate::error::LoadError;
use crate::format::core::Core;
use crate::parallel::{for_each, workers};
use crate::seal::{CHUNKS_BETWEEN_REPORTS, Progress};

impl SignedManifest {
    /// Verifies without any key that every blob and the private part are what the publisher signed: their
    /// lengths, their leaf lists and every chunk's ciphertext. Whoever hosts or mirrors a sealed model can
    /// know that his copy is whole.
    ///
    /// # Errors
    /// The first thing that is not as the publisher sealed it.
    pub fn verify_ciphertext(&self, progress: &dyn Fn(Progress)) -> Result<(), LoadError> {
        self.signed_private()?;
        let header = &self.core.header;
        for (record, blob) in self.core.blobs.iter().zip(0..) {
            check_length(&*self.store, blob, record, header.chunk_bytes())?;
        }
        for_each_chunk(&self.core, progress, Vec::new, |blob| {
            let record = self.core.blobs.get(blob as usize).ok_or(LoadError::Format("the number of a blob"))?;
            let signed = SignedBlob::open(Arc::clone(&self.store), blob, record, header)?;
            Ok(move |sealed: &mut Vec<u8>, index, _| signed.read_sealed(index, sealed))
        })
    }
}

/// Calls what `open` makes of each blob for each of its chunks, with the chunk's number and the bytes of
/// plaintext in it, on all cores. `room` makes what a thread keeps from chunk to chunk.
pub(super) fn for_each_chunk<R, W>(
    core: &Core,
    progress: &dyn Fn(Progress),
    room: impl Fn() -> R + Sync,
    open: impl Fn(u32) -> Result<W, LoadError>,
) -> Result<(), LoadError>
where
    W: Fn(&mut R, u64, usize) -> Result<(), LoadError> + Sync,
{
    let chunk_bytes = core.header.chunk_bytes();
    let (mut done, total) = (0, core.total_len());
    let batch = (workers() * CHUNKS_BETWEEN_REPORTS) as u64;
    for (record, blob) in core.blobs.iter().zip(0..) {
        let work = open(blob)?;
        for first in (0..u64::from(record.chunks)).step_by(usize::try_from(batch).unwrap_or(usize::MAX)) {
            let count = batch.min(u64::from(record.chunks) - first);
            let numbers = 0..usize::try_from(count).unwrap_or(usize::MAX);
            for_each(workers(), numbers, &room, |room, number| {
                let index = first + number as u64;
                work(room, index, record.chunk_len(index, chunk_bytes) as usize)
            })?;
            done = (done + count * u64::from(chunk_bytes)).min(total);
            progress(Progress { done, total });
        }
    }
    Ok(())
}
