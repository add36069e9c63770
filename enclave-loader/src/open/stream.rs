//! A file of a sealed model as a stream: verified plaintext, chunk by chunk, on all cores.
//!
//! Large reads are decrypted in the caller's own buffer. Small ones come from a window of
//! chunks that doubles while reading goes straight on, up to two chunks a core; that window is
//! all the plaintext that a reader holds, whatever the size of the model.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::sealed_model::Unlocked;
use crate::error::LoadError;
use crate::parallel::{for_each, readers, workers};

/// Largest window in bytes, unless a single chunk is larger.
const MAX_WINDOW_BYTES: u64 = 32 << 20;

/// Reads one file of a sealed model.
///
/// The first chunk that is not what the publisher sealed ends it: this and every later
/// read fail with an [`io::Error`] that holds the [`LoadError`].
pub struct ModelReader {
    model: Arc<Unlocked>,
    /// Where the file begins and ends in the address space.
    start: u64,
    end: u64,
    /// Where the next byte is read, in the address space; may be beyond the end.
    position: u64,
    /// Plaintext that was decrypted and not read yet, or read before.
    window: Zeroizing<Vec<u8>>,
    /// Where the window begins in the address space, and how many bytes of it are filled.
    window_start: u64,
    window_len: u64,
    /// How many chunks the next window takes.
    ahead: u64,
    failure: Option<LoadError>,
}

impl ModelReader {
    pub(super) fn new(model: Arc<Unlocked>, start: u64, len: u64) -> Self {
        Self {
            model,
            start,
            end: start + len,
            position: start,
            window: Zeroizing::new(Vec::new()),
            window_start: start,
            window_len: 0,
            ahead: 1,
            failure: None,
        }
    }

    /// Like [`Read::read`], with the cause as a [`LoadError`].
    pub(super) fn read_verified(&mut self, out: &mut [u8]) -> Result<usize, LoadError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let read = self.read_some(out);
        if let Err(error) = &read {
            self.model.note_failure(error);
            self.failure = Some(error.clone());
            self.window_len = 0;
        }
        read
    }

    fn read_some(&mut self, out: &mut [u8]) -> Result<usize, LoadError> {
        let left = self.end.saturating_sub(self.position);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        let Some(out) = out.get_mut(..wanted).filter(|out| !out.is_empty()) else {
            return Ok(0);
        };
        if !self.in_window() {
            let direct = self.read_direct(out)?;
            if direct > 0 {
                return Ok(direct);
            }
            self.fill_window()?;
        }
        Ok(self.read_window(out))
    }

    fn in_window(&self) -> bool {
        self.position.checked_sub(self.window_start).is_some_and(|into| into < self.window_len)
    }

    fn read_window(&mut self, out: &mut [u8]) -> usize {
        let from = usize::try_from(self.position - self.window_start).unwrap_or(usize::MAX);
        let filled = usize::try_from(self.window_len).unwrap_or(0);
        let available = self.window.get(from..filled).unwrap_or_default();
        let len = available.len().min(out.len());
        let (head, _) = out.split_at_mut(len);
        head.copy_from_slice(&available[..len]);
        self.position += len as u64;
        len
    }

    /// Decrypts whole chunks into `out`, and the chunk after them, of which `out` has room for a
    /// part only, into the window. Gives 0 where the position is inside a chunk or `out` takes
    /// less than a chunk.
    fn read_direct(&mut self, out: &mut [u8]) -> Result<usize, LoadError> {
        let chunk = self.chunk_bytes();
        let room = out.len() as u64 / chunk;
        if !self.position.is_multiple_of(chunk) || room == 0 {
            return Ok(0);
        }
        let (blob, first, left_in_blob) = self.locate(self.position);
        let count = room.min(left_in_blob);
        let after = self.position + count * chunk;
        let with_tail = count < left_in_blob && after < self.end && (out.len() as u64) > count * chunk;
        let tail_len = if with_tail { self.place_window(after, 1) } else { 0 };
        let (direct, _) = out.split_at_mut(usize::try_from(count * chunk).unwrap_or(0));
        self.decrypt(blob, first, direct, tail_len)?;
        self.position = after;
        Ok(direct.len())
    }

    /// Decrypts the chunk of the position, and more while reading goes straight on.
    fn fill_window(&mut self) -> Result<(), LoadError> {
        let chunk = self.chunk_bytes();
        let straight_on = self.position == self.window_start + self.window_len;
        let most = (2 * workers() as u64).min((MAX_WINDOW_BYTES / chunk).max(1));
        self.ahead = if straight_on { (self.ahead * 2).min(most) } else { 1 };
        let from = self.position - self.position % chunk;
        let (blob, first, left_in_blob) = self.locate(from);
        let left_in_file = (self.end - from).div_ceil(chunk);
        let len = self.place_window(from, self.ahead.min(left_in_blob).min(left_in_file));
        self.decrypt(blob, first, &mut [], len)
    }

    /// Makes room for `chunks` chunks from `from` on; gives the bytes of plaintext in them.
    fn place_window(&mut self, from: u64, chunks: u64) -> u64 {
        let len = (chunks * self.chunk_bytes()).min(self.model.core.total_len() - from);
        let bytes = usize::try_from(len).unwrap_or(usize::MAX);
        if self.window.len() < bytes {
            // A new buffer, not a longer one: growing in place would leave a copy behind.
            self.window = Zeroizing::new(vec![0; bytes]);
        }
        self.window_start = from;
        self.window_len = 0;
        len
    }

    /// Decrypts chunks of `blob` from `first` on: into `direct`, then `window_len` bytes into the window.
    fn decrypt(&mut self, blob: u32, first: u64, direct: &mut [u8], window_len: u64) -> Result<(), LoadError> {
        let open = self.model.open_blob(blob)?;
        let chunk = usize::try_from(self.chunk_bytes()).unwrap_or(usize::MAX);
        let (window, _) = self.window.split_at_mut(usize::try_from(window_len).unwrap_or(0));
        let chunks: Vec<&mut [u8]> = direct.chunks_mut(chunk).chain(window.chunks_mut(chunk)).collect();
        for_each(readers(), chunks.into_iter().enumerate(), Vec::new, |sealed, (number, out)| {
            open.read_chunk(first + number as u64, sealed, out)
        })?;
        self.window_len = window_len;
        Ok(())
    }

    /// The blob and chunk that hold the chunk-aligned address `at`, and how many chunks of the blob
    /// there are from it on.
    fn locate(&self, at: u64) -> (u32, u64, u64) {
        let chunk = self.chunk_bytes();
        let per_blob = self.model.core.blobs.first().map_or(1, |blob| u64::from(blob.chunks));
        let number = at / chunk;
        let blob = u32::try_from(number / per_blob).unwrap_or(u32::MAX);
        let index = number % per_blob;
        let in_blob = self.model.core.blobs.get(blob as usize).map_or(0, |blob| u64::from(blob.chunks));
        (blob, index, in_blob.saturating_sub(index))
    }

    fn chunk_bytes(&self) -> u64 {
        self.model.core.header.chunk_bytes().into()
    }
}

impl Read for ModelReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_verified(out)?)
    }
}

impl Seek for ModelReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let len = self.end - self.start;
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => len.checked_add_signed(offset),
            SeekFrom::Current(offset) => (self.position - self.start).checked_add_signed(offset),
        };
        let position = target.and_then(|target| self.start.checked_add(target));
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "seek to before the beginning of the file");
        self.position = position.ok_or_else(before)?;
        Ok(self.position - self.start)
    }
}
