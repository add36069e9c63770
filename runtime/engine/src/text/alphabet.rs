//! Byte-level tokenizers write each byte as one printable character (GPT-2's `bytes_to_unicode`):
//! printable Latin-1 stands for itself, the other 68 bytes follow from U+0100 on.

/// First character of those that stand for unprintable bytes.
const SHIFTED: u32 = 0x100;

/// Whether a byte stands for itself.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The character of a byte.
pub(crate) fn character(byte: u8) -> char {
    if is_plain(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&other| !is_plain(other)).count() as u32;
    char::from_u32(SHIFTED + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The bytes of a token; a character outside the alphabet stands for its own UTF-8.
pub(super) struct Alphabet {
    shifted: Vec<u8>,
}

impl Alphabet {
    pub(super) fn new() -> Self {
        Self { shifted: (0..=u8::MAX).filter(|&byte| !is_plain(byte)).collect() }
    }

    /// Appends the bytes of `token`.
    pub(super) fn decode_into(&self, token: &str, bytes: &mut Vec<u8>) {
        for character in token.chars() {
            let number = u32::from(character);
            let shifted = number.checked_sub(SHIFTED).and_then(|index| self.shifted.get(index as usize));
            match (u8::try_from(number), shifted) {
                (Ok(byte), _) if is_plain(byte) => bytes.push(byte),
                (_, Some(&byte)) => bytes.push(byte),
                _ => bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_character_and_comes_back() {
        let alphabet = Alphabet::new();
        let mut seen = std::collections::HashSet::new();
        for byte in 0..=u8::MAX {
            let character = character(byte);
            assert!(seen.insert(character), "{byte}");
            let mut bytes = Vec::new();
            alphabet.decode_into(&character.to_string(), &mut bytes);
            assert_eq!(bytes, [byte]);
        }
        assert_eq!(character(b' '), 'Ġ');
        assert_eq!(character(b'\n'), 'Ċ');
    }
}
