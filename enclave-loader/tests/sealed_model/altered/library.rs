//! Sealed models of one publisher to take parts from: the same model twice, other content, the next
//! version, the other suite, and one that took two runs.

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;

use strongroom_enclave_loader::{SealOptions, Suite};

use crate::fixture::{Tenant, Workshop, bytes, files_below};
use crate::resume::interrupt_with;

/// The files of a sealed model by their paths inside it.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A sealed model in memory, with its keys and what was sealed.
pub(crate) struct Artifact {
    pub(crate) name: &'static str,
    pub(crate) files: Files,
    pub(crate) keys: Vec<[u8; 32]>,
    pub(crate) source: Vec<(&'static str, Vec<u8>)>,
}

/// Chunks in a full blob: five chunks in all make three blobs, the last of one short chunk.
pub(crate) const CHUNKS_A_BLOB: u64 = 2;

pub(crate) static LIBRARY: LazyLock<[Artifact; 6]> = LazyLock::new(|| {
    [
        artifact("plain", 1, false, |_| ()),
        artifact("sealed again", 1, false, |_| ()),
        artifact("other content", 2, false, |_| ()),
        artifact("next version", 1, false, |options| options.version += 1),
        artifact("suite 2", 1, false, |options| options.suite = Suite::Sha256),
        artifact("two runs", 1, true, |_| ()),
    ]
});

fn artifact(name: &'static str, seed: u64, interrupted: bool, change: fn(&mut SealOptions<'_>)) -> Artifact {
    let source =
        vec![("a.gguf", bytes(seed, 150_000)), ("b.json", bytes(seed + 10, 70_000)), ("empty.txt", Vec::new())];
    let files: Vec<_> = source.iter().map(|(path, content)| (*path, content.as_slice())).collect();
    let (tenant, workshop) = (Tenant::new(1), Workshop::new(&files));
    let mut options = tenant.options(CHUNKS_A_BLOB);
    change(&mut options);
    if interrupted {
        interrupt_with(&workshop, &options, 1);
    }
    let summary = workshop.seal(&options);
    assert_eq!(summary.runs, 1 + usize::from(interrupted));
    let sealed = workshop.sealed();
    let keys = tenant.keys(&sealed).expect("keys").iter().map(|key| *key.expose_secret()).collect();
    let files = files_below(&sealed).into_iter().map(|path| {
        let inside = path.strip_prefix(&sealed).expect("inside").to_str().expect("UTF-8").to_owned();
        (inside, fs::read(path).expect("reads"))
    });
    Artifact { name, files: files.collect(), keys, source }
}
