//! Seeds of the targets of sealed models.

use std::error::Error;
use std::fs;
use std::path::Path;

use strongroom_channel::cbor::{self, Value};
use strongroom_fuzz::sealed::private_plaintext;

/// Edits of the sound model that stand for what the targets try: a flip in each file, a cut, more bytes,
/// two blobs that change places, a chunk over another, a piece less.
const EDITS: [[u8; 8]; 9] = [
    [0, 0, 0, 0, 90, 0, 0, 1],
    [0, 1, 0, 0, 0, 0, 0, 1],
    [0, 2, 0, 255, 255, 0, 0, 33],
    [0, 3, 0, 16, 10, 0, 0, 1],
    [1, 3, 0, 16, 0, 0, 0, 0],
    [2, 1, 0, 0, 7, 0, 0, 0],
    [3, 1, 2, 0, 0, 0, 0, 0],
    [4, 1, 2, 0, 0, 0, 0, 255],
    [5, 2, 0, 1, 0, 0, 0, 16],
];

pub(super) fn write(
    vectors: &Path,
    mut write: impl FnMut(&str, &str, &[u8]) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(vectors.join("sealed-model"))? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for file in ["manifest.cbor", "keys.cbor"] {
            let Ok(bytes) = fs::read(folder.join(file)) else { continue };
            write("sealed_manifest", &format!("{name}-{file}"), &bytes)?;
            if let Some(core) = core(&bytes) {
                write("sealed_manifest", &format!("{name}-core"), core)?;
            }
        }
    }
    for (name, files) in [
        ("one", &[("model.gguf", "gguf", 0, 200_000)][..]),
        ("two", &[("config.json", "config", 0, 2), ("model.safetensors", "safetensors", 65_536, 100_000)]),
        ("empty", &[("a", "other", 0, 0), ("b/c", "template", 0, 0), ("b/d", "adapter", 0, 1)]),
        ("overlap", &[("a", "other", 0, 70_000), ("b", "tokenizer", 65_536, 1)]),
        ("outside", &[("../a", "other", 0, 1)]),
    ] {
        write("sealed_private", name, &private_plaintext(files))?;
    }
    write("sealed_chunks", "none", &[])?;
    for (edit, number) in EDITS.iter().zip(0..) {
        write("sealed_chunks", &number.to_string(), edit)?;
    }
    write("sealed_chunks", "all", EDITS.as_flattened())
}

/// What a manifest's publisher signed.
fn core(manifest: &[u8]) -> Option<&[u8]> {
    let [signed, _private] = cbor::byte_strings::<2>(manifest).ok()?;
    let [_protected, _unprotected, core, _signature] = cbor::decode(signed).ok()?.items_exactly().ok()?;
    match core {
        Value::Bytes(core) => Some(core),
        _ => None,
    }
}
