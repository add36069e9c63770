//! An encoder's tokenizer from `tokenizer.json`.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::pieces::{Cleaning, Piece, USUAL_WORD};
use super::text::{TextParts, malformed};
use crate::error::EngineError;
use crate::limits::{AROUND, WORD_CHARACTERS};
use crate::text::{Kind, json_tokens};

/// From `tokenizer.json` and `sentence_bert_config.json`.
pub(super) fn read(tokenizer: &Json, sentences: &Json) -> Result<TextParts, EngineError> {
    let model = &tokenizer["model"];
    if model["type"] != "WordPiece" {
        let found = format!("{} (known: WordPiece)", model["type"]);
        return Err(EngineError::unsupported("the encoder's tokenizer", found));
    }
    let tokens = json_tokens(&model["vocab"], &tokenizer["added_tokens"])?;
    if let Some((text, _)) = tokens.iter().find(|(_, kind)| *kind == Kind::UserDefined) {
        return Err(EngineError::unsupported("an added token that is not special", text));
    }
    let cleaning = cleaning(tokenizer)?;
    if sentences["do_lower_case"].as_bool() == Some(true) && !cleaning.lowers {
        return Err(EngineError::unsupported("a tokenizer that keeps capitals", "do_lower_case"));
    }
    let numbers: HashMap<&str, u32> =
        tokens.iter().zip(0u32..).map(|((text, _), number)| (text.as_str(), number)).collect();
    let unknown = model["unk_token"].as_str().and_then(|text| numbers.get(text));
    let &unknown = unknown.ok_or_else(|| malformed("no token stands for unknown words"))?;
    let (before, after) = around(&tokenizer["post_processor"], &numbers)?;
    let mark = model["continuing_subword_prefix"].as_str().unwrap_or("##");
    let plain = tokens.iter().zip(0u32..).filter(|((_, kind), _)| *kind == Kind::Normal);
    Ok(TextParts {
        cleaning,
        word_characters: word_characters(model)?,
        is_plain: tokens.iter().map(|(_, kind)| *kind == Kind::Normal).collect(),
        pieces: plain.flat_map(|((text, _), number)| pieces(text, mark).map(move |piece| (piece, number))).collect(),
        unknown,
        before,
        after,
    })
}

/// What a token is a piece of: a marked one goes on with a word, or is a word by itself, mark and all.
fn pieces(text: &str, mark: &str) -> impl Iterator<Item = Piece> {
    let further = text.strip_prefix(mark).filter(|further| !further.is_empty());
    let further = further.map(|further| Piece::Further(further.to_owned()));
    further.into_iter().chain([Piece::First(text.to_owned())])
}

fn word_characters(model: &Json) -> Result<usize, EngineError> {
    match &model["max_input_chars_per_word"] {
        Json::Null => Ok(USUAL_WORD),
        found => match found.as_u64().filter(|most| (1..=WORD_CHARACTERS).contains(most)) {
            Some(most) => Ok(most as usize),
            None => Err(malformed(format!("max_input_chars_per_word is {found}, wanted 1 to {WORD_CHARACTERS}"))),
        },
    }
}

/// From `normalizer` and `pre_tokenizer`.
fn cleaning(tokenizer: &Json) -> Result<Cleaning, EngineError> {
    for (field, wanted) in [("normalizer", "BertNormalizer"), ("pre_tokenizer", "BertPreTokenizer")] {
        let found = &tokenizer[field]["type"];
        if found != wanted {
            return Err(EngineError::unsupported(
                "the encoder's tokenizer",
                format!("{field} {found} (known: {wanted})"),
            ));
        }
    }
    let normalizer = &tokenizer["normalizer"];
    let field = |name: &'static str| {
        let missing = || malformed(format!("its normalizer does not say {name}"));
        normalizer[name].as_bool().ok_or_else(missing)
    };
    let lowers = field("lowercase")?;
    Ok(Cleaning {
        cleans: field("clean_text")?,
        spaces_ideographs: field("handle_chinese_chars")?,
        strips_accents: normalizer["strip_accents"].as_bool().unwrap_or(lowers),
        lowers,
    })
}

/// The special tokens in front of a single text and behind it.
fn around(post_processor: &Json, numbers: &HashMap<&str, u32>) -> Result<(Vec<u32>, Vec<u32>), EngineError> {
    let number = |text: Option<&str>| {
        let known = text.and_then(|text| numbers.get(text)).copied();
        known.ok_or_else(|| malformed("its post_processor names no token"))
    };
    match post_processor["type"].as_str() {
        Some("BertProcessing") => {
            let named = |field: &str| number(post_processor[field][0].as_str()).map(|token| vec![token]);
            Ok((named("cls")?, named("sep")?))
        }
        Some("TemplateProcessing") => {
            let parts = post_processor["single"].as_array().map(Vec::as_slice).unwrap_or_default();
            let text = parts.iter().position(|part| part["Sequence"]["id"] == "A");
            let text = text.ok_or_else(|| malformed("its post_processor has no place for the text"))?;
            if parts.len() > AROUND + 1 {
                return Err(malformed(format!("{} tokens around a text", parts.len() - 1)));
            }
            let specials = |parts: &[Json]| -> Result<Vec<u32>, EngineError> {
                parts.iter().map(|part| number(part["SpecialToken"]["id"].as_str())).collect()
            };
            if parts.iter().any(|part| ["SpecialToken", "Sequence"].iter().any(|kind| is_second(&part[kind]))) {
                return Err(EngineError::unsupported("a single text of the second kind of segment", "type_id"));
            }
            let (before, after) = parts.split_at(text);
            Ok((specials(before)?, specials(after.get(1..).unwrap_or_default())?))
        }
        other => Err(EngineError::unsupported(
            "the encoder's tokenizer",
            format!("post_processor {other:?} (known: BertProcessing, TemplateProcessing)"),
        )),
    }
}

fn is_second(part: &Json) -> bool {
    !part["type_id"].is_null() && part["type_id"].as_u64() != Some(0)
}
