//! Where tokenizer and template come from: GGUF metadata, or the JSON files beside safetensors.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::sentencepiece::{Order, Prefix, SPACE, byte_of};
use super::spaces::Spaces;
use super::tokenizer::{Kind, Method, Splitting, Vocabulary};
use super::whole::Texts;
use crate::error::EngineError;
use crate::gguf::Metadata;
use crate::limits::{NUMBER_GAP, VOCABULARY};

/// What a [`super::TextModel`] is made of.
pub(crate) struct TextParts {
    pub(crate) vocabulary: Vocabulary,
    /// The token before plain completions, if wanted.
    pub(crate) start: Option<u32>,
    /// Tokens that end a turn, the usual one first.
    pub(crate) ends: Vec<u32>,
    /// The chat template's source.
    pub(crate) template: Option<String>,
    /// Texts that templates call `bos_token` and `eos_token`.
    pub(crate) start_text: String,
    pub(crate) end_text: String,
}

/// Tokens that end a turn wherever they are special: files often name only one of them.
const TURN_ENDS: [&str; 9] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
];

/// From the `tokenizer.*` keys of GGUF.
pub(crate) fn from_gguf(metadata: &Metadata) -> Result<TextParts, EngineError> {
    let (method, adds_start) = match metadata.text("tokenizer.ggml.model")? {
        Some("gpt2") => gguf_byte_level(metadata)?,
        Some("llama") => gguf_sentencepiece(metadata)?,
        other => {
            return Err(EngineError::unsupported(
                "the tokenizer",
                format!("{other:?} (known: \"gpt2\", byte-level BPE, and \"llama\", SentencePiece's BPE)"),
            ));
        }
    };
    let tokens = gguf_tokens(metadata, matches!(method, Method::SentencePiece { .. }))?;
    let number = |key: &str| -> Result<Option<u32>, EngineError> {
        let Some(number) = metadata.integer(key)? else { return Ok(None) };
        u32::try_from(number)
            .ok()
            .filter(|&number| (number as usize) < tokens.len())
            .map(Some)
            .ok_or_else(|| malformed(format!("{key} names no token")))
    };
    let start = number("tokenizer.ggml.bos_token_id")?;
    let mut ends: Vec<u32> = number("tokenizer.ggml.eos_token_id")?.into_iter().collect();
    ends.extend(number("tokenizer.ggml.eot_token_id")?);
    ends.extend(number("tokenizer.ggml.eom_token_id")?);
    // `add_eos_token` has no say: a prompt that ended its own text would leave nothing to answer.
    let adds_start = metadata.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(adds_start);
    let template = metadata.text("tokenizer.chat_template")?.map(str::to_owned);
    Ok(finish(Vocabulary { tokens, method }, start, adds_start, ends, template))
}

/// The method, and whether a start token is the rule.
fn gguf_byte_level(metadata: &Metadata) -> Result<(Method, bool), EngineError> {
    let (splitting, ignore_merges) = match metadata.text("tokenizer.ggml.pre")? {
        Some("qwen2") => (Splitting::Qwen2, false),
        Some("llama-bpe" | "llama3" | "llama-v3") => (Splitting::Llama3, true),
        Some("tekken") => (Splitting::Tekken, true),
        Some("gpt-4o") => (Splitting::Gpt4o, false),
        None | Some("default" | "gpt-2" | "gpt2") => (Splitting::Gpt2, false),
        Some(other) => {
            return Err(EngineError::unsupported(
                "the tokenizer's splitting rule",
                format!("{other:?} (known: qwen2, llama-bpe, tekken, gpt-4o, gpt-2)"),
            ));
        }
    };
    let merges = metadata
        .texts("tokenizer.ggml.merges")?
        .unwrap_or_default()
        .iter()
        .map(|merge| split_merge(merge))
        .collect::<Result<_, _>>()?;
    Ok((Method::ByteLevel { merges, splitting, ignore_merges }, splitting.adds_start()))
}

/// The same for SentencePiece. Defaults are those of files from before the keys were there: Llama 2's.
fn gguf_sentencepiece(metadata: &Metadata) -> Result<(Method, bool), EngineError> {
    if metadata.bool("tokenizer.ggml.remove_extra_whitespaces")? == Some(true) {
        return Err(EngineError::unsupported("the tokenizer's rules", "remove_extra_whitespaces"));
    }
    let scores = metadata.floats("tokenizer.ggml.scores")?.unwrap_or_default().to_vec();
    let prefix = metadata.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let order = Order::Scores(scores);
    let method = Method::SentencePiece {
        order,
        prefix: if prefix { Prefix::Always } else { Prefix::None },
        drops_space: prefix,
        trimming: gguf_trimming(metadata)?,
    };
    Ok((method, true))
}

/// GGUF does not say which special tokens take the white space behind them. Phi-3's do, except these.
fn gguf_trimming(metadata: &Metadata) -> Result<HashSet<u32>, EngineError> {
    if metadata.text("general.architecture")? != Some("phi3") {
        return Ok(HashSet::new());
    }
    let tokens = gguf_tokens(metadata, true)?.into_iter().zip(0u32..);
    let trimming = tokens.filter(|((text, kind), _)| {
        let is_special = matches!(kind, Kind::Control | Kind::UserDefined);
        is_special && !["<s>", "<unk>", "<|endoftext|>"].contains(&text.as_str())
    });
    Ok(trimming.map(|(_, number)| number).collect())
}

fn gguf_tokens(metadata: &Metadata, is_sentencepiece: bool) -> Result<Vec<(String, Kind)>, EngineError> {
    let texts = metadata.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
    let kinds = metadata.integers("tokenizer.ggml.token_type")?.unwrap_or_default();
    if !kinds.is_empty() && kinds.len() != texts.len() {
        return Err(malformed("as many token types as tokens were wanted"));
    }
    let tokens = texts.iter().enumerate().map(|(index, text)| {
        let kind = match (kinds.get(index), byte_of(text)) {
            (Some(3), _) => Kind::Control,
            (Some(4), _) => Kind::UserDefined,
            (Some(5), _) => Kind::Unused,
            (Some(2), _) if is_sentencepiece => Kind::Unused,
            (Some(6) | None, Some(byte)) if is_sentencepiece => Kind::Byte(byte),
            (Some(6), None) if is_sentencepiece => return Err(malformed(format!("{text:?} names no byte"))),
            _ => Kind::Normal,
        };
        Ok((text.clone(), kind))
    });
    tokens.collect()
}

/// From `tokenizer.json`, `tokenizer_config.json` and `generation_config.json`, of which only
/// the first must be there.
pub(crate) fn from_json(tokenizer: &Json, config: &Json, generation: &Json) -> Result<TextParts, EngineError> {
    let model = &tokenizer["model"];
    if model["type"].as_str().is_some_and(|kind| kind != "BPE") {
        return Err(EngineError::unsupported("the tokenizer", format!("{} (known: BPE)", model["type"])));
    }
    let mut tokens = json_tokens(&model["vocab"], &tokenizer["added_tokens"])?;
    let merges = model["merges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let merges = merges
        .iter()
        .map(|merge| match (merge.as_str(), merge[0].as_str(), merge[1].as_str()) {
            (Some(text), ..) => split_merge(text),
            (None, Some(left), Some(right)) => Ok((left.to_owned(), right.to_owned())),
            _ => Err(malformed("a merge is neither a text nor a pair")),
        })
        .collect::<Result<_, _>>()?;
    let (method, adds_start) = if model["byte_fallback"].as_bool() == Some(true) {
        for (text, kind) in &mut tokens {
            if let (Some(byte), Kind::Normal) = (byte_of(text), *kind) {
                *kind = Kind::Byte(byte);
            }
        }
        let Spaces { prefix, drops_space, trimming } = Spaces::from_json(tokenizer)?;
        (Method::SentencePiece { order: Order::Merges(merges), prefix, drops_space, trimming }, true)
    } else {
        let splitting = json_splitting(&tokenizer["pre_tokenizer"])?;
        let ignore_merges = model["ignore_merges"].as_bool().unwrap_or(false);
        (Method::ByteLevel { merges, splitting, ignore_merges }, splitting.adds_start())
    };
    let numbers: HashMap<&str, u32> =
        tokens.iter().zip(0u32..).map(|((text, _), number)| (text.as_str(), number)).collect();
    let named = |field: &Json| {
        // Either the text, or an object with it.
        let text = field.as_str().or_else(|| field["content"].as_str())?;
        numbers.get(text).copied()
    };
    let start = named(&config["bos_token"]);
    let mut ends: Vec<u32> = named(&config["eos_token"]).into_iter().collect();
    let listed = match &generation["eos_token_id"] {
        Json::Array(list) => list.iter().filter_map(Json::as_u64).collect(),
        one => Vec::from_iter(one.as_u64()),
    };
    ends.extend(
        listed
            .into_iter()
            .filter_map(|number| u32::try_from(number).ok())
            .filter(|&number| (number as usize) < tokens.len()),
    );
    let adds_start = config["add_bos_token"].as_bool().unwrap_or(adds_start);
    let template = config["chat_template"].as_str().map(str::to_owned);
    Ok(finish(Vocabulary { tokens, method }, start, adds_start, ends, template))
}

fn finish(
    mut vocabulary: Vocabulary,
    start: Option<u32>,
    adds_start: bool,
    mut ends: Vec<u32>,
    template: Option<String>,
) -> TextParts {
    if matches!(vocabulary.method, Method::SentencePiece { .. }) {
        let steering: HashSet<u32> = ends.iter().copied().chain(start).collect();
        let texts = Texts::new(template.as_deref().unwrap_or_default());
        for ((text, kind), number) in vocabulary.tokens.iter_mut().zip(0u32..) {
            match kind {
                // Runs of spaces in SentencePiece's spelling come out of merging.
                Kind::UserDefined if text.chars().all(|character| character == SPACE) && !text.is_empty() => {
                    *kind = Kind::Normal;
                }
                Kind::UserDefined if texts.has(text) && !steering.contains(&number) => *kind = Kind::Whole,
                _ => {}
            }
        }
    }
    let special = vocabulary.tokens.iter().zip(0u32..).filter(|((text, kind), _)| match kind {
        Kind::Control => true,
        // `</s>` and the like are tags in some vocabularies.
        Kind::UserDefined => text.starts_with("<|") || text == "<end_of_turn>",
        _ => false,
    });
    ends.extend(special.filter(|((text, _), _)| TURN_ENDS.contains(&text.as_str())).map(|(_, number)| number));
    let mut seen = HashSet::new();
    ends.retain(|end| seen.insert(*end));
    let text_of = |token: Option<u32>| {
        token.and_then(|token| vocabulary.tokens.get(token as usize)).map(|(text, _)| text.clone()).unwrap_or_default()
    };
    TextParts {
        start_text: text_of(start),
        end_text: text_of(ends.first().copied()),
        start: start.filter(|_| adds_start),
        ends,
        template,
        vocabulary,
    }
}

fn json_splitting(pre_tokenizer: &Json) -> Result<Splitting, EngineError> {
    let steps = match &pre_tokenizer["pretokenizers"] {
        Json::Array(steps) => steps.as_slice(),
        _ => std::slice::from_ref(pre_tokenizer),
    };
    let splitting = match steps {
        [byte_level] if byte_level["type"] == "ByteLevel" && byte_level["use_regex"].as_bool() != Some(false) => {
            Some(Splitting::Gpt2)
        }
        [split, byte_level] if split["type"] == "Split" && byte_level["type"] == "ByteLevel" => {
            split["pattern"]["Regex"].as_str().and_then(Splitting::of_pattern)
        }
        _ => None,
    };
    splitting.ok_or_else(|| {
        EngineError::unsupported(
            "the tokenizer's splitting rule",
            "one that is not Qwen 2's, Llama 3's, tekken's, GPT-4o's or GPT-2's",
        )
    })
}

/// Tokens by number, from the vocabulary and the added tokens of a `tokenizer.json`.
pub(crate) fn json_tokens(vocab: &Json, added: &Json) -> Result<Vec<(String, Kind)>, EngineError> {
    let vocab = vocab.as_object().ok_or_else(|| malformed("tokenizer.json has no vocabulary"))?;
    let added = added.as_array().map(Vec::as_slice).unwrap_or_default();
    // Numbers have gaps in some files. Room for a gap is paid for by tokens of the file.
    let limit = VOCABULARY.min(2 * (vocab.len() + added.len()) + NUMBER_GAP);
    let mut tokens: Vec<(String, Kind)> = Vec::new();
    let mut put = |text: &str, number: Option<u64>, kind: Kind| {
        let index = number.and_then(|number| usize::try_from(number).ok()).filter(|&index| index < limit);
        let index = index.ok_or_else(|| malformed(format!("the token {text:?} has no usable number")))?;
        if tokens.len() <= index {
            tokens.resize(index + 1, (String::new(), Kind::Unused));
        }
        tokens[index] = (text.to_owned(), kind);
        Ok::<_, EngineError>(())
    };
    for (text, number) in vocab {
        put(text, number.as_u64(), Kind::Normal)?;
    }
    for token in added {
        let text = token["content"].as_str().ok_or_else(|| malformed("an added token has no text"))?;
        let kind = if token["special"].as_bool() == Some(true) { Kind::Control } else { Kind::UserDefined };
        put(text, token["id"].as_u64(), kind)?;
    }
    Ok(tokens)
}

/// `left right`, where the tokens themselves have no spaces.
fn split_merge(merge: &str) -> Result<(String, String), EngineError> {
    match merge.split_once(' ') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => Err(malformed(format!("{merge:?} is no merge"))),
    }
}

fn malformed(reason: impl Into<String>) -> EngineError {
    EngineError::malformed("the tokenizer", reason)
}
