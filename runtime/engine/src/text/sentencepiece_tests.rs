//! SentencePiece vocabularies against numbers of llama.cpp (`sentencepiece.json` says how they were made), and
//! against a slow writing-down of the rule.

use std::collections::HashSet;
use std::io::Cursor;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::sentencepiece::{Order, Prefix};
use super::tokenizer::Tokenizer;
use super::*;
use crate::gguf::{Header, Value, Writer};

/// `tokens`: text, kind and score; `cases`: a text and its numbers with and without a space in front.
static VECTOR: LazyLock<Json> = LazyLock::new(|| serde_json::from_str(include_str!("sentencepiece.json")).unwrap());

const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content | trim }}\
    <end_of_turn>\n{% endfor %}";

fn list(name: &str) -> impl Iterator<Item = &'static Json> {
    VECTOR[name].as_array().unwrap().iter()
}

fn numbers(ids: &Json) -> Vec<u32> {
    ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The metadata that a GGUF file of the small vocabulary has, changed by `edit`.
fn gguf_with(edit: impl FnOnce(&mut Vec<(&str, Value)>)) -> Result<TextModel, EngineError> {
    let mut entries = vec![
        ("tokenizer.ggml.model", Value::Text("llama".into())),
        ("tokenizer.ggml.tokens", Value::Texts(list("tokens").map(|t| t[0].as_str().unwrap().to_owned()).collect())),
        ("tokenizer.ggml.token_type", Value::Integers(list("tokens").map(|t| t[1].as_i64().unwrap()).collect())),
        ("tokenizer.ggml.scores", Value::Floats(list("tokens").map(|t| t[2].as_f64().unwrap() as f32).collect())),
        ("tokenizer.ggml.bos_token_id", Value::Integer(1)),
        ("tokenizer.ggml.eos_token_id", Value::Integer(2)),
        ("tokenizer.chat_template", Value::Text(TEMPLATE.into())),
    ];
    edit(&mut entries);
    let mut file = Writer::default();
    entries.iter().for_each(|(key, value)| file.value(key, value));
    let bytes = file.finish();
    let header = Header::read(&mut Cursor::new(&bytes), bytes.len() as u64).unwrap();
    TextModel::new(from_gguf(&header.metadata)?, Family::of_gguf("llama").unwrap(), 100)
}

fn gguf(prefix: bool) -> TextModel {
    gguf_with(|entries| entries.push(("tokenizer.ggml.add_space_prefix", Value::Bool(prefix)))).unwrap()
}

fn plain() -> &'static TextModel {
    static PLAIN: LazyLock<TextModel> = LazyLock::new(|| gguf(false));
    &PLAIN
}

/// The same vocabulary as `tokenizer.json`: for scores, every split of every token, the best token first.
fn json_with(edit: impl FnOnce(&mut Json)) -> Result<TextModel, EngineError> {
    let (tokenizer, config) = json_parts(edit);
    TextModel::new(from_json(&tokenizer, &config, &Json::Null)?, Family::of_gguf("llama").unwrap(), 100)
}

/// Its `tokenizer.json` and `tokenizer_config.json`.
fn json_parts(edit: impl FnOnce(&mut Json)) -> (Json, Json) {
    let mut vocab = serde_json::Map::new();
    let (mut added, mut pieces) = (Vec::new(), Vec::new());
    for (number, token) in list("tokens").enumerate() {
        let kind = token[1].as_u64().unwrap();
        let text = token[0].as_str().unwrap().replace(' ', "▁");
        vocab.insert(text.clone(), number.into());
        match kind {
            2..=4 => added.push(json!({"id": number, "content": token[0], "special": kind != 4})),
            _ => pieces.push((token[2].as_f64().unwrap(), text)),
        }
    }
    pieces.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let splits = pieces.iter().flat_map(|(_, text)| text.char_indices().skip(1).map(|(at, _)| text.split_at(at)));
    let merges: Vec<_> =
        splits.filter(|(left, right)| vocab.contains_key(*left) && vocab.contains_key(*right)).collect();
    let mut tokenizer = json!({
        "model": {"type": "BPE", "byte_fallback": true, "vocab": vocab, "merges": merges, "ignore_merges": false},
        "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious"},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
    });
    edit(&mut tokenizer);
    (tokenizer, json!({"bos_token": "<s>", "eos_token": "</s>"}))
}

fn refusal(model: Result<TextModel, EngineError>) -> String {
    model.err().unwrap().to_string()
}

#[test]
fn ids_are_llama_cpp_s() {
    for (name, model) in [("with_prefix", gguf(true)), ("without_prefix", gguf(false))] {
        for case in list("cases") {
            let text = case["text"].as_str().unwrap();
            assert_eq!(model.encode(text).unwrap(), numbers(&case[name]), "{name}: {text:?}");
        }
    }
    assert!(list("cases").count() > 60);
}

#[test]
fn a_tokenizer_json_gives_the_same_ids() {
    let prepend = |json: &mut Json| {
        let replace = json["normalizer"].take();
        json["normalizer"] = json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace]});
        json["pre_tokenizer"] = Json::Null;
    };
    let metaspace = |json: &mut Json| {
        json["normalizer"] = Json::Null;
        json["pre_tokenizer"] =
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": false});
    };
    for (name, model) in [
        ("without_prefix", json_with(|_| ()).unwrap()),
        ("without_prefix", json_with(metaspace).unwrap()),
        ("with_prefix", json_with(prepend).unwrap()),
    ] {
        for case in list("cases") {
            let text = case["text"].as_str().unwrap();
            assert_eq!(model.encode(text).unwrap(), numbers(&case[name]), "{name}: {text:?}");
        }
    }
}

#[test]
fn text_comes_back() {
    for model in [gguf(false), gguf(true), json_with(|_| ()).unwrap()] {
        for case in list("cases") {
            let text = case["text"].as_str().unwrap();
            let tokens = model.encode(text).unwrap();
            // Each part between whole tokens has its own space in front, of which only the first is dropped.
            let first = !model.tokenizer.drops_space() || !text.contains(['\n', '\t']) && !text.contains("  ");
            if first && !text.contains('▁') {
                assert_eq!(model.decode(&tokens), text);
            }
        }
    }
}

#[test]
fn only_the_first_space_is_dropped() {
    let model = gguf(true);
    let tokens = model.encode("the key 漢 the").unwrap();
    let mut decoder = model.decoder();
    // A special token has no text, so what follows is still the beginning.
    let pieces: Vec<String> = [1].iter().chain(&tokens).map(|&token| decoder.push(token)).collect();
    assert_eq!(pieces[..3], ["", "the", " ke"]);
    assert_eq!(pieces.concat() + &decoder.finish(), "the key 漢 the");
    assert_eq!(plain().decode(&tokens), " the key 漢 the");
}

#[test]
fn completions_begin_with_the_start_token() {
    assert_eq!(plain().encode_completion("").unwrap(), [1_u32]);
    let without = gguf_with(|entries| entries.push(("tokenizer.ggml.add_bos_token", Value::Bool(false)))).unwrap();
    assert!(without.encode_completion("").unwrap().is_empty());
    assert_eq!(json_with(|_| ()).unwrap().encode_completion("").unwrap(), [1_u32]);
}

#[test]
fn what_looks_like_a_special_token_is_text() {
    for text in ["<s>", "</s>", "<unk>", "<end_of_turn>", "<0x0A>"] {
        for model in [plain(), &json_with(|_| ()).unwrap()] {
            let tokens = model.encode(text).unwrap();
            assert!(tokens.iter().all(|&token| token != 0 && !model.is_special(token)), "{text}: {tokens:?}");
            assert_ne!(model.decode(&tokens), "\n");
            assert_eq!(model.decode(&tokens), text);
        }
    }
}

#[test]
fn a_content_has_whole_tokens_but_no_marks() {
    let message = |content: &str| ChatMessage::new("user", content);
    let tokens = plain().encode_chat(&[message("a\n\nb<b><end_of_turn>\n\n")], false).unwrap();
    let text = "user\na\n\nb<b><end_of_turn>\n";
    assert_eq!(plain().decode(&tokens), text);
    let specials: Vec<u32> = tokens.iter().copied().filter(|&token| plain().is_special(token)).collect();
    assert_eq!(specials, [1, 3, 4]);
    // "\n\n" is 6 and "<b>" is 10, whoever wrote them.
    assert!(tokens.contains(&6) && tokens.contains(&10), "{tokens:?}");
    // Where the template steers with `<b>`, users cannot.
    let steering = gguf_with(|entries| {
        entries.pop();
        entries.push(("tokenizer.chat_template", Value::Text("<b>{{ messages[0].content }}".into())));
    });
    let tokens = steering.unwrap().encode_chat(&[message("<b>x")], false).unwrap();
    assert_eq!((tokens[0], tokens.iter().filter(|&&token| token == 10).count()), (10, 1));
}

#[test]
fn only_the_first_text_of_a_prompt_has_a_space_in_front_where_the_file_says_so() {
    let first = |json: &mut Json| {
        json["normalizer"] = Json::Null;
        json["pre_tokenizer"] =
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false});
    };
    let parts = |template: &str| {
        let (tokenizer, mut config) = json_parts(first);
        config["chat_template"] = template.into();
        let parts = from_json(&tokenizer, &config, &Json::Null).unwrap();
        TextModel::new(parts, Family::of_gguf("llama").unwrap(), 100).unwrap()
    };
    let messages = [ChatMessage::new("user", "hello")];
    let encoded = |template: &str| parts(template).encode_chat(&messages, false).unwrap();
    let (with, without) = (gguf(true).encode("hello").unwrap(), plain().encode("hello").unwrap());
    assert_ne!(with, without);
    assert_eq!(encoded("{{ messages[0].content }}"), with);
    assert_eq!(encoded("<s>{{ messages[0].content }}"), [vec![1], without.clone()].concat());
    // A space that is there is not doubled.
    assert_eq!(parts("x").encode(" hello").unwrap(), plain().encode(" hello").unwrap());
}

#[test]
fn phi_3_s_marks_take_the_white_space_behind_them() {
    let template = "<s><start_of_turn>\n{{ messages[0].content }}<end_of_turn>\n<start_of_turn>\n".to_owned();
    let phi = |architecture: &str| {
        let model = gguf_with(|entries| {
            entries.pop();
            entries.push(("tokenizer.chat_template", Value::Text(template.clone())));
            entries.push(("general.architecture", Value::Text(architecture.into())));
            entries.push(("tokenizer.ggml.add_space_prefix", Value::Bool(true)));
        });
        let content = " hello <s>  x".to_owned();
        model.unwrap().encode_chat(&[ChatMessage::new("user", content)], false).unwrap()
    };
    let text = gguf(true).encode("hello <s>  x").unwrap();
    assert_eq!(phi("phi3"), [vec![1, 3], text, vec![4, 3]].concat());
    assert_ne!(phi("llama"), phi("phi3"));
    let json = json_with(|json| json["added_tokens"][3]["rstrip"] = true.into()).unwrap();
    assert!(json.tokenizer.trims_behind(3) && !json.tokenizer.trims_behind(4));
}

#[test]
fn turns_end_at_every_token_that_is_known_to_end_them() {
    assert!(plain().ends_turn(4) && plain().ends_turn(2) && !plain().ends_turn(3));
    let old_phi = gguf_with(|entries| {
        let Value::Texts(tokens) = &mut entries[1].1 else { panic!("texts were wanted") };
        tokens[10] = "<|end|>".into();
    });
    // There it is user-defined, and no text.
    let old_phi = old_phi.unwrap();
    assert!(old_phi.ends_turn(10) && old_phi.is_special(10));
    assert!(!old_phi.encode("<|end|>").unwrap().contains(&10));
}

#[test]
fn broken_vocabularies_are_refused() {
    let broken = |at: usize, value: Value| refusal(gguf_with(|entries| entries[at].1 = value));
    let texts = |number: usize, text: &str| {
        let mut texts: Vec<String> = list("tokens").map(|token| token[0].as_str().unwrap().to_owned()).collect();
        texts[number] = text.into();
        Value::Texts(texts)
    };
    let count = list("tokens").count();
    for (message, wanted) in [
        (broken(3, Value::Floats(vec![0.0])), "1 scores"),
        (broken(3, Value::Floats(vec![f32::NAN; count])), "not a number"),
        (broken(1, texts(13, "<0x00>")), "byte 0x01 has no token"),
        (broken(1, texts(13, "<0x1>")), "names no byte"),
        (broken(1, texts(300, &"a".repeat(257))), "257 bytes"),
        (broken(1, texts(300, "")), "0 bytes"),
        (broken(0, Value::Text("bert".into())), "bert"),
        (
            refusal(gguf_with(|e| e.push(("tokenizer.ggml.remove_extra_whitespaces", Value::Bool(true))))),
            "remove_extra_whitespaces",
        ),
    ] {
        assert!(message.contains(wanted), "{message}");
    }
}

#[test]
fn rules_that_are_not_understood_are_refused_by_name() {
    let with = |pointer: &str, value: Json| {
        refusal(json_with(|json| {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            json.pointer_mut(parent).unwrap()[field] = value;
        }))
    };
    for (message, wanted) in [
        (with("/normalizer", json!({"type": "NFKC"})), "NFKC"),
        (with("/normalizer", Json::Null), "no rule for spaces"),
        (with("/pre_tokenizer", json!({"type": "Digits"})), "Digits"),
        (
            with("/pre_tokenizer", json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"})),
            "Metaspace",
        ),
        (
            with(
                "/pre_tokenizer",
                json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last", "split": false}),
            ),
            "last",
        ),
        (with("/decoder", json!({"type": "CTC"})), "CTC"),
        (with("/model/dropout", json!(0.1)), "dropout"),
        (with("/model/ignore_merges", json!(true)), "ignore_merges"),
        (with("/model/type", json!("Unigram")), "Unigram"),
        (with("/model/merges", json!([["漢", "漢漢"]])), "漢漢"),
        (with("/added_tokens/1/lstrip", json!(true)), "lstrip"),
    ] {
        assert!(message.contains(wanted), "{wanted}: {message}");
    }
}

#[test]
fn a_vocabulary_made_to_be_slow_is_not() {
    // Every run of one letter is a token, and the longer the better: each merge proposes two more.
    let runs = (1..=256).map(|len| ("a".repeat(len), Kind::Normal));
    let tokens: Vec<_> = (0..=u8::MAX).map(|byte| (format!("<{byte}>"), Kind::Byte(byte))).chain(runs).collect();
    let scores = (0..tokens.len()).map(|score| score as f32).collect();
    let model = tokenizer(tokens, scores);
    let tokens = model.encode(&"a".repeat(1 << 18)).unwrap();
    assert_eq!(tokens.iter().map(|&token| token as usize - 255).sum::<usize>(), 1 << 18);
}

fn tokenizer(tokens: Vec<(String, Kind)>, scores: Vec<f32>) -> Tokenizer {
    let order = Order::Scores(scores);
    let method = Method::SentencePiece { order, prefix: Prefix::None, drops_space: false, trimming: HashSet::new() };
    Tokenizer::new(Vocabulary { tokens, method }).unwrap()
}

/// The rule, as slow as it is short: of all neighbours that make a token, the best, and of equals the first.
fn merge_slowly(pieces: &[(String, f32)], text: &str) -> Vec<String> {
    let mut parts: Vec<String> = text.chars().map(String::from).collect();
    loop {
        let mut best: Option<(usize, f32)> = None;
        for (at, pair) in parts.windows(2).enumerate() {
            let merged = pair.concat();
            // Of equal texts the last counts.
            let score = pieces.iter().rev().find(|(piece, _)| *piece == merged).map(|(_, score)| *score);
            if let Some(score) = score.filter(|score| best.is_none_or(|(_, best)| *score > best)) {
                best = Some((at, score));
            }
        }
        let Some((at, _)) = best else { return parts };
        let right = parts.remove(at + 1);
        parts[at].push_str(&right);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_the_slow_rule(
        pieces in proptest::collection::vec(("[abé]{1,5}", (-3i8..3).prop_map(f32::from)), 0..30),
        text in "[abé]{0,40}",
    ) {
        let bytes = (0..=u8::MAX).map(|byte| ((format!("<{byte}>"), Kind::Byte(byte)), 9.0));
        let normal = pieces.iter().map(|(piece, score)| ((piece.clone(), Kind::Normal), *score));
        let (tokens, scores) = bytes.chain(normal).unzip();
        let model = tokenizer(tokens, scores);
        let wanted: Vec<u32> = merge_slowly(&pieces, &text)
            .iter()
            .flat_map(|part| match pieces.iter().rposition(|(piece, _)| piece == part) {
                Some(number) => vec![256 + number as u32],
                None => part.bytes().map(u32::from).collect(),
            })
            .collect();
        prop_assert_eq!(model.encode(&text).unwrap(), wanted);
    }

    #[test]
    fn pieces_stream_in_whole_characters(text in "[ -~\n\täöü€🦀漢\u{301}]{0,80}") {
        let model = plain();
        let mut decoder = model.decoder();
        let pieces: Vec<String> = model.encode(&text).unwrap().iter().map(|&token| decoder.push(token)).collect();
        prop_assert!(!pieces.iter().any(|piece| piece.contains(char::REPLACEMENT_CHARACTER)));
        prop_assert_eq!(pieces.concat() + &decoder.finish(), text);
    }

    #[test]
    fn no_text_makes_a_special_token(text in "(<s>|</s>|<unk>|<end_of_turn>|<0x0A>|[a-z<>_ ]){0,12}") {
        let tokens = plain().encode(&text).unwrap();
        prop_assert!(!tokens.iter().any(|&token| plain().is_special(token)));
        prop_assert_eq!(plain().decode(&tokens), text);
    }
}
