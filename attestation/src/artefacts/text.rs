//! Artefacts in other clothes: hexadecimal or base64 text, and the binary form in which Azure's Rust
//! tools keep a vTPM's quote.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::azure::PcrValues;

/// Text shorter than this is not taken for an artefact in other clothes.
const SHORTEST: usize = 128;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The bytes behind hexadecimal (with or without `0x`) or base64 text; `None` for anything else.
pub(super) fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_text = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte) || byte.is_ascii_whitespace();
    if bytes.len() < SHORTEST || !bytes.iter().all(is_text) {
        return None;
    }
    let digits: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let plain = digits.strip_prefix(b"0x").unwrap_or(&digits);
    hex::decode(plain).ok().or_else(|| base64(&digits))
}

/// Base64 of either alphabet, padded or not.
pub(super) fn base64(digits: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(digits).or_else(|_| URL_SAFE.decode(digits)).ok()
}

/// The parts of a vTPM's quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QuoteParts {
    pub(super) message: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) pcrs: PcrValues,
}

/// A quote as `az-cvm-vtpm` writes it with bincode: signature and message, each behind its length
/// as a little-endian u64, then the number of registers and their values. Nothing may follow.
pub(super) fn bincode_quote(bytes: &[u8]) -> Option<QuoteParts> {
    let (signature, rest) = sized(bytes)?;
    let (message, rest) = sized(rest)?;
    let (count, rest) = rest.split_first_chunk::<8>()?;
    let (values, []) = rest.as_chunks::<32>() else { return None };
    let pcrs: PcrValues = values.try_into().ok()?;
    let genuine = matches!(signature.len(), 256 | 384 | 512) && u64::from_le_bytes(*count) == 24;
    genuine.then(|| QuoteParts { message: message.to_vec(), signature: signature.to_vec(), pcrs })
}

fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}
