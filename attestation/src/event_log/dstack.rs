//! dstack's log: a JSON array of events (Dstack-TEE/dstack, "event_log").

use serde::Deserialize;

use crate::crypto;
use crate::error::Refusal;
use crate::event_log::{Event, MAX_EVENTS, malformed};

/// The type of events that the guest's agent measures while it runs; their digest follows from
/// what they say.
const RUNTIME: u32 = 0x0800_0001;

#[derive(Deserialize)]
struct Text {
    imr: u32,
    event_type: u32,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    event: String,
    #[serde(default)]
    event_payload: String,
}

pub(super) fn looks_like(bytes: &[u8]) -> bool {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace());
    let is_array = start.and_then(|start| bytes.get(start)) == Some(&b'[');
    is_array && bytes.windows(5).take(512).any(|window| window == b"\"imr\"")
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Event>, Refusal> {
    let texts: Vec<Text> =
        serde_json::from_slice(bytes).map_err(|error| malformed(format!("it cannot be read: {error}")))?;
    if texts.len() > MAX_EVENTS {
        return Err(malformed(format!("more than {MAX_EVENTS} events")));
    }
    texts.iter().map(event).collect()
}

fn event(text: &Text) -> Result<Event, Refusal> {
    let stored = match text.digest.as_str() {
        "" => None,
        digits => {
            let mut digest = [0; 48];
            hex::decode_to_slice(digits, &mut digest).map_err(|_| malformed("a digest that is not SHA-384's"))?;
            Some(digest)
        }
    };
    let digest = if text.event_type == RUNTIME {
        let computed = runtime_digest(text)?;
        if stored.is_some_and(|stored| stored != computed) {
            return Err(malformed(format!("the digest of event \"{}\" is not that of what it says", text.event)));
        }
        computed
    } else {
        stored.ok_or_else(|| malformed("an event without a digest"))?
    };
    let (index, kind) = (text.imr, text.event_type);
    Ok(Event { index, kind, sha256: None, sha384: Some(digest), description: text.event.chars().take(160).collect() })
}

/// SHA-384 of type (little-endian), name and payload, with colons between them.
fn runtime_digest(text: &Text) -> Result<[u8; 48], Refusal> {
    let payload = hex::decode(&text.event_payload).map_err(|_| malformed("a payload that is not hexadecimal"))?;
    let kind = text.event_type.to_le_bytes();
    Ok(crypto::sha384(&[kind.as_slice(), b":", text.event.as_bytes(), b":", &payload].concat()))
}
