//! Seeds of the targets of weights: the headers of generated models.

use std::error::Error;

use serde_json::{Map, Value, json};
use strongroom_fuzz::targets::SEPARATOR;

/// The header of the generated model, vocabulary and table of tensors included, ends before.
const GGUF_HEADER: usize = 16 << 10;

pub(super) fn write(
    mut write: impl FnMut(&str, &str, &[u8]) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let model = strongroom_engine::tiny_model(1);
    write("gguf_header", "tiny", &model[..GGUF_HEADER])?;
    // No metadata and one tensor: the table is reached with few bytes.
    let mut table = b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    table.extend_from_slice(
        b"\x01\0\0\0\0\0\0\0t\x02\0\0\0\x04\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    );
    write("gguf_header", "table", &table)?;
    write("gguf_header", "empty", &table[..24])?;

    let header = json!({
        "__metadata__": { "format": "pt" },
        "model.embed_tokens.weight": { "dtype": "BF16", "shape": [260, 8], "data_offsets": [0, 4160] },
        "model.norm.weight": { "dtype": "F32", "shape": [8], "data_offsets": [4160, 4192] },
    });
    let header = header.to_string();
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let index = json!({ "weight_map": { "model.norm.weight": "model.safetensors" } }).to_string();
    let config = json!({
        "model_type": "llama", "num_hidden_layers": 1, "hidden_size": 8, "intermediate_size": 16,
        "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
        "rope_scaling": { "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32.0 },
    });
    let config = config.to_string();
    let tokenizer = tokenizer().to_string();
    let template = json!({
        "eos_token": "</s>", "bos_token": { "content": "<s>" },
        "chat_template": "{% for m in messages %}{{ m.role }}{{ m.content | trim }}{% endfor %}",
    });
    let parts = [&file, index.as_bytes(), config.as_bytes(), tokenizer.as_bytes(), template.to_string().as_bytes()]
        .join(SEPARATOR);
    write("safetensors_header", "all", &parts)?;
    write("safetensors_header", "no-index", &[&file, b"".as_slice(), config.as_bytes()].join(SEPARATOR))?;
    write("safetensors_header", "header", &file)
}

/// Every byte, one merge, two special tokens; split as GPT-2 splits.
fn tokenizer() -> Value {
    let plain = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut shifted = (0x100..).filter_map(char::from_u32);
    let mut vocab = Map::new();
    for byte in 0..=u8::MAX {
        let character = if plain(byte) { Some(char::from(byte)) } else { shifted.next() };
        vocab.insert(character.unwrap_or_default().to_string(), byte.into());
    }
    vocab.insert("ab".into(), 256.into());
    json!({
        "model": { "type": "BPE", "vocab": vocab, "merges": [["a", "b"]] },
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false },
        "added_tokens": [{ "id": 257, "content": "<s>", "special": true }, { "id": 258, "content": "</s>", "special": true }],
    })
}
