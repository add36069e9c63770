//! Sealing: files of a model in, a sealed model out (docs/specs/sealed-model.md).
//!
//! ```text
//! scan ─► plan ─► NAME.partial ─► key drawn, wrapped, on disk ─► blobs ─► core signed ─► NAME
//!                    ▲ taken up again by a later run with the same plan
//! ```

mod checkpoint;
mod layout;
mod onnx;
mod pickle;
mod source;
mod writer;

pub(crate) use checkpoint::{blob_file, write_file};
pub use onnx::{OnnxDefect, OnnxError, check_onnx};
pub(crate) use writer::CHUNKS_BETWEEN_REPORTS;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use strongroom_channel::cose::{SigningKey, media};
use strongroom_channel::trust_file::Environment;
use zeroize::Zeroizing;

use crate::deposit::DepositPublicKey;
use crate::error::SealError;
use crate::format::chunk::ChunkCipher;
use crate::format::core::{Core, Hash, Header, PrivateRecord, Suite, valid_name};
use crate::format::key_schedule::commitment;
use crate::format::limits::{BLOB_BYTES_DEFAULT, CHUNK_LOG2_DEFAULT, HASH_BYTES, MAX_PRIVATE_BYTES, PRIVATE_BLOB};
use crate::format::private::FileEntry;
use crate::format::{manifest, private, tree};
use crate::provenance::{FileDigest, SignedModel};
use crate::secret::ArtifactKey;
use checkpoint::{Partial, Plan};
use layout::Layout;
use source::Source;

/// How to seal.
pub struct SealOptions<'a> {
    /// The model's public name, 1 to 128 printable ASCII characters without blanks.
    pub name: String,
    /// The model's version; brokers and clients refuse going back to a lower one.
    pub version: u64,
    /// What the model is for.
    pub environment: Environment,
    /// Algorithms of the ciphertext trees.
    pub suite: Suite,
    /// Logarithm of the chunk size: 16 (64 KiB) to 23 (8 MiB).
    pub chunk_log2: u8,
    /// Bytes of plaintext in a blob: 1 to 16,384 whole chunks.
    pub blob_bytes: u64,
    /// The publisher, who signs the core.
    pub publisher: &'a SigningKey,
    /// The broker that will release the keys.
    pub to: &'a DepositPublicKey,
    /// Model id of the version before this one.
    pub previous: Option<Hash>,
    /// What the producer signed, verified: only exactly these files are sealed, their signature with them.
    pub signed: Option<SignedModel>,
    /// Model id of the model that this is an adapter or an update of; it is used with no other.
    pub base: Option<Hash>,
}

impl<'a> SealOptions<'a> {
    /// Options with the default sizes and algorithms, no previous version and no base.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        version: u64,
        environment: Environment,
        publisher: &'a SigningKey,
        to: &'a DepositPublicKey,
    ) -> Self {
        Self {
            name: name.into(),
            version,
            environment,
            suite: Suite::Blake3,
            chunk_log2: CHUNK_LOG2_DEFAULT,
            blob_bytes: BLOB_BYTES_DEFAULT,
            publisher,
            to,
            previous: None,
            base: None,
            signed: None,
        }
    }
}

/// How far sealing or verifying has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of plaintext done.
    pub done: u64,
    /// Bytes of plaintext in all, padding included.
    pub total: u64,
}

/// What was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSummary {
    /// SHA-256 of the core: what names the model everywhere.
    pub model_id: Hash,
    /// The artifact, one sealing of one version.
    pub artifact_id: [u8; 16],
    /// Bytes of the model, padding included.
    pub bytes: u64,
    /// The number of files in it.
    pub files: usize,
    /// What they are, for whoever may know.
    pub entries: Vec<FileEntry>,
    /// Hidden files that were left out.
    pub skipped: Vec<String>,
    /// The number of sealing runs that it took; above 1 after an interruption.
    pub runs: usize,
}

/// Seals the file or directory `source` into the new directory `destination`.
///
/// The key is drawn here and wrapped to `options.to` before the first chunk is written; it
/// is never written in the clear. Until all is done, the work is in `destination.partial`;
/// a later call with the same source and options goes on after the last whole blob, if its
/// checkpoint is signed by `options.publisher`. `progress` is called on this thread.
///
/// # Errors
/// [`SealError`]; what was done so far stays in `destination.partial`.
pub fn seal(
    source: &Path,
    destination: &Path,
    options: &SealOptions<'_>,
    progress: &dyn Fn(Progress),
) -> Result<SealedSummary, SealError> {
    // 1. Options, destination and source are as they should be.
    if !valid_name(&options.name) {
        let problem = "is not 1 to 128 printable ASCII characters without blanks";
        return Err(SealError::Options { option: "name", problem });
    }
    if destination.exists() {
        return Err(SealError::DestinationExists { path: destination.display().to_string() });
    }
    if lies_inside(destination, source) {
        let problem = "lies inside the source: a later run would seal it, too. Choose a place outside";
        return Err(SealError::Options { option: "the destination", problem });
    }
    let chunk_bytes = layout::check(options.chunk_log2, options.blob_bytes)?;
    let source = Source::scan(source, chunk_bytes)?;
    source.settle();
    source.check_onnx()?;
    let layout = Layout::new(options.chunk_log2, options.blob_bytes, source.end())?;

    // 2. The unfinished directory, new or taken up again.
    let mut partial = Partial::open(destination, plan(options, &source), options.publisher, seconds_since_1970())?;
    let header = header(options, &partial);

    // 3. This run's own key, wrapped and on disk before any chunk.
    let key = ArtifactKey::generate()?;
    let run = u32::try_from(partial.checkpoint.commitments.len()).unwrap_or(u32::MAX);
    partial.wrapped.runs.push(options.to.wrap(&key, &header.artifact_id, run)?);
    partial.checkpoint.commitments.push(commitment(&key, &header.artifact_id, run));
    partial.save()?;

    // 4. The blobs, while another thread hashes the files.
    let stop = AtomicBool::new(false);
    let (blobs, hashes) = thread::scope(|scope| {
        let hashing = scope.spawn(|| writer::hash_files(&source, &stop));
        let mut writer = writer::BlobWriter { source: &source, layout: &layout, header: &header, key: &key, run };
        let blobs = writer.write_all(&mut partial, progress);
        stop.store(blobs.is_err(), Ordering::Relaxed);
        (blobs, hashing.join().unwrap_or(Err(SealError::Crypto { what: "hashing the files" })))
    });
    let (blobs, hashes) = (blobs?, hashes?);
    source.check_unchanged()?;

    // 5. The private part, under this run's key.
    let files: Vec<FileEntry> = source
        .files
        .iter()
        .zip(hashes)
        .map(|(file, sha256)| FileEntry {
            path: file.stamp.path.clone(),
            kind: file.kind,
            len: file.stamp.len,
            offset: file.offset,
            sha256,
        })
        .collect();
    if let Some(signed) = &options.signed {
        check_signed(signed, &files)?;
    }
    let (private_record, private) = seal_private(&files, &header, &key)?;

    // 6. The core, signed; then the directory gets its name.
    let core = Core { header, blobs, commitments: partial.checkpoint.commitments.clone(), private: private_record };
    let signed = options.publisher.sign1(media::SEALED_CORE, &core.encode());
    let summary = SealedSummary {
        model_id: core.model_id(),
        artifact_id: core.header.artifact_id,
        bytes: layout.total,
        files: files.len(),
        entries: files,
        skipped: source.skipped,
        runs: core.commitments.len(),
    };
    partial.publish(&manifest::encode(&signed, &private))?;
    Ok(summary)
}

/// That the producer signed exactly what was read just now.
fn check_signed(signed: &SignedModel, files: &[FileEntry]) -> Result<(), SealError> {
    let files: Vec<FileDigest> = files.iter().map(FileDigest::from).collect();
    let verified = signed.clone().check_files(&files);
    let checked = verified.and_then(|verified| verified.check_complete());
    checked.map_err(|error| SealError::Provenance(Box::new(error)))
}

/// Whether `destination`, which need not exist yet, is below `source`.
fn lies_inside(destination: &Path, source: &Path) -> bool {
    let Ok(source) = fs::canonicalize(source) else { return false };
    // A path of one name has an empty parent, which is the working directory.
    let named = |path: &Path| if path.as_os_str().is_empty() { Path::new(".").to_owned() } else { path.to_owned() };
    let existing = destination.ancestors().skip(1).find_map(|parent| fs::canonicalize(named(parent)).ok());
    existing.is_some_and(|existing| existing.starts_with(source))
}

fn plan(options: &SealOptions<'_>, source: &Source) -> Plan {
    Plan {
        suite: options.suite.number(),
        name: options.name.clone(),
        version: options.version,
        environment: options.environment.as_str().to_owned(),
        chunk_log2: options.chunk_log2,
        blob_bytes: options.blob_bytes,
        previous: options.previous,
        base: options.base,
        recipient: options.to.fingerprint(),
        files: source.stamps(),
    }
}

fn header(options: &SealOptions<'_>, partial: &Partial<'_>) -> Header {
    Header {
        suite: options.suite,
        artifact_id: partial.checkpoint.artifact_id,
        name: options.name.clone(),
        version: options.version,
        chunk_log2: options.chunk_log2,
        environment: options.environment,
        created: partial.checkpoint.created,
        previous: options.previous,
        base: options.base,
    }
}

/// Encrypts the list of files; gives its record for the core and its ciphertext.
fn seal_private(
    files: &[FileEntry],
    header: &Header,
    key: &ArtifactKey,
) -> Result<(PrivateRecord, Zeroizing<Vec<u8>>), SealError> {
    let mut plain = private::encode(files);
    let len = plain.len() as u64;
    if len > MAX_PRIVATE_BYTES {
        return Err(SealError::TooLarge { what: "bytes of file names", limit: MAX_PRIVATE_BYTES });
    }
    let failed = |_| SealError::Crypto { what: "encrypting the list of files" };
    let chunk_bytes = header.chunk_bytes() as usize;
    let chunks = u32::try_from(plain.len().div_ceil(chunk_bytes)).unwrap_or(u32::MAX);
    // No salt: the key of a run is new, and a run writes one private part.
    let cipher = ChunkCipher::new(key, header, PRIVATE_BLOB, &[0; HASH_BYTES], chunks).map_err(failed)?;
    let mut sealed = Zeroizing::new(Vec::with_capacity(plain.len() + chunks as usize * 16));
    let mut leaves = Vec::new();
    for (chunk, index) in plain.chunks_mut(chunk_bytes).zip(0..) {
        let tag = cipher.seal(index, chunk).map_err(failed)?;
        leaves.push(tree::leaf(header.suite, PRIVATE_BLOB, index, chunk, &tag));
        sealed.extend_from_slice(chunk);
        sealed.extend_from_slice(&tag);
    }
    Ok((PrivateRecord { len, root: tree::root(header.suite, &leaves) }, sealed))
}

/// A clock before 1970 gives 0: the date is a label, nothing decides by it.
fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
