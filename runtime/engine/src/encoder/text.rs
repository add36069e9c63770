//! An encoder's tokenizer: pieces of words, and the special tokens around each text. A text never becomes a
//! special token, whatever it spells.

use super::pieces::{Cleaning, Piece, Pieces};
use crate::error::{EmbedError, EngineError};
use crate::limits::VOCABULARY;

/// What an [`EncoderText`] is made of, from whichever file.
pub(super) struct TextParts {
    pub(super) cleaning: Cleaning,
    /// Characters of a word that pieces are looked for in.
    pub(super) word_characters: usize,
    /// Pieces of text, with the numbers of their tokens.
    pub(super) pieces: Vec<(Piece, u32)>,
    /// For each token whether a text may become it.
    pub(super) is_plain: Vec<bool>,
    /// The token of a word that has no pieces.
    pub(super) unknown: u32,
    /// Special tokens in front of each text, and behind it.
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
}

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
    /// A text may have `limit` tokens; its vector has `dimensions` numbers.
    pub(super) fn new(parts: TextParts, limit: usize, dimensions: usize) -> Result<Self, EngineError> {
        let TextParts { cleaning, word_characters, pieces, is_plain, unknown, before, after } = parts;
        if is_plain.len() > VOCABULARY {
            return Err(malformed(format!("{} tokens, the limit is {VOCABULARY}", is_plain.len())));
        }
        let around = before.len() + after.len();
        if around >= limit {
            return Err(malformed(format!("{around} special tokens leave no room for text")));
        }
        let pieces = Pieces::new(cleaning, word_characters, pieces, unknown)?;
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

pub(super) fn malformed(reason: impl Into<String>) -> EngineError {
    EngineError::malformed("the tokenizer", reason)
}
