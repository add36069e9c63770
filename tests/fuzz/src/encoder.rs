//! An encoder of a publisher whom the engine does not trust: its settings, its tokenizer and its table of
//! tensors, and then a client's text through what was loaded.

use std::hint::black_box;
use std::sync::LazyLock;

use strongroom_engine::{LoadOptions, MemoryFiles, is_encoder, load_encoder, tiny_encoder, tiny_encoder_gguf};

use crate::Target;
use crate::targets::{check_error, parts};

const MIB: usize = 1 << 20;

/// The files of an input, in their order; a text follows them.
const NAMES: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "sentence_bert_config.json",
    "modules.json",
    "1_Pooling/config.json",
    "model.safetensors",
];

/// The generated encoder's: with them an input whose settings fit goes on to be loaded.
static WEIGHTS: LazyLock<Vec<u8>> = LazyLock::new(|| file("model.safetensors"));

/// The numbers of the generated encoder's GGUF file, which follow its header.
static NUMBERS: LazyLock<Vec<u8>> = LazyLock::new(|| gguf().1);

/// Files between separators, of which an empty one is left out, and then a text. Without a table of tensors
/// the generated encoder's weights are there. Or the header of a GGUF file, and then a text: the generated
/// encoder's numbers follow the header.
pub const ENCODER: Target = Target {
    name: "encoder",
    body: |input| {
        let mut parts = parts(input);
        let mut files = MemoryFiles::new();
        if input.starts_with(b"GGUF") {
            files = files.with("model.gguf", [parts.next().unwrap_or_default(), &NUMBERS].concat());
        } else {
            for name in NAMES {
                match parts.next().unwrap_or_default() {
                    b"" if name == "model.safetensors" => files = files.with(name, WEIGHTS.as_slice()),
                    b"" => {}
                    part => files = files.with(name, part),
                }
            }
        }
        let _ = black_box(is_encoder(&files));
        let options = LoadOptions { threads: 1, ..LoadOptions::default() };
        match load_encoder(&files, &options, &|_, _| ()) {
            Err(error) => check_error(&error),
            Ok(loaded) => {
                let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
                if let Ok(tokens) = loaded.text().encode(&text) {
                    assert!(tokens.len() <= loaded.text().context_length(), "{} tokens", tokens.len());
                    let vocabulary = loaded.text().vocabulary();
                    assert!(tokens.iter().all(|&token| (token as usize) < vocabulary), "a token beyond the vocabulary");
                    black_box(tokens);
                }
            }
        }
    },
    // The weights three times (a copy in memory, the buffer of a tensor, the arena), the tokenizer.
    constant: 4 * MIB,
    // JSON in memory: an element of two bytes has dozens.
    factor: 128,
};

/// A file of the generated encoder.
pub fn file(name: &str) -> Vec<u8> {
    tiny_encoder(1).into_iter().find(|(path, _)| *path == name).map(|(_, bytes)| bytes).unwrap_or_default()
}

/// The header of the generated encoder's GGUF file, and its numbers: as many bytes as those of its safetensors.
pub fn gguf() -> (Vec<u8>, Vec<u8>) {
    let weights = file("model.safetensors");
    let header = weights.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes) as usize);
    let mut file = tiny_encoder_gguf(1);
    let numbers = file.split_off((file.len() + 8 + header).saturating_sub(weights.len()));
    (file, numbers)
}

/// An input: the generated encoder's files, but for those that `change` replaces, and a text.
pub fn input(change: impl Fn(&str) -> Option<Vec<u8>>, text: &str) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = NAMES.iter().map(|name| change(name).unwrap_or_else(|| file(name))).collect();
    parts.push(text.as_bytes().to_vec());
    parts.join(crate::targets::SEPARATOR)
}
