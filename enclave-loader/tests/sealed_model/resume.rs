//! Interrupted sealing: nothing is lost, nothing repeats, no key is on disk.

use std::collections::HashSet;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};

use strongroom_channel::cbor::{self, Value};
use strongroom_enclave_loader::{Progress, SealError, SealOptions, open_manifest, seal};

use crate::fixture::{CHUNK, Tenant, Workshop, any_file_holds, bytes, read_all};
use crate::page;

/// Seals until `blobs` blobs are done, then dies.
pub(crate) fn interrupt(workshop: &Workshop, tenant: &Tenant, blobs: u64) {
    interrupt_with(workshop, &tenant.options(1), blobs);
}

/// The same with other options.
pub(crate) fn interrupt_with(workshop: &Workshop, options: &SealOptions<'_>, blobs: u64) {
    let enough = blobs * options.blob_bytes;
    let die = |progress: Progress| assert!(progress.done < enough, "interrupted, as the test wants");
    let result = catch_unwind(AssertUnwindSafe(|| seal(&workshop.source(), &workshop.sealed(), options, &die)));
    assert!(result.is_err() && !workshop.sealed().exists() && workshop.partial().exists());
}

fn five_chunks() -> (Workshop, Vec<u8>) {
    let content = bytes(3, 5 * 65_536);
    (Workshop::new(&[("model.gguf", &content)]), content)
}

#[test]
fn a_later_run_goes_on_after_the_last_whole_blob_under_its_own_key() {
    let tenant = Tenant::new(1);
    let (workshop, content) = five_chunks();
    interrupt(&workshop, &tenant, 2);
    let first = fs::read(workshop.partial().join("blobs/0000.bin")).expect("reads");
    interrupt(&workshop, &tenant, 4);
    let summary = workshop.seal(&tenant.options(1));

    assert_eq!(summary.runs, 3);
    assert!(!workshop.partial().exists());
    assert!(fs::read(workshop.sealed().join("blobs/0000.bin")).expect("reads") == first, "done once");
    let model = tenant.open(&workshop.sealed()).expect("opens with the keys of all runs");
    assert!(read_all(&model, "model.gguf") == content);
    let keys = tenant.keys(&workshop.sealed()).expect("keys");
    let different: HashSet<_> = keys.iter().map(|key| *key.expose_secret()).collect();
    assert_eq!(different.len(), 3);
    let manifest = open_manifest(&workshop.sealed(), &tenant.verifying_key()).expect("opens");
    assert_eq!(manifest.check_keys(&keys[..2]).map_err(|error| error.code()), Err("SEALED_WRONG_KEY"));
}

#[test]
fn no_key_and_nonce_meet_twice_across_runs() {
    let tenant = Tenant::new(1);
    let (workshop, _) = five_chunks();
    // Blob 2 is begun in the first run and done in the second.
    interrupt(&workshop, &tenant, 2);
    workshop.seal(&tenant.options(1));
    let core = page::each_key_meets_a_nonce_once(&workshop.sealed(), &tenant);
    let runs: Vec<_> = core.blobs.iter().map(|blob| blob.run).collect();
    assert_eq!(runs, [0, 0, 1, 1, 1]);
}

#[test]
fn a_changed_source_starts_over() {
    let tenant = Tenant::new(1);
    let (workshop, mut content) = five_chunks();
    interrupt(&workshop, &tenant, 3);
    content[0] ^= 1;
    fs::write(workshop.source().join("model.gguf"), &content).expect("writes");
    assert_eq!(workshop.seal(&tenant.options(1)).runs, 1);
    let model = tenant.open(&workshop.sealed()).expect("opens");
    assert!(read_all(&model, "model.gguf") == content);
}

#[test]
fn another_recipient_or_version_starts_over() {
    let (tenant, other) = (Tenant::new(1), Tenant::new(2));
    let (workshop, _) = five_chunks();
    interrupt(&workshop, &tenant, 3);
    let mut options = tenant.options(1);
    options.version += 1;
    interrupt_with_nothing_kept(&workshop, &options);
    let mut options = tenant.options(1);
    options.to = other.broker.public();
    assert_eq!(workshop.seal(&options).runs, 1);
}

/// The two parts of a checkpoint: the publisher's signature and what it says.
fn checkpoint(workshop: &Workshop) -> (Vec<u8>, Vec<u8>) {
    let bytes = fs::read(workshop.partial().join("checkpoint.cbor")).expect("reads");
    let [signature, text] = cbor::decode(&bytes).and_then(Value::items_exactly::<2>).expect("two parts");
    (signature.bytes().expect("bytes").to_vec(), text.bytes().expect("bytes").to_vec())
}

fn put_checkpoint(workshop: &Workshop, signature: &[u8], text: &[u8]) {
    let bytes = Value::array([Value::Bytes(signature), Value::Bytes(text)]).encode();
    fs::write(workshop.partial().join("checkpoint.cbor"), bytes).expect("writes");
}

/// Whoever can write the storage could put content in place that the publisher then signs.
#[test]
fn a_checkpoint_that_was_changed_or_that_a_stranger_signed_starts_over() {
    let (tenant, stranger) = (Tenant::new(1), Tenant::new(3));
    let (workshop, content) = five_chunks();

    interrupt(&workshop, &tenant, 3);
    let (signature, text) = checkpoint(&workshop);
    let mut said: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    said["finished"][0]["root"][0] = (said["finished"][0]["root"][0].as_u64().expect("a byte") ^ 1).into();
    put_checkpoint(&workshop, &signature, &serde_json::to_vec(&said).expect("JSON"));
    interrupt_with_nothing_kept(&workshop, &tenant.options(1));

    interrupt(&workshop, &tenant, 3);
    let (_, text) = checkpoint(&workshop);
    put_checkpoint(&workshop, &stranger.publisher.sign1("application/strongroom-seal-checkpoint+cose", &text), &text);
    interrupt_with_nothing_kept(&workshop, &tenant.options(1));

    // Keys that the stranger knows, in place of the run's own.
    interrupt(&workshop, &tenant, 3);
    let (other, _) = five_chunks();
    interrupt(&other, &tenant, 3);
    fs::copy(other.partial().join("keys.cbor"), workshop.partial().join("keys.cbor")).expect("copies");
    interrupt_with_nothing_kept(&workshop, &tenant.options(1));

    assert_eq!(workshop.seal(&tenant.options(1)).runs, 2, "its own checkpoint is taken up");
    let model = tenant.open(&workshop.sealed()).expect("opens");
    assert!(read_all(&model, "model.gguf") == content);
}

/// Another publisher's checkpoint is genuine, and not this one's.
#[test]
fn another_publisher_starts_over() {
    let (tenant, other) = (Tenant::new(1), Tenant::new(2));
    let (workshop, _) = five_chunks();
    interrupt(&workshop, &tenant, 3);
    let mut options = tenant.options(1);
    options.publisher = &other.publisher;
    interrupt_with_nothing_kept(&workshop, &options);
}

fn interrupt_with_nothing_kept(workshop: &Workshop, options: &SealOptions<'_>) {
    let first = std::cell::Cell::new(true);
    let die = |progress: Progress| {
        if first.replace(false) {
            assert_eq!(progress.done, 0, "begins at the beginning");
        } else {
            panic!("interrupted, as the test wants");
        }
    };
    let result = catch_unwind(AssertUnwindSafe(|| seal(&workshop.source(), &workshop.sealed(), options, &die)));
    assert!(result.is_err());
}

#[test]
fn a_source_that_changes_while_it_is_sealed_is_refused() {
    let tenant = Tenant::new(1);
    let (workshop, content) = five_chunks();
    let path = workshop.source().join("model.gguf");
    let change = |progress: Progress| {
        if progress.done == 2 * CHUNK {
            fs::write(&path, &content[1..]).expect("writes");
        }
    };
    let result = seal(&workshop.source(), &workshop.sealed(), &tenant.options(1), &change);
    assert_eq!(result.map_err(|error| error.code()), Err("SEAL_SOURCE_CHANGED"));
    assert!(!workshop.sealed().exists());
}

#[test]
fn one_process_at_a_time_seals_to_a_destination() {
    let tenant = Tenant::new(1);
    let (workshop, _) = five_chunks();
    fs::create_dir(workshop.partial()).expect("creates");
    let held = File::open(workshop.partial()).expect("opens");
    held.lock().expect("locks");
    let result = seal(&workshop.source(), &workshop.sealed(), &tenant.options(1), &|_| ());
    assert_eq!(result, Err(SealError::Busy { path: workshop.partial().display().to_string() }));
    held.unlock().expect("unlocks");
    workshop.seal(&tenant.options(1));
}

#[test]
fn the_unfinished_directory_holds_no_key_and_no_plaintext() {
    let tenant = Tenant::new(1);
    let canary = b"CANARY-90aa17-CANARY";
    let mut content = bytes(4, 5 * 65_536);
    content[100..100 + canary.len()].copy_from_slice(canary);
    let workshop = Workshop::new(&[("model.gguf", &content)]);
    interrupt(&workshop, &tenant, 3);
    let keys = tenant.keys(&workshop.partial()).expect("the recipient can unwrap already");
    assert!(!any_file_holds(&workshop.partial(), canary));
    assert!(!any_file_holds(&workshop.partial(), keys[0].expose_secret()));
    let text: String = keys[0].expose_secret().map(|byte| byte.to_string()).join(",");
    assert!(!any_file_holds(&workshop.partial(), text.as_bytes()), "as JSON");
}
