//! The Python methods that chat templates call on strings and maps, and Python's JSON spacing.

use std::io;

use minijinja::value::{Kwargs, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

/// Called for methods that minijinja does not know.
pub(super) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    match (value.kind(), value.as_str()) {
        (ValueKind::String, Some(text)) => on_string(text, name, arguments),
        (ValueKind::Map, _) => on_map(state, value, name, arguments),
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

fn on_string(text: &str, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    Ok(match name {
        "strip" | "lstrip" | "rstrip" => {
            let (set,): (Option<&str>,) = from_args(arguments)?;
            let cut = |character: char| match set {
                Some(set) => set.contains(character),
                None => character.is_whitespace(),
            };
            let text = if name == "rstrip" { text } else { text.trim_start_matches(cut) };
            let text = if name == "lstrip" { text } else { text.trim_end_matches(cut) };
            text.into()
        }
        "split" => split(text, arguments)?,
        "splitlines" => {
            () = from_args(arguments)?;
            text.lines().map(Value::from).collect()
        }
        "startswith" => any(arguments, |prefix| text.starts_with(prefix))?.into(),
        "endswith" => any(arguments, |suffix| text.ends_with(suffix))?.into(),
        "upper" => {
            () = from_args(arguments)?;
            text.to_uppercase().into()
        }
        "lower" => {
            () = from_args(arguments)?;
            text.to_lowercase().into()
        }
        "capitalize" | "title" => {
            () = from_args(arguments)?;
            capitalized(text, name == "title").into()
        }
        "replace" => {
            let (from, to, count): (&str, &str, Option<i64>) = from_args(arguments)?;
            match count.and_then(|count| usize::try_from(count).ok()) {
                Some(count) => text.replacen(from, to, count).into(),
                None => text.replace(from, to).into(),
            }
        }
        "find" => {
            let (wanted,): (&str,) = from_args(arguments)?;
            // Python counts characters.
            text.find(wanted).map_or(-1, |at| text[..at].chars().count() as i64).into()
        }
        "count" => {
            let (wanted,): (&str,) = from_args(arguments)?;
            text.matches(wanted).count().into()
        }
        "join" => {
            let (parts,): (Vec<String>,) = from_args(arguments)?;
            parts.join(text).into()
        }
        _ => return Err(ErrorKind::UnknownMethod.into()),
    })
}

fn split(text: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (separator, limit, options): (Option<&str>, Option<i64>, Kwargs) = from_args(arguments)?;
    let named: Option<i64> = options.get("maxsplit")?;
    options.assert_all_used()?;
    let pieces = limit.or(named).and_then(|limit| usize::try_from(limit).ok()).map(|limit| limit.saturating_add(1));
    Ok(match (separator, pieces) {
        (Some(""), _) => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        (Some(separator), Some(pieces)) => text.splitn(pieces, separator).map(Value::from).collect(),
        (Some(separator), None) => text.split(separator).map(Value::from).collect(),
        (None, None) => text.split_whitespace().map(Value::from).collect(),
        (None, Some(pieces)) => {
            let mut rest = text.trim_start();
            let mut parts = Vec::new();
            while parts.len() + 1 < pieces
                && let Some(end) = rest.find(char::is_whitespace)
            {
                parts.push(Value::from(&rest[..end]));
                rest = rest[end..].trim_start();
            }
            parts.extend((!rest.is_empty()).then(|| Value::from(rest)));
            parts.into()
        }
    })
}

/// Whether a test holds for the text given, or for one of several.
fn any(arguments: &[Value], test: impl Fn(&str) -> bool) -> Result<bool, Error> {
    let (wanted,): (Value,) = from_args(arguments)?;
    if let Some(text) = wanted.as_str() {
        return Ok(test(text));
    }
    Ok(wanted.try_iter()?.any(|text| text.as_str().is_some_and(&test)))
}

fn capitalized(text: &str, every_word: bool) -> String {
    let mut first = true;
    let mut result = String::new();
    for character in text.chars() {
        if first && character.is_alphabetic() {
            result.extend(character.to_uppercase());
        } else {
            result.extend(character.to_lowercase());
        }
        first = if every_word { !character.is_alphabetic() } else { false };
    }
    result
}

fn on_map(state: &mut State<'_, '_>, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    Ok(match name {
        "items" => {
            () = from_args(arguments)?;
            return state.apply_filter("items", std::slice::from_ref(value));
        }
        "keys" => {
            () = from_args(arguments)?;
            value.try_iter()?.collect()
        }
        "values" => {
            () = from_args(arguments)?;
            value.try_iter()?.map(|key| value.get_item(&key)).collect::<Result<Vec<_>, _>>()?.into()
        }
        "get" => {
            let (key, default): (Value, Option<Value>) = from_args(arguments)?;
            let found = value.get_item(&key)?;
            if found.is_undefined() { default.unwrap_or(Value::from(())) } else { found }
        }
        _ => return Err(ErrorKind::UnknownMethod.into()),
    })
}

/// `{"a": 1, "b": 2}`: a space after colon and comma.
pub(super) struct JsonSpacing;

impl serde_json::ser::Formatter for JsonSpacing {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
