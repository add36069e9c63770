//! The tiny encoder against a plain computation in double precision, its tokenizer against the reference,
//! and files of a hostile publisher, by their defect.

mod gguf;

use std::time::Duration;

use half::{bf16, f16};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::tiny::{FEED_FORWARD, HEADS, LAYERS, Tensors, WIDTH, tensors};
use super::*;
use crate::engine::Limits;
use crate::error::EmbedError;
use crate::files::MemoryFiles;

/// What errors may have in characters.
const LONGEST_ERROR: usize = 1_000;

const TEXTS: [&str; 8] = [
    "The strongroom keeps the secret.",
    "a",
    "Cafés, ROOMS and secrets: 0x12 + 34!",
    "keeping the keeper kept, and rooming the roomer roomed; the secret secrets",
    "",
    "[CLS] is text, and so are [SEP] and [MASK]",
    "Straße \u{65e5}\u{672c} e\u{301}tude \u{1f980}\u{200d}x\ttab\u{a0}nbsp",
    "the the the the the the the the the the the the the the the the the",
];

fn files(change: impl FnOnce(&mut Files)) -> MemoryFiles {
    let mut files = Files(tiny_encoder(3));
    change(&mut files);
    files.0.into_iter().fold(MemoryFiles::new(), |files, (path, bytes)| files.with(path, bytes))
}

/// The files of the tiny encoder, some of them changed.
struct Files(Vec<(&'static str, Vec<u8>)>);

impl Files {
    fn change(&mut self, path: &str, change: impl FnOnce(&mut Json)) {
        let (_, bytes) = self.0.iter_mut().find(|(found, _)| *found == path).unwrap();
        let mut json = serde_json::from_slice(bytes).unwrap();
        change(&mut json);
        *bytes = json.to_string().into_bytes();
    }

    fn remove(&mut self, path: &str) {
        self.0.retain(|(found, _)| *found != path);
    }

    fn weights(&mut self) -> &mut Vec<u8> {
        &mut self.0.iter_mut().find(|(path, _)| *path == "model.safetensors").unwrap().1
    }

    /// The weights in another type, and with other names.
    fn rewrite(&mut self, dtype: &str, prefix: &str, convert: impl Fn(f32) -> Vec<u8>) {
        let (mut header, mut data) = (json!({}), Vec::new());
        for (name, (shape, numbers)) in tiny_tensors() {
            let start = data.len();
            data.extend(numbers.iter().flat_map(|&number| convert(number)));
            header[format!("{prefix}{name}")] =
                json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, data.len()] });
        }
        let ids: Vec<u8> = (0..4u64).flat_map(u64::to_le_bytes).collect();
        header[format!("{prefix}embeddings.position_ids")] =
            json!({ "dtype": "I64", "shape": [1, 4], "data_offsets": [data.len(), data.len() + ids.len()] });
        data.extend(ids);
        let header = header.to_string();
        *self.weights() = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
    }
}

fn tiny_tensors() -> Tensors {
    let vocabulary = load(&files(|_| ())).text.vocabulary();
    tensors(3, vocabulary)
}

fn load(files: &MemoryFiles) -> LoadedEncoder {
    load_encoder(files, &LoadOptions { threads: 2, ..LoadOptions::default() }, &|_, _| ()).unwrap()
}

fn refusal(files: &MemoryFiles) -> String {
    load_encoder(files, &LoadOptions { threads: 1, ..LoadOptions::default() }, &|_, _| ()).err().unwrap().to_string()
}

fn embed(loaded: LoadedEncoder, texts: &[&str]) -> Vec<Vec<f32>> {
    let tokens = texts.iter().map(|text| loaded.text.encode(text).unwrap()).collect();
    EncoderHandle::spawn(loaded, Limits::default()).unwrap().embed_blocking(tokens).unwrap()
}

/// The rows of a text as the paper has them, in double precision.
fn plainly(tensors: &Tensors, tokens: &[u32]) -> Vec<Vec<f64>> {
    let get = |name: &str| -> Vec<f64> { tensors[name].1.iter().map(|&number| f64::from(number)).collect() };
    let dense = |rows: &[Vec<f64>], name: &str| -> Vec<Vec<f64>> {
        let (weights, bias) = (get(&format!("{name}.weight")), get(&format!("{name}.bias")));
        let one = |row: &Vec<f64>| {
            let sums =
                weights.chunks(row.len()).map(|weights| weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>());
            sums.zip(&bias).map(|(sum, bias)| sum + bias).collect()
        };
        rows.iter().map(one).collect()
    };
    let norm = |rows: Vec<Vec<f64>>, name: &str| -> Vec<Vec<f64>> {
        let (weights, biases) = (get(&format!("{name}.weight")), get(&format!("{name}.bias")));
        let one = |row: Vec<f64>| {
            let mean = row.iter().sum::<f64>() / WIDTH as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / WIDTH as f64;
            let scaled = row.iter().map(|x| (x - mean) / (variance + 1e-12).sqrt());
            scaled.zip(weights.iter().zip(&biases)).map(|(x, (w, b))| x * w + b).collect()
        };
        rows.into_iter().map(one).collect()
    };
    let sum = |rows: &[Vec<f64>], more: &[Vec<f64>]| -> Vec<Vec<f64>> {
        rows.iter().zip(more).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
    };
    let (words, positions, segments) = (
        get("embeddings.word_embeddings.weight"),
        get("embeddings.position_embeddings.weight"),
        get("embeddings.token_type_embeddings.weight"),
    );
    let first = |(index, &token): (usize, &u32)| {
        (0..WIDTH).map(|i| words[token as usize * WIDTH + i] + positions[index * WIDTH + i] + segments[i]).collect()
    };
    let mut stream = norm(tokens.iter().enumerate().map(first).collect(), "embeddings.LayerNorm");
    for layer in 0..LAYERS {
        let name = |rest: &str| format!("encoder.layer.{layer}.{rest}");
        let [query, key, value] =
            ["query", "key", "value"].map(|which| dense(&stream, &name(&format!("attention.self.{which}"))));
        let width = WIDTH / HEADS;
        let attended: Vec<Vec<f64>> = query
            .iter()
            .map(|query| {
                let heads = (0..HEADS).flat_map(|head| {
                    let of = |row: &Vec<f64>, i: usize| row[head * width + i];
                    let score = |key| (0..width).map(|i| of(query, i) * of(key, i)).sum::<f64>();
                    let weights: Vec<f64> = key.iter().map(|key| (score(key) / (width as f64).sqrt()).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    let weighed = |i| value.iter().zip(&weights).map(|(value, w)| w * of(value, i)).sum::<f64>();
                    (0..width).map(|i| weighed(i) / total).collect::<Vec<_>>()
                });
                heads.collect()
            })
            .collect();
        let added = dense(&attended, &name("attention.output.dense"));
        stream = norm(sum(&stream, &added), &name("attention.output.LayerNorm"));
        let mut wide = dense(&stream, &name("intermediate.dense"));
        assert_eq!(wide[0].len(), FEED_FORWARD);
        wide.iter_mut().flatten().for_each(|x| *x = *x / 2.0 * (1.0 + erf(*x / std::f64::consts::SQRT_2)));
        let added = dense(&wide, &name("output.dense"));
        stream = norm(sum(&stream, &added), &name("output.LayerNorm"));
    }
    stream
}

/// The error function by its series (Abramowitz and Stegun 7.1.6).
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

fn mean(rows: &[Vec<f64>]) -> Vec<f64> {
    (0..WIDTH).map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / rows.len() as f64).collect()
}

fn of_length_1(vector: &[f64]) -> Vec<f64> {
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    vector.iter().map(|x| x / length).collect()
}

fn near(found: &[f32], wanted: &[f64], most: f64) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((f64::from(*found) - wanted).abs() < most, "{found}, wanted {wanted}");
    }
}

#[test]
fn vectors_are_those_of_a_plain_computation() {
    let tensors = tiny_tensors();
    let loaded = load(&files(|_| ()));
    let tokens: Vec<_> = TEXTS.iter().map(|text| loaded.text.encode(text).unwrap()).collect();
    for (found, tokens) in embed(loaded, &TEXTS).iter().zip(&tokens) {
        near(found, &of_length_1(&mean(&plainly(&tensors, tokens))), 1e-5);
    }
}

#[test]
fn pooling_is_what_the_model_says() {
    let tensors = tiny_tensors();
    let tokens = load(&files(|_| ())).text.encode(TEXTS[0]).unwrap();
    let rows = plainly(&tensors, &tokens);
    let first = files(|files| {
        files.change("modules.json", |modules| *modules = json!([modules[0], modules[1]]));
        files.change("1_Pooling/config.json", |pooling| {
            *pooling = json!({ "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false });
        });
    });
    near(&embed(load(&first), &TEXTS[..1])[0], &rows[0], 1e-4);
    let mean_alone = files(|files| {
        files.change("modules.json", |modules| *modules = json!([modules[0], modules[1]]));
        files.change("1_Pooling/config.json", |pooling| *pooling = json!({ "pooling_mode": "mean" }));
    });
    near(&embed(load(&mean_alone), &TEXTS[..1])[0], &mean(&rows), 1e-4);
    let without = files(|files| files.remove("modules.json"));
    near(&embed(load(&without), &TEXTS[..1])[0], &of_length_1(&mean(&rows)), 1e-5);
}

#[test]
fn stacking_changes_nothing() {
    let handle = EncoderHandle::spawn(load(&files(|_| ())), Limits::default()).unwrap();
    // More rows than a step has.
    let texts: Vec<Vec<u32>> = TEXTS.iter().cycle().take(200).map(|text| handle.text().encode(text).unwrap()).collect();
    let together = handle.embed_blocking(texts.clone()).unwrap();
    for (text, together) in texts.into_iter().zip(together).take(TEXTS.len() * 2) {
        let alone = handle.embed_blocking(vec![text]).unwrap();
        let together: Vec<f64> = together.iter().map(|&number| f64::from(number)).collect();
        near(&alone[0], &together, 1e-6);
    }
}

#[test]
fn types_and_prefixes_of_tensors_are_understood() {
    let wanted = embed(load(&files(|_| ())), &TEXTS);
    let halves = files(|files| files.rewrite("F16", "bert.", |x| f16::from_f32(x).to_le_bytes().to_vec()));
    let upper = files(|files| files.rewrite("BF16", "", |x| bf16::from_f32(x).to_le_bytes().to_vec()));
    for (files, most) in [(halves, 3e-3), (upper, 3e-2)] {
        for (found, wanted) in embed(load(&files), &TEXTS).iter().zip(&wanted) {
            let wanted: Vec<f64> = wanted.iter().map(|&number| f64::from(number)).collect();
            near(found, &wanted, most);
        }
    }
}

/// The reference: `tokenizers` on the same file, without its special tokens.
fn reference() -> tokenizers::Tokenizer {
    let files = tiny_encoder(3);
    let (_, bytes) = files.iter().find(|(path, _)| *path == "tokenizer.json").unwrap();
    let mut json: Json = serde_json::from_slice(bytes).unwrap();
    // What looks like a special token stays text.
    json["added_tokens"] = json!([]);
    serde_json::from_value(json).unwrap()
}

#[test]
fn tokens_are_the_references() {
    let (ours, reference) = (load(&files(|_| ())).text, reference());
    for text in TEXTS {
        assert_eq!(ours.encode(text).unwrap(), reference.encode(text, true).unwrap().get_ids(), "{text}");
    }
}

#[test]
fn words_that_are_long_or_strange_are_unknown() {
    let text = load(&files(|_| ())).text;
    let unknown = text.encode("\u{1f980}").unwrap();
    assert_eq!(unknown, [2, 1, 3]);
    assert_eq!(text.encode(&"a".repeat(101)).unwrap(), unknown);
    // A hundred letters are looked at, and are too many for the model.
    assert_eq!(text.encode(&"a".repeat(100)), Err(EmbedError::TooLong { tokens: 102, limit: 40 }));
    assert_eq!(text.encode(&"a".repeat(1 << 22)).unwrap(), unknown);
}

#[test]
fn texts_that_are_too_long_are_counted_and_refused() {
    let text = load(&files(|_| ())).text;
    assert_eq!(text.encode(&"a ".repeat(38)).unwrap().len(), 40);
    assert_eq!(text.encode(&"a ".repeat(39)), Err(EmbedError::TooLong { tokens: 41, limit: 40 }));
    assert_eq!(text.encode(&"a ".repeat(100_000)), Err(EmbedError::TooLong { tokens: 100_002, limit: 40 }));
    let letter = text.encode("a").unwrap()[1];
    assert_eq!(text.surround(&[letter]).unwrap(), text.encode("a").unwrap());
    assert_eq!(text.surround(&[letter; 39]), Err(EmbedError::TooLong { tokens: 41, limit: 40 }));
}

#[test]
fn no_text_and_no_list_of_tokens_has_special_ones() {
    let text = load(&files(|_| ())).text;
    for special in ["[PAD]", "[CLS]", "[SEP]", "[MASK]"] {
        let tokens = text.encode(special).unwrap();
        assert!(tokens[1..tokens.len() - 1].iter().all(|&token| token > 4), "{special}: {tokens:?}");
    }
    for token in [0, 2, 3, 4, 9999, u32::MAX] {
        assert_eq!(text.surround(&[token]), Err(EmbedError::Token { token }));
    }
    // What stands for an unknown word is what a text may become.
    assert!(text.surround(&[1]).is_ok());
}

proptest! {
    #[test]
    fn any_text_has_the_references_tokens(text in "(?s)[ab .,\\[\\]CLSé\u{301}\u{65e5}\t\u{85}\u{200b}ßİ\u{1f980}\\PC]{0,20}") {
        thread_local!(static BOTH: (Arc<EncoderText>, tokenizers::Tokenizer) = (load(&files(|_| ())).text, reference()));
        BOTH.with(|(ours, reference)| {
            let wanted = reference.encode(text.as_str(), true).unwrap();
            match ours.encode(&text) {
                Ok(found) => prop_assert_eq!(found, wanted.get_ids()),
                Err(error) => prop_assert_eq!(error, EmbedError::TooLong { tokens: wanted.len(), limit: 40 }),
            }
            Ok(())
        })?;
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let handle = EncoderHandle::spawn(load(&files(|_| ())), Limits::default()).unwrap();
    assert_eq!(handle.embed_blocking(vec![vec![2], vec![]]), Err(EmbedError::Empty));
    assert_eq!(handle.embed_blocking(vec![vec![5000]]), Err(EmbedError::Token { token: 5000 }));
    assert_eq!(handle.embed_blocking(vec![vec![5; 41]]), Err(EmbedError::TooLong { tokens: 41, limit: 40 }));
    assert_eq!(handle.embed_blocking(Vec::new()), Ok(Vec::new()));
    assert_eq!(handle.in_flight(), 0);
}

#[tokio::test]
async fn a_full_encoder_is_busy_and_one_that_is_stopped_says_so() {
    let handle = EncoderHandle::spawn(load(&files(|_| ())), Limits { max_streams: 1, queue: 1 }).unwrap();
    let long = vec![vec![5; 40]; 3_000];
    let [first, second] = std::array::from_fn(|_| {
        let (handle, long) = (handle.clone(), long.clone());
        tokio::spawn(async move { handle.embed(long).await })
    });
    while handle.in_flight() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(handle.embed(vec![vec![5]]).await, Err(EmbedError::Busy { places: 2 }));
    // Whoever goes away frees the place.
    first.abort();
    while handle.in_flight() == 2 {
        tokio::task::yield_now().await;
    }
    handle.stop();
    assert_eq!(second.await.unwrap(), Err(EmbedError::Stopped));
    tokio::time::timeout(Duration::from_secs(60), handle.stopped()).await.unwrap();
    assert_eq!(handle.embed(vec![vec![5]]).await, Err(EmbedError::Stopped));
    assert_eq!(handle.in_flight(), 0);
}

#[test]
fn a_vector_that_is_no_number_fails_its_own_request() {
    let bad = files(|files| {
        files.rewrite("F32", "", |x| x.to_le_bytes().to_vec());
        // The embedding of the last token, which lies where the table ends.
        let weights = files.weights();
        let length = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
        let header: Json = serde_json::from_slice(&weights[8..8 + length]).unwrap();
        let end = header["embeddings.word_embeddings.weight"]["data_offsets"][1].as_u64().unwrap() as usize;
        weights[8 + length + end - 4..8 + length + end].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let handle = EncoderHandle::spawn(load(&bad), Limits::default()).unwrap();
    assert_eq!(handle.embed_blocking(vec![handle.text().encode("cafe").unwrap()]), Err(EmbedError::NotFinite));
    assert!(handle.embed_blocking(vec![handle.text().encode("the").unwrap()]).is_ok());
}

#[test]
fn an_encoder_is_told_by_its_configuration() {
    assert!(is_encoder(&files(|_| ())).unwrap());
    assert!(!is_encoder(&files(|files| files.remove("config.json"))).unwrap());
    let other = files(|files| files.change("config.json", |config| config["model_type"] = "llama".into()));
    assert!(!is_encoder(&other).unwrap());
}

#[test]
fn hostile_files_are_refused_by_their_defect() {
    let config = |field: &'static str, value: Json| files(|files| files.change("config.json", |c| c[field] = value));
    let tokenizer = |change: &dyn Fn(&mut Json)| files(|files| files.change("tokenizer.json", change));
    let long = "x".repeat(1 << 20);
    let cases: Vec<(&str, MemoryFiles, &str)> = vec![
        ("no layers", config("num_hidden_layers", json!(0)), "the number of layers is 0, wanted 1 to"),
        ("a million", config("num_hidden_layers", json!(1_000_000)), "the number of layers is 1000000"),
        ("a layer more than there is", config("num_hidden_layers", json!(3)), "no tensor encoder.layer.2."),
        ("heads that do not fit", config("num_attention_heads", json!(5)), "5 heads in a width of 48"),
        ("no heads", config("num_attention_heads", json!(0)), "the number of heads is 0"),
        ("a row of gigabytes", config("intermediate_size", json!(1 << 18)), "a row takes"),
        ("wider than its tensors", config("hidden_size", json!(96)), "the model's width 96"),
        ("other feed-forward", config("intermediate_size", json!(96)), "has shape [80, 48], wanted [96, 48]"),
        ("an epsilon below 0", config("layer_norm_eps", json!(-1.0)), "the norm's epsilon is -1"),
        ("more positions", config("max_position_embeddings", json!(64)), "has shape [48, 48], wanted [64, 48]"),
        ("endless positions", config("max_position_embeddings", json!(1 << 30)), "the number of positions"),
        ("segments", config("type_vocab_size", json!(0)), "type_vocab_size is 0"),
        ("no number", config("hidden_size", json!("many")), "the encoder's configuration"),
        ("another activation", config("hidden_act", json!("gelu_new")), "gelu_new"),
        ("other positions", config("position_embedding_type", json!("relative_key")), "relative_key"),
        ("a decoder", config("is_decoder", json!(true)), "is_decoder"),
        (
            "a limit beyond the positions",
            files(|files| files.change("sentence_bert_config.json", |c| c["max_seq_length"] = json!(49))),
            "max_seq_length is 49, wanted 1 to 48",
        ),
        (
            "a limit that is none",
            files(|files| files.change("sentence_bert_config.json", |c| c["max_seq_length"] = json!(-1))),
            "max_seq_length is 0",
        ),
        (
            "no room for text",
            files(|files| files.change("sentence_bert_config.json", |c| c["max_seq_length"] = json!(2))),
            "2 special tokens leave no room",
        ),
        (
            "a module that is not known",
            files(|files| {
                files
                    .change("modules.json", |modules| modules[2]["type"] = "sentence_transformers.models.Dense".into());
            }),
            "Transformer, Pooling, Dense",
        ),
        ("no list of modules", files(|files| files.change("modules.json", |m| *m = json!({}))), "this list of modules"),
        ("no pooling", files(|files| files.remove("1_Pooling/config.json")), "no file 1_Pooling/config.json"),
        (
            "two ways to pool",
            files(|files| {
                files.change("1_Pooling/config.json", |pooling| pooling["pooling_mode_max_tokens"] = json!(true));
            }),
            "mean_tokens, max_tokens",
        ),
        (
            "pooling of another width",
            files(|files| {
                files.change("1_Pooling/config.json", |pooling| pooling["word_embedding_dimension"] = json!(384));
            }),
            "word_embedding_dimension is 384",
        ),
        (
            "a prompt before each text",
            files(|files| {
                files.0.push(("config_sentence_transformers.json", br#"{"default_prompt_name":"query"}"#.to_vec()));
            }),
            "a prompt before each text",
        ),
        (
            "an adapter",
            files(|files| files.0.push(("adapter_config.json", b"{}".to_vec()))),
            "an adapter of an encoder",
        ),
        ("another kind of tokenizer", tokenizer(&|t| t["model"]["type"] = "Unigram".into()), "known: WordPiece"),
        ("another normalizer", tokenizer(&|t| t["normalizer"]["type"] = "NFC".into()), "known: BertNormalizer"),
        ("a normalizer that says nothing", tokenizer(&|t| t["normalizer"]["lowercase"] = json!(1)), "lowercase"),
        ("another splitting", tokenizer(&|t| t["pre_tokenizer"] = Json::Null), "known: BertPreTokenizer"),
        ("another end", tokenizer(&|t| t["post_processor"]["type"] = "RobertaProcessing".into()), "RobertaProcessing"),
        ("no place for text", tokenizer(&|t| t["post_processor"]["single"] = json!([])), "no place for the text"),
        (
            "many tokens around",
            tokenizer(&|t| {
                let parts = t["post_processor"]["single"].as_array_mut().unwrap();
                parts.extend(vec![parts[0].clone(); 100]);
            }),
            "102 tokens around",
        ),
        (
            "the second segment",
            tokenizer(&|t| t["post_processor"]["single"][1]["Sequence"]["type_id"] = json!(1)),
            "second kind of segment",
        ),
        ("nothing unknown", tokenizer(&|t| t["model"]["unk_token"] = Json::Null), "no token stands for unknown"),
        ("no vocabulary", tokenizer(&|t| t["model"]["vocab"] = Json::Null), "no vocabulary"),
        ("numbers far away", tokenizer(&|t| t["model"]["vocab"]["far"] = json!(1 << 30)), "no usable number"),
        ("numbers beyond the table", tokenizer(&|t| t["model"]["vocab"]["far"] = json!(4000)), "but 119 embeddings"),
        ("a long piece", tokenizer(&|t| t["model"]["vocab"][&long] = json!(200)), "a piece of 1048576 bytes"),
        (
            "endless words",
            tokenizer(&|t| t["model"]["max_input_chars_per_word"] = json!(1 << 30)),
            "max_input_chars_per_word is 1073741824",
        ),
        (
            "an added token that text becomes",
            tokenizer(&|t| t["added_tokens"][4]["special"] = json!(false)),
            "an added token that is not special",
        ),
        (
            "integers for weights",
            files(|files| files.rewrite("I32", "", |x| x.to_le_bytes().to_vec())),
            "the type of a tensor",
        ),
    ];
    for (what, files, wanted) in cases {
        let error = refusal(&files);
        assert!(error.contains(wanted), "{what}: {error}");
        assert!(error.len() < LONGEST_ERROR, "{what}: an error of {} bytes", error.len());
    }
    let cut = files(|files| {
        let weights = files.weights();
        weights.truncate(weights.len() / 2);
    });
    assert!(refusal(&cut).contains("does not fit its place"));
}
