//! From tokens to text as they come. A token may end in the middle of a character: its bytes
//! wait until the character is whole. Where encoding puts a space in front of a text, decoding takes
//! it away again.

use std::sync::Arc;

use super::tokenizer::Tokenizer;

/// The decoder of one answer.
pub struct Decoder {
    tokenizer: Arc<Tokenizer>,
    /// Bytes of a character that is not whole yet: three at most.
    held: Vec<u8>,
    /// Whether a space that comes next is the one in front.
    drops_space: bool,
}

impl Decoder {
    pub(super) fn new(tokenizer: Arc<Tokenizer>) -> Self {
        let drops_space = tokenizer.drops_space();
        Self { tokenizer, held: Vec::new(), drops_space }
    }

    /// Takes the next token and returns the whole characters that it completes. Special tokens
    /// give no text; bytes that can never be a character give U+FFFD.
    pub fn push(&mut self, token: u32) -> String {
        let mut bytes = self.tokenizer.bytes(token);
        if self.drops_space && !bytes.is_empty() {
            self.drops_space = false;
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.held.extend(bytes);
        let (text, kept) = split(&self.held);
        self.held.drain(..self.held.len() - kept);
        text
    }

    /// Whether the last token ended in the middle of a character.
    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// What is left at the end: an unfinished character gives U+FFFD.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }
}

/// The text of `bytes`, and how many at the end are the beginning of a character.
fn split(bytes: &[u8]) -> (String, usize) {
    let mut text = String::new();
    let mut kept = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let broken = chunk.invalid();
        let is_last = std::ptr::eq(broken.as_ptr_range().end, bytes.as_ptr_range().end);
        // At the very end, an error without a length means "more bytes wanted".
        if is_last && std::str::from_utf8(broken).is_err_and(|error| error.error_len().is_none()) {
            kept = broken.len();
        } else if !broken.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    (text, kept)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn an_unfinished_character_waits() {
        let euro = "a€".as_bytes();
        assert_eq!(split(&euro[..2]), ("a".into(), 1));
        assert_eq!(split(&euro[..3]), ("a".into(), 2));
        assert_eq!(split(euro), ("a€".into(), 0));
    }

    #[test]
    fn bytes_that_are_no_character_are_replaced_at_once() {
        assert_eq!(split(b"a\xFFb"), ("a\u{FFFD}b".into(), 0));
        assert_eq!(split(b"\xFF"), ("\u{FFFD}".into(), 0));
        assert_eq!(split(b"\xE2\x82a"), ("\u{FFFD}a".into(), 0));
        assert_eq!(split(b""), (String::new(), 0));
    }
}
