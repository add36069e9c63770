//! How much room a model takes, and how it is cut into blobs.

use crate::error::SealError;
use crate::format::limits::{CHUNK_LOG2_MAX, CHUNK_LOG2_MIN, MAX_BLOBS, MAX_CHUNKS, MIN_BUCKET_BYTES};

/// The cut of an address space: equal blobs, the last one shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes of plaintext in a full chunk.
    pub(crate) chunk_bytes: u32,
    /// Bytes of plaintext in a full blob.
    blob_bytes: u64,
    /// Bytes of the address space, padding included.
    pub(crate) total: u64,
}

impl Layout {
    /// The cut for files that end at `end`.
    pub(crate) fn new(chunk_log2: u8, blob_bytes: u64, end: u64) -> Result<Self, SealError> {
        let chunk_bytes = check(chunk_log2, blob_bytes)?;
        let layout = Self { chunk_bytes, blob_bytes, total: bucket(end) };
        if layout.blobs() > MAX_BLOBS as u64 {
            return Err(SealError::TooLarge { what: "blobs (choose larger blobs)", limit: MAX_BLOBS as u64 });
        }
        Ok(layout)
    }

    pub(crate) fn blobs(&self) -> u64 {
        self.total.div_ceil(self.blob_bytes)
    }

    /// Where blob `blob` begins.
    pub(crate) fn start(&self, blob: u32) -> u64 {
        u64::from(blob) * self.blob_bytes
    }

    /// Number of chunks of blob `blob`, and bytes of plaintext in its last one.
    pub(crate) fn chunks(&self, blob: u32) -> (u32, u32) {
        let len = (self.total - self.start(blob)).min(self.blob_bytes);
        let chunk_bytes = u64::from(self.chunk_bytes);
        let chunks = len.div_ceil(chunk_bytes);
        let last = len - (chunks - 1) * chunk_bytes;
        // Both fit: check() bounds the chunks of a blob and the size of a chunk.
        (u32::try_from(chunks).unwrap_or(u32::MAX), u32::try_from(last).unwrap_or(u32::MAX))
    }
}

/// Checks the two sizes that a caller chooses; gives the bytes of a chunk.
pub(crate) fn check(chunk_log2: u8, blob_bytes: u64) -> Result<u32, SealError> {
    if !(CHUNK_LOG2_MIN..=CHUNK_LOG2_MAX).contains(&chunk_log2) {
        return Err(SealError::Options { option: "chunk_log2", problem: "is not between 16 and 23" });
    }
    let chunk_bytes = 1_u32 << chunk_log2;
    let chunks = blob_bytes / u64::from(chunk_bytes);
    if !blob_bytes.is_multiple_of(chunk_bytes.into()) || !(1..=u64::from(MAX_CHUNKS)).contains(&chunks) {
        return Err(SealError::Options { option: "blob_bytes", problem: "is not 1 to 16384 whole chunks" });
    }
    Ok(chunk_bytes)
}

/// The next size at or above `len` in which only the leading bits are set: with an exponent of
/// e, the lowest e - floor(log2 e) - 1 bits are zero. All models between two such sizes
/// look alike, and none grows by more than an eighth. (The rule is known as Padmé.)
fn bucket(len: u64) -> u64 {
    let len = len.max(MIN_BUCKET_BYTES);
    let exponent = len.ilog2();
    let significant = exponent.ilog2() + 1;
    let step = 1_u64 << exponent.saturating_sub(significant);
    len.checked_next_multiple_of(step).unwrap_or(len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blobs_are_equal_but_for_the_last() {
        let layout = Layout::new(16, 2 << 16, (5 << 16) + 1).expect("in range");
        assert_eq!(layout.total, 335_872, "328 KiB, with steps of 8 KiB");
        assert_eq!(layout.blobs(), 3);
        assert_eq!((layout.chunks(0), layout.chunks(2)), ((2, 65_536), (2, 8_192)));
        assert_eq!(layout.start(2), 4 << 16);
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for (chunk_log2, blob_bytes) in [(15, 1 << 20), (24, 1 << 30), (16, 0), (16, 65_537), (16, 1 << 31)] {
            assert_eq!(check(chunk_log2, blob_bytes).map_err(|error| error.code()), Err("SEAL_OPTIONS"));
        }
        assert_eq!(Layout::new(16, 1 << 16, 1 << 40).map_err(|error| error.code()), Err("SEAL_TOO_LARGE"));
    }

    proptest! {
        #[test]
        fn a_bucket_is_never_smaller_nor_much_larger(len in 0..1_u64 << 50) {
            let bucket = bucket(len);
            prop_assert!(bucket >= len && bucket >= MIN_BUCKET_BYTES);
            prop_assert!(bucket <= len.max(MIN_BUCKET_BYTES) + len / 8);
            prop_assert_eq!(super::bucket(bucket), bucket);
        }
    }
}
