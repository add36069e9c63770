//! Sealed models: what a host may have written, and what a publisher may have signed.
//!
//! The reader takes files of a directory, so each input becomes one, in memory where the system has a
//! file system there. Behind the signature the fuzzer gets by having its inputs signed.

mod artifact;
mod edits;

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;

use strongroom_channel::cbor::Value;
use strongroom_channel::cose::media;
use strongroom_enclave_loader::{LoadError, WrappedKeys, inspect_unverified, open_manifest};
use tempfile::TempDir;

use crate::Target;
pub use artifact::private_plaintext;
use artifact::{PUBLISHER, artifact_key, seal_private};
use edits::{FILES, SOUND, content, edited};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The bytes as a manifest and as a file of keys that nobody has signed, and as a core that the
/// publisher has.
pub const SEALED_MANIFEST: Target = Target {
    name: "sealed_manifest",
    body: |input| {
        if let Ok(keys) = WrappedKeys::decode(input) {
            assert!((1..=64).contains(&keys.runs()));
        }
        let directory = directory();
        fs::write(directory.path().join("manifest.cbor"), input).expect("writes");
        if let Ok(description) = inspect_unverified(directory.path()) {
            assert!((1..=10_000).contains(&description.blobs));
        }
        let signed = PUBLISHER.sign1(media::SEALED_CORE, input);
        let manifest = Value::byte_strings([signed.as_slice(), &[0; 4_096 + 16]]).encode();
        fs::write(directory.path().join("manifest.cbor"), manifest).expect("writes");
        if let Ok(manifest) = open_manifest(directory.path(), &PUBLISHER.verifying_key()) {
            assert!((1..=64).contains(&manifest.runs()));
            assert!(manifest.check_keys(&[artifact_key()]).is_err(), "nobody knows a key of this core");
            black_box((manifest.description(), manifest.unlock(&[artifact_key()]).err()));
        }
    },
    // Signing and verifying copy the message; an item of CBOR in memory has dozens of bytes.
    constant: 64 * KIB,
    factor: 192,
};

/// The bytes as the plaintext of a private part, which the publisher has sealed and signed.
pub const SEALED_PRIVATE: Target = Target {
    name: "sealed_private",
    body: |input| {
        let directory = directory();
        seal_private(input, directory.path());
        let opened = open_manifest(directory.path(), &PUBLISHER.verifying_key()).expect("well-formed and signed");
        match opened.unlock(&[artifact_key()]) {
            Ok(model) => {
                let mut before: Option<&str> = None;
                for file in model.files() {
                    let is_plain = !file.path.split('/').any(|name| matches!(name, "" | "." | ".."));
                    assert!(is_plain && before.is_none_or(|before| before < file.path.as_str()), "{:?}", file.path);
                    before = Some(&file.path);
                    black_box(model.reader(&file.path).expect("a file of the list"));
                }
            }
            Err(error) => assert!(matches!(error, LoadError::Format(_)), "{error}"),
        }
    },
    constant: 512 * KIB,
    factor: 192,
};

/// The bytes as edits of a sound sealed model: whatever they are, what comes out is what was sealed.
pub const SEALED_CHUNKS: Target = Target {
    name: "sealed_chunks",
    body: |input| {
        let files = edited(input);
        let is_sound = files == *SOUND;
        let directory = directory();
        fs::create_dir(directory.path().join("blobs")).expect("creates");
        for (name, bytes) in FILES.iter().zip(&files) {
            fs::write(directory.path().join(name), bytes).expect("writes");
        }
        let outcome = read_through(directory.path());
        assert_eq!(outcome.is_ok(), is_sound, "{outcome:?}");
    },
    constant: 2 * MIB,
    factor: 256,
};

/// Reads everything; panics where what comes out is not what was sealed.
fn read_through(directory: &Path) -> Result<(), LoadError> {
    let manifest = open_manifest(directory, &edits::publisher())?;
    let model = manifest.unlock(&[edits::key()])?;
    for file in model.files() {
        let mut reader = model.reader(&file.path)?;
        let mut found = Vec::new();
        let read = reader.read_to_end(&mut found);
        let sealed = content(&file.path);
        assert!(sealed.starts_with(&found), "{}: other plaintext", file.path);
        if read.is_err() {
            return Err(model.take_failure().expect("the cause"));
        }
        assert!(found.len() == sealed.len(), "{} is cut", file.path);
    }
    model.verify_all(&|_| ())
}

/// A directory of its own.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}
