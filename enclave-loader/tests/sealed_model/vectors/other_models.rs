//! Sound models beside 000-sound: one that was sealed in two runs, because the first was interrupted, with what can be
//! wrong with runs alone; and one of the other suite. Made by hand:
//! `cargo test -p strongroom-enclave-loader --profile ci -- --ignored write_the_other_models`.

use std::fs;
use std::path::Path;

use strongroom_channel::cbor::{self, Value};
use strongroom_channel::cose::media;
use strongroom_enclave_loader::{SealOptions, Suite};

use super::generate::{replace, source, write_on};
use super::{Step, vectors};
use crate::fixture::Tenant;
use crate::resume::interrupt;

const TWO_RUNS: &str = "001-two-runs";

#[test]
#[ignore = "writes committed vectors anew"]
fn write_the_other_models() {
    write(&Tenant::new(0x51));
}

/// By the tenant whose keys are in keys.json.
pub(super) fn write(tenant: &Tenant) {
    let workshop = source();
    interrupt(&workshop, tenant, 1);
    assert_eq!(workshop.seal(&tenant.options(1)).runs, 2);
    let about = "Sealing was interrupted after the first blob; the others are of a second run.";
    whole(TWO_RUNS, about, &workshop.sealed());
    keys(&workshop.sealed());
    cores(tenant, &workshop.sealed());

    let workshop = source();
    workshop.seal(&SealOptions { suite: Suite::Sha256, ..tenant.options(1) });
    whole("002-suite-2", "Its trees are of SHA-256.", &workshop.sealed());
}

/// A model of its own, which is sound.
fn whole(name: &str, about: &str, sealed: &Path) {
    super::copy_model(sealed, &vectors().join(name));
    write_on(Some(name), name, about, "accepted", Step::Read, vec![], None);
}

/// Changes of keys.cbor, which nobody signs.
fn keys(sealed: &Path) {
    let file = fs::read(sealed.join("keys.cbor")).expect("reads");
    let mut fields = cbor::decode(&file).expect("CBOR").fields().expect("a map");
    let artifact: [u8; 16] = fields.require(1).expect("the artifact").fixed().expect("16 bytes");
    let entries = fields.require(2).expect("the keys").items().expect("a list");
    let [first, second] = [0, 1].map(|run| {
        let [_, enc, wrapped] = entries[run].clone().items_exactly().expect("three items");
        (enc, wrapped)
    });
    let put = |name: &str, about: &str, expect: &str, step, rows: Vec<(u64, &(Value<'_>, Value<'_>))>| {
        let rows = rows.into_iter().map(|(run, (enc, key))| Value::array([Value::Uint(run), enc.clone(), key.clone()]));
        let rows = Value::Array(rows.collect());
        let entries = vec![(Value::Uint(1), Value::Bytes(&artifact)), (Value::Uint(2), rows)];
        with(name, about, expect, step, "keys.cbor", &Value::Map(entries).encode());
    };
    put(
        "205-keys-of-runs-exchanged",
        "Each run has the other's wrapped key.",
        "SEALED_WRONG_KEY",
        Step::Keys,
        vec![(0, &second), (1, &first)],
    );
    put(
        "206-runs-in-another-order",
        "The second run's key stands first.",
        "SEALED_FORMAT",
        Step::Keys,
        vec![(1, &second), (0, &first)],
    );
    put("207-run-without-a-key", "Only the first run's key.", "SEALED_WRONG_KEY", Step::Unlock, vec![(0, &first)]);
}

/// Changes of the core, which the publisher signs.
fn cores(tenant: &Tenant, sealed: &Path) {
    let file = fs::read(sealed.join("manifest.cbor")).expect("reads");
    let [signed, private] = cbor::decode(&file).expect("CBOR").items_exactly().expect("two items");
    let private = private.bytes().expect("bytes");
    let payload = tenant.verifying_key().verify1(media::SEALED_CORE, signed.bytes().expect("bytes")).expect("signed");
    let put = |name: &str, about: &str, expect: &str, step, change: &dyn Fn(u64, &mut Vec<Value<'_>>)| {
        let Value::Map(mut fields) = cbor::decode(&payload).expect("CBOR") else { panic!("a map") };
        for (key, value) in &mut fields {
            if let (Value::Uint(key), Value::Array(items)) = (key, value) {
                change(*key, items);
            }
        }
        let signed = tenant.publisher.sign1(media::SEALED_CORE, &Value::Map(fields).encode());
        let manifest = Value::array([Value::Bytes(&signed), Value::Bytes(private)]).encode();
        with(name, about, expect, step, "manifest.cbor", &manifest);
    };
    let run_of_first_blob = |to: u64| {
        move |key: u64, items: &mut Vec<Value<'_>>| {
            if let (7, Some(Value::Array(blob))) = (key, items.first_mut()) {
                blob[2] = Value::Uint(to);
            }
        }
    };
    put(
        "118-run-that-is-none",
        "The first blob is of a third run.",
        "SEALED_FORMAT",
        Step::Manifest,
        &run_of_first_blob(2),
    );
    put(
        "208-commitments-exchanged",
        "Each run has the other's commitment.",
        "SEALED_WRONG_KEY",
        Step::Unlock,
        &|key, items| {
            if key == 10 {
                items.reverse();
            }
        },
    );
    put(
        "413-blob-of-another-run",
        "The first blob is said to be of the second run.",
        "SEALED_TAMPERED",
        Step::Read,
        &run_of_first_blob(1),
    );
}

/// A vector on the model of two runs that differs in one file.
fn with(name: &str, about: &str, expect: &str, step: Step, file: &str, content: &[u8]) {
    write_on(Some(TWO_RUNS), name, about, expect, step, vec![replace(file)], None);
    fs::write(vectors().join(name).join(file), content).expect("writes");
}
