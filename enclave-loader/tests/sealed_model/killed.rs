//! kill -9 at each step of sealing: a later run goes on or starts over, what comes out opens and is
//! the source, and no key meets a nonce twice in all that was ever on disk.
//!
//! A real process seals and is really killed. It is stopped at a step without sleeps: between blobs
//! by its progress function, which waits for a word; before a small file is written by a FIFO in that
//! file's place, whose opening blocks until we open it, too, and in which nothing can be flushed; in
//! the middle of a blob by a limit on the size of files, beyond which the kernel ends a process as
//! abruptly. Between the manifest and the new name nothing blocks: these two states are made from a
//! finished model, byte for byte what was there. The page cache outlives a process, so what is on disk
//! afterwards is what had been written; a power failure is another matter, for which everything is
//! flushed in order.

mod sealer;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use strongroom_enclave_loader::{SealError, read_wrapped_keys, seal};

use crate::fixture::{CHUNK, Tenant, Workshop, bytes, read_all};
use crate::page;
use sealer::{CHUNKS_A_BLOB, Sealer, fifo, half_written, opened};

/// Leaves NAME.partial as a process that is killed at one step leaves it.
type Step = fn(&Workshop);

/// The steps in their order.
const STEPS: [(&str, Step); 10] = [
    ("before the wrapped keys are written", |workshop| stopped_at_file(workshop, "keys.new", When::First)),
    ("after the keys, before the checkpoint", |workshop| stopped_at_file(workshop, "checkpoint.new", When::First)),
    ("after the checkpoint, before the first chunk", |workshop| stopped_at(workshop, 1)),
    ("in the middle of a blob", |workshop| Sealer::start_limited(workshop).ends_by_itself()),
    ("after a blob, before its checkpoint", |workshop| stopped_at_file(workshop, "checkpoint.new", When::Later)),
    ("after the checkpoint of a blob", |workshop| stopped_at(workshop, 2)),
    ("after all blobs", |workshop| stopped_at_end(workshop).kill()),
    ("before the manifest is written", |workshop| stopped_at_file(workshop, "manifest.new", When::AtEnd)),
    ("after the manifest, before the checkpoint is removed", |workshop| {
        let sealer = stopped_at_end(workshop);
        let checkpoint = fs::read(workshop.partial().join("checkpoint.cbor")).expect("reads");
        unnamed(workshop, sealer);
        fs::write(workshop.partial().join("checkpoint.cbor"), checkpoint).expect("writes");
    }),
    ("after the checkpoint is removed, before the new name", |workshop| {
        let sealer = stopped_at_end(workshop);
        unnamed(workshop, sealer);
    }),
];

#[test]
fn sealing_that_is_killed_at_any_step_goes_on_or_starts_over() {
    for (name, step) in STEPS {
        let killed = Killed::new();
        killed.at(name, &[step]);
    }
}

#[test]
fn sealing_that_is_killed_again_and_again_goes_on_or_starts_over() {
    for ((name, first), (_, second)) in STEPS.iter().zip(STEPS.iter().skip(1)) {
        Killed::new().at(name, &[*first, *first, *second]);
        Killed::new().at(name, &[*second, *first]);
    }
}

#[test]
fn sealing_that_is_killed_after_the_new_name_is_done() {
    let killed = Killed::new();
    let mut sealer = Sealer::start(&killed.workshop);
    sealer.does_not_wait();
    sealer.ends_well();
    assert!(!killed.workshop.partial().exists());
    let (tenant, workshop) = (Tenant::new(1), &killed.workshop);
    let again = seal(&workshop.source(), &workshop.sealed(), &tenant.options(CHUNKS_A_BLOB), &|_| ());
    assert!(matches!(again, Err(SealError::DestinationExists { .. })));
    killed.opens();
}

/// A source, and a place for what becomes of it.
struct Killed {
    workshop: Workshop,
    content: Vec<u8>,
}

impl Killed {
    fn new() -> Self {
        let content = bytes(5, 4 * CHUNK as usize + 3_000);
        Self { workshop: Workshop::new(&[("model.gguf", &content)]), content }
    }

    fn at(&self, name: &str, steps: &[Step]) {
        let tenant = Tenant::new(1);
        let mut ciphertexts = Ciphertexts::default();
        for step in steps {
            step(&self.workshop);
            assert!(!self.workshop.sealed().exists(), "{name}");
            ciphertexts.add(&self.workshop.partial(), &tenant);
        }
        let summary = self.workshop.seal(&tenant.options(CHUNKS_A_BLOB));
        assert!(summary.runs <= steps.len() + 1, "{name}");
        assert!(!self.workshop.partial().exists(), "{name}");
        ciphertexts.add(&self.workshop.sealed(), &tenant);
        self.opens();
    }

    fn opens(&self) {
        let tenant = Tenant::new(1);
        let model = tenant.open(&self.workshop.sealed()).expect("opens");
        assert!(read_all(&model, "model.gguf") == self.content);
        model.verify_all(&|_| ()).expect("verifies");
        model.verify_files(&|_| ()).expect("verifies");
        page::each_key_meets_a_nonce_once(&self.workshop.sealed(), &tenant);
    }
}

/// All that was on disk at any time. The salts of unfinished blobs are lost with their process, so
/// their keys cannot be derived again. But the plaintext of a chunk is the same in each run, and the
/// nonce follows from its place: two ciphertexts are equal exactly if their keys were.
#[derive(Default)]
struct Ciphertexts {
    seen: HashSet<(String, u64, Vec<u8>)>,
    keys: HashMap<[u8; 32], ([u8; 16], usize)>,
    /// Files of the state before: one that nobody has written since is no second use of its key.
    before: HashMap<String, (SystemTime, Vec<u8>)>,
}

impl Ciphertexts {
    fn add(&mut self, directory: &Path, tenant: &Tenant) {
        if let Ok(keys) = tenant.keys(directory) {
            let artifact = read_wrapped_keys(directory).expect("reads").artifact_id();
            for (key, run) in keys.iter().zip(0..) {
                let first = *self.keys.entry(*key.expose_secret()).or_insert((artifact, run));
                assert_eq!(first, (artifact, run), "a key is of one run of one artifact");
            }
        }
        let names = (0..3).map(|blob| format!("blobs/{blob:04}.bin")).chain(["manifest.cbor".to_owned()]);
        for name in names {
            let Ok(content) = fs::read(directory.join(&name)) else { continue };
            let written = fs::metadata(directory.join(&name)).and_then(|file| file.modified()).expect("a time");
            if self.before.insert(name.clone(), (written, content.clone())) == Some((written, content.clone())) {
                continue;
            }
            // The private part is the end of the manifest: 4 KiB and a tag.
            let places = match name.as_str() {
                "manifest.cbor" => vec![(0, content.len() - 4_096 - 16)],
                _ => (0..CHUNKS_A_BLOB).map(|index| (index, (index * (CHUNK + 16)) as usize)).collect(),
            };
            for (index, at) in places {
                // A hole is what was not written yet.
                let begins = content.get(at..at + 32).filter(|bytes| bytes.iter().any(|byte| *byte != 0));
                let is_new = begins.is_none_or(|begins| self.seen.insert((name.clone(), index, begins.to_vec())));
                assert!(is_new, "{name}, chunk {index}: one key met a nonce twice");
            }
        }
    }
}

/// Kills at the progress function's call of this number.
fn stopped_at(workshop: &Workshop, call: usize) {
    let mut sealer = Sealer::start(workshop);
    sealer.waits().expect("a step");
    for _ in 1..call {
        sealer.goes_on();
        sealer.waits().expect("a step");
    }
    sealer.kill();
}

/// Stops where every blob is recorded.
fn stopped_at_end(workshop: &Workshop) -> Sealer {
    let mut sealer = Sealer::start(workshop);
    sealer.waits().expect("a step");
    sealer.goes_to_the_end();
    sealer
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    First,
    /// After the first step that the progress function tells.
    Later,
    /// After the last one.
    AtEnd,
}

/// Kills where the file `name` in NAME.partial is to be written.
fn stopped_at_file(workshop: &Workshop, name: &str, when: When) {
    let path = workshop.partial().join(name);
    fs::create_dir_all(workshop.partial()).expect("creates");
    let sealer = match when {
        When::First => {
            fifo(&path);
            Sealer::start(workshop)
        }
        When::Later | When::AtEnd => {
            let mut sealer = Sealer::start(workshop);
            sealer.waits().expect("a step");
            if when == When::AtEnd {
                sealer.goes_to_the_end();
            }
            fifo(&path);
            sealer.does_not_wait();
            sealer
        }
    };
    let reader = opened(&path);
    sealer.kill();
    drop(reader);
    half_written(&path);
}

/// Lets the process end, and takes the new name away again.
fn unnamed(workshop: &Workshop, mut sealer: Sealer) {
    sealer.does_not_wait();
    sealer.ends_well();
    fs::rename(workshop.sealed(), workshop.partial()).expect("renames");
}
