//! A publisher, and the sealing of any private part: what the crate's own sealer would never write.
//! From docs/specs/sealed-model.md, suite 2.

use std::fs::{self, File};
use std::path::Path;
use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf, hmac};
use strongroom_channel::cbor::Value;
use strongroom_channel::cose::{SigningKey, media};
use strongroom_enclave_loader::ArtifactKey;
use zeroize::Zeroizing;

pub(super) static PUBLISHER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed([1; 32]));

const ARTIFACT_ID: [u8; 16] = [2; 16];
const ROOT_KEY: [u8; 32] = [3; 32];
const VERSION: u64 = 1;
const CHUNK: usize = 1 << 16;
/// One blob of so many chunks; nobody reads it.
const CHUNKS: u64 = 4;
const PRIVATE_BLOB: u32 = u32::MAX;
const LEAST_PRIVATE: usize = 4_096;

/// The key of what [`seal_private`] seals.
pub(super) fn artifact_key() -> ArtifactKey {
    ArtifactKey::from_bytes(Zeroizing::new(ROOT_KEY))
}

/// Writes a sealed model into `directory` whose private part has this plaintext, zeros behind it
/// where it is shorter than any may be.
pub(super) fn seal_private(plain: &[u8], directory: &Path) {
    let mut plain = plain.to_vec();
    plain.resize(plain.len().max(LEAST_PRIVATE), 0);
    let header = vec![
        (1, Value::Uint(1)),
        (2, Value::Uint(2)),
        (3, Value::Bytes(&ARTIFACT_ID)),
        (4, Value::Text("fuzz")),
        (5, Value::Uint(VERSION)),
        (6, Value::Uint(16)),
        (12, Value::Text("dev")),
        (14, Value::Uint(0)),
    ];
    let (sealed, root) = encrypt(&plain, &sha256(&Value::map(header.clone()).encode()));
    let blob = Value::array([
        Value::Uint(CHUNKS),
        Value::Uint(CHUNK as u64),
        Value::Uint(0),
        Value::Bytes(&[0; 32]),
        Value::Bytes(&[0; 32]),
    ]);
    let message = [b"strongroom-sealed/v1/commit", ARTIFACT_ID.as_slice(), &[0; 4]].concat();
    let commitment = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &ROOT_KEY), &message);
    let private = Value::array([Value::Uint(plain.len() as u64), Value::Bytes(&root)]);
    let fields = header.into_iter().chain([
        (7, Value::array([blob])),
        (10, Value::array([Value::Bytes(commitment.as_ref())])),
        (11, private),
    ]);
    let signed = PUBLISHER.sign1(media::SEALED_CORE, &Value::map(fields).encode());
    let manifest = Value::byte_strings([signed.as_slice(), &sealed]).encode();
    fs::write(directory.join("manifest.cbor"), manifest).expect("writes");
    fs::create_dir(directory.join("blobs")).expect("creates");
    let blob = File::create(directory.join("blobs/0000.bin")).expect("creates");
    blob.set_len(CHUNKS * (CHUNK as u64 + 16 + 32)).expect("grows");
}

/// A plaintext as a sealer writes it, for the corpus: (path, kind, offset, length) each.
pub fn private_plaintext(files: &[(&str, &str, u64, u64)]) -> Vec<u8> {
    let files = files.iter().map(|&(path, kind, offset, len)| {
        Value::array([
            Value::Text(path),
            Value::Text(kind),
            Value::Uint(offset),
            Value::Uint(len),
            Value::Bytes(&[7; 32]),
        ])
    });
    let body = Value::map([(1, Value::Uint(1)), (2, Value::array(files))]).encode();
    [&(body.len() as u32).to_be_bytes(), body.as_slice()].concat()
}

fn encrypt(plain: &[u8], header_digest: &[u8; 32]) -> (Vec<u8>, [u8; 32]) {
    let mut info = b"strongroom-sealed/v1/blob".to_vec();
    info.push(2);
    info.extend_from_slice(&VERSION.to_be_bytes());
    info.extend_from_slice(&PRIVATE_BLOB.to_be_bytes());
    info.extend_from_slice(&[0; 32]);
    let mut dek = [0; 32];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &ARTIFACT_ID).extract(&ROOT_KEY);
    extracted.expand(&[&info], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut dek)).expect("derives");
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &dek).expect("a key"));

    let (mut sealed, mut leaves) = (Vec::new(), Vec::new());
    let chunks = plain.chunks(CHUNK).count() as u64;
    for (chunk, index) in plain.chunks(CHUNK).zip(0_u64..) {
        let is_final = u8::from(index + 1 == chunks);
        let mut nonce = [0; 12];
        nonce[4..11].copy_from_slice(&index.to_be_bytes()[1..]);
        nonce[11] = is_final;
        let mut aad = b"strongroom-sealed/v1/chunk".to_vec();
        aad.extend_from_slice(header_digest);
        aad.extend_from_slice(&PRIVATE_BLOB.to_be_bytes());
        aad.extend_from_slice(&index.to_be_bytes());
        aad.extend_from_slice(&(chunk.len() as u32).to_be_bytes());
        aad.push(is_final);
        let mut chunk = chunk.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        cipher.seal_in_place_append_tag(nonce, Aad::from(aad), &mut chunk).expect("seals");
        leaves.push(sha256(&[&[0], PRIVATE_BLOB.to_be_bytes().as_slice(), &index.to_be_bytes(), &chunk].concat()));
        sealed.extend_from_slice(&chunk);
    }
    (sealed, root(&leaves))
}

fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    sha256(&[&[1], root(left).as_slice(), &root(right)].concat())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("32 bytes")
}
