//! An encoder's tokenizer: pieces of words, and the special tokens around each text. A text never becomes a
//! special token, whatever it spells.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::pieces::{Cleaning, Pieces};
use crate::error::{EmbedError, EngineError};
use crate::limits::{AROUND, VOCABULARY};
use crate::text::{Kind, json_tokens};

/// An encoder's tokenizer. Shared by the server, which turns texts into tokens, and the engine.
pub struct EncoderText {
    pieces: Pieces,
    /// Whether a text may become the token of this number.
    is_plain: Vec<bool>,
    /// Special tokens in front of each text, and behind it.
    before: Vec<u32>,
    after: Vec<u32>,
    limit: usize,
    dimensions: usize,
}

impl EncoderText {
    /// From `tokenizer.json` and `sentence_bert_config.json`. A text may have `limit` tokens.
    pub(super) fn from_json(
        tokenizer: &Json,
        sentences: &Json,
        limit: usize,
        dimensions: usize,
    ) -> Result<Self, EngineError> {
        let model = &tokenizer["model"];
        if model["type"] != "WordPiece" {
            let found = format!("{} (known: WordPiece)", model["type"]);
            return Err(EngineError::unsupported("the encoder's tokenizer", found));
        }
        let tokens = json_tokens(&model["vocab"], &tokenizer["added_tokens"])?;
        if tokens.len() > VOCABULARY {
            return Err(malformed(format!("{} tokens, the limit is {VOCABULARY}", tokens.len())));
        }
        if let Some((text, _)) = tokens.iter().find(|(_, kind)| *kind == Kind::UserDefined) {
            return Err(EngineError::unsupported("an added token that is not special", text));
        }
        let cleaning = Cleaning::from_json(tokenizer)?;
        if sentences["do_lower_case"].as_bool() == Some(true) && !cleaning.lowers {
            return Err(EngineError::unsupported("a tokenizer that keeps capitals", "do_lower_case"));
        }
        let numbers: HashMap<&str, u32> =
            tokens.iter().zip(0u32..).map(|((text, _), number)| (text.as_str(), number)).collect();
        let unknown = model["unk_token"].as_str().and_then(|text| numbers.get(text));
        let &unknown = unknown.ok_or_else(|| malformed("no token stands for unknown words"))?;
        let (before, after) = around(&tokenizer["post_processor"], &numbers)?;
        if before.len() + after.len() >= limit {
            return Err(malformed(format!("{} special tokens leave no room for text", before.len() + after.len())));
        }
        let is_plain = tokens.iter().map(|(_, kind)| *kind == Kind::Normal).collect();
        let plain = tokens.into_iter().zip(0u32..).filter(|((_, kind), _)| *kind == Kind::Normal);
        let pieces = Pieces::new(cleaning, model, plain.map(|((text, _), number)| (text, number)), unknown)?;
        Ok(Self { pieces, is_plain, before, after, limit, dimensions })
    }

    /// The tokens of a text, with the special ones around it.
    ///
    /// # Errors
    /// [`EmbedError::TooLong`] says how many there are and how many may be.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, EmbedError> {
        let mut tokens = self.before.clone();
        let room = self.limit - self.after.len();
        let mut count = tokens.len();
        self.pieces.each(text, &mut |token| {
            count += 1;
            if count <= room {
                tokens.push(token);
            }
        });
        self.finished(tokens, count)
    }

    /// The same for a text that comes as tokens, without special ones.
    ///
    /// # Errors
    /// As [`Self::encode`], and [`EmbedError::Token`] for a number that no text becomes.
    pub fn surround(&self, text: &[u32]) -> Result<Vec<u32>, EmbedError> {
        let is_plain = |token: u32| self.is_plain.get(token as usize) == Some(&true) || token == self.pieces.unknown;
        if let Some(&token) = text.iter().find(|&&token| !is_plain(token)) {
            return Err(EmbedError::Token { token });
        }
        let tokens: Vec<u32> = self.before.iter().chain(text).copied().collect();
        let count = tokens.len();
        self.finished(tokens, count)
    }

    /// Tokens that a text may have, those around it included.
    #[must_use]
    pub fn context_length(&self) -> usize {
        self.limit
    }

    /// Numbers of an embedding.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Number of tokens.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.is_plain.len()
    }

    fn finished(&self, mut tokens: Vec<u32>, count: usize) -> Result<Vec<u32>, EmbedError> {
        let (count, limit) = (count + self.after.len(), self.limit);
        if count > limit {
            return Err(EmbedError::TooLong { tokens: count, limit });
        }
        if count == 0 {
            return Err(EmbedError::Empty);
        }
        tokens.extend(&self.after);
        Ok(tokens)
    }
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

fn malformed(reason: impl Into<String>) -> EngineError {
    EngineError::malformed("the tokenizer", reason)
}
