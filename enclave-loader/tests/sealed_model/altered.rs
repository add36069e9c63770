//! Whatever is cut, exchanged, repeated, flipped or brought in from another sealed model of the same
//! publisher: the model is refused, and until then only what was sealed comes out of it.
//!
//! `every_byte` alters each byte of a small model once; `damage` looks at how a failure is told. Here
//! cases are drawn: `PROPTEST_CASES` says how many.

mod alterations;
mod library;

use std::cell::RefCell;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use strongroom_enclave_loader::{ArtifactKey, LoadError, SealedModel, open_manifest};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::fixture::Tenant;
use alterations::{Alteration, alteration, apply};
use library::{Artifact, Files, LIBRARY};

/// What a buffer holds before it is read into.
const UNTOUCHED: u8 = 0xaa;

/// One range that is read: file, place and length, all of whatever there is.
type Range = (Index, Index, Index);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_altered_is_refused_and_only_the_publishers_bytes_come_out(
        target in any::<Index>(),
        alterations in vec(alteration(), 1..=3),
        ranges in vec(any::<Range>(), 0..4),
    ) {
        check(target.get(&*LIBRARY), &alterations, &ranges);
    }

    #[test]
    fn any_cut_of_any_file_is_refused(target in any::<Index>(), file in any::<Index>(), at in any::<Index>()) {
        check(target.get(&*LIBRARY), &[Alteration::Cut { file, at }], &[]);
    }

    #[test]
    fn any_flipped_byte_of_any_file_is_refused(
        target in any::<Index>(),
        file in any::<Index>(),
        at in any::<Index>(),
        mask in 1..=u8::MAX,
        range in any::<Range>(),
    ) {
        check(target.get(&*LIBRARY), &[Alteration::Flip { file, at, mask }], &[range]);
    }
}

/// Nothing at all is altered: this search accepts what is sound.
#[test]
fn sound_models_are_read_in_any_ranges() {
    for artifact in LIBRARY.iter() {
        let scratch = Scratch::new(artifact);
        let outcome = scratch.read_through(artifact, &[], false);
        assert_eq!(outcome, Ok(()), "{}", artifact.name);
    }
}

fn check(artifact: &Artifact, alterations: &[Alteration], ranges: &[Range]) {
    // Cases run one after another on a thread of their own for each property.
    thread_local!(static SCRATCH: RefCell<Vec<(&'static str, Scratch)>> = const { RefCell::new(Vec::new()) });
    let mut files = artifact.files.clone();
    for alteration in alterations {
        apply(alteration, &mut files);
    }
    SCRATCH.with_borrow_mut(|known| {
        let at = known.iter().position(|(name, _)| *name == artifact.name).unwrap_or_else(|| {
            known.push((artifact.name, Scratch::new(artifact)));
            known.len() - 1
        });
        let scratch = &known[at].1;
        scratch.put(&artifact.files, &files);
        let keys_altered = files.get("keys.cbor") != artifact.files.get("keys.cbor");
        let outcome = scratch.read_through(artifact, ranges, keys_altered);
        scratch.put(&files, &artifact.files);
        let is_altered = files != artifact.files;
        assert_eq!(outcome.is_err(), is_altered, "{}: {outcome:?}", artifact.name);
    });
}

/// A directory with the files of one artifact.
struct Scratch(TempDir);

impl Scratch {
    fn new(artifact: &Artifact) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("blobs")).expect("creates");
        let scratch = Self(directory);
        scratch.put(&Files::new(), &artifact.files);
        scratch
    }

    /// Brings the directory from `before` to `after`; what is the same is left alone.
    fn put(&self, before: &Files, after: &Files) {
        for (path, content) in after.iter().filter(|(path, content)| before.get(*path) != Some(content)) {
            fs::write(self.0.path().join(path), content).expect("writes");
        }
        for path in before.keys().filter(|path| !after.contains_key(*path)) {
            fs::remove_file(self.0.path().join(path)).expect("removes");
        }
    }

    /// Opens the model and reads `ranges`, then every file, then verifies all. Gives the first
    /// refusal; panics where anything comes out that the publisher did not seal. The keys are
    /// unwrapped only where the file of keys is altered: that is the slow part.
    fn read_through(&self, artifact: &Artifact, ranges: &[Range], unwrap: bool) -> Result<(), LoadError> {
        let directory: &Path = self.0.path();
        let tenant = Tenant::new(1);
        let manifest = open_manifest(directory, &tenant.verifying_key())?;
        let keys = match unwrap {
            true => tenant.keys(directory)?,
            false => artifact.keys.iter().map(|key| ArtifactKey::from_bytes(Zeroizing::new(*key))).collect(),
        };
        let model = manifest.unlock(&keys)?;
        let found: Vec<_> = model.files().iter().map(|file| (file.path.as_str(), file.len)).collect();
        let sealed: Vec<_> = artifact.source.iter().map(|(path, content)| (*path, content.len() as u64)).collect();
        assert_eq!(found, sealed, "the list of files");
        let mut outcome = Ok(());
        for (file, at, len) in ranges {
            let (path, content) = file.get(&artifact.source);
            let at = at.index(content.len() + 1);
            let len = len.index(content.len() + 1 - at);
            outcome = outcome.and(read_range(&model, path, content, at, len));
        }
        for (path, content) in &artifact.source {
            outcome = outcome.and(read_range(&model, path, content, 0, content.len()));
        }
        outcome.and(model.verify_all(&|_| ()))
    }
}

/// Reads `len` bytes from `at` on and compares all that comes, and what a failed read leaves behind.
fn read_range(model: &SealedModel, path: &str, content: &[u8], at: usize, len: usize) -> Result<(), LoadError> {
    let mut reader = model.reader(path)?;
    reader.seek(SeekFrom::Start(at as u64)).expect("seeks");
    let mut done = 0;
    while done < len {
        let mut buffer = vec![UNTOUCHED; len - done];
        let wanted = &content[at + done..at + len];
        match reader.read(&mut buffer) {
            Ok(0) => panic!("{path} ends early, at {}", at + done),
            Ok(read) => {
                assert!(buffer[..read] == wanted[..read], "{path}: other plaintext at {}", at + done);
                done += read;
            }
            Err(_) => {
                let is_harmless = |(found, sealed): (&u8, &u8)| found == sealed || [0, UNTOUCHED].contains(found);
                assert!(buffer.iter().zip(wanted).all(is_harmless), "{path}: a failed read left other plaintext");
                assert!(reader.read(&mut [0]).is_err(), "a reader that failed goes on");
                return Err(model.take_failure().expect("the cause"));
            }
        }
    }
    Ok(())
}
