//! Hostile headers.

use std::io::Cursor;

use candle_core::quantized::GgmlDType;
use proptest::prelude::*;

use super::{Header, Value, Writer};
use crate::error::EngineError;
use crate::files::MemoryFiles;
use crate::load::{LoadOptions, load};
use crate::tiny::tiny_model;

fn read(bytes: &[u8]) -> Result<Header, EngineError> {
    Header::read(&mut Cursor::new(bytes), bytes.len() as u64)
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

/// A file with one tensor of 8 numbers.
fn small() -> Vec<u8> {
    let mut file = Writer::default();
    file.value("general.alignment", &Value::Integer(32));
    file.tensor("t", GgmlDType::F32, &[2, 4], &[0; 32]);
    file.finish()
}

/// The same with some bytes replaced, found by what they follow.
fn edited(after: &[u8], skip: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = small();
    let at = bytes.windows(after.len()).position(|window| window == after).unwrap() + after.len() + skip;
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

#[test]
fn what_the_writer_writes_is_read() {
    let header = read(&small()).unwrap();
    assert_eq!(header.metadata.integer("general.alignment").unwrap(), Some(32));
    assert_eq!((header.tensors["t"].shape.as_slice(), header.tensors["t"].bytes), ([2, 4].as_slice(), 32));
}

#[test]
fn another_format_or_version_is_refused() {
    assert!(refusal(b"ggml and more").contains("GGUF"));
    assert!(refusal(&edited(b"GGUF", 0, &[1])).contains("version 1"));
    assert!(refusal(&edited(b"GGUF", 0, &[0, 0, 0, 3])).contains("version"));
}

#[test]
fn counts_that_the_file_cannot_hold_are_refused_before_they_cost() {
    assert!(refusal(&edited(b"GGUF", 4, &[0xFF; 8])).contains("tensors"));
    assert!(refusal(&edited(b"GGUF", 12, &[0xFF; 8])).contains("metadata entries"));
    // 60,000 tensors are within the limit: the bytes run out instead.
    assert!(read(&edited(b"GGUF", 4, &60_000u64.to_le_bytes())).is_err());
    // The key's length is before the key.
    let mut bytes = small();
    bytes[24..32].copy_from_slice(&(1u64 << 60).to_le_bytes());
    assert!(refusal(&bytes).contains("the limit is"));
}

#[test]
fn an_array_longer_than_the_file_is_refused() {
    let mut file = Writer::default();
    file.value("tokenizer.ggml.tokens", &Value::Texts(vec!["a".into()]));
    let mut bytes = file.finish();
    let at = bytes.windows(6).position(|window| window == b"tokens").unwrap() + 6 + 8;
    bytes[at..at + 8].copy_from_slice(&4_000_000u64.to_le_bytes());
    assert!(refusal(&bytes).contains("too early"));
    bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&bytes).contains("elements of an array"));
}

#[test]
fn tensors_outside_the_file_or_on_each_other_are_refused() {
    // Behind the name: dimensions (4), two lengths (16), kind (4), offset (8).
    let name = [1, 0, 0, 0, 0, 0, 0, 0, b't'];
    assert!(refusal(&edited(&name, 4, &(1u64 << 40).to_le_bytes())).contains("shape"));
    assert!(refusal(&edited(&name, 4, &0u64.to_le_bytes())).contains("shape"));
    assert!(refusal(&edited(&name, 4, &800u64.to_le_bytes())).contains("passes the file's end"));
    assert!(refusal(&edited(&name, 24, &32u64.to_le_bytes())).contains("passes the file's end"));
    assert!(refusal(&edited(&name, 24, &u64::MAX.to_le_bytes())).contains("not aligned"));
    assert!(refusal(&edited(&name, 24, &1u64.to_le_bytes())).contains("not aligned"));
    assert!(refusal(&edited(&name, 0, &9u32.to_le_bytes())).contains("dimensions"));
    assert!(refusal(&edited(&name, 20, &77u32.to_le_bytes())).contains("ggml type 77"));
    let mut file = Writer::default();
    file.tensor("a", GgmlDType::F32, &[8], &[0; 32]);
    file.tensor("b", GgmlDType::F32, &[8], &[0; 32]);
    let mut bytes = file.finish();
    let at = bytes.windows(9).position(|window| window == [1, 0, 0, 0, 0, 0, 0, 0, b'b']).unwrap() + 9 + 16;
    bytes[at..at + 8].copy_from_slice(&0u64.to_le_bytes());
    assert!(refusal(&bytes).contains("overlaps"));
}

#[test]
fn names_and_keys_appear_once() {
    let mut file = Writer::default();
    file.value("k", &Value::Bool(true));
    file.value("k", &Value::Bool(false));
    assert!(refusal(&file.finish()).contains("twice"));
    let mut file = Writer::default();
    file.tensor("a", GgmlDType::F32, &[8], &[0; 32]);
    file.tensor("a", GgmlDType::F32, &[8], &[0; 32]);
    assert!(refusal(&file.finish()).contains("twice"));
}

#[test]
fn an_unknown_architecture_is_refused_with_the_known_ones() {
    let mut file = Writer::default();
    file.value("general.architecture", &Value::Text("mamba".into()));
    let files = MemoryFiles::new().with("m.gguf", file.finish());
    let message = load(&files, &LoadOptions::default(), &|_, _| ()).err().unwrap().to_string();
    assert!(message.contains("mamba") && message.contains("llama, mistral, qwen2"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), is_gguf in any::<bool>()) {
        if is_gguf && bytes.len() >= 8 {
            bytes[..8].copy_from_slice(b"GGUF\x03\0\0\0");
        }
        let _ = read(&bytes);
    }

    #[test]
    fn a_truncated_header_is_refused(cut in 0usize..1000) {
        let bytes = small();
        let cut = cut % bytes.len();
        prop_assert!(read(&bytes[..cut]).is_err());
    }
}

#[test]
fn flipped_bits_and_cut_files_never_panic() {
    let bytes = tiny_model(3);
    let mut random = crate::engine::SplitMix64(11);
    // Most of the header is vocabulary: flip there, among the numbers before, and in the table.
    for round in 0..150 {
        let mut hostile = bytes.clone();
        for _ in 0..=(round % 3) {
            let range = if round % 2 == 0 { 1200 } else { 12_000 };
            let at = (random.next() % range) as usize;
            hostile[at] ^= 1 << (random.next() % 8);
        }
        if round % 5 == 0 {
            hostile.truncate((random.next() % bytes.len() as u64) as usize);
        }
        let files = MemoryFiles::new().with("m.gguf", hostile);
        let _ = load(&files, &LoadOptions { max_context: 64, threads: 1, ..LoadOptions::default() }, &|_, _| ());
    }
}
