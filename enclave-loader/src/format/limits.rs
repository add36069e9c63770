//! Sizes of the format and limits on what a hostile publisher or host may claim.

/// The one format version.
pub(crate) const FORMAT_VERSION: u64 = 1;
/// Smallest chunk: 64 KiB, below which tags and hashes weigh too much.
pub(crate) const CHUNK_LOG2_MIN: u8 = 16;
/// Largest chunk: 8 MiB, so that a window of chunks stays a small part of memory.
pub(crate) const CHUNK_LOG2_MAX: u8 = 23;
/// Chunk size when nothing else is asked for: 1 MiB fits a core's second-level cache.
pub(crate) const CHUNK_LOG2_DEFAULT: u8 = 20;
/// Plaintext bytes of a blob when nothing else is asked for: 1 GiB.
pub(crate) const BLOB_BYTES_DEFAULT: u64 = 1 << 30;
/// Length of an AES-GCM tag.
pub(crate) const TAG_BYTES: usize = 16;
/// Length of every hash, salt, key and commitment.
pub(crate) const HASH_BYTES: usize = 32;
/// Most chunks in a blob: keeps a leaf list under 512 KiB, and a key far from the limits of GCM.
pub(crate) const MAX_CHUNKS: u32 = 1 << 14;
/// Most blobs in an artifact: their names have four digits.
pub(crate) const MAX_BLOBS: usize = 10_000;
/// Most sealing runs of one artifact; a sealer that is interrupted more often starts over.
pub(crate) const MAX_RUNS: usize = 64;
/// Longest name of a model, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 128;
/// Most files in a model.
pub(crate) const MAX_FILES: usize = 65_536;
/// Longest path of a file in a model, in bytes.
pub(crate) const MAX_PATH_BYTES: usize = 1_024;
/// Longest padded private part: a manifest is read whole.
pub(crate) const MAX_PRIVATE_BYTES: u64 = 16 << 20;
/// Longest manifest file.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 32 << 20;
/// Longest keys file: 64 runs of about 1.2 KB.
pub(crate) const MAX_KEYS_BYTES: u64 = 256 << 10;
/// Smallest padded size of the model and of the private part, in bytes.
pub(crate) const MIN_BUCKET_BYTES: u64 = 4_096;
/// The blob number of the private part in keys, associated data and leaves.
pub(crate) const PRIVATE_BLOB: u32 = u32::MAX;
