//! An encoder's figures and tokenizer from the metadata of a GGUF file.
//!
//! What such a file has no word on is what its writers and llama.cpp take for granted: GELU by the error
//! function, `[CLS]` before each text and `[SEP]` behind it (whatever `add_bos_token` and its like say),
//! words of at most 100 characters, vectors of length 1.

use super::config::{EncoderConfig, FAMILY, Figures, Pooling};
use super::pieces::{Cleaning, Piece, USUAL_WORD};
use super::text::{EncoderText, TextParts, malformed};
use crate::error::EngineError;
use crate::families;
use crate::gguf::Metadata;

/// Stands before what begins a word, where `tokenizer.json` marks what goes on with one.
const START: char = '\u{2581}';

/// The keys of a special token, of which the first counts, and its usual text, for files without them.
type Special = (&'static [&'static str], &'static str);
const UNKNOWN: Special = (&["tokenizer.ggml.unknown_token_id"], "[UNK]");
/// Newer files call it the first of a text, as for other models.
const FIRST: Special = (&["tokenizer.ggml.cls_token_id", "tokenizer.ggml.bos_token_id"], "[CLS]");
/// The key is spelled so.
const LAST: Special = (&["tokenizer.ggml.seperator_token_id"], "[SEP]");

/// Both of them. A text may have `max_context` tokens at most.
pub(super) fn read(metadata: &Metadata, max_context: usize) -> Result<(EncoderConfig, EncoderText), EngineError> {
    let config = figures(metadata)?.check()?;
    let text = EncoderText::new(text(metadata)?, config.limit.min(max_context), config.width)?;
    Ok((config, text))
}

fn figures(metadata: &Metadata) -> Result<Figures, EngineError> {
    let name = metadata.text("general.architecture")?.unwrap_or("(none)");
    if name != FAMILY {
        return Err(families::unknown(name));
    }
    let key = |rest: &str| format!("{FAMILY}.{rest}");
    let missing = |key: String| EngineError::malformed("the GGUF header", format!("no {key}"));
    let number = |key: String| metadata.integer(&key)?.ok_or_else(|| missing(key));
    let heads = number(key("attention.head_count"))?;
    if metadata.integer(&key("attention.head_count_kv"))?.is_some_and(|found| found != heads) {
        return Err(EngineError::unsupported("an encoder with fewer heads for keys", key("attention.head_count_kv")));
    }
    if metadata.bool(&key("attention.causal"))? == Some(true) {
        return Err(EngineError::unsupported("an encoder used as a decoder", key("attention.causal")));
    }
    let epsilon = key("attention.layer_norm_epsilon");
    Ok(Figures {
        layers: number(key("block_count"))?,
        width: number(key("embedding_length"))?,
        feed_forward: number(key("feed_forward_length"))?,
        heads,
        norm_epsilon: metadata.float(&epsilon)?.ok_or_else(|| missing(epsilon))?,
        positions: number(key("context_length"))?,
        segment_kinds: number("tokenizer.ggml.token_type_count".into())?,
        limit: None,
        // Without the key it would be a guess, and the wrong one for half of the models.
        pooling: match number(key("pooling_type"))? {
            1 => Pooling::Mean,
            2 => Pooling::First,
            other => {
                return Err(EngineError::unsupported("the pooling", format!("type {other} (known: 1 mean, 2 cls)")));
            }
        },
        normalizes: true,
    })
}

fn text(metadata: &Metadata) -> Result<TextParts, EngineError> {
    match metadata.text("tokenizer.ggml.model")? {
        Some("bert") => {}
        other => {
            let found = format!("{other:?} (known: \"bert\", WordPiece)");
            return Err(EngineError::unsupported("the encoder's tokenizer", found));
        }
    }
    let texts = metadata.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
    let [unknown, first, last] = [UNKNOWN, FIRST, LAST].map(|special| number(metadata, texts, special));
    let (unknown, first, last) = (unknown?, first?, last?);
    let mut is_plain = plain(metadata, texts)?;
    for special in [unknown, first, last] {
        // Whatever their types say. The numbers are those of tokens.
        is_plain.iter_mut().skip(special as usize).take(1).for_each(|is_plain| *is_plain = false);
    }
    let plain = texts.iter().zip(0u32..).zip(&is_plain).filter(|(_, is_plain)| **is_plain);
    let pieces: Vec<_> = plain.filter_map(|((text, number), _)| Some((piece(text)?, number))).collect();
    Ok(TextParts {
        cleaning: cleaning(metadata, &pieces)?,
        word_characters: USUAL_WORD,
        pieces,
        is_plain,
        unknown,
        before: vec![first],
        after: vec![last],
    })
}

/// The number of a special token.
fn number(metadata: &Metadata, texts: &[String], (keys, usual): Special) -> Result<u32, EngineError> {
    for key in keys {
        if let Some(number) = metadata.integer(key)? {
            let number = u32::try_from(number).ok().filter(|&number| (number as usize) < texts.len());
            return number.ok_or_else(|| malformed(format!("{key} names no token")));
        }
    }
    let numbers = texts.iter().zip(0u32..);
    let found = numbers.into_iter().find(|(text, _)| *text == usual);
    found.map(|(_, number)| number).ok_or_else(|| malformed(format!("it has neither {} nor {usual}", keys.join(", "))))
}

/// For each token whether a text may become it.
fn plain(metadata: &Metadata, texts: &[String]) -> Result<Vec<bool>, EngineError> {
    let kinds = metadata.integers("tokenizer.ggml.token_type")?.unwrap_or_default();
    if !kinds.is_empty() && kinds.len() != texts.len() {
        return Err(malformed("as many token types as tokens were wanted"));
    }
    let one = |(index, text): (usize, &String)| match kinds.get(index) {
        None | Some(1) => Ok(true),
        // Unknown, control, unused.
        Some(2 | 3 | 5) => Ok(false),
        Some(4) => Err(EngineError::unsupported("an added token that is not special", text)),
        Some(other) => Err(malformed(format!("the token {text:?} is of type {other}"))),
    };
    texts.iter().enumerate().map(one).collect()
}

/// What a plain token is a piece of.
fn piece(text: &str) -> Option<Piece> {
    match text.strip_prefix(START) {
        // A word of no characters does not exist: this is the character itself.
        None | Some("") => Some(text.to_owned()).filter(|text| !text.is_empty()).map(Piece::Further),
        Some(rest) => Some(Piece::First(rest.to_owned())),
    }
}

/// What is done to characters. Files from before the two keys leave it to their readers, which take capitals
/// and accents away: right for most, and told by the vocabulary where it is not.
fn cleaning(metadata: &Metadata, pieces: &[(Piece, u32)]) -> Result<Cleaning, EngineError> {
    let lowers = metadata.bool("tokenizer.ggml.normalizer.lowercase")?;
    let strips = metadata.bool("tokenizer.ggml.normalizer.strip_accents")?;
    let strips_accents = strips.or(lowers).unwrap_or(true);
    let cleaning = Cleaning { cleans: true, spaces_ideographs: true, strips_accents, lowers: lowers.unwrap_or(true) };
    let texts = pieces.iter().map(|(Piece::First(text) | Piece::Further(text), _)| text);
    match texts.into_iter().find(|text| lowers.is_none() && cleaning.contradicts(text)) {
        None => Ok(cleaning),
        Some(piece) => Err(EngineError::unsupported(
            "a tokenizer that may keep capitals or accents",
            format!("it has {piece:?}, and no tokenizer.ggml.normalizer.lowercase"),
        )),
    }
}
