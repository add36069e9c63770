//! Files of weights, with the tokenizer and the template in or beside them, as an engine loads them
//! from a publisher whom it does not trust; and ONNX, as the sealer reads it.

use std::hint::black_box;
use std::io::{self, Cursor};

use strongroom_enclave_loader::check_onnx;
use strongroom_engine::{LoadOptions, ModelFile, ModelFiles, ReadSeek, load};

use crate::Target;
use crate::targets::{check_error, parts};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// What a file of weights is longer, as it says, than its header: so that tables of tensors have a
/// place to point to. Reading there fails, so that no time goes into weights.
const CLAIMED: u64 = MIB as u64;

/// A GGUF file's header.
pub const GGUF_HEADER: Target = Target {
    name: "gguf_header",
    body: |input| try_to_load(&[("model.gguf", input)]),
    // A tokenizer with its splitting rule, and the weights' first tensor, which is within what is claimed.
    constant: 4 * MIB,
    factor: 64,
};

/// A safetensors header, then the index, `config.json`, `tokenizer.json` and `tokenizer_config.json`,
/// between separators.
pub const SAFETENSORS_HEADER: Target = Target {
    name: "safetensors_header",
    body: |input| {
        let names = [
            "model.safetensors",
            "model.safetensors.index.json",
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
        ];
        let files: Vec<_> = names.into_iter().zip(parts(input)).filter(|(_, part)| !part.is_empty()).collect();
        try_to_load(&files);
    },
    constant: 4 * MIB,
    // JSON in memory: an element of two bytes has dozens.
    factor: 128,
};

/// An ONNX file, with a file beside it for tensors to lie in.
pub const ONNX: Target = Target {
    name: "onnx",
    body: |input| {
        let length_of = |path: &str| (path == "model.onnx_data").then_some(48);
        if let Err(error) = check_onnx(Cursor::new(input), input.len() as u64, &length_of) {
            let said = error.to_string();
            assert!(said.len() < 2 * KIB, "an error of {} bytes", said.len());
            assert!(error.at <= input.len() as u64, "{} of {} bytes", error.at, input.len());
            black_box(said);
        }
    },
    // The buffer; a name, a key and a value.
    constant: 128 * KIB,
    factor: 0,
};

fn try_to_load(files: &[(&'static str, &[u8])]) {
    let files = Claimed(files.iter().map(|(name, bytes)| (*name, bytes.to_vec())).collect());
    let options = LoadOptions { threads: 1, max_context: 16, cache_bytes: 0, ..LoadOptions::default() };
    let loaded = load(&files, &options, &|_, _| ());
    check_error(&loaded.err().expect("there are no weights"));
}

/// Files in memory; those of weights say that they are longer.
struct Claimed(Vec<(&'static str, Vec<u8>)>);

impl ModelFiles for Claimed {
    fn files(&self) -> Vec<ModelFile> {
        let len = |name: &str, bytes: &[u8]| {
            let claimed = if name.ends_with(".json") { 0 } else { CLAIMED };
            bytes.len() as u64 + claimed
        };
        self.0.iter().map(|(name, bytes)| ModelFile { path: (*name).to_owned(), len: len(name, bytes) }).collect()
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn ReadSeek>> {
        let found = self.0.iter().find(|(name, _)| *name == path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(found.1.clone())))
    }
}
