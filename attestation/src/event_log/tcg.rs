//! TCG's crypto-agile log (TCG PC Client Platform Firmware Profile, section 10; the Confidential
//! Computing Event Log of ACPI has the same form). Little-endian.

use crate::cursor::{Cursor, EndsEarly};
use crate::error::Refusal;
use crate::event_log::{Event, MAX_EVENTS, malformed};

const SPEC_ID: &[u8; 16] = b"Spec ID Event03\0";
/// Index, type, SHA-1 digest and size in front of the first record's data.
const FIRST_HEADER: usize = 32;
const SHA256: u16 = 0x000B;
const SHA384: u16 = 0x000C;
/// Kinds of digest that a log may name.
const MAX_ALGORITHMS: u32 = 16;
/// Longest digest there is.
const MAX_DIGEST: u16 = 64;
/// Characters of an event's data that are shown.
const MAX_SHOWN: usize = 160;

pub(super) fn looks_like(bytes: &[u8]) -> bool {
    bytes.get(FIRST_HEADER..).is_some_and(|data| data.starts_with(SPEC_ID))
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Event>, Refusal> {
    let mut cursor = Cursor::new(bytes);
    let algorithms = read_first(&mut cursor)?;
    let mut events = Vec::new();
    // Memory after the last record is all ones or all zeros.
    while !is_padding(cursor.rest()) {
        let (index, kind, count) = (cursor.u32_le()?, cursor.u32_le()?, cursor.u32_le()?);
        if count > MAX_ALGORITHMS || events.len() >= MAX_EVENTS {
            return Err(malformed(format!("an event with {count} digests, as number {}", events.len())));
        }
        let mut event = Event { index, kind, sha256: None, sha384: None, description: String::new() };
        for _ in 0..count {
            let algorithm = cursor.u16_le()?;
            let known = algorithms.iter().find(|(known, _)| *known == algorithm);
            let Some((_, length)) = known else {
                return Err(malformed(format!("a digest of a kind ({algorithm:#06x}) that it does not announce")));
            };
            let digest = cursor.slice(usize::from(*length))?;
            let again = match algorithm {
                SHA256 => event.sha256.replace(digest.try_into().map_err(|_| EndsEarly)?).is_some(),
                SHA384 => event.sha384.replace(digest.try_into().map_err(|_| EndsEarly)?).is_some(),
                _ => false,
            };
            if again {
                return Err(malformed("an event with two digests of one kind"));
            }
        }
        let length = cursor.u32_le()?;
        event.description = shown(cursor.slice(usize::try_from(length).unwrap_or(usize::MAX))?);
        events.push(event);
    }
    Ok(events)
}

/// The kinds of digest that the first record announces, with their lengths.
fn read_first(cursor: &mut Cursor<'_>) -> Result<Vec<(u16, u16)>, Refusal> {
    cursor.slice(FIRST_HEADER - 4)?;
    let length = cursor.u32_le()?;
    let mut data = Cursor::new(cursor.slice(usize::try_from(length).unwrap_or(usize::MAX))?);
    data.array::<16>()?; // the signature, seen before
    data.array::<8>()?; // platform class, versions, size of a word
    let count = data.u32_le()?;
    if count == 0 || count > MAX_ALGORITHMS {
        return Err(malformed(format!("{count} kinds of digest, wanted 1 to {MAX_ALGORITHMS}")));
    }
    let mut algorithms = Vec::new();
    for _ in 0..count {
        let (algorithm, length) = (data.u16_le()?, data.u16_le()?);
        let wanted = match algorithm {
            SHA256 => 32,
            SHA384 => 48,
            _ => length,
        };
        if length != wanted || length > MAX_DIGEST {
            return Err(malformed(format!("digests of kind {algorithm:#06x} with {length} bytes")));
        }
        algorithms.push((algorithm, length));
    }
    Ok(algorithms)
}

fn is_padding(rest: &[u8]) -> bool {
    rest.starts_with(&[0xFF; 4]) || rest.iter().all(|byte| *byte == 0)
}

/// The readable part of an event's data.
fn shown(data: &[u8]) -> String {
    let readable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    data.iter().filter(|byte| readable(byte)).take(MAX_SHOWN).map(|byte| char::from(*byte)).collect()
}
