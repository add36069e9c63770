//! Tokens that are whole in any text. SentencePiece calls them user-defined, and a model may have
//! two sorts of them: text that training kept together (Gemma's runs of newlines, its tags of
//! HTML), and marks that steer (`<|user|>` of older Phi-3 files). The file does not say which is
//! which, and what a user writes must never become a mark. So only these are text: spaces of any
//! kind, and a closed list of tags; and of these none that starts a text, ends a turn, or stands
//! in the model's own chat template.

use std::collections::{HashMap, HashSet};

use super::tokenizer::Kind;
use crate::error::EngineError;
use crate::limits::{SPECIAL_BYTES, WHOLE_TOKENS};

/// The elements whose tags are text: Gemma's.
const ELEMENTS: [&str; 35] = [
    "table",
    "caption",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "th",
    "td",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "strong",
    "em",
    "b",
    "i",
    "u",
    "s",
    "sub",
    "sup",
    "code",
    "a",
    "html",
    "body",
    "img",
    "span",
    "bbox",
    "ul",
    "li",
    "div",
    "iframe",
    "footer",
];

/// Tells which user-defined tokens are text.
pub(super) struct Texts(HashSet<String>);

impl Texts {
    /// For a model with this chat template.
    pub(super) fn new(template: &str) -> Self {
        let tags = ELEMENTS.iter().flat_map(|element| [format!("<{element}>"), format!("</{element}>")]);
        Self(tags.filter(|tag| !template.contains(tag.as_str())).collect())
    }

    /// Whether a user-defined token is no more than text.
    pub(super) fn has(&self, token: &str) -> bool {
        !token.is_empty() && (token.chars().all(char::is_whitespace) || self.0.contains(token))
    }
}

/// Finds whole tokens: a tree with a byte on every edge.
pub(super) struct Whole {
    edges: HashMap<(u32, u8), u32>,
    tokens: HashMap<u32, u32>,
}

impl Whole {
    /// Of those that are [`Kind::Whole`]. Of equal texts the last number counts.
    pub(super) fn new(tokens: &[(String, Kind)]) -> Result<Self, EngineError> {
        let mut tree = Self { edges: HashMap::new(), tokens: HashMap::new() };
        for ((text, _), number) in tokens.iter().zip(0u32..).filter(|((_, kind), _)| *kind == Kind::Whole) {
            if tree.tokens.len() >= WHOLE_TOKENS || text.is_empty() || text.len() > SPECIAL_BYTES {
                let limits = format!("{WHOLE_TOKENS} user-defined tokens of 1 to {SPECIAL_BYTES} bytes");
                return Err(EngineError::malformed("the tokenizer", format!("it passes the limit of {limits}")));
            }
            let node = text.bytes().fold(0, |node, byte| {
                let next = tree.edges.len() as u32 + 1;
                *tree.edges.entry((node, byte)).or_insert(next)
            });
            tree.tokens.insert(node, number);
        }
        Ok(tree)
    }

    /// The longest one that `text` begins with: its length and its number.
    pub(super) fn longest(&self, text: &[u8]) -> Option<(usize, u32)> {
        let mut node = 0;
        let mut found = None;
        for (byte, len) in text.iter().zip(1..) {
            let Some(&next) = self.edges.get(&(node, *byte)) else { break };
            node = next;
            found = self.tokens.get(&node).map(|&token| (len, token)).or(found);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_is_found() {
        let texts = ["\n", "\n\n\n", "</b>", "é"].map(|text| (text.to_owned(), Kind::Whole));
        let whole = Whole::new(&texts).unwrap();
        for (text, wanted) in
            [("\n\nx", Some((1, 0))), ("\n\n\n\n", Some((3, 1))), ("</b", None), ("</b>", Some((4, 2))), ("", None)]
        {
            assert_eq!(whole.longest(text.as_bytes()), wanted, "{text:?}");
        }
    }

    #[test]
    fn marks_are_no_text() {
        let texts = Texts::new("{{ bos_token }}<s>{{ messages }}");
        for text in ["\n\n", "  ", "\t", "</table>", "</s>"] {
            assert!(texts.has(text), "{text:?}");
        }
        for mark in ["<s>", "<|user|>", "<start_of_image>", "[REF]", "<think>", "▁▁", ""] {
            assert!(!texts.has(mark), "{mark:?}");
        }
    }
}
