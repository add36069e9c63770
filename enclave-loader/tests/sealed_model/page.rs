//! Another implementation of the sealed model, written from docs/specs/sealed-model.md
//! alone: to show that the page suffices, and to forge what only a key holder could.
//!
//! It shares with the crate the CBOR and COSE of the channel, and nothing else.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf, hmac};
use strongroom_channel::cbor::{self, Value};
use strongroom_channel::cose::VerifyingKey;

use crate::fixture::{Tenant, Workshop, bytes};

type Hash = [u8; 32];

pub(crate) struct Core {
    suite: u8,
    artifact_id: [u8; 16],
    version: u64,
    chunk_bytes: usize,
    pub(crate) blobs: Vec<Blob>,
    commitments: Vec<Hash>,
    private_len: usize,
    private_root: Hash,
    digest: Hash,
    private: Vec<u8>,
}

pub(crate) struct Blob {
    pub(crate) chunks: u64,
    last_len: usize,
    pub(crate) run: usize,
    pub(crate) salt: Hash,
    pub(crate) root: Hash,
}

/// Section "Manifest" and "Core".
pub(crate) fn read_core(directory: &Path, publisher: &VerifyingKey) -> Core {
    let file = fs::read(directory.join("manifest.cbor")).expect("reads");
    let [signed, private] = cbor::decode(&file).expect("CBOR").items_exactly().expect("two items");
    let media_type = "application/strongroom-sealed-core+cose";
    let core = publisher.verify1(media_type, signed.bytes().expect("bytes")).expect("signed");
    let Value::Map(entries) = cbor::decode(&core).expect("CBOR") else { panic!("a map") };
    let header = [1, 2, 3, 4, 5, 6, 12, 14, 15].map(Value::Uint);
    let header = entries.iter().filter(|(key, _)| header.contains(key)).cloned().collect();
    let digest = sha256(&Value::Map(header).encode());

    let mut fields = Value::Map(entries).fields().expect("integer keys");
    let mut field = |key| fields.require(key).expect("the field");
    let uint = |value: Value<'_>| usize::try_from(value.uint().expect("a number")).expect("small");
    let blobs = field(7).items().expect("blobs");
    let blobs = blobs.into_iter().map(|blob| {
        let [chunks, last_len, run, salt, root] = blob.items_exactly().expect("five items");
        Blob {
            chunks: chunks.uint().expect("a number"),
            last_len: uint(last_len),
            run: uint(run),
            salt: salt.fixed().expect("32 bytes"),
            root: root.fixed().expect("32 bytes"),
        }
    });
    let [private_len, private_root] = field(11).items_exactly().expect("two items");
    Core {
        suite: u8::try_from(uint(field(2))).expect("small"),
        artifact_id: field(3).fixed().expect("16 bytes"),
        version: field(5).uint().expect("a number"),
        chunk_bytes: 1 << uint(field(6)),
        blobs: blobs.collect(),
        commitments: field(10).items().expect("items").into_iter().map(|c| c.fixed().expect("32 bytes")).collect(),
        private_len: uint(private_len),
        private_root: private_root.fixed().expect("32 bytes"),
        digest,
        private: private.bytes().expect("bytes").to_vec(),
    }
}

/// Section "Keys".
pub(crate) fn blob_key(rk: &Hash, core: &Core, blob: u32, salt: &Hash) -> Hash {
    let mut info = b"strongroom-sealed/v1/blob".to_vec();
    info.push(core.suite);
    info.extend_from_slice(&core.version.to_be_bytes());
    info.extend_from_slice(&blob.to_be_bytes());
    info.extend_from_slice(salt);
    let mut key = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &core.artifact_id)
        .extract(rk)
        .expand(&[&info], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .expect("derives");
    key
}

/// Section "Chunks".
pub(crate) fn nonce(index: u64, is_final: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..11].copy_from_slice(&index.to_be_bytes()[1..]);
    nonce[11] = u8::from(is_final);
    nonce
}

/// Derives the key of every blob of a finished model and checks that none meets a nonce twice.
pub(crate) fn each_key_meets_a_nonce_once(directory: &Path, tenant: &Tenant) -> Core {
    let core = read_core(directory, &tenant.verifying_key());
    let salts: HashSet<_> = core.blobs.iter().map(|blob| blob.salt).collect();
    assert_eq!(salts.len(), core.blobs.len());
    let keys = tenant.keys(directory).expect("keys");
    let mut seen = HashSet::new();
    for (blob, number) in core.blobs.iter().zip(0..) {
        let dek = blob_key(keys[blob.run].expose_secret(), &core, number, &blob.salt);
        for index in 0..blob.chunks {
            assert!(seen.insert((dek, nonce(index, index + 1 == blob.chunks))));
        }
    }
    core
}

fn associated_data(core: &Core, blob: u32, index: u64, len: usize, is_final: bool) -> Vec<u8> {
    let mut aad = b"strongroom-sealed/v1/chunk".to_vec();
    aad.extend_from_slice(&core.digest);
    aad.extend_from_slice(&blob.to_be_bytes());
    aad.extend_from_slice(&index.to_be_bytes());
    aad.extend_from_slice(&u32::try_from(len).expect("small").to_be_bytes());
    aad.push(u8::from(is_final));
    aad
}

fn cipher(dek: &Hash) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, dek).expect("a key"))
}

/// Section "Trees".
pub(crate) fn leaf(core: &Core, blob: u32, index: u64, ciphertext_and_tag: &[u8]) -> Hash {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&blob.to_be_bytes());
    bytes.extend_from_slice(&index.to_be_bytes());
    bytes.extend_from_slice(ciphertext_and_tag);
    tree_hash(core.suite, &bytes)
}

pub(crate) fn root(core: &Core, leaves: &[Hash]) -> Hash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let mut half = 1;
    while half * 2 < leaves.len() {
        half *= 2;
    }
    let (left, right) = leaves.split_at(half);
    tree_hash(core.suite, &[&[1][..], &root(core, left), &root(core, right)].concat())
}

fn tree_hash(suite: u8, bytes: &[u8]) -> Hash {
    match suite {
        1 => *blake3::hash(bytes).as_bytes(),
        2 => sha256(bytes),
        _ => panic!("a suite of the page"),
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("32 bytes")
}

/// Seals the one chunk `plain` of blob `blob` as a holder of `rk` can; gives the blob's file and root.
pub(crate) fn forge_blob(rk: &Hash, core: &Core, blob: u32, salt: &Hash, plain: &[u8]) -> (Vec<u8>, Hash) {
    let mut sealed = plain.to_vec();
    let aad = Aad::from(associated_data(core, blob, 0, plain.len(), true));
    cipher(&blob_key(rk, core, blob, salt))
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce(0, true)), aad, &mut sealed)
        .expect("seals");
    let leaf = leaf(core, blob, 0, &sealed);
    sealed.extend_from_slice(&leaf);
    (sealed, root(core, &[leaf]))
}

/// Opens chunks laid one after another; checks the root over them.
fn open_chunks(dek: &Hash, core: &Core, blob: u32, lengths: &[usize], sealed: &[u8], wanted_root: &Hash) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut leaves = Vec::new();
    let mut rest = sealed;
    for (len, index) in lengths.iter().zip(0_u64..) {
        let is_final = index + 1 == lengths.len() as u64;
        let (chunk, after) = rest.split_at(len + 16);
        rest = after;
        leaves.push(leaf(core, blob, index, chunk));
        let mut chunk = chunk.to_vec();
        let aad = Aad::from(associated_data(core, blob, index, *len, is_final));
        let nonce = Nonce::assume_unique_for_key(nonce(index, is_final));
        plain.extend_from_slice(cipher(dek).open_in_place(nonce, aad, &mut chunk).expect("authentic"));
    }
    assert_eq!(rest, leaves.concat(), "what follows the chunks is the leaf list");
    assert_eq!(root(core, &leaves), *wanted_root);
    plain
}

fn lengths(chunks: u64, last_len: usize, chunk_bytes: usize) -> Vec<usize> {
    let mut lengths = vec![chunk_bytes; usize::try_from(chunks).expect("small")];
    *lengths.last_mut().expect("a chunk") = last_len;
    lengths
}

#[test]
fn a_reader_written_from_the_page_reads_what_the_crate_sealed() {
    let tenant = Tenant::new(1);
    let content = bytes(6, 150_000);
    for suite in [strongroom_enclave_loader::Suite::Blake3, strongroom_enclave_loader::Suite::Sha256] {
        let workshop = Workshop::new(&[("a.json", b"{}"), ("b.gguf", &content)]);
        let mut options = tenant.options(2);
        options.suite = suite;
        workshop.seal(&options);
        let core = read_core(&workshop.sealed(), &tenant.verifying_key());
        let keys = tenant.keys(&workshop.sealed()).expect("keys");
        let rks: Vec<&Hash> = keys.iter().map(strongroom_enclave_loader::ArtifactKey::expose_secret).collect();

        for ((rk, commitment), run) in rks.iter().zip(&core.commitments).zip(0_u32..) {
            let message = [b"strongroom-sealed/v1/commit", &core.artifact_id[..], &run.to_be_bytes()].concat();
            let key = hmac::Key::new(hmac::HMAC_SHA256, rk.as_slice());
            assert_eq!(hmac::sign(&key, &message).as_ref(), commitment);
        }

        let mut space = Vec::new();
        for (blob, number) in core.blobs.iter().zip(0_u32..) {
            let file = fs::read(workshop.sealed().join(format!("blobs/{number:04}.bin"))).expect("reads");
            let dek = blob_key(rks[blob.run], &core, number, &blob.salt);
            let lengths = lengths(blob.chunks, blob.last_len, core.chunk_bytes);
            space.extend(open_chunks(&dek, &core, number, &lengths, &file, &blob.root));
        }

        let dek = blob_key(rks.last().expect("a run"), &core, u32::MAX, &[0; 32]);
        let chunks = core.private_len.div_ceil(core.chunk_bytes);
        let last_len = core.private_len - (chunks - 1) * core.chunk_bytes;
        let lengths = lengths(chunks as u64, last_len, core.chunk_bytes);
        // The private part carries no leaf list: it is read whole.
        let mut sealed = core.private.clone();
        let mut at = 0;
        for (len, index) in lengths.iter().zip(0_u64..) {
            sealed.extend_from_slice(&leaf(&core, u32::MAX, index, &core.private[at..at + len + 16]));
            at += len + 16;
        }
        let private = open_chunks(&dek, &core, u32::MAX, &lengths, &sealed, &core.private_root);
        let (len, rest) = private.split_at(4);
        let len = u32::from_be_bytes(len.try_into().expect("four bytes")) as usize;
        let mut fields = cbor::decode(&rest[..len]).expect("CBOR").fields().expect("a map");
        assert_eq!(fields.require(1), Ok(Value::Uint(1)));
        let files = fields.require(2).expect("files").items().expect("files");
        let wanted: [(&str, &str, &[u8]); 2] = [("a.json", "config", b"{}"), ("b.gguf", "gguf", &content)];
        assert_eq!(files.len(), wanted.len());
        for (file, (path, kind, content)) in files.into_iter().zip(wanted) {
            let [found_path, found_kind, offset, len, hash] = file.items_exactly().expect("five items");
            assert_eq!((found_path, found_kind), (Value::Text(path), Value::Text(kind)));
            let (offset, len) = (offset.uint().expect("a number") as usize, len.uint().expect("a number") as usize);
            assert!(space[offset..offset + len] == *content);
            assert_eq!(hash.fixed(), Ok(sha256(content)));
        }
    }
}
