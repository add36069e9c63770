//! Files of a hostile publisher, by their defect: each is refused, in a moment, with an error that is no
//! longer than a line of a log. `gguf/tests.rs` has those of the GGUF header's own form.

use serde_json::{Map, Value as Json, json};

use crate::error::TemplateError;
use crate::files::MemoryFiles;
use crate::gguf::{Value, Writer};
use crate::load::{LoadOptions, load, load_text};
use crate::text::{ChatMessage, TextModel, character};

/// What errors may have in characters.
const LONGEST_ERROR: usize = 1_000;

/// The files of a safetensors model without tensors, one of them changed.
struct Model {
    config: Json,
    tokenizer: Json,
    tokenizer_config: Json,
    generation: Json,
    weights: Vec<u8>,
    index: Option<Json>,
}

impl Model {
    fn new() -> Self {
        let vocab: Map<_, _> = (0..=u8::MAX).map(|byte| (character(byte).to_string(), byte.into())).collect();
        Self {
            config: json!({
                "model_type": "llama", "num_hidden_layers": 1, "hidden_size": 8, "intermediate_size": 16,
                "num_attention_heads": 2, "rms_norm_eps": 1e-5, "max_position_embeddings": 64
            }),
            tokenizer: json!({
                "model": { "type": "BPE", "vocab": vocab, "merges": [] },
                "pre_tokenizer": { "type": "ByteLevel" },
                "added_tokens": [{ "id": 256, "content": "</s>", "special": true }]
            }),
            tokenizer_config: json!({ "eos_token": "</s>" }),
            generation: json!({}),
            weights: safetensors(&json!({})),
            index: None,
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> MemoryFiles {
        let mut model = Self::new();
        change(&mut model);
        let text = |json: &Json| json.to_string().into_bytes();
        let files = MemoryFiles::new()
            .with("config.json", text(&model.config))
            .with("tokenizer.json", text(&model.tokenizer))
            .with("tokenizer_config.json", text(&model.tokenizer_config))
            .with("generation_config.json", text(&model.generation))
            .with("model.safetensors", model.weights);
        match &model.index {
            Some(index) => files.with("model.safetensors.index.json", text(index)),
            None => files,
        }
    }
}

fn safetensors(header: &Json) -> Vec<u8> {
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
}

fn one_tensor(shape: &Json, bytes: u64) -> Vec<u8> {
    safetensors(&json!({ "t": { "dtype": "F32", "shape": shape, "data_offsets": [0, bytes] } }))
}

fn gguf(entries: &[(&str, Value)]) -> MemoryFiles {
    let mut file = Writer::default();
    let number = |number: i128| Value::Integer(number);
    let text = |text: &str| Value::Text(text.to_owned());
    let plain = [
        ("general.architecture", text("llama")),
        ("llama.block_count", number(1)),
        ("llama.context_length", number(64)),
        ("llama.embedding_length", number(8)),
        ("llama.feed_forward_length", number(16)),
        ("llama.attention.head_count", number(2)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.tokens", Value::Texts((0..=u8::MAX).map(|byte| character(byte).to_string()).collect())),
    ];
    for (key, value) in plain.iter().filter(|(key, _)| entries.iter().all(|(changed, _)| changed != key)) {
        file.value(key, value);
    }
    for (key, value) in entries {
        file.value(key, value);
    }
    MemoryFiles::new().with("model.gguf", file.finish())
}

#[test]
fn hostile_files_are_refused_by_their_defect() {
    let mega = 1 << 20;
    let long = || "x".repeat(mega);
    let many = 200_000;
    let cases: Vec<(&str, MemoryFiles, &str)> = vec![
        // config.json and its like in GGUF
        (
            "each position of a sequence takes gigabytes",
            Model::with(|model| {
                model.config["num_attention_heads"] = 1024.into();
                model.config["head_dim"] = 4096.into();
            }),
            "bytes of cache",
        ),
        (
            "the same in GGUF",
            gguf(&[
                ("llama.attention.head_count", Value::Integer(1024)),
                ("llama.attention.key_length", Value::Integer(4096)),
            ]),
            "bytes of cache",
        ),
        ("a base that is no number", gguf(&[("llama.rope.freq_base", Value::Float(f64::NAN))]), "the rotation's base"),
        (
            "an epsilon without end",
            gguf(&[("llama.attention.layer_norm_rms_epsilon", Value::Float(f64::INFINITY))]),
            "epsilon",
        ),
        ("a negative count", gguf(&[("llama.block_count", Value::Integer(-1))]), "integer of 0 or more"),
        ("a family of a megabyte", gguf(&[("general.architecture", Value::Text(long()))]), "unknown architecture"),
        ("scaling of a megabyte", gguf(&[("llama.rope.scaling.type", Value::Text(long()))]), "rotation scaling"),
        (
            "arrays a thousand deep",
            MemoryFiles::new().with("model.safetensors", safetensors(&json!({}))).with("config.json", vec![b'['; mega]),
            "config.json",
        ),
        // tokenizers
        (
            "a token with the number 2^40",
            Model::with(|model| model.tokenizer["added_tokens"][0]["id"] = (1_u64 << 40).into()),
            "no usable number",
        ),
        (
            "a token with the number 100,000 among 257",
            Model::with(|model| model.tokenizer["added_tokens"][0]["id"] = 100_000.into()),
            "no usable number",
        ),
        (
            "a token text of a megabyte without number",
            Model::with(|model| model.tokenizer["model"]["vocab"][&long()] = "none".into()),
            "the token \"xxx",
        ),
        (
            "a special token of a megabyte",
            Model::with(|model| model.tokenizer["added_tokens"][0]["content"] = long().into()),
            "a special token of",
        ),
        (
            "a byte without token",
            Model::with(|model| {
                model.tokenizer["model"]["vocab"].as_object_mut().unwrap().remove("a");
            }),
            "byte 0x61 has no token",
        ),
        (
            "a merge of a megabyte",
            Model::with(|model| model.tokenizer["model"]["merges"] = json!([long()])),
            "the tokenizer is malformed",
        ),
        (
            "a merge that makes no token",
            Model::with(|model| model.tokenizer["model"]["merges"] = json!([["a", "b"]])),
            "needs the token",
        ),
        (
            "a splitting rule of its own",
            Model::with(|model| {
                model.tokenizer["pre_tokenizer"] = json!({ "pretokenizers": [{ "type": "Split", "pattern": { "Regex": "(a+)+$" } }, { "type": "ByteLevel" }] });
            }),
            "splitting rule",
        ),
        (
            "every token ends a turn",
            {
                let mut tokens: Vec<String> = (0..=u8::MAX).map(|byte| character(byte).to_string()).collect();
                tokens.extend(vec!["</s>".to_owned(); many]);
                let kinds = (0..tokens.len()).map(|index| if index < 256 { 1 } else { 3 }).collect();
                gguf(&[
                    ("tokenizer.ggml.tokens", Value::Texts(tokens)),
                    ("tokenizer.ggml.token_type", Value::Integers(kinds)),
                ])
            },
            "tokens end a turn",
        ),
        ("no token ends a turn", gguf(&[]), "no token ends a turn"),
        // templates
        (
            "a template of two megabytes",
            Model::with(|model| model.tokenizer_config["chat_template"] = "x".repeat(2 * mega).into()),
            "the limit is",
        ),
        (
            "a template nested without end",
            Model::with(|model| {
                model.tokenizer_config["chat_template"] = format!("{{{{ {}", "(".repeat(many)).into();
            }),
            "the chat template",
        ),
        (
            "blocks nested without end",
            Model::with(|model| model.tokenizer_config["chat_template"] = "{% if a %}".repeat(50_000).into()),
            "the chat template",
        ),
        // safetensors
        (
            "a header longer than the file",
            Model::with(|model| model.weights = [&1_000_u64.to_le_bytes()[..], b"{}"].concat()),
            "a header of 1000 bytes",
        ),
        ("a file of four bytes", Model::with(|model| model.weights = vec![0; 4]), "cannot read"),
        (
            "a shape of a million dimensions",
            Model::with(|model| model.weights = one_tensor(&json!(vec![1; mega]), 4)),
            "dimensions",
        ),
        (
            "a shape whose product passes 64 bits",
            Model::with(|model| model.weights = one_tensor(&json!([1_u64 << 40, 1_u64 << 40]), 4)),
            "model.safetensors",
        ),
        (
            "a tensor behind the file's end",
            Model::with(|model| model.weights = one_tensor(&json!([1_u64 << 30]), 1 << 32)),
            "does not fit its place",
        ),
        (
            "a name of a megabyte",
            Model::with(|model| {
                model.weights =
                    safetensors(&json!({ long(): { "dtype": "F64", "shape": [1], "data_offsets": [0, 8] } }));
            }),
            "is not supported",
        ),
        (
            "an index that leads elsewhere",
            Model::with(|model| model.index = Some(json!({ "weight_map": { "t": "../../etc/passwd" } }))),
            "the model has no file ../../etc/passwd",
        ),
        (
            "an index that names a file of a megabyte",
            Model::with(|model| model.index = Some(json!({ "weight_map": { "t": long() } }))),
            "the model has no file",
        ),
        (
            "one tensor in two files",
            Model::with(|model| {
                model.weights = [one_tensor(&json!([1]), 4), vec![0; 4]].concat();
                model.index = Some(json!({ "weight_map": { "t": "model.safetensors", "u": "other.safetensors" } }));
            })
            .with("other.safetensors", [one_tensor(&json!([1]), 4), vec![0; 4]].concat()),
            "in another file",
        ),
    ];
    let mut wrong = Vec::new();
    for (defect, files, said) in cases {
        let error = load(&files, &LoadOptions::default(), &|_, _| ()).err().map(|error| error.to_string());
        let error = error.unwrap_or_else(|| "loaded".to_owned());
        if !error.contains(said) || error.chars().count() > LONGEST_ERROR {
            wrong.push(format!("{defect}: {}", error.chars().take(LONGEST_ERROR).collect::<String>()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A list of ends may repeat itself; reading it takes no longer for that.
#[test]
fn a_million_ends_of_a_turn_are_the_one_that_they_name() {
    let files = Model::with(|model| model.generation["eos_token_id"] = json!(vec![256; 1 << 20]));
    let text = load_text(&files, &LoadOptions::default()).unwrap();
    assert!(text.ends_turn(256) && !text.ends_turn(0));
}

fn with_template(template: &str) -> TextModel {
    let files = Model::with(|model| model.tokenizer_config["chat_template"] = template.into());
    load_text(&files, &LoadOptions::default()).unwrap()
}

#[test]
fn hostile_templates_end_by_a_limit() {
    let nested = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}";
    for (defect, template, limit) in [
        ("loops in loops", nested, Some("instructions")),
        ("writes without end", "{% for a in range(90000) %}{{ 'x' * 10000 }}{% endfor %}", Some("output")),
        ("one text of a gigabyte", "{{ 'x' * 1000000000 }}", None),
        ("a list of a billion", "{{ ([1] * 1000000000) | length }}", None),
        ("a range of a billion", "{{ range(1000000000) | list | length }}", None),
        ("indents by a terabyte", "{{ 'a\nb' | indent(1000000000000) }}", None),
        ("slices without end", "{{ [1] | slice(100000000000) | list }}", None),
        ("batches without end", "{{ [1] | batch(100000000000, 0) | list }}", None),
        ("formats without end", "{{ '%1000000000d' | format(1) }}", None),
        ("calls itself", "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", None),
        ("includes itself", "{% include 'chat_template' %}", None),
        ("divides by zero", "{{ 1 // 0 }}", None),
        ("passes 128 bits", "{{ 2 ** 1000 }}", None),
    ] {
        let messages = [ChatMessage::new("user", "hello")];
        match with_template(template).encode_chat(&messages, true) {
            Err(TemplateError::Limit { what }) => assert_eq!(Some(what), limit, "{defect}"),
            Err(TemplateError::Broken { .. }) => assert_eq!(None, limit, "{defect}"),
            other => panic!("{defect}: {other:?}"),
        }
    }
}

#[test]
fn indenting_is_jinjas() {
    let render = |template: &str| {
        let messages = [ChatMessage::new("user", "a\n\nb\n")];
        with_template(template).apply_chat_template(&messages, true).unwrap()
    };
    assert_eq!(render("{{ messages[0].content | indent }}"), "a\n\n    b");
    assert_eq!(render("{{ messages[0].content | indent(1, first=true, blank=true) }}"), " a\n \n b");
    assert_eq!(render("{{ messages[0].content | indent(width=2) }}|"), "a\n\n  b|");
}

/// A vocabulary of special tokens, and a prompt with as many places where one could begin.
#[test]
fn special_tokens_are_found_among_very_many() {
    let files = Model::with(|model| {
        let special = |number: u32| json!({ "id": 256 + number, "content": format!("<{number}>"), "special": true });
        model.tokenizer["added_tokens"] = (0..100_000).map(special).collect();
        model.tokenizer_config = json!({ "eos_token": "<0>", "chat_template": "{{ '<' * 300000 }}<99999>" });
    });
    let text = load_text(&files, &LoadOptions::default()).unwrap();
    let tokens = text.encode_chat(&[ChatMessage::new("user", String::new())], true).unwrap();
    assert_eq!(tokens.last(), Some(&(256 + 99_999)));
    assert_eq!(text.decode(&tokens).len(), 300_000);
}
