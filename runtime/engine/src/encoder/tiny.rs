//! A small random encoder: the whole path from files to vectors, without a download.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::engine::SplitMix64;

pub(super) const WIDTH: usize = 48;
pub(super) const FEED_FORWARD: usize = 80;
pub(super) const LAYERS: usize = 2;
pub(super) const HEADS: usize = 4;
pub(super) const POSITIONS: usize = 48;
/// Tokens that a text may have, those around it included.
const LIMIT: usize = 40;
pub(super) const SEGMENTS: usize = 2;

/// Special tokens, in the order of their numbers.
pub(super) const SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// Whole words, and ends of words.
const WORDS: [&str; 10] = ["the", "strong", "room", "keeps", "secret", "##room", "##er", "##ing", "##ed", "cafe"];

/// The files of a random encoder of BERT's kind (2 layers, vectors of 48 numbers, about 200 kB), as
/// sentence-transformers lays them out. Equal seeds give equal files.
#[must_use]
pub fn tiny_encoder(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let text = |json: &Json| json.to_string().into_bytes();
    let vocabulary = vocabulary();
    let modules = json!([
        { "idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer" },
        { "idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling" },
        { "idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize" },
    ]);
    let pooling = json!({
        "word_embedding_dimension": WIDTH, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true,
    });
    vec![
        ("config.json", text(&config())),
        ("model.safetensors", safetensors(&tensors(seed, vocabulary.len()))),
        ("tokenizer.json", text(&tokenizer(&vocabulary))),
        ("sentence_bert_config.json", text(&json!({ "max_seq_length": LIMIT, "do_lower_case": false }))),
        ("modules.json", text(&modules)),
        ("1_Pooling/config.json", text(&pooling)),
    ]
}

fn config() -> Json {
    json!({
        "model_type": "bert", "architectures": ["BertModel"], "num_hidden_layers": LAYERS, "hidden_size": WIDTH,
        "intermediate_size": FEED_FORWARD, "num_attention_heads": HEADS, "hidden_act": "gelu",
        "layer_norm_eps": 1e-12, "max_position_embeddings": POSITIONS, "type_vocab_size": SEGMENTS,
        "position_embedding_type": "absolute",
    })
}

pub(super) fn vocabulary() -> Vec<String> {
    let mut tokens: Vec<String> = SPECIALS.map(str::to_owned).into();
    tokens.extend(('!'..='~').filter(|character| !character.is_ascii_uppercase()).map(String::from));
    tokens.extend(('a'..='z').chain('0'..='9').map(|character| format!("##{character}")));
    tokens.extend(WORDS.map(str::to_owned));
    tokens
}

fn tokenizer(vocabulary: &[String]) -> Json {
    let numbers: Map<String, Json> =
        vocabulary.iter().enumerate().map(|(number, token)| (token.clone(), number.into())).collect();
    let added: Vec<Json> = SPECIALS
        .iter()
        .enumerate()
        .map(|(number, token)| json!({ "id": number, "content": token, "special": true, "normalized": false }))
        .collect();
    let special = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let entry = |token: &str| json!({ "id": token, "ids": [numbers[token]], "tokens": [token] });
    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": true,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]"), { "Sequence": { "id": "A", "type_id": 0 } }, special("[SEP]")],
            "pair": [],
            "special_tokens": { "[CLS]": entry("[CLS]"), "[SEP]": entry("[SEP]") },
        },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": numbers,
        },
    })
}

/// Tensors by name: shape, and numbers that are evenly distributed.
pub(super) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub(super) fn tensors(seed: u64, vocabulary: usize) -> Tensors {
    tensors_of(seed, vocabulary, WIDTH, FEED_FORWARD)
}

/// The same for an encoder of other widths.
pub(super) fn tensors_of(seed: u64, vocabulary: usize, width: usize, wide: usize) -> Tensors {
    let mut random = SplitMix64(seed);
    let mut tensors = Tensors::new();
    let mut put = |name: String, shape: &[usize], middle: f32, range: f32| {
        let numbers = (0..shape.iter().product()).map(|_| middle + (random.unit() * 2.0 - 1.0) * range).collect();
        tensors.insert(name, (shape.to_vec(), numbers));
    };
    for (name, rows) in [("word", vocabulary), ("position", POSITIONS), ("token_type", SEGMENTS)] {
        put(format!("embeddings.{name}_embeddings.weight"), &[rows, width], 0.0, 1.0);
    }
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..LAYERS {
        let name = |rest: &str| format!("encoder.layer.{layer}.{rest}");
        for (rest, rows, columns) in [
            ("attention.self.query", width, width),
            ("attention.self.key", width, width),
            ("attention.self.value", width, width),
            ("attention.output.dense", width, width),
            ("intermediate.dense", wide, width),
            ("output.dense", width, wide),
        ] {
            // Rows of products have a deviation of about 1.
            put(name(&format!("{rest}.weight")), &[rows, columns], 0.0, (3.0 / columns as f32).sqrt());
            put(name(&format!("{rest}.bias")), &[rows], 0.0, 0.3);
        }
        norms.extend(["attention.output.LayerNorm", "output.LayerNorm"].map(name));
    }
    for norm in norms {
        put(format!("{norm}.weight"), &[width], 1.0, 0.2);
        put(format!("{norm}.bias"), &[width], 0.0, 0.2);
    }
    tensors
}

/// The bytes of a safetensors file.
fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, (shape, numbers)) in tensors {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let described = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name.clone(), described);
    }
    let header = Json::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}
