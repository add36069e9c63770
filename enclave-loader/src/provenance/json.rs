//! JSON from a stranger: bounded, no member twice, nothing after it.

use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

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
    let Unique(value) = serde_json::from_slice(bytes).map_err(|_| ProvenanceError::Malformed(what))?;
    typed(value, what)
}

/// A part of what was read, as a `T`.
///
/// # Errors
/// `Malformed` where it is none.
pub(super) fn typed<T: DeserializeOwned>(value: Value, what: &'static str) -> Result<T, ProvenanceError> {
    serde_json::from_value(value).map_err(|_| ProvenanceError::Malformed(what))
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unique, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Unique)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without a member twice")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unique(item)) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
        }
        Ok(Value::Object(object))
    }
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
