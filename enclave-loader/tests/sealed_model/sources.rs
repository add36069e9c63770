//! What is not sealed, by name, and with advice.

use std::fs;
use std::os::unix::fs::symlink;

use strongroom_enclave_loader::{SealError, seal};

use crate::fixture::{Tenant, Workshop};

fn refusal(workshop: &Workshop) -> SealError {
    let tenant = Tenant::new(1);
    let result = seal(&workshop.source(), &workshop.sealed(), &tenant.options(1), &|_| ());
    assert!(!workshop.sealed().exists());
    result.expect_err("refused")
}

#[test]
fn pickles_are_refused_by_name_and_by_content() {
    for (path, content) in [
        ("pytorch_model.bin", b"any".as_slice()),
        ("weights.txt", &[0x80, 2, b'}', b'q']),
        ("archive", b"PK\x03\x04rest"),
    ] {
        let error = refusal(&Workshop::new(&[("config.json", b"{}"), (path, content)]));
        assert_eq!(error.code(), "SEAL_PICKLE");
        assert!(error.to_string().contains(path) && error.to_string().contains("safetensors"), "{error}");
    }
}

const ONNX_INSIDE: &[u8] = include_bytes!("../../../tests/vectors/onnx/inside/model.onnx");
const ONNX_BESIDE: &[u8] = include_bytes!("../../../tests/vectors/onnx/beside/model.onnx");
const ONNX_DATA: &[u8] = include_bytes!("../../../tests/vectors/onnx/beside/model.onnx_data");

#[test]
fn onnx_is_sealed_with_the_files_that_its_tensors_are_in() {
    let workshop = Workshop::new(&[
        ("a.onnx", ONNX_INSIDE),
        ("model.onnx", ONNX_BESIDE),
        ("model.onnx_data", ONNX_DATA),
        ("sub/model.onnx", ONNX_BESIDE),
        ("sub/model.onnx_data", ONNX_DATA),
    ]);
    assert_eq!(workshop.seal(&Tenant::new(1).options(1)).files, 5);
}

#[test]
fn onnx_that_is_malformed_or_leads_outside_is_refused_by_name() {
    let cut = &ONNX_INSIDE[..ONNX_INSIDE.len() / 2];
    let short = &ONNX_DATA[..1];
    for (files, named, why) in [
        (vec![("a/cut.ONNX", cut)], "a/cut.ONNX", "longer than the message or file that holds it"),
        (vec![("empty.onnx", b"".as_slice())], "empty.onnx", "no ir_version"),
        (vec![("alone.onnx", ONNX_BESIDE)], "alone.onnx", "`model.onnx_data`, which is not among the files to seal"),
        // The data is looked for beside the file that names it, and hidden files are not sealed.
        (vec![("sub/model.onnx", ONNX_BESIDE), ("model.onnx_data", ONNX_DATA)], "sub/model.onnx", "not among"),
        (vec![("model.onnx", ONNX_BESIDE), (".data/model.onnx_data", ONNX_DATA)], "model.onnx", "not among"),
        (vec![("model.onnx", ONNX_BESIDE), ("model.onnx_data", short)], "model.onnx", "the file has 1 bytes"),
    ] {
        let error = refusal(&Workshop::new(&files));
        let text = error.to_string();
        assert_eq!((error.code(), error.exit_code()), ("SEAL_ONNX", 4), "{text}");
        assert!(text.contains(named) && text.contains(why) && text.contains("onnx.save"), "{text}");
    }
}

#[test]
fn symbolic_links_are_refused_wherever_they_lead() {
    let workshop = Workshop::new(&[("config.json", b"{}")]);
    symlink("config.json", workshop.source().join("link.json")).expect("links");
    assert_eq!(refusal(&workshop).code(), "SEAL_SYMLINK");
    let workshop = Workshop::new(&[("a/config.json", b"{}")]);
    symlink("a", workshop.source().join("b")).expect("links");
    assert_eq!(refusal(&workshop).code(), "SEAL_SYMLINK");
}

#[test]
fn nothing_to_seal_is_refused_and_hidden_files_do_not_count() {
    let workshop = Workshop::new(&[(".gitattributes", b"*")]);
    assert_eq!(refusal(&workshop).code(), "SEAL_EMPTY");
}

#[test]
fn hidden_files_are_left_out_and_listed() {
    let workshop = Workshop::new(&[(".git/config", b"x"), ("config.json", b"{}")]);
    let summary = workshop.seal(&Tenant::new(1).options(1));
    assert_eq!((summary.files, summary.skipped), (1, vec![".git".to_owned()]));
}

#[test]
fn what_is_there_already_is_not_overwritten() {
    let tenant = Tenant::new(1);
    let workshop = Workshop::new(&[("config.json", b"{}")]);
    fs::create_dir(workshop.sealed()).expect("creates");
    let result = seal(&workshop.source(), &workshop.sealed(), &tenant.options(1), &|_| ());
    assert_eq!(result.map_err(|error| error.code()), Err("SEAL_DESTINATION_EXISTS"));
}

#[test]
fn names_and_sizes_out_of_range_are_refused() {
    let tenant = Tenant::new(1);
    let workshop = Workshop::new(&[("config.json", b"{}")]);
    let with = |change: fn(&mut strongroom_enclave_loader::SealOptions<'_>)| {
        let mut options = tenant.options(1);
        change(&mut options);
        seal(&workshop.source(), &workshop.sealed(), &options, &|_| ()).map_err(|error| error.code())
    };
    assert_eq!(with(|options| options.name.clear()), Err("SEAL_OPTIONS"));
    assert_eq!(with(|options| options.name = "two words".to_owned()), Err("SEAL_OPTIONS"));
    assert_eq!(with(|options| options.chunk_log2 = 15), Err("SEAL_OPTIONS"));
    assert_eq!(with(|options| options.blob_bytes += 1), Err("SEAL_OPTIONS"));
}
