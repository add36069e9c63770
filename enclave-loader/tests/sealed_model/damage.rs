//! A damaged blob: what is named, what still comes out, and what does not.

use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use strongroom_enclave_loader::LoadError;

use crate::fixture::{CHUNK, Tenant, Workshop, bytes};

const SEALED_CHUNK: usize = CHUNK as usize + 16;

/// A model of 12 chunks in blobs of 4, of which `damage` alters the file of blob 1.
fn damaged(damage: fn(&mut Vec<u8>)) -> (Tenant, Workshop, Vec<u8>) {
    let tenant = Tenant::new(1);
    let content = bytes(2, 12 * CHUNK as usize);
    let workshop = Workshop::new(&[("model.gguf", &content)]);
    workshop.seal(&tenant.options(4));
    let path = workshop.sealed().join("blobs/0001.bin");
    let mut blob = fs::read(&path).expect("reads");
    damage(&mut blob);
    fs::write(&path, blob).expect("writes");
    (tenant, workshop, content)
}

fn swap(blob: &mut [u8], first: usize, second: usize, len: usize) {
    for at in 0..len {
        blob.swap(first + at, second + at);
    }
}

#[test]
fn the_first_bad_chunk_is_named_whatever_the_size_of_the_reads() {
    let (tenant, workshop, content) = damaged(|blob| {
        blob[2 * SEALED_CHUNK + 5] ^= 1;
        blob[3 * SEALED_CHUNK + 5] ^= 1;
    });
    let first_bad = LoadError::Tampered { blob: 1, chunk: 2 };
    for size in [1_000, CHUNK as usize, 3 * CHUNK as usize + 1, content.len()] {
        let model = tenant.open(&workshop.sealed()).expect("opens");
        let mut reader = model.reader("model.gguf").expect("the file");
        let (mut buffer, mut read) = (vec![0; size], Vec::new());
        let error = loop {
            match reader.read(&mut buffer) {
                Ok(len) => read.extend_from_slice(&buffer[..len]),
                Err(error) => break error,
            }
        };
        assert!(content.starts_with(&read) && read.len() <= 6 * CHUNK as usize, "{size}");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let cause = error.into_inner().expect("a cause").downcast::<LoadError>().expect("a LoadError");
        assert_eq!(*cause, first_bad, "{size}");
        assert_eq!(model.take_failure(), Some(first_bad.clone()));

        // The reader that failed gives nothing more, not even what is sound.
        reader.rewind().expect("seeks");
        assert!(reader.read(&mut buffer).is_err());
    }
    let model = tenant.open(&workshop.sealed()).expect("opens");
    assert_eq!(model.verify_all(&|_| ()), Err(first_bad));
}

#[test]
fn a_failed_read_leaves_no_bytes_of_the_bad_chunk_behind() {
    let (tenant, workshop, content) = damaged(|blob| blob[SEALED_CHUNK] ^= 1);
    let model = tenant.open(&workshop.sealed()).expect("opens");
    let mut reader = model.reader("model.gguf").expect("the file");
    reader.seek(SeekFrom::Start(5 * CHUNK)).expect("seeks");
    let mut buffer = vec![0xaa; CHUNK as usize];
    assert!(reader.read(&mut buffer).is_err());
    assert!(buffer.iter().all(|byte| *byte == 0));
    // What is sound can be read by another reader, for finding out how far the damage goes.
    let mut reader = model.reader("model.gguf").expect("the file");
    reader.read_exact(&mut buffer).expect("reads");
    assert!(buffer == content[..CHUNK as usize]);
}

#[test]
fn chunks_swapped_within_a_blob_are_refused_with_and_without_their_leaves() {
    let (tenant, workshop, _) = damaged(|blob| swap(blob, 0, SEALED_CHUNK, SEALED_CHUNK));
    let model = tenant.open(&workshop.sealed()).expect("opens");
    assert_eq!(model.verify_all(&|_| ()), Err(LoadError::Tampered { blob: 1, chunk: 0 }));
    let (tenant, workshop, _) = damaged(|blob| {
        swap(blob, 0, SEALED_CHUNK, SEALED_CHUNK);
        swap(blob, 4 * SEALED_CHUNK, 4 * SEALED_CHUNK + 32, 32);
    });
    let model = tenant.open(&workshop.sealed()).expect("opens");
    assert_eq!(model.verify_all(&|_| ()), Err(LoadError::TamperedLeaves { blob: 1 }));
}

#[test]
fn a_blob_that_shrinks_after_opening_is_truncated_not_a_read_error() {
    let (tenant, workshop, _) = damaged(|_| ());
    let model = tenant.open(&workshop.sealed()).expect("opens");
    let path = workshop.sealed().join("blobs/0001.bin");
    let blob = fs::read(&path).expect("reads");
    fs::write(&path, &blob[..SEALED_CHUNK]).expect("writes");
    let found = SEALED_CHUNK as u64;
    let wanted = blob.len() as u64;
    assert_eq!(model.verify_all(&|_| ()), Err(LoadError::Truncated { blob: 1, wanted, found }));
}
