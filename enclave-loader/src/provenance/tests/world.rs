//! What the tests have in common: the vectors, and bundles with a statement of our choice.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom_attestation::{HexBytes, crypto};

use crate::provenance::dsse::pre_authentication_encoding;
use crate::provenance::*;

pub(super) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/model-signing")
}

pub(super) fn vector(path: &str) -> Vec<u8> {
    std::fs::read(vectors().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(super) fn text(path: &str) -> String {
    String::from_utf8(vector(path)).expect("UTF-8")
}

/// The files that the vectors under `key` and `certificate` are of, the ignored ones too.
pub(super) fn vector_files() -> Vec<FileDigest> {
    hash_directory(&vectors().join("model"), &[]).expect("hashed")
}

pub(super) fn file(path: &str, content: &[u8]) -> FileDigest {
    FileDigest { path: path.to_owned(), sha256: HexBytes(crypto::sha256(content)) }
}

/// The files of the models that are made here.
pub(super) fn files() -> Vec<FileDigest> {
    vec![file("config.json", b"{}"), file("sub/b", b"b"), file("sub-x", b"x")]
}

/// A sound statement over [`files`].
pub(super) fn statement() -> Value {
    let mut root = Vec::new();
    let resources: Vec<Value> = files()
        .iter()
        .map(|file| {
            root.extend(file.sha256.0);
            json!({"name": file.path, "algorithm": "sha256", "digest": file.sha256.to_string()})
        })
        .collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "tiny", "digest": {"sha256": hex::encode(crypto::sha256(&root))}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {
                "method": "files", "hash_type": "sha256", "allow_symlinks": false, "ignore_paths": [".git", "model.sig"],
            },
            "resources": resources,
        },
    })
}

/// The subject's digest is made to fit the resources again.
pub(super) fn with_root(statement: &mut Value) {
    let mut root = Vec::new();
    for resource in statement["predicate"]["resources"].as_array().expect("resources") {
        root.extend(hex::decode(resource["digest"].as_str().expect("text")).unwrap_or_default());
    }
    statement["subject"][0]["digest"]["sha256"] = json!(hex::encode(crypto::sha256(&root)));
}

/// A bundle around a payload that `key` signs as DSSE asks.
pub(super) fn bundle(payload: &[u8], key: &EcSigningKey) -> Value {
    bundle_signed(payload, &key.sign(&pre_authentication_encoding(payload)).expect("signs"), key)
}

pub(super) fn bundle_signed(payload: &[u8], signature: &[u8], key: &EcSigningKey) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": key.public().hint()}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": STANDARD.encode(payload),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": STANDARD.encode(signature), "keyid": ""}],
        },
    })
}

pub(super) fn verify(bundle: &[u8], trust: &Trust<'_>) -> Result<SignedModel, ProvenanceError> {
    ModelSignature::read(bundle)?.verify(trust)
}

/// The code of a refusal, or "accepted".
pub(super) fn code<T>(result: &Result<T, ProvenanceError>) -> &'static str {
    result.as_ref().err().map_or("accepted", ProvenanceError::code)
}

/// Flips one bit of each byte in turn: what is still accepted says the very same.
pub(super) fn every_flip_refuses_or_says_the_same(bundle: &[u8], trust: &Trust<'_>) {
    let sound = verify(bundle, trust).expect("sound");
    let mut refused = 0;
    for place in 0..bundle.len() {
        let mut flipped = bundle.to_vec();
        flipped[place] ^= 1 << (place % 8);
        match verify(&flipped, trust) {
            Ok(model) => assert_eq!(model, sound, "byte {place}"),
            Err(error) => refused += usize::from(matches!(error.exit_code(), 3 | 4)),
        }
    }
    assert!(refused * 2 > bundle.len(), "only {refused} of {} flips were refused", bundle.len());
}
