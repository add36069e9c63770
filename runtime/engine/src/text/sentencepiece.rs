//! SentencePiece's BPE: Llama 2, Mistral, Gemma, Phi-3. A text is one word: its spaces become `▁`,
//! characters are merged pair by pair into longer tokens, and what is no token at the end is
//! written in bytes.
//!
//! Why not `tokenizers`, as for byte-level BPE: it wants a list of pairs. GGUF has only scores, and
//! any two neighbours may merge whose joined text is a token, whether the two are tokens themselves
//! or not. Made from the vocabulary, such a list would have every split of every token, and would
//! order merges of one token by their splits where SentencePiece goes from left to right. It is less
//! code, and less memory, to do what SentencePiece does: the best pair first, of equal ones the
//! leftmost. The lists of `tokenizer.json` are the same with ranks in the place of scores.
//!
//! The work is bounded whatever vocabulary and text are: each of `n` characters is merged away at
//! most once, each merge asks for two pairs, each pair is a look-up of [`PIECE_BYTES`] at most.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::tokenizer::Kind;
use super::whole::Whole;
use crate::error::{EngineError, TokenizeError};
use crate::limits::PIECE_BYTES;

/// What SentencePiece writes for a space.
pub(super) const SPACE: char = '▁';

/// What decides which pair is merged first.
pub(crate) enum Order {
    /// A score for every token: the highest first.
    Scores(Vec<f32>),
    /// Pairs of tokens: the first ones first.
    Merges(Vec<(String, String)>),
}

/// What is done about the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// Nothing.
    None,
    /// A space goes in front.
    Always,
    /// The same, unless the text has one there.
    IfMissing,
    /// The same, and only where the text is the first of a prompt.
    First,
}

/// The encoder.
pub(super) struct SentencePiece {
    /// Tokens that text may become, and when merging makes them (with [`Order::Scores`]).
    pieces: HashMap<String, Piece>,
    /// Pairs of tokens, when they are merged and into what; with [`Order::Merges`].
    merges: Option<HashMap<(u32, u32), Piece>>,
    /// The token of each byte.
    bytes: [u32; 256],
    whole: Whole,
    prefix: Prefix,
    /// Bytes of the longest piece.
    longest: u32,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    token: u32,
    /// Lower ones are merged first.
    rank: u32,
}

impl SentencePiece {
    /// Checks a vocabulary. Of equal texts the last number counts.
    pub(super) fn new(tokens: &[(String, Kind)], order: Order, prefix: Prefix) -> Result<Self, EngineError> {
        let normal = || tokens.iter().zip(0u32..).filter(|((_, kind), _)| *kind == Kind::Normal);
        let mut longest = 0;
        for ((text, _), _) in normal() {
            if text.is_empty() || text.len() > PIECE_BYTES {
                return Err(malformed(format!("a token of {} bytes, wanted 1 to {PIECE_BYTES}", text.len())));
            }
            longest = longest.max(text.len() as u32);
        }
        let ranks = match &order {
            Order::Scores(scores) => ranks(scores, tokens.len())?,
            Order::Merges(_) => vec![0; tokens.len()],
        };
        let pieces: HashMap<String, Piece> =
            normal().map(|((text, _), token)| (text.clone(), Piece { token, rank: ranks[token as usize] })).collect();
        let merges = match order {
            Order::Scores(_) => None,
            Order::Merges(merges) => Some(pairs(&merges, tokens, &pieces)?),
        };
        Ok(Self { pieces, merges, bytes: byte_tokens(tokens)?, whole: Whole::new(tokens)?, prefix, longest })
    }

    /// The tokens of a plain text, which may be the first part of a prompt or a later one.
    pub(super) fn encode(&self, text: &str, is_first: bool) -> Result<Vec<u32>, TokenizeError> {
        let mut tokens = Vec::new();
        let (mut from, mut at) = (0, 0);
        while let Some(character) = text[at..].chars().next() {
            match self.whole.longest(&text.as_bytes()[at..]) {
                Some((len, token)) => {
                    self.merge(&text[from..at], is_first && from == 0, &mut tokens)?;
                    tokens.push(token);
                    at += len;
                    from = at;
                }
                None => at += character.len_utf8(),
            }
        }
        self.merge(&text[from..], is_first && from == 0, &mut tokens)?;
        Ok(tokens)
    }

    fn merge(&self, text: &str, is_first: bool, tokens: &mut Vec<u32>) -> Result<(), TokenizeError> {
        if text.is_empty() {
            return Ok(());
        }
        let mut word = text.replace(' ', SPACE.encode_utf8(&mut [0; 4]));
        match self.prefix {
            Prefix::None => {}
            Prefix::First if !is_first => {}
            Prefix::IfMissing | Prefix::First if word.starts_with(SPACE) => {}
            Prefix::Always | Prefix::IfMissing | Prefix::First => word.insert(0, SPACE),
        }
        // Places in the text are 32-bit numbers.
        u32::try_from(word.len()).map_err(|_| TokenizeError)?;
        Merging::new(self, &word).run(tokens);
        Ok(())
    }
}

/// A run of characters that is one token, or one character that is none.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    start: u32,
    /// 0 once it is merged into the one on its left.
    len: u32,
    token: Option<u32>,
    /// Neighbours; itself where there is none.
    left: u32,
    right: u32,
}

/// A pair that could be merged. The order is that of the fields: the rank, then the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    rank: u32,
    left: u32,
    right: u32,
    len: u32,
    token: u32,
}

/// One text on its way.
struct Merging<'a> {
    rules: &'a SentencePiece,
    text: &'a str,
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Reverse<Pair>>,
}

impl<'a> Merging<'a> {
    fn new(rules: &'a SentencePiece, text: &'a str) -> Self {
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .zip(0u32..)
            .map(|((start, character), index)| {
                let token = rules.pieces.get(character.encode_utf8(&mut [0; 4]) as &str).map(|piece| piece.token);
                let (start, len) = (start as u32, character.len_utf8() as u32);
                Symbol { start, len, token, left: index.saturating_sub(1), right: index + 1 }
            })
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.right -= 1;
        }
        Self { rules, text, symbols, queue: BinaryHeap::new() }
    }

    fn run(mut self, tokens: &mut Vec<u32>) {
        for index in 1..self.symbols.len() as u32 {
            self.propose(index - 1, index);
        }
        while let Some(Reverse(pair)) = self.queue.pop() {
            let (left, right) = (self.symbols[pair.left as usize], self.symbols[pair.right as usize]);
            // One of them may be gone, or longer, since the pair was proposed.
            if left.len == 0 || right.len == 0 || left.len + right.len != pair.len {
                continue;
            }
            let is_last = right.right == pair.right;
            let next = if is_last { pair.left } else { right.right };
            let merged = Symbol { len: pair.len, token: Some(pair.token), right: next, ..left };
            self.symbols[pair.left as usize] = merged;
            self.symbols[pair.right as usize].len = 0;
            if !is_last {
                self.symbols[next as usize].left = pair.left;
                self.propose(pair.left, next);
            }
            if left.left != pair.left {
                self.propose(left.left, pair.left);
            }
        }
        for symbol in self.symbols.iter().filter(|symbol| symbol.len > 0) {
            if let Some(token) = symbol.token {
                tokens.push(token);
            } else {
                let bytes = self.text[symbol.range()].bytes();
                tokens.extend(bytes.map(|byte| self.rules.bytes[usize::from(byte)]));
            }
        }
    }

    /// Queues two neighbours if they can be merged.
    fn propose(&mut self, left: u32, right: u32) {
        let (one, other) = (self.symbols[left as usize], self.symbols[right as usize]);
        let len = one.len + other.len;
        if len > self.rules.longest {
            return;
        }
        let found = match &self.rules.merges {
            None => self.rules.pieces.get(&self.text[one.range().start..other.range().end]),
            Some(merges) => one.token.zip(other.token).and_then(|pair| merges.get(&pair)),
        };
        if let Some(&Piece { token, rank }) = found {
            self.queue.push(Reverse(Pair { rank, left, right, len, token }));
        }
    }
}

impl Symbol {
    fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// The place of every score among all: equal scores have equal places.
fn ranks(scores: &[f32], tokens: usize) -> Result<Vec<u32>, EngineError> {
    if scores.len() != tokens {
        return Err(malformed(format!("{} scores for {tokens} tokens", scores.len())));
    }
    if scores.iter().any(|score| score.is_nan()) {
        return Err(malformed("a score is not a number"));
    }
    // Adding 0 makes one zero of two.
    let mut sorted: Vec<f32> = scores.iter().map(|score| score + 0.0).collect();
    sorted.sort_by(|one, other| other.total_cmp(one));
    sorted.dedup();
    Ok(scores.iter().map(|score| sorted.partition_point(|better| better > score) as u32).collect())
}

fn pairs(
    merges: &[(String, String)],
    tokens: &[(String, Kind)],
    pieces: &HashMap<String, Piece>,
) -> Result<HashMap<(u32, u32), Piece>, EngineError> {
    let known: HashSet<&str> = tokens.iter().map(|(text, _)| text.as_str()).collect();
    let mut pairs = HashMap::with_capacity(merges.len());
    for ((left, right), rank) in merges.iter().zip(0u32..) {
        let merged = format!("{left}{right}");
        if let Some(missing) = [left, right, &merged].into_iter().find(|token| !known.contains(token.as_str())) {
            return Err(malformed(format!("the merge of {left:?} and {right:?} needs the token {missing:?}")));
        }
        // A list may make special tokens too, of their letters. Here text never becomes one.
        let [left, right, merged] = [left, right, &merged].map(|text| pieces.get(text).map(|piece| piece.token));
        if let (Some(left), Some(right), Some(token)) = (left, right, merged) {
            pairs.insert((left, right), Piece { token, rank });
        }
    }
    Ok(pairs)
}

/// Without one of them, text would silently lose bytes.
fn byte_tokens(tokens: &[(String, Kind)]) -> Result<[u32; 256], EngineError> {
    let mut found = [None; 256];
    for ((_, kind), number) in tokens.iter().zip(0u32..) {
        if let Kind::Byte(byte) = kind {
            found[usize::from(*byte)].get_or_insert(number);
        }
    }
    let mut bytes = [0; 256];
    for (byte, (token, found)) in (0..=u8::MAX).zip(bytes.iter_mut().zip(found)) {
        *token = found.ok_or_else(|| malformed(format!("byte {byte:#04x} has no token")))?;
    }
    Ok(bytes)
}

/// The byte of a token `<0x0A>`.
pub(super) fn byte_of(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_plain)
}

fn malformed(reason: impl Into<String>) -> EngineError {
    EngineError::malformed("the tokenizer", reason)
}
