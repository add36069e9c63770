//! How the vectors were made. Run by hand, when the format gains a way to be refused:
//! `cargo test -p strongroom-enclave-loader --profile ci -- --ignored write_the_vectors`.

use std::fs;
use std::path::Path;

use strongroom_channel::cbor::{self, Value};
use strongroom_channel::cose::media;

use super::{Edit, Keys, Step, Vector, Wrong, vectors};
use crate::fixture::{CHUNK, Tenant, Workshop, bytes};
use crate::page;

const NOTE: &str = "Published keys, for these vectors only.";

/// The content of a file of the sound model.
pub(super) fn content(path: &str) -> Vec<u8> {
    match path {
        "config.json" => b"{\"hidden_size\": 64}".to_vec(),
        "model.safetensors" => bytes(42, 65_536 + 1_000),
        _ => panic!("no file of the vectors: {path}"),
    }
}

/// The files of every vector's model.
pub(super) fn source() -> Workshop {
    let files = ["config.json", "model.safetensors"].map(|path| (path, content(path)));
    Workshop::new(&[(files[0].0, &files[0].1), (files[1].0, &files[1].1)])
}

/// Three blobs of one chunk; the first holds config.json, the last 4 KiB the end of the weights.
fn sound(tenant: &Tenant) -> Workshop {
    let workshop = source();
    workshop.seal(&tenant.options(1));
    workshop
}

#[test]
#[ignore = "writes the committed vectors anew"]
fn write_the_vectors() {
    let (tenant, other) = (Tenant::new(0x51), Tenant::new(0x52));
    let workshop = sound(&tenant);
    let sealed = workshop.sealed();
    let _ = fs::remove_dir_all(vectors());
    super::copy_model(&sealed, &vectors().join("000-sound"));
    let rks: Vec<[u8; 32]> = tenant.keys(&sealed).expect("keys").iter().map(|key| *key.expose_secret()).collect();
    let core = page::read_core(&sealed, &tenant.verifying_key());
    let keys = Keys {
        note: NOTE.to_owned(),
        publisher: hex::encode(tenant.verifying_key().to_bytes()),
        deposit_secret: hex::encode(tenant.broker.expose_secret()),
        artifact_keys: rks.iter().map(hex::encode).collect(),
        other_publisher: hex::encode(other.verifying_key().to_bytes()),
        other_deposit_secret: hex::encode(other.broker.expose_secret()),
        files: ["config.json", "model.safetensors"]
            .map(|path| (path.to_owned(), hex::encode(page::sha256(&content(path)))))
            .into(),
        model_id: strongroom_enclave_loader::inspect_unverified(&sealed).expect("describes").model_id,
    };
    fs::write(vectors().join("keys.json"), serde_json::to_vec_pretty(&keys).expect("JSON")).expect("writes");
    write("000-sound", "The model that the others differ from.", "accepted", Step::Read, vec![], None);

    edited_manifests(&tenant, &sealed);
    manifests_and_keys();
    write(
        "103-wrong-publisher",
        "Another key than the one that signed.",
        "SEALED_SIGNATURE",
        Step::Manifest,
        vec![],
        Some(Wrong::Publisher),
    );
    write(
        "202-wrong-recipient",
        "Another deposit key than the one wrapped to.",
        "SEALED_WRONG_KEY",
        Step::Keys,
        vec![],
        Some(Wrong::Deposit),
    );
    write(
        "204-wrong-artifact-key",
        "A key that no commitment names.",
        "SEALED_WRONG_KEY",
        Step::Unlock,
        vec![],
        Some(Wrong::Artifact),
    );
    blobs();
    super::other_models::write(&tenant);
    super::update::write(&tenant);

    // The keys, and a blob, of another artifact of the same publisher, model and recipient.
    let second = sound(&tenant);
    write(
        "203-keys-of-another-artifact",
        "Its keys unwrap, but no commitment names them.",
        "SEALED_WRONG_KEY",
        Step::Unlock,
        vec![replace("keys.cbor")],
        None,
    );
    fs::copy(second.sealed().join("keys.cbor"), vectors().join("203-keys-of-another-artifact/keys.cbor"))
        .expect("copies");
    let with_blob = |name: &str, about: &str, file: &[u8]| {
        write(name, about, "SEALED_TAMPERED", Step::Read, vec![replace("blobs/0002.bin")], None);
        fs::create_dir_all(vectors().join(name).join("blobs")).expect("creates");
        fs::write(vectors().join(name).join("blobs/0002.bin"), file).expect("writes");
    };
    let spliced = fs::read(second.sealed().join("blobs/0002.bin")).expect("reads");
    with_blob("406-blob-of-another-artifact", "Whole, leaf list and all, from another artifact.", &spliced);

    // What a holder of the key, but not of the publisher's, can make: it authenticates.
    let blob = &core.blobs[2];
    let plain_len = fs::metadata(sealed.join("blobs/0002.bin")).expect("metadata").len() as usize - 48;
    let (forged, _) = page::forge_blob(&rks[0], &core, 2, &blob.salt, &vec![0x66; plain_len]);
    with_blob("407-blob-forged-with-the-key", "Sealed anew under the right key; its leaf list is its own.", &forged);
    let mut kept_list = fs::read(sealed.join("blobs/0002.bin")).expect("reads");
    let list_at = kept_list.len() - 32;
    kept_list[..list_at].copy_from_slice(&forged[..list_at]);
    signed_splice(&tenant, &sealed, &second.sealed(), &rks[0], plain_len);
    with_blob(
        "408-chunk-forged-with-the-key",
        "Sealed anew under the right key; the leaf list is the signed one.",
        &kept_list,
    );
}

/// A blob of another artifact under the same key, and a core that names its root and is signed: what
/// remains are the associated data and the derivation of keys.
fn signed_splice(tenant: &Tenant, sealed: &Path, second: &Path, rk: &[u8; 32], plain_len: usize) {
    let name = "412-blob-of-another-artifact-signed";
    let core = page::read_core(sealed, &tenant.verifying_key());
    let other = page::read_core(second, &tenant.verifying_key());
    let (blob, root) = page::forge_blob(rk, &other, 2, &core.blobs[2].salt, &vec![0; plain_len]);
    let mut manifest = fs::read(sealed.join("manifest.cbor")).expect("reads");
    let [signed, private] = cbor::decode(&manifest).expect("CBOR").items_exactly().expect("two items");
    let private = private.bytes().expect("bytes");
    let media_type = media::SEALED_CORE;
    let mut payload = tenant.verifying_key().verify1(media_type, signed.bytes().expect("bytes")).expect("signed");
    let at = payload.windows(32).position(|window| window == core.blobs[2].root).expect("the root");
    payload[at..at + 32].copy_from_slice(&root);
    let signed = tenant.publisher.sign1(media_type, &payload);
    manifest = Value::array([Value::Bytes(&signed), Value::Bytes(private)]).encode();
    let about = "Under the same key and salt, its root signed into the core.";
    let edits = vec![replace("manifest.cbor"), replace("blobs/0002.bin")];
    write(name, about, "SEALED_TAMPERED", Step::Read, edits, None);
    fs::create_dir_all(vectors().join(name).join("blobs")).expect("creates");
    fs::write(vectors().join(name).join("blobs/0002.bin"), blob).expect("writes");
    fs::write(vectors().join(name).join("manifest.cbor"), manifest).expect("writes");
}

fn write(name: &str, about: &str, expect: &str, step: Step, edits: Vec<Edit>, wrong: Option<Wrong>) {
    write_on(None, name, about, expect, step, edits, wrong);
}

/// The same on another model than 000-sound.
pub(super) fn write_on(
    base: Option<&str>,
    name: &str,
    about: &str,
    expect: &str,
    step: Step,
    edits: Vec<Edit>,
    wrong: Option<Wrong>,
) {
    let base = base.map(str::to_owned);
    let vector = Vector { about: about.to_owned(), expect: expect.to_owned(), step, base, edits, wrong };
    let folder = vectors().join(name);
    fs::create_dir_all(&folder).expect("creates");
    let text = serde_json::to_string_pretty(&vector).expect("JSON");
    fs::write(folder.join("vector.json"), text + "\n").expect("writes");
}

fn edited(name: &str, about: &str, expect: &str, step: Step, edit: Edit) {
    write(name, about, expect, step, vec![edit], None);
}

fn manifests_and_keys() {
    let manifest = || "manifest.cbor".to_owned();
    let keys = || "keys.cbor".to_owned();
    use Step::{Keys as AtKeys, Manifest, Unlock};
    edited(
        "100-manifest-structure-flipped",
        "The head of the outer array.",
        "SEALED_FORMAT",
        Manifest,
        Edit::Flip { file: manifest(), at: 0 },
    );
    edited(
        "101-core-flipped",
        "A byte of the signed core.",
        "SEALED_SIGNATURE",
        Manifest,
        Edit::Flip { file: manifest(), at: 60 },
    );
    edited(
        "105-manifest-truncated",
        "The last byte is missing.",
        "SEALED_FORMAT",
        Manifest,
        Edit::Cut { file: manifest(), bytes: 1 },
    );
    edited(
        "106-manifest-trailing-byte",
        "A byte too many.",
        "SEALED_FORMAT",
        Manifest,
        Edit::Append { file: manifest(), hex: "00".to_owned() },
    );
    edited("107-manifest-missing", "No manifest.", "SEALED_IO", Manifest, Edit::Remove { file: manifest() });
    edited(
        "200-wrapped-key-flipped",
        "The last byte of the wrapped key.",
        "SEALED_WRONG_KEY",
        AtKeys,
        Edit::Flip { file: keys(), at: -1 },
    );
    edited(
        "201-keys-trailing-byte",
        "A byte too many.",
        "SEALED_FORMAT",
        AtKeys,
        Edit::Append { file: keys(), hex: "00".to_owned() },
    );
    edited(
        "300-private-part-flipped",
        "The last byte of its tag.",
        "SEALED_TAMPERED",
        Unlock,
        Edit::Flip { file: manifest(), at: -1 },
    );
}

fn blobs() {
    let blob = |number: u32| format!("blobs/{number:04}.bin");
    use Step::{Read, Unlock};
    let swap = |len| Edit::Swap { first: blob(0), second: blob(1), len };
    let chunk = CHUNK as usize + 16;
    edited(
        "400-blob-truncated",
        "The last byte is missing.",
        "SEALED_TRUNCATED",
        Unlock,
        Edit::Cut { file: blob(1), bytes: 1 },
    );
    edited(
        "401-blob-extra-byte",
        "A byte too many.",
        "SEALED_FORMAT",
        Unlock,
        Edit::Append { file: blob(1), hex: "00".to_owned() },
    );
    edited("402-blob-missing", "One blob is not there.", "SEALED_TRUNCATED", Unlock, Edit::Remove { file: blob(1) });
    edited("403-blobs-swapped", "Two whole blobs of one length.", "SEALED_TAMPERED", Read, swap(chunk + 32));
    edited("404-chunks-swapped", "Two chunks; the leaf lists stay.", "SEALED_TAMPERED", Read, swap(chunk));
    edited(
        "405-chunk-flipped",
        "A byte of ciphertext.",
        "SEALED_TAMPERED",
        Read,
        Edit::Flip { file: blob(1), at: 30_000 },
    );
    edited(
        "409-tag-flipped",
        "A byte of a chunk's tag.",
        "SEALED_TAMPERED",
        Read,
        Edit::Flip { file: blob(1), at: -33 },
    );
    edited("410-leaf-list-flipped", "A byte of a leaf.", "SEALED_TAMPERED", Read, Edit::Flip { file: blob(1), at: -1 });
    edited(
        "411-padding-flipped",
        "A byte behind the last file.",
        "SEALED_TAMPERED",
        Read,
        Edit::Flip { file: blob(0), at: 60_000 },
    );
}

type Fields<'a> = Vec<(Value<'a>, Value<'a>)>;

/// Manifests that only a parser and a signer can make.
fn edited_manifests(tenant: &Tenant, sealed: &Path) {
    let file = fs::read(sealed.join("manifest.cbor")).expect("reads");
    let [signed, private] = cbor::decode(&file).expect("CBOR").items_exactly().expect("two items");
    let (signed, private) = (signed.bytes().expect("bytes"), private.bytes().expect("bytes"));
    let [protected, unprotected, payload, signature] =
        cbor::decode(signed).expect("CBOR").items_exactly().expect("four");
    let payload = payload.bytes().expect("bytes");
    let join = |signed: &[u8], private: &[u8]| Value::array([Value::Bytes(signed), Value::Bytes(private)]).encode();
    let edit = |change: &dyn Fn(&mut Fields<'_>)| {
        let Value::Map(mut fields) = cbor::decode(payload).expect("CBOR") else { panic!("a map") };
        change(&mut fields);
        Value::Map(fields).encode()
    };
    let set = |key, value: Value<'static>| {
        edit(&move |fields| {
            fields.retain(|(found, _)| *found != Value::Uint(key));
            fields.push((Value::Uint(key), value.clone()));
        })
    };
    let resign = |core: &[u8]| join(&tenant.publisher.sign1(media::SEALED_CORE, core), private);
    let keep_signature = |core: &[u8], signature: Value<'_>| {
        let message = Value::array([protected.clone(), unprotected.clone(), Value::Bytes(core), signature]);
        join(&message.encode(), private)
    };
    let put = |name: &str, about: &str, expect: &str, step, manifest: Vec<u8>| {
        write(name, about, expect, step, vec![replace("manifest.cbor")], None);
        fs::write(vectors().join(name).join("manifest.cbor"), manifest).expect("writes");
    };

    let mut flipped: [u8; 64] = signature.clone().fixed().expect("64 bytes");
    flipped[63] ^= 1;
    put(
        "102-signature-flipped",
        "The last byte of the signature.",
        "SEALED_SIGNATURE",
        Step::Manifest,
        keep_signature(payload, Value::Bytes(&flipped)),
    );
    let newer = set(5, Value::Uint(8));
    put(
        "104-version-edited",
        "Version 8 instead of 7 under the old signature.",
        "SEALED_SIGNATURE",
        Step::Manifest,
        keep_signature(&newer, signature),
    );
    put(
        "108-version-edited-and-signed",
        "The publisher signs version 8 over chunks of version 7.",
        "SEALED_TAMPERED",
        Step::Unlock,
        resign(&newer),
    );
    put(
        "109-name-edited-and-signed",
        "The publisher signs another name over the same chunks.",
        "SEALED_TAMPERED",
        Step::Unlock,
        resign(&set(4, Value::Text("another"))),
    );
    put(
        "110-unknown-field",
        "Field 13, which left the core.",
        "SEALED_FORMAT",
        Step::Manifest,
        resign(&set(13, Value::Uint(1))),
    );
    put(
        "111-negative-field",
        "An extension that other messages may have.",
        "SEALED_FORMAT",
        Step::Manifest,
        resign(&edit(&|fields| fields.push((Value::Negative(0), Value::Null)))),
    );
    put(
        "112-another-format",
        "Format version 2.",
        "SEALED_UNSUPPORTED",
        Step::Manifest,
        resign(&set(1, Value::Uint(2))),
    );
    put("113-another-suite", "Suite 3.", "SEALED_UNSUPPORTED", Step::Manifest, resign(&set(2, Value::Uint(3))));
    put("114-huge-chunks", "Chunks of 16 MiB.", "SEALED_FORMAT", Step::Manifest, resign(&set(6, Value::Uint(24))));
    put("115-no-blobs", "No blobs.", "SEALED_FORMAT", Step::Manifest, resign(&set(7, Value::Array(vec![]))));
    put(
        "116-no-commitments",
        "No sealing runs.",
        "SEALED_FORMAT",
        Step::Manifest,
        resign(&set(10, Value::Array(vec![]))),
    );
    put(
        "117-signed-as-another-kind",
        "A right signature under the media type of a lease.",
        "SEALED_SIGNATURE",
        Step::Manifest,
        join(&tenant.publisher.sign1(media::LEASE, payload), private),
    );
    put(
        "301-private-part-truncated",
        "A byte is missing from it.",
        "SEALED_TAMPERED",
        Step::Unlock,
        join(signed, &private[..private.len() - 1]),
    );
    put(
        "302-private-part-extended",
        "A byte too many in it.",
        "SEALED_TAMPERED",
        Step::Unlock,
        join(signed, &[private, &[0]].concat()),
    );
}

pub(super) fn replace(file: &str) -> Edit {
    Edit::Replace { file: file.to_owned() }
}
