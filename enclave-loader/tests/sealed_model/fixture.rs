//! A tenant with fixed keys, and models of made-up bytes.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use strongroom_channel::cose::{SigningKey, VerifyingKey};
use strongroom_channel::trust_file::Environment;
use strongroom_enclave_loader::{
    ArtifactKey, DepositKeyPair, LoadError, SealOptions, SealedModel, SealedSummary, open_manifest, read_wrapped_keys,
    seal,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// 64 KiB: the smallest chunk, so that many chunks are few bytes.
pub(crate) const CHUNK: u64 = 1 << 16;

/// Publisher and broker, with keys that are the same in every run.
pub(crate) struct Tenant {
    pub(crate) publisher: SigningKey,
    pub(crate) broker: DepositKeyPair,
}

impl Tenant {
    pub(crate) fn new(seed: u8) -> Self {
        let broker = DepositKeyPair::from_secret(Zeroizing::new([seed; 32])).expect("a deposit key");
        Self { publisher: SigningKey::from_seed([seed; 32]), broker }
    }

    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        self.publisher.verifying_key()
    }

    /// Options with small chunks, and blobs of `chunks_a_blob`.
    pub(crate) fn options(&self, chunks_a_blob: u64) -> SealOptions<'_> {
        let mut options =
            SealOptions::new("fixture", 7, Environment::Development, &self.publisher, self.broker.public());
        options.chunk_log2 = 16;
        options.blob_bytes = chunks_a_blob * CHUNK;
        options
    }

    /// The keys of the sealed model at `directory`.
    pub(crate) fn keys(&self, directory: &Path) -> Result<Vec<ArtifactKey>, LoadError> {
        self.broker.unwrap_keys(&read_wrapped_keys(directory)?)
    }

    /// All the way from the directory to a model that can be read.
    pub(crate) fn open(&self, directory: &Path) -> Result<SealedModel, LoadError> {
        let manifest = open_manifest(directory, &self.verifying_key())?;
        manifest.unlock(&self.keys(directory)?)
    }
}

/// A directory of its own with a `source` to seal and room for `sealed`.
pub(crate) struct Workshop {
    directory: TempDir,
}

impl Workshop {
    /// A source of the files given as (path, content).
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let workshop = Self { directory: tempfile::tempdir().expect("a directory") };
        fs::create_dir(workshop.source()).expect("creates");
        for (path, content) in files {
            let path = workshop.source().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("creates");
            fs::write(path, content).expect("writes");
        }
        workshop
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.directory.path().join("source")
    }

    pub(crate) fn sealed(&self) -> PathBuf {
        self.directory.path().join("sealed")
    }

    pub(crate) fn partial(&self) -> PathBuf {
        self.directory.path().join("sealed.partial")
    }

    pub(crate) fn seal(&self, options: &SealOptions<'_>) -> SealedSummary {
        seal(&self.source(), &self.sealed(), options, &|_| ()).expect("seals")
    }
}

/// `len` bytes that differ from place to place and from seed to seed.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Everything in the file `path` of `model`.
pub(crate) fn read_all(model: &SealedModel, path: &str) -> Vec<u8> {
    let mut content = Vec::new();
    model.reader(path).expect("the file").read_to_end(&mut content).expect("reads");
    content
}

/// All files below `directory`, as paths relative to it.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("lists") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Whether `needle` is in any file below `directory`.
pub(crate) fn any_file_holds(directory: &Path, needle: &[u8]) -> bool {
    files_below(directory).iter().any(|path| {
        let content = fs::read(path).expect("reads");
        content.windows(needle.len()).any(|window| window == needle)
    })
}
