//! The same encoder as a GGUF file, packings of its weights, and what such files can be wrong in.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::super::tiny::{tensors_of, vocabulary};
use super::super::tiny_gguf::{PackedTensor, TinyGguf, spelled};
use super::*;
use crate::gguf::Value;

fn tiny() -> TinyGguf {
    TinyGguf::new(&tiny_tensors())
}

fn files_of(file: &TinyGguf) -> MemoryFiles {
    MemoryFiles::new().with("model.gguf", file.finish())
}

/// The tiny file, changed.
fn with(change: impl FnOnce(&mut TinyGguf)) -> MemoryFiles {
    let mut file = tiny();
    change(&mut file);
    files_of(&file)
}

fn set(key: &'static str, value: Value) -> MemoryFiles {
    with(|file| {
        file.metadata.retain(|(found, _)| *found != key);
        file.metadata.push((key, value));
    })
}

fn without(key: &'static str) -> MemoryFiles {
    with(|file| file.metadata.retain(|(found, _)| *found != key))
}

/// With tokens behind those of the vocabulary, and as many embeddings.
fn with_tokens(more: &[&str]) -> TinyGguf {
    let mut file = tiny();
    for (key, value) in &mut file.metadata {
        match value {
            Value::Texts(tokens) => tokens.extend(more.iter().map(|&token| token.to_owned())),
            Value::Integers(kinds) if *key == "tokenizer.ggml.token_type" => kinds.extend(vec![1; more.len()]),
            _ => {}
        }
    }
    let (_, _, shape, bytes) = &mut file.tensors[0];
    shape[0] += more.len();
    bytes.resize(shape[0] * WIDTH * 4, 0);
    file
}

/// How far vectors of length 1 are from each other, at most.
fn distance(found: &[Vec<f32>], wanted: &[Vec<f32>]) -> f32 {
    let one = |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    found.iter().zip(wanted).map(one).fold(0.0, f32::max)
}

#[test]
fn both_kinds_of_files_give_the_same_tokens_and_vectors() {
    let gguf = MemoryFiles::new().with("model.gguf", tiny_encoder_gguf(3));
    let (ours, wanted) = (load(&gguf), load(&files(|_| ())));
    assert_eq!((ours.text.context_length(), wanted.text.context_length()), (48, 40));
    assert_eq!(ours.text.vocabulary(), wanted.text.vocabulary());
    for text in TEXTS {
        assert_eq!(ours.text.encode(text), wanted.text.encode(text), "{text}");
    }
    assert_eq!(embed(ours, &TEXTS), embed(wanted, &TEXTS));
}

#[test]
fn the_first_row_is_the_vector_where_the_file_says_so() {
    let tokens = load(&files(|_| ())).text.encode(TEXTS[0]).unwrap();
    let rows = plainly(&tiny_tensors(), &tokens);
    let first = embed(load(&set("bert.pooling_type", Value::Integer(2))), &TEXTS[..1]);
    near(&first[0], &of_length_1(&rows[0]), 1e-5);
}

/// Numbers of which llama.cpp's names and the converter's files are made.
#[test]
fn names_are_those_of_published_files() {
    let names: Vec<String> = tiny().tensors.into_iter().map(|(name, ..)| name).collect();
    for name in [
        "token_embd.weight",
        "position_embd.weight",
        "token_types.weight",
        "token_embd_norm.weight",
        "token_embd_norm.bias",
        "blk.0.attn_q.weight",
        "blk.0.attn_k.bias",
        "blk.1.attn_v.weight",
        "blk.1.attn_output.bias",
        "blk.1.attn_output_norm.weight",
        "blk.1.ffn_up.weight",
        "blk.1.ffn_down.bias",
        "blk.1.layer_output_norm.bias",
    ] {
        assert!(names.iter().any(|found| found == name), "{name}");
    }
    assert_eq!(names.len(), 5 + LAYERS * 16);
}

/// Each packing gives what its own numbers give, written in single precision.
#[test]
fn packed_weights_are_computed_with_as_their_numbers() {
    let tensors = tensors_of(5, vocabulary().len(), 256, 256);
    for (kind, most) in [
        (GgmlDType::F16, 1e-5),
        (GgmlDType::BF16, 1e-2),
        // Integers are multiplied with rows in 8 bits; Q3_K becomes Q8_0 besides.
        (GgmlDType::Q8_0, 2e-2),
        (GgmlDType::Q4_0, 2e-2),
        (GgmlDType::Q4K, 2e-2),
        (GgmlDType::Q6K, 2e-2),
        (GgmlDType::Q3K, 2e-2),
    ] {
        let (mut packed, mut plain) = (TinyGguf::new(&tensors), TinyGguf::new(&tensors));
        let both = packed.tensors.iter_mut().zip(&mut plain.tensors);
        for ((_, form, shape, bytes), (.., numbers)) in both.filter(|((_, _, shape, _), _)| shape.len() == 2) {
            let original: Vec<f32> = numbers.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            let original = Tensor::from_vec(original, &shape[..], &Device::Cpu).unwrap();
            let quantized = QTensor::quantize(&original, kind).unwrap();
            *form = kind;
            *bytes = quantized.data().unwrap().into_owned();
            let dense = quantized.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap();
            *numbers = dense.to_vec1::<f32>().unwrap().iter().flat_map(|number| number.to_le_bytes()).collect();
        }
        let [packed, plain] = [packed, plain].map(|file| embed(load(&files_of(&file)), &TEXTS));
        let distance = distance(&packed, &plain);
        assert!(distance < most, "{kind:?}: {distance}");
    }
}

#[test]
fn a_gguf_file_is_told_by_its_architecture() {
    assert!(is_encoder(&files_of(&tiny())).unwrap());
    assert!(!is_encoder(&set("general.architecture", Value::Text("nomic-bert".into()))).unwrap());
    assert!(!is_encoder(&without("general.architecture")).unwrap());
    let writes = MemoryFiles::new().with("model.gguf", crate::tiny_model(1));
    assert!(!is_encoder(&writes).unwrap());
    // The file of weights counts, not what lies beside it.
    let other = writes.with("config.json", *b"{\"model_type\":\"bert\"}");
    assert!(!is_encoder(&other).unwrap());
    assert!(is_encoder(&MemoryFiles::new().with("model.gguf", *b"no GGUF")).is_err());
}

/// Relatives of BERT are no BERT.
#[test]
fn other_architectures_are_refused_with_the_known_ones() {
    for family in ["nomic-bert", "jina-bert-v2", "modern-bert"] {
        let files = set("general.architecture", Value::Text(family.into()));
        let options = LoadOptions { threads: 1, ..LoadOptions::default() };
        let writing = crate::load(&files, &options, &|_, _| ()).err().unwrap().to_string();
        for error in [refusal(&files), writing] {
            assert!(error.contains(&format!("unknown architecture {family:?}")), "{error}");
            assert!(error.contains("phi3, and bert for embeddings"), "{error}");
        }
    }
}

/// The words of the vocabulary, and what a file says of them.
#[test]
fn files_of_several_ages_are_understood() {
    let wanted = load(&files_of(&tiny())).text.encode(TEXTS[2]).unwrap();
    let old = with(|file| {
        file.metadata.retain(|(key, _)| !key.ends_with("token_id") && *key != "tokenizer.ggml.token_type");
        file.metadata.push(("tokenizer.ggml.cls_token_id", Value::Integer(2)));
    });
    let text = load(&old).text;
    assert_eq!(text.encode(TEXTS[2]).unwrap(), wanted);
    assert!(text.surround(&[1]).is_ok() && text.surround(&[2]).is_err() && text.surround(&[3]).is_err());
    // What converters say of a start and an end does not count: BERT has both.
    let said = with(|file| {
        file.metadata.push(("tokenizer.ggml.add_bos_token", Value::Bool(false)));
        file.metadata.push(("tokenizer.ggml.add_sep_token", Value::Bool(false)));
        file.metadata.push(("tokenizer.ggml.eos_token_id", Value::Integer(4)));
    });
    assert_eq!(load(&said).text.encode(TEXTS[2]).unwrap(), wanted);
}

#[test]
fn capitals_are_kept_only_where_the_file_says_so() {
    let cased = with_tokens(&[&spelled(99, "Secret"), &spelled(99, "caf\u{e9}"), "<S>"]);
    let error = refusal(&files_of(&cased));
    assert!(error.contains("may keep capitals") && error.contains("Secret"), "{error}");
    let says = |lowers: bool, strips: Option<bool>| {
        let mut file = with_tokens(&[&spelled(99, "Secret"), &spelled(99, "caf\u{e9}"), "<S>"]);
        file.metadata.push(("tokenizer.ggml.normalizer.lowercase", Value::Bool(lowers)));
        file.metadata.extend(strips.map(|strips| ("tokenizer.ggml.normalizer.strip_accents", Value::Bool(strips))));
        load(&files_of(&file)).text.encode("Secret caf\u{e9}").unwrap()
    };
    let [secret, plain_cafe] = ["secret", "cafe"].map(|word| load(&files_of(&tiny())).text.encode(word).unwrap()[1]);
    let first = vocabulary().len() as u32;
    assert_eq!(says(false, None), [2, first, first + 1, 3]);
    assert_eq!(says(false, Some(true)), [2, first, plain_cafe, 3]);
    assert_eq!(says(true, None), [2, secret, plain_cafe, 3]);
    assert_eq!(says(true, Some(false)), [2, secret, first + 1, 3]);
    // What no text has in one piece tells nothing.
    assert_eq!(load(&files_of(&with_tokens(&["\u{2581}<S>", "<T>"]))).text.encode("<").unwrap().len(), 3);
    let accents = files_of(&with_tokens(&["e\u{301}tude"]));
    assert!(refusal(&accents).contains("accents"));
}

#[test]
fn hostile_files_are_refused_by_their_defect() {
    let number = |key, number: i128| set(key, Value::Integer(number));
    let text = |key, text: &str| set(key, Value::Text(text.to_owned()));
    let tensor = |name: &'static str, change: &dyn Fn(&mut PackedTensor)| {
        with(|file| change(file.tensors.iter_mut().find(|(found, ..)| found == name).unwrap()))
    };
    let long = "x".repeat(1 << 20);
    let kinds = |kind: i64| {
        with(|file| {
            let kinds = file.metadata.iter_mut().find(|(key, _)| *key == "tokenizer.ggml.token_type");
            if let Some((_, Value::Integers(kinds))) = kinds {
                kinds[7] = kind;
            }
        })
    };
    let cases: Vec<(&str, MemoryFiles, &str)> = vec![
        ("no layers", number("bert.block_count", 0), "the number of layers is 0, wanted 1 to"),
        ("a million", number("bert.block_count", 1_000_000), "the number of layers is 1000000"),
        ("a negative count", number("bert.block_count", -1), "integer of 0 or more"),
        ("a layer more than there is", number("bert.block_count", 3), "no tensor blk.2.attn_q.weight"),
        ("a layer less", number("bert.block_count", 1), "a tensor that BERT does not have is not supported: blk.1."),
        ("no count", without("bert.block_count"), "no bert.block_count"),
        ("no width", without("bert.embedding_length"), "no bert.embedding_length"),
        ("heads that do not fit", number("bert.attention.head_count", 5), "5 heads in a width of 48"),
        ("fewer heads for keys", number("bert.attention.head_count_kv", 2), "fewer heads for keys"),
        ("a row of gigabytes", number("bert.feed_forward_length", 1 << 18), "a row takes"),
        ("wider than its tensors", number("bert.embedding_length", 96), "has shape [119, 48], wanted [119, 96]"),
        (
            "an epsilon that is no number",
            set("bert.attention.layer_norm_epsilon", Value::Float(f64::NAN)),
            "epsilon is NaN",
        ),
        ("no epsilon", without("bert.attention.layer_norm_epsilon"), "no bert.attention.layer_norm_epsilon"),
        ("more positions", number("bert.context_length", 64), "has shape [48, 48], wanted [64, 48]"),
        ("endless positions", number("bert.context_length", 1 << 30), "the number of positions"),
        ("other segments", number("tokenizer.ggml.token_type_count", 3), "has shape [2, 48], wanted [3, 48]"),
        ("no segments", without("tokenizer.ggml.token_type_count"), "no tokenizer.ggml.token_type_count"),
        ("a decoder", set("bert.attention.causal", Value::Bool(true)), "an encoder used as a decoder"),
        ("no pooling", without("bert.pooling_type"), "no bert.pooling_type"),
        ("the last row", number("bert.pooling_type", 3), "type 3 (known: 1 mean, 2 cls)"),
        ("a ranking", number("bert.pooling_type", 4), "type 4 (known"),
        ("no tokenizer", without("tokenizer.ggml.model"), "None (known: \"bert\", WordPiece)"),
        ("another tokenizer", text("tokenizer.ggml.model", "t5"), "Some(\"t5\") (known"),
        ("a tokenizer of a megabyte", text("tokenizer.ggml.model", &long), "the encoder's tokenizer"),
        ("no tokens", without("tokenizer.ggml.tokens"), "names no token"),
        ("fewer types", set("tokenizer.ggml.token_type", Value::Integers(vec![1; 3])), "as many token types"),
        ("a byte", kinds(6), "is of type 6"),
        ("an added token that text becomes", kinds(4), "an added token that is not special"),
        ("nothing unknown", number("tokenizer.ggml.unknown_token_id", 4000), "unknown_token_id names no token"),
        ("a first that is none", number("tokenizer.ggml.bos_token_id", 1 << 40), "bos_token_id names no token"),
        ("a long piece", files_of(&with_tokens(&[&long])), "a piece of 1048576 bytes"),
        ("one piece twice", files_of(&with_tokens(&["room"])), "are the same piece"),
        (
            "tokens beyond the table",
            with(|file| {
                let (_, _, shape, bytes) = &mut file.tensors[0];
                shape[0] -= 1;
                bytes.truncate(shape[0] * WIDTH * 4);
            }),
            "119 tokens, but 118 embeddings",
        ),
        (
            "a tensor of another model",
            tensor("blk.0.ffn_up.bias", &|tensor| tensor.0 = "blk.0.ffn_gate.weight".into()),
            "no tensor blk.0.ffn_up.bias",
        ),
        (
            "a tensor more",
            with(|file| file.tensors.push(("dense_2.weight".into(), GgmlDType::F32, vec![8], vec![0; 32]))),
            "a tensor that BERT does not have is not supported: dense_2.weight",
        ),
        (
            "a packed vector",
            tensor("blk.0.ffn_up.bias", &|tensor| {
                (tensor.1, tensor.2, tensor.3) = (GgmlDType::Q8_0, vec![96], vec![0; 102]);
            }),
            "has shape [96], wanted [80]",
        ),
        ("no numbers", tensor("token_embd_norm.weight", &|tensor| tensor.3.fill(0xFF)), "no finite"),
        ("an adapter", files_of(&tiny()).with("adapter_config.json", *b"{}"), "an adapter of an encoder"),
        ("two files", files_of(&tiny()).with("other.gguf", tiny_encoder_gguf(1)), "several GGUF files"),
    ];
    for (what, files, wanted) in cases {
        let error = refusal(&files);
        assert!(error.contains(wanted), "{what}: {error}");
        assert!(error.len() < LONGEST_ERROR, "{what}: an error of {} bytes", error.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_the_header_brings_it_down(changes in prop::collection::vec((0usize..5_000, any::<u8>()), 1..6)) {
        thread_local!(static FILE: Vec<u8> = tiny_encoder_gguf(1));
        let mut bytes = FILE.with(Vec::clone);
        changes.iter().for_each(|&(at, byte)| bytes[at] = byte);
        let files = MemoryFiles::new().with("model.gguf", bytes);
        let _ = is_encoder(&files);
        let options = LoadOptions { threads: 1, ..LoadOptions::default() };
        match load_encoder(&files, &options, &|_, _| ()) {
            Ok(loaded) => drop(loaded.text.encode(TEXTS[0])),
            Err(error) => prop_assert!(error.to_string().len() < LONGEST_ERROR, "{error}"),
        }
    }
}
