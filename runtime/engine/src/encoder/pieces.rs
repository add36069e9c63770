//! From text to pieces of words, as BERT has it: characters are cleaned, accents taken off, capitals made
//! small; words end at white space and around punctuation; each word is cut into the longest pieces that
//! the vocabulary has, from its start. The tables of characters are those of the reference (`tokenizers`),
//! and so are the results; what differs is that nothing is kept but the word that is being read.

use std::collections::HashMap;

use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::UnicodeNormalization;

use crate::error::EngineError;
use crate::limits::PIECE_BYTES;

/// Characters of a word that pieces are looked for in, unless a file says otherwise: BERT's own number.
pub(super) const USUAL_WORD: usize = 100;

/// What is done to characters before words are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cleaning {
    pub(super) cleans: bool,
    pub(super) spaces_ideographs: bool,
    pub(super) strips_accents: bool,
    pub(super) lowers: bool,
}

impl Cleaning {
    /// Whether a vocabulary with this piece was made for texts that keep what is taken away here. Pieces with
    /// punctuation in them tell nothing: no text has them, since words end there.
    pub(super) fn contradicts(self, piece: &str) -> bool {
        let alone = Self { cleans: false, spaces_ideographs: false, ..self };
        !piece.chars().any(is_punctuation) && !alone.characters(piece).eq(piece.chars())
    }

    /// The characters of a text as words are looked for in them.
    fn characters<'a>(self, text: &'a str) -> Box<dyn Iterator<Item = char> + 'a> {
        let mut all: Box<dyn Iterator<Item = char> + 'a> = Box::new(text.chars());
        if self.cleans {
            let kept = all.filter(|&c| c != '\0' && c != '\u{fffd}' && !is_control(c));
            all = Box::new(kept.map(|c| if c.is_whitespace() { ' ' } else { c }));
        }
        if self.spaces_ideographs {
            all = Box::new(all.flat_map(|c| {
                let space = is_ideograph(c).then_some(' ');
                space.into_iter().chain(Some(c)).chain(space)
            }));
        }
        if self.strips_accents {
            all = Box::new(all.nfd().map(|(c, _)| c).filter(|c| !c.is_mark_nonspacing()));
        }
        if self.lowers {
            all = Box::new(all.flat_map(char::to_lowercase));
        }
        all
    }
}

/// What a token is to a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// It begins a word.
    First(String),
    /// It goes on with one.
    Further(String),
}

/// A vocabulary of pieces.
pub(super) struct Pieces {
    cleaning: Cleaning,
    /// Pieces that begin a word.
    first: HashMap<String, u32>,
    /// Pieces that go on with one.
    further: HashMap<String, u32>,
    /// What a word becomes that is too long, or has no pieces.
    pub(super) unknown: u32,
    /// Characters of the longest piece.
    longest: usize,
    /// Characters of a word that pieces are looked for in.
    most: usize,
}

impl Pieces {
    /// From pieces with the numbers of their tokens.
    pub(super) fn new(
        cleaning: Cleaning,
        most: usize,
        tokens: Vec<(Piece, u32)>,
        unknown: u32,
    ) -> Result<Self, EngineError> {
        let malformed = |reason: String| EngineError::malformed("the tokenizer", reason);
        let mut pieces = Self { cleaning, first: HashMap::new(), further: HashMap::new(), unknown, longest: 0, most };
        for (piece, number) in tokens {
            let (text, known) = match piece {
                Piece::First(text) => (text, &mut pieces.first),
                Piece::Further(text) => (text, &mut pieces.further),
            };
            if text.is_empty() || text.len() > PIECE_BYTES {
                return Err(malformed(format!("a piece of {} bytes, wanted 1 to {PIECE_BYTES}", text.len())));
            }
            pieces.longest = pieces.longest.max(text.chars().count());
            if let Some(other) = known.insert(text, number) {
                return Err(malformed(format!("the tokens {other} and {number} are the same piece")));
            }
        }
        Ok(pieces)
    }

    /// Calls `token` with each token of a text.
    pub(super) fn each(&self, text: &str, token: &mut dyn FnMut(u32)) {
        let mut word = Word::default();
        for character in self.cleaning.characters(text) {
            if character.is_whitespace() {
                self.cut(&mut word, token);
            } else if is_punctuation(character) {
                self.cut(&mut word, token);
                word.push(character, self.most);
                self.cut(&mut word, token);
            } else {
                word.push(character, self.most);
            }
        }
        self.cut(&mut word, token);
    }

    /// The pieces of a word, which is empty then.
    fn cut(&self, word: &mut Word, token: &mut dyn FnMut(u32)) {
        let length = std::mem::take(&mut word.length);
        let text = std::mem::take(&mut word.text);
        if length > self.most {
            token(self.unknown);
        } else if length > 0 {
            match self.pieces(&text) {
                Some(pieces) => pieces.into_iter().for_each(token),
                None => token(self.unknown),
            }
        }
        word.text = text;
        word.text.clear();
    }

    /// `None` where a part of the word is in no piece.
    fn pieces(&self, word: &str) -> Option<Vec<u32>> {
        let mut pieces = Vec::new();
        let mut rest = word;
        while !rest.is_empty() {
            let known = if pieces.is_empty() { &self.first } else { &self.further };
            let ends = rest.char_indices().map(|(start, character)| start + character.len_utf8()).take(self.longest);
            let ends: Vec<usize> = ends.collect();
            let found = ends.into_iter().rev().find_map(|end| Some((*known.get(rest.get(..end)?)?, end)));
            let (number, end) = found?;
            pieces.push(number);
            rest = rest.get(end..)?;
        }
        Some(pieces)
    }
}

/// A word that is being read: no more of it than pieces are looked for in.
#[derive(Default)]
struct Word {
    text: String,
    length: usize,
}

impl Word {
    fn push(&mut self, character: char, most: usize) {
        self.length += 1;
        if self.length <= most {
            self.text.push(character);
        }
    }
}

fn is_control(character: char) -> bool {
    !matches!(character, '\t' | '\n' | '\r') && character.is_other()
}

fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation() || character.is_punctuation()
}

/// The blocks that BERT took for Chinese: their characters are words of their own.
fn is_ideograph(character: char) -> bool {
    matches!(
        u32::from(character),
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x2_0000..=0x2_A6DF
            | 0x2_A700..=0x2_B73F
            | 0x2_B740..=0x2_B81F
            | 0x2_B920..=0x2_CEAF
            | 0xF900..=0xFAFF
            | 0x2_F800..=0x2_FA1F
    )
}
