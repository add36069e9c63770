//! How a SentencePiece vocabulary in `tokenizer.json` treats spaces. The format has several
//! spellings for it; here are the ones that Llama 2, Mistral, Gemma and Phi-3 have. A spelling that
//! is not understood is refused.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::sentencepiece::Prefix;
use crate::error::EngineError;

/// What is put in front of a text, whether decoding drops it, and which special tokens take the
/// white space behind them (`rstrip`).
pub(super) struct Spaces {
    pub(super) prefix: Prefix,
    pub(super) drops_space: bool,
    pub(super) trimming: HashSet<u32>,
}

impl Spaces {
    /// Reads the normalizer, the pre-tokenizer and the decoder, and refuses what would change text
    /// in any other way.
    pub(super) fn from_json(tokenizer: &Json) -> Result<Self, EngineError> {
        let model = &tokenizer["model"];
        let is_set = |field: &str| !matches!(model[field], Json::Null | Json::Bool(false)) && model[field] != "";
        let rules = ["dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"];
        if let Some(rule) = rules.into_iter().find(|rule| is_set(rule)) {
            return Err(unsupported(format!("{rule} with byte_fallback")));
        }
        let mut trimming = HashSet::new();
        for token in tokenizer["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default() {
            for rule in ["single_word", "lstrip"] {
                if token[rule].as_bool() == Some(true) {
                    return Err(unsupported(format!("the added token {} with {rule}", token["content"])));
                }
            }
            if token["rstrip"].as_bool() == Some(true) {
                trimming.extend(token["id"].as_u64().and_then(|number| u32::try_from(number).ok()));
            }
        }
        let prefix = match (normalizer(&tokenizer["normalizer"])?, pre_tokenizer(&tokenizer["pre_tokenizer"])?) {
            (Some(prefix), None) => prefix,
            // Metaspace finds no space left to replace, and a prefix only where there is none.
            (None, Some(prefix)) => prefix,
            (None, None) => return Err(unsupported("no rule for spaces".into())),
            (Some(_), Some(_)) => return Err(unsupported("two rules for spaces".into())),
        };
        Ok(Self { prefix, drops_space: drops_space(&tokenizer["decoder"])?, trimming })
    }
}

/// `Replace " "` with `▁`, perhaps after `Prepend ▁`.
fn normalizer(normalizer: &Json) -> Result<Option<Prefix>, EngineError> {
    let is_prepend = |step: &Json| step["type"] == "Prepend" && step["prepend"] == "▁";
    let is_replace =
        |step: &Json| step["type"] == "Replace" && step["pattern"]["String"] == " " && step["content"] == "▁";
    match steps(normalizer, "normalizers") {
        [] => Ok(None),
        [replace] if is_replace(replace) => Ok(Some(Prefix::None)),
        [prepend, replace] if is_prepend(prepend) && is_replace(replace) => Ok(Some(Prefix::Always)),
        _ => Err(unsupported(format!("the normalizer {}", kinds(normalizer, "normalizers")))),
    }
}

/// `Metaspace`, or a splitting at spaces after the normalizer has replaced them all.
fn pre_tokenizer(pre_tokenizer: &Json) -> Result<Option<Prefix>, EngineError> {
    match steps(pre_tokenizer, "pretokenizers") {
        [] => return Ok(None),
        [split] if split["type"] == "Split" && split["pattern"]["String"] == " " => return Ok(None),
        [space] if space["type"] == "Metaspace" && space["replacement"] == "▁" && space["split"] == false => {
            match space["prepend_scheme"].as_str() {
                Some("always") => return Ok(Some(Prefix::IfMissing)),
                Some("first") => return Ok(Some(Prefix::First)),
                Some("never") => return Ok(Some(Prefix::None)),
                other => return Err(unsupported(format!("Metaspace with the scheme {other:?}"))),
            }
        }
        _ => {}
    }
    Err(unsupported(format!("the pre-tokenizer {}", kinds(pre_tokenizer, "pretokenizers"))))
}

fn drops_space(decoder: &Json) -> Result<bool, EngineError> {
    let mut drops_space = false;
    for step in steps(decoder, "decoders") {
        let is_known = match step["type"].as_str() {
            Some("ByteFallback" | "Fuse") => true,
            Some("Replace") => step["pattern"]["String"] == "▁" && step["content"] == " ",
            Some("Strip") => step["content"] == " " && step["start"] == 1 && step["stop"] == 0,
            Some("Metaspace") => step["replacement"] == "▁",
            _ => false,
        };
        if !is_known {
            return Err(unsupported(format!("the decoder {}", kinds(decoder, "decoders"))));
        }
        let is_never = step["prepend_scheme"] == "never";
        drops_space |= step["type"] == "Strip" || (step["type"] == "Metaspace" && !is_never);
    }
    Ok(drops_space)
}

/// The steps of a sequence; of a single step, itself.
fn steps<'a>(value: &'a Json, list: &str) -> &'a [Json] {
    match (&value[list], value) {
        (Json::Array(steps), _) => steps,
        (_, Json::Null) => &[],
        (_, one) => std::slice::from_ref(one),
    }
}

fn kinds(value: &Json, list: &str) -> String {
    let kinds: Vec<String> = steps(value, list).iter().map(|step| step["type"].to_string()).collect();
    kinds.join(", ")
}

fn unsupported(found: String) -> EngineError {
    EngineError::unsupported("the tokenizer's rules", found)
}
