//! JSON from a stranger: bounded, no member twice, nothing after it.

use serde::de::DeserializeOwned;
use serde_json::Value;
use strongroom_attestation::unique_json;

use super::ProvenanceError;

/// Reads `bytes` as a `T`; `what` is how an error calls it. Of two members of one name, one reader
/// takes the first and another the last, so none is taken (RFC 7493 2.3). Depth is limited by the
/// reader.
///
/// # Errors
/// `TooLarge` beyond `most` bytes, `Malformed` for anything but exactly one such value.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8], most: usize, what: &'static str) -> Result<T, ProvenanceError> {
    if bytes.len() > most {
        return Err(ProvenanceError::TooLarge { what, limit: most });
    }
    let value = unique_json::read(bytes).map_err(|_| ProvenanceError::Malformed(what))?;
    typed(value, what)
}

/// A part of what was read, as a `T`.
///
/// # Errors
/// `Malformed` where it is none.
pub(super) fn typed<T: DeserializeOwned>(value: Value, what: &'static str) -> Result<T, ProvenanceError> {
    serde_json::from_value(value).map_err(|_| ProvenanceError::Malformed(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_once_and_no_more_of_it_than_allowed() {
        let text = r#"{"a":[1,-1,1.5,null,true,"\u00e9"],"b":{"a":{}}}"#;
        assert_eq!(read::<Value>(text.as_bytes(), 100, "it"), Ok(serde_json::from_str(text).expect("JSON")));
        let deep = "[".repeat(1000);
        for wrong in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#, "{} {}", "{} x", "", "\u{feff}{}", &deep] {
            assert_eq!(read::<Value>(wrong.as_bytes(), 10_000, "it"), Err(ProvenanceError::Malformed("it")), "{wrong}");
        }
        assert_eq!(read::<Value>(b"{}  ", 3, "it"), Err(ProvenanceError::TooLarge { what: "it", limit: 3 }));
    }
}
