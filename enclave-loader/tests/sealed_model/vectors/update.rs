//! An update: a sealed model that names its base. What a publisher can say of the base afterwards, over chunks
//! that were sealed for another, opens nothing. Made by hand:
//! `cargo test -p strongroom-enclave-loader --profile ci -- --ignored write_the_update`.

use std::fs;
use std::path::Path;

use strongroom_channel::cbor::{self, Value};
use strongroom_channel::cose::media;
use strongroom_enclave_loader::SealOptions;

use super::generate::{replace, source, write_on};
use super::{Keys, Step, json, key, vectors};
use crate::fixture::Tenant;

const UPDATE: &str = "003-update";

/// The core's field that names the base.
const BASE: u64 = 16;

#[test]
#[ignore = "writes committed vectors anew"]
fn write_the_update() {
    write(&Tenant::new(0x51));
}

/// By the tenant whose keys are in keys.json, on the model that is there.
pub(super) fn write(tenant: &Tenant) {
    let keys: Keys = json(&vectors().join("keys.json"));
    let workshop = source();
    workshop.seal(&SealOptions { base: Some(key(&keys.model_id)), ..tenant.options(1) });
    super::copy_model(&workshop.sealed(), &vectors().join(UPDATE));
    write_on(Some(UPDATE), UPDATE, "It is an update of 000-sound.", "accepted", Step::Read, vec![], None);
    bases(tenant, &workshop.sealed());
}

/// Other bases, signed by the publisher.
fn bases(tenant: &Tenant, sealed: &Path) {
    let file = fs::read(sealed.join("manifest.cbor")).expect("reads");
    let [signed, private] = cbor::decode(&file).expect("CBOR").items_exactly().expect("two items");
    let payload = tenant.verifying_key().verify1(media::SEALED_CORE, signed.bytes().expect("bytes")).expect("signed");
    let put = |name: &str, about: &str, expect: &str, step, base: Option<&[u8]>| {
        let Value::Map(mut fields) = cbor::decode(&payload).expect("CBOR") else { panic!("a map") };
        fields.retain(|(key, _)| *key != Value::Uint(BASE));
        fields.extend(base.map(|base| (Value::Uint(BASE), Value::Bytes(base))));
        let signed = tenant.publisher.sign1(media::SEALED_CORE, &Value::Map(fields).encode());
        let manifest = Value::array([Value::Bytes(&signed), private.clone()]).encode();
        write_on(Some(UPDATE), name, about, expect, step, vec![replace("manifest.cbor")], None);
        fs::write(vectors().join(name).join("manifest.cbor"), manifest).expect("writes");
    };
    put("119-base-of-31-bytes", "No model id.", "SEALED_FORMAT", Step::Manifest, Some(&[1; 31]));
    put(
        "303-base-removed-and-signed",
        "The publisher signs the update as a model of its own.",
        "SEALED_TAMPERED",
        Step::Unlock,
        None,
    );
    put(
        "304-base-edited-and-signed",
        "The publisher signs another base over the same chunks.",
        "SEALED_TAMPERED",
        Step::Unlock,
        Some(&[1; 32]),
    );
}
