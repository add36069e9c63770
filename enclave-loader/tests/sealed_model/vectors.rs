//! The vectors of tests/vectors/sealed-model: one folder a way to be refused, named for the
//! defect. Each says how it differs from a sound model, 000-sound or another, at which step it must
//! be refused, and with which code.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_channel::cose::VerifyingKey;
use strongroom_enclave_loader::{ArtifactKey, DepositKeyPair, LoadError, WrappedKeys, open_manifest};
use zeroize::Zeroizing;

mod generate;
mod other_models;
mod update;

/// The file keys.json: the published keys of the vectors, in hex.
#[derive(Serialize, Deserialize)]
struct Keys {
    note: String,
    publisher: String,
    deposit_secret: String,
    artifact_keys: Vec<String>,
    other_publisher: String,
    other_deposit_secret: String,
    /// SHA-256 of the content of each file of the model.
    files: BTreeMap<String, String>,
    model_id: String,
}

/// The file vector.json.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    about: String,
    /// "accepted", or the code of the refusal.
    expect: String,
    step: Step,
    /// The vector whose model is copied; absent: 000-sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// Changes to the copy, in this order.
    #[serde(default)]
    edits: Vec<Edit>,
    /// Which keys of keys.json a reader is given: "publisher", "deposit" or "artifact" name the
    /// one that is replaced by a wrong one.
    #[serde(default)]
    wrong: Option<Wrong>,
}

/// The steps of opening, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    /// The manifest's form, signature and core.
    Manifest,
    /// The keys file, opened by its recipient.
    Keys,
    /// Commitments, private part, lengths of the blobs.
    Unlock,
    /// Leaf lists and chunks.
    Read,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wrong {
    Publisher,
    Deposit,
    Artifact,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Edit {
    /// Flips the lowest bit of one byte; negative places count from the end.
    Flip { file: String, at: i64 },
    /// Removes bytes at the end.
    Cut { file: String, bytes: usize },
    /// Adds bytes, in hex, at the end.
    Append { file: String, hex: String },
    /// Exchanges the first `len` bytes of two files.
    Swap { first: String, second: String, len: usize },
    /// Removes the file.
    Remove { file: String },
    /// Takes the file of this name from the vector's folder.
    Replace { file: String },
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/sealed-model")
}

fn json<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn key(hex: &str) -> [u8; 32] {
    hex::decode(hex).expect("hex").try_into().expect("32 bytes")
}

#[test]
fn each_vector_is_refused_at_its_step_with_its_code() {
    let keys: Keys = json(&vectors().join("keys.json"));
    let mut folders: Vec<_> = fs::read_dir(vectors())
        .expect("lists")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() > 25, "{} vectors", folders.len());
    for folder in folders {
        let vector: Vector = json(&folder.join("vector.json"));
        let directory = tempfile::tempdir().expect("a directory");
        copy_model(&vectors().join(vector.base.as_deref().unwrap_or("000-sound")), directory.path());
        for edit in &vector.edits {
            apply(edit, directory.path(), &folder);
        }
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let outcome = read_through(directory.path(), &keys, vector.wrong);
        let wanted = if vector.expect == "accepted" { Ok(()) } else { Err((vector.step, vector.expect.as_str())) };
        let found = outcome.as_ref().map_err(|(step, error)| (*step, error.code())).copied();
        assert_eq!(found, wanted, "{name}: {outcome:?}");
    }
}

/// Opens and reads everything; checks on the way that whatever comes out is the right plaintext.
fn read_through(directory: &Path, keys: &Keys, wrong: Option<Wrong>) -> Result<(), (Step, LoadError)> {
    let pick = |which, right: &str, other: &str| key(if wrong == Some(which) { other } else { right });
    let publisher = pick(Wrong::Publisher, &keys.publisher, &keys.other_publisher);
    let publisher = VerifyingKey::from_bytes(&publisher).expect("a key");
    let manifest = open_manifest(directory, &publisher).map_err(|error| (Step::Manifest, error))?;

    let deposit = Zeroizing::new(pick(Wrong::Deposit, &keys.deposit_secret, &keys.other_deposit_secret));
    let deposit = DepositKeyPair::from_secret(deposit).expect("a deposit key");
    let wrapped = fs::read(directory.join("keys.cbor")).expect("reads");
    let mut artifact_keys = WrappedKeys::decode(&wrapped)
        .and_then(|wrapped| deposit.unwrap_keys(&wrapped))
        .map_err(|error| (Step::Keys, error))?;
    if wrong == Some(Wrong::Artifact) {
        artifact_keys = vec![ArtifactKey::from_bytes(Zeroizing::new([0; 32]))];
    }

    let model = manifest.unlock(&artifact_keys).map_err(|error| (Step::Unlock, error))?;
    let mut outcome = Ok(());
    for file in model.files() {
        let mut content = Vec::new();
        let read = model.reader(&file.path).expect("the file").read_to_end(&mut content);
        let right = generate::content(&file.path);
        assert!(right.starts_with(&content), "only right plaintext comes out");
        if read.is_err() && outcome.is_ok() {
            outcome = Err((Step::Read, model.take_failure().expect("the cause")));
        }
    }
    outcome?;
    model.verify_all(&|_| ()).map_err(|error| (Step::Read, error))?;
    model.verify_files(&|_| ()).map_err(|error| (Step::Read, error))
}

#[test]
fn the_published_keys_are_those_of_the_sound_vector() {
    let keys: Keys = json(&vectors().join("keys.json"));
    let deposit = DepositKeyPair::from_secret(Zeroizing::new(key(&keys.deposit_secret))).expect("a deposit key");
    let wrapped = fs::read(vectors().join("000-sound/keys.cbor")).expect("reads");
    let unwrapped = deposit.unwrap_keys(&WrappedKeys::decode(&wrapped).expect("decodes")).expect("unwraps");
    let unwrapped: Vec<_> = unwrapped.iter().map(|key| hex::encode(key.expose_secret())).collect();
    assert_eq!(unwrapped, keys.artifact_keys);
    let publisher = VerifyingKey::from_bytes(&key(&keys.publisher)).expect("a key");
    let manifest = open_manifest(&vectors().join("000-sound"), &publisher).expect("opens");
    assert_eq!(hex::encode(manifest.model_id()), keys.model_id);
}

fn copy_model(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("blobs")).expect("creates");
    for path in crate::fixture::files_below(from) {
        let inside = path.strip_prefix(from).expect("inside");
        fs::copy(&path, to.join(inside)).expect("copies");
    }
}

fn apply(edit: &Edit, directory: &Path, folder: &Path) {
    let change = |file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = directory.join(file);
        let mut content = fs::read(&path).expect("reads");
        change(&mut content);
        fs::write(&path, content).expect("writes");
    };
    match edit {
        Edit::Flip { file, at } => change(file, &|content| {
            let from = if *at < 0 { content.len() } else { 0 };
            let at = from.checked_add_signed(isize::try_from(*at).expect("small")).expect("inside");
            content[at] ^= 1;
        }),
        Edit::Cut { file, bytes } => change(file, &|content| content.truncate(content.len() - bytes)),
        Edit::Append { file, hex } => change(file, &|content| content.extend(hex::decode(hex).expect("hex"))),
        Edit::Swap { first, second, len } => {
            let (a, b) = (directory.join(first), directory.join(second));
            let (mut x, mut y) = (fs::read(&a).expect("reads"), fs::read(&b).expect("reads"));
            x[..*len].swap_with_slice(&mut y[..*len]);
            fs::write(a, x).expect("writes");
            fs::write(b, y).expect("writes");
        }
        Edit::Remove { file } => fs::remove_file(directory.join(file)).expect("removes"),
        Edit::Replace { file } => drop(fs::copy(folder.join(file), directory.join(file)).expect("copies")),
    }
}
