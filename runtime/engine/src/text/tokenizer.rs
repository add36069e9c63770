//! From text to tokens: byte-level BPE, where the merging is `tokenizers`', or SentencePiece's
//! ([`super::sentencepiece`]). Special tokens are kept out of both, so that no plain text can ever
//! become one, and decoding is a table of bytes.

use std::collections::{HashMap, HashSet};

use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

use super::alphabet::{Alphabet, character};
use super::sentencepiece::{Order, Prefix, SPACE, SentencePiece};
use crate::error::{EngineError, TokenizeError};
use crate::limits::{SPECIAL_BYTES, VOCABULARY};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A piece of text.
    Normal,
    /// Steers the model; never shown.
    Control,
    /// Whole in a template's own text, shown in answers.
    UserDefined,
    /// Whole in any text, shown in answers: see [`super::whole`].
    Whole,
    /// One byte, for text that has no tokens.
    Byte(u8),
    /// In the table only.
    Unused,
}

/// How text is cut before merging. A closed set: a model's own pattern is never compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Splitting {
    /// GPT-2's.
    Gpt2,
    /// Llama 3's: digits in threes.
    Llama3,
    /// Qwen 2's: single digits, and Unicode composed first (NFC).
    Qwen2,
    /// Mistral's `tekken`: cut where case changes, single digits.
    Tekken,
    /// GPT-4o's (`o200k`), which Phi-4 mini has: cut where case changes, digits in threes.
    Gpt4o,
}

impl Splitting {
    /// The pattern; `None` where the byte-level step brings its own.
    fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Gpt2 => None,
            Self::Llama3 => Some(
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ),
            Self::Qwen2 => Some(
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ),
            Self::Tekken => Some(
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ),
            Self::Gpt4o => Some(
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ),
        }
    }

    /// Whether models of its line want a start token, where their files do not say.
    pub(super) fn adds_start(self) -> bool {
        matches!(self, Self::Llama3 | Self::Tekken)
    }

    /// The splitting that a `tokenizer.json` writes as this pattern.
    pub(super) fn of_pattern(pattern: &str) -> Option<Self> {
        let known = [Self::Llama3, Self::Qwen2, Self::Tekken, Self::Gpt4o];
        known.into_iter().find(|splitting| splitting.pattern() == Some(pattern))
    }
}

/// Everything that makes a tokenizer, from whichever file.
pub(crate) struct Vocabulary {
    /// Tokens by number, in the method's own spelling where they are [`Kind::Normal`].
    pub(crate) tokens: Vec<(String, Kind)>,
    /// How text becomes tokens.
    pub(crate) method: Method,
}

/// How text becomes tokens.
pub(crate) enum Method {
    /// Byte-level BPE.
    ByteLevel {
        /// Pairs to merge, the first ones first.
        merges: Vec<(String, String)>,
        /// How text is cut.
        splitting: Splitting,
        /// Whether a word that is a token is taken without merging.
        ignore_merges: bool,
    },
    /// SentencePiece's BPE.
    SentencePiece {
        /// Which pair is merged first.
        order: Order,
        /// What is put in front of a text.
        prefix: Prefix,
        /// Whether decoding drops a space in front.
        drops_space: bool,
        /// Special tokens that take the white space behind them in a prompt.
        trimming: HashSet<u32>,
    },
}

/// A checked tokenizer.
pub(crate) struct Tokenizer {
    encoder: Encoder,
    drops_space: bool,
    trimming: HashSet<u32>,
    /// Bytes of every token, one after the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<u32>,
    /// Special tokens and their numbers, sorted.
    specials: Vec<(String, u32)>,
    /// The same by number.
    special_texts: HashMap<u32, String>,
}

enum Encoder {
    ByteLevel(Box<tokenizers::Tokenizer>),
    SentencePiece(Box<SentencePiece>),
}

impl Tokenizer {
    pub(crate) fn new(vocabulary: Vocabulary) -> Result<Self, EngineError> {
        let Vocabulary { tokens, method } = vocabulary;
        if tokens.len() > VOCABULARY {
            return Err(malformed(format!("{} tokens, the limit is {VOCABULARY}", tokens.len())));
        }
        let is_byte_level = matches!(method, Method::ByteLevel { .. });
        let (bytes, ends) = byte_table(&tokens, is_byte_level)?;
        let mut specials: Vec<(String, u32)> = tokens
            .iter()
            .zip(0u32..)
            .filter(|((text, kind), _)| matches!(kind, Kind::Control | Kind::UserDefined) && !text.is_empty())
            .map(|((text, _), number)| (text.clone(), number))
            .collect();
        if let Some((special, _)) = specials.iter().find(|(special, _)| special.len() > SPECIAL_BYTES) {
            return Err(malformed(format!("a special token of {} bytes", special.len())));
        }
        specials.sort();
        let special_texts = specials.iter().map(|(text, number)| (*number, text.clone())).collect();
        // Of equal texts the first number counts.
        specials.dedup_by(|later, earlier| later.0 == earlier.0);
        let (encoder, drops_space, trimming) = match method {
            Method::ByteLevel { merges, splitting, ignore_merges } => {
                let normal = tokens.into_iter().zip(0u32..).filter(|((_, kind), _)| *kind == Kind::Normal);
                let normal = normal.map(|((text, _), number)| (text, number)).collect();
                let bpe = build(normal, merges, splitting, ignore_merges)?;
                (Encoder::ByteLevel(Box::new(bpe)), false, HashSet::new())
            }
            Method::SentencePiece { order, prefix, drops_space, trimming } => {
                let pieces = SentencePiece::new(&tokens, order, prefix)?;
                (Encoder::SentencePiece(Box::new(pieces)), drops_space, trimming)
            }
        };
        Ok(Self { encoder, drops_space, trimming, bytes, ends, specials, special_texts })
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The tokens of a plain text.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        self.encode_part(text, true)
    }

    /// The tokens of a plain text that is the first part of a prompt, or stands behind a special token.
    pub(crate) fn encode_part(&self, text: &str, is_first: bool) -> Result<Vec<u32>, TokenizeError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        match &self.encoder {
            Encoder::ByteLevel(bpe) => {
                let encoding = bpe.encode_fast(text, false).map_err(|_| TokenizeError)?;
                Ok(encoding.get_ids().to_vec())
            }
            Encoder::SentencePiece(pieces) => pieces.encode(text, is_first),
        }
    }

    /// Whether a special token takes the white space behind it in a prompt.
    pub(crate) fn trims_behind(&self, token: u32) -> bool {
        self.trimming.contains(&token)
    }

    /// Whether encoding puts a space in front of a text, which decoding drops.
    pub(crate) fn drops_space(&self) -> bool {
        self.drops_space
    }

    /// The bytes that a token stands for; none for control tokens and unknown numbers.
    pub(crate) fn bytes(&self, token: u32) -> &[u8] {
        let index = token as usize;
        let end = self.ends.get(index).copied().unwrap_or(0) as usize;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0) as usize;
        self.bytes.get(start..end).unwrap_or(&[])
    }

    /// Whether a token is a special one.
    pub(crate) fn is_special(&self, token: u32) -> bool {
        self.special_texts.contains_key(&token)
    }

    /// What a special token is written as.
    pub(crate) fn special_text(&self, token: u32) -> Option<&str> {
        self.special_texts.get(&token).map(String::as_str)
    }

    /// Special tokens and their numbers, sorted.
    pub(crate) fn specials(&self) -> &[(String, u32)] {
        &self.specials
    }
}

fn byte_table(tokens: &[(String, Kind)], is_byte_level: bool) -> Result<(Vec<u8>, Vec<u32>), EngineError> {
    let alphabet = Alphabet::new();
    let mut bytes = Vec::new();
    let mut ends = Vec::with_capacity(tokens.len());
    for (text, kind) in tokens {
        match kind {
            Kind::Normal if is_byte_level => alphabet.decode_into(text, &mut bytes),
            Kind::Normal => bytes.extend(text.replace(SPACE, " ").as_bytes()),
            Kind::UserDefined | Kind::Whole => bytes.extend(text.as_bytes()),
            Kind::Byte(byte) => bytes.push(*byte),
            Kind::Control | Kind::Unused => {}
        }
        ends.push(u32::try_from(bytes.len()).map_err(|_| malformed("its tokens are too long"))?);
    }
    Ok((bytes, ends))
}

fn build(
    normal: HashMap<String, u32>,
    merges: Vec<(String, String)>,
    splitting: Splitting,
    ignore_merges: bool,
) -> Result<tokenizers::Tokenizer, EngineError> {
    // Without one of them, text would silently lose bytes.
    if let Some(byte) = (0..=u8::MAX).find(|&byte| !normal.contains_key(character(byte).encode_utf8(&mut [0; 4]))) {
        return Err(malformed(format!("byte {byte:#04x} has no token")));
    }
    // `tokenizers` takes this for granted, and would panic.
    for (left, right) in &merges {
        let merged = format!("{left}{right}");
        if let Some(missing) = [left, right, &merged].into_iter().find(|token| !normal.contains_key(token.as_str())) {
            return Err(malformed(format!("the merge of {left:?} and {right:?} needs the token {missing:?}")));
        }
    }
    let vocab: Vocab = normal.into_iter().collect();
    let bpe = BPE::builder()
        .vocab_and_merges(vocab, merges)
        // No cache of words: it would keep pieces of prompts, and tell by its speed what others wrote.
        .cache_capacity(0)
        .ignore_merges(ignore_merges)
        .build()
        .map_err(|error| malformed(error.to_string()))?;
    let mut tokenizer = tokenizers::Tokenizer::new(ModelWrapper::BPE(bpe));
    if splitting == Splitting::Qwen2 {
        tokenizer.with_normalizer(Some(NFC)).map_err(|error| malformed(error.to_string()))?;
    }
    let byte_level = PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, splitting.pattern().is_none()));
    let pre_tokenizer = match splitting.pattern() {
        None => byte_level,
        Some(pattern) => {
            let pattern = SplitPattern::Regex(pattern.to_owned());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                .map_err(|error| malformed(error.to_string()))?;
            PreTokenizerWrapper::Sequence(Sequence::new(vec![PreTokenizerWrapper::Split(split), byte_level]))
        }
    };
    tokenizer.with_pre_tokenizer(Some(pre_tokenizer));
    Ok(tokenizer)
}

fn malformed(reason: impl Into<String>) -> EngineError {
    EngineError::malformed("the tokenizer", reason)
}
