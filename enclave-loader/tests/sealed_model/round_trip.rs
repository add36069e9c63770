//! What was sealed comes back, whatever the sizes, and nothing of it shows outside.

use std::io::{Read, Seek, SeekFrom};
use std::thread;

use proptest::prelude::*;
use strongroom_enclave_loader::{FileKind, LoadError, SealedModel, Suite, inspect_unverified, open_manifest};

use crate::fixture::{Tenant, Workshop, any_file_holds, bytes, read_all};

#[test]
fn every_size_around_the_edges_of_chunks_and_blobs_comes_back() {
    let tenant = Tenant::new(1);
    for len in [0, 1, 4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 200_000, 262_144] {
        for chunks_a_blob in [1, 2] {
            let content = bytes(len as u64, len);
            let workshop = Workshop::new(&[("model.gguf", &content)]);
            workshop.seal(&tenant.options(chunks_a_blob));
            let model = tenant.open(&workshop.sealed()).expect("opens");
            assert!(read_all(&model, "model.gguf") == content, "{len} bytes, {chunks_a_blob} chunks a blob");
            model.verify_all(&|_| ()).expect("verifies");
            model.verify_files(&|_| ()).expect("verifies");
        }
    }
}

#[test]
fn a_single_file_is_a_model_of_one_file() {
    let tenant = Tenant::new(1);
    let workshop = Workshop::new(&[("tiny.gguf", b"GGUF and so on")]);
    let mut options = tenant.options(1);
    options.previous = Some([5; 32]);
    let source = workshop.source().join("tiny.gguf");
    let summary = strongroom_enclave_loader::seal(&source, &workshop.sealed(), &options, &|_| ()).expect("seals");
    assert_eq!((summary.bytes, summary.files, summary.runs), (4_096, 1, 1));

    let manifest = open_manifest(&workshop.sealed(), &tenant.verifying_key()).expect("opens");
    assert_eq!(manifest.model_id(), summary.model_id);
    assert_eq!((manifest.name(), manifest.version(), manifest.previous()), ("fixture", 7, Some([5; 32])));
    assert_eq!(inspect_unverified(&workshop.sealed()), Ok(manifest.description()));
    let model = manifest.unlock(&tenant.keys(&workshop.sealed()).expect("keys")).expect("unlocks");
    assert_eq!(read_all(&model, "tiny.gguf"), b"GGUF and so on");
    assert_eq!(model.reader("other").err(), Some(LoadError::NoSuchFile { path: "other".to_owned() }));
}

#[test]
fn a_directory_comes_back_file_by_file_in_both_suites() {
    let tenant = Tenant::new(1);
    let weights = bytes(1, 150_000);
    let files: [(&str, &[u8]); 5] = [
        ("chat_template.jinja", b"{{ messages }}"),
        ("config.json", b"{}"),
        ("empty.txt", b""),
        ("sub/model.safetensors", &weights),
        ("tokenizer.json", b"{\"model\": {}}"),
    ];
    for suite in [Suite::Blake3, Suite::Sha256] {
        let workshop = Workshop::new(&files);
        let mut options = tenant.options(2);
        options.suite = suite;
        workshop.seal(&options);
        let model = tenant.open(&workshop.sealed()).expect("opens");
        let found: Vec<_> = model.files().iter().map(|file| (file.path.as_str(), file.len as usize)).collect();
        assert_eq!(found, files.map(|(path, content)| (path, content.len())));
        let kinds: Vec<_> = model.files().iter().map(|file| file.kind).collect();
        let wanted =
            [FileKind::Template, FileKind::Config, FileKind::Other, FileKind::Safetensors, FileKind::Tokenizer];
        assert_eq!(kinds, wanted);
        for (path, content) in files {
            assert!(read_all(&model, path) == content, "{path}");
        }
    }
}

#[test]
fn neither_content_nor_names_nor_keys_show_in_the_sealed_model() {
    let tenant = Tenant::new(1);
    let canary = b"CANARY-5f3b1c-CANARY";
    let mut weights = bytes(1, 70_000);
    weights[66_000..66_000 + canary.len()].copy_from_slice(canary);
    let workshop = Workshop::new(&[("secret-name.safetensors", &weights), ("config.json", canary)]);
    workshop.seal(&tenant.options(1));
    let keys = tenant.keys(&workshop.sealed()).expect("keys");
    for needle in [canary.as_slice(), b"secret-name", b"safetensors", keys[0].expose_secret()] {
        assert!(!any_file_holds(&workshop.sealed(), needle));
    }
}

#[test]
fn readers_of_one_model_do_not_disturb_each_other() {
    let tenant = Tenant::new(1);
    let (a, b) = (bytes(1, 400_000), bytes(2, 300_000));
    let workshop = Workshop::new(&[("a", &a), ("b", &b)]);
    workshop.seal(&tenant.options(2));
    let model = tenant.open(&workshop.sealed()).expect("opens");
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert!(read_all(&model, "a") == a));
            scope.spawn(|| assert!(read_all(&model, "b") == b));
        }
    });
}

#[test]
fn seeking_follows_the_rules_of_a_file() {
    let (_workshop, model, content) = big_model();
    let mut reader = model.reader("model.gguf").expect("the file");
    assert_eq!(reader.seek(SeekFrom::End(-5)).expect("seeks"), content.len() as u64 - 5);
    let mut tail = Vec::new();
    reader.read_to_end(&mut tail).expect("reads");
    assert_eq!(tail, content[content.len() - 5..]);
    assert!(reader.seek(SeekFrom::Current(-(content.len() as i64) - 1)).is_err());
    assert_eq!(reader.seek(SeekFrom::Start(u64::from(u32::MAX))).expect("beyond the end is allowed"), 0xffff_ffff);
    assert_eq!(reader.read(&mut [0; 8]).expect("reads"), 0);
    reader.rewind().expect("rewinds");
    let mut head = [0; 4];
    reader.read_exact(&mut head).expect("reads");
    assert_eq!(head, content[..4]);
}

#[test]
fn any_reads_at_any_places_give_the_bytes_there() {
    let (_workshop, model, content) = big_model();
    let steps = proptest::collection::vec((0..content.len(), 0_usize..300_000), 1..12);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(40));
    runner
        .run(&steps, |steps| {
            let mut reader = model.reader("model.gguf").expect("the file");
            for (at, len) in steps {
                reader.seek(SeekFrom::Start(at as u64)).expect("seeks");
                let len = len.min(content.len() - at);
                let mut out = vec![0; len];
                reader.read_exact(&mut out).expect("reads");
                prop_assert!(out == content[at..at + len], "{} bytes at {}", len, at);
            }
            Ok(())
        })
        .expect("holds");
}

#[test]
fn many_small_reads_in_a_row_give_the_whole_file() {
    let (_workshop, model, content) = big_model();
    let mut reader = model.reader("model.gguf").expect("the file");
    let mut read = Vec::new();
    let mut piece = [0; 7_001];
    loop {
        let len = reader.read(&mut piece).expect("reads");
        if len == 0 {
            break;
        }
        read.extend_from_slice(&piece[..len]);
    }
    assert!(read == content);
}

/// 13 chunks and a bit, in blobs of 4 chunks. Blobs are opened on demand, so the directory has to
/// outlive the model.
fn big_model() -> (Workshop, SealedModel, Vec<u8>) {
    let tenant = Tenant::new(1);
    let content = bytes(9, 13 * 65_536 + 1_234);
    let workshop = Workshop::new(&[("model.gguf", &content)]);
    workshop.seal(&tenant.options(4));
    let model = tenant.open(&workshop.sealed()).expect("opens");
    (workshop, model, content)
}
