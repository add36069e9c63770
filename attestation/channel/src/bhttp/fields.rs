//! Header and trailer fields: their grammar, and how they are written.

use super::{BhttpError, varint};

/// Fields in the order in which they were sent: name in lower case, value without surrounding space.
pub type Fields = Vec<(String, String)>;

/// Fields that speak about one HTTP/1.1 connection; RFC 9292 section 6 keeps them out of binary messages.
const CONNECTION_FIELDS: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// The value of the first field with this (lower-case) name.
#[must_use]
pub fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

/// Checks one received field and makes it text.
pub(super) fn checked(name: &[u8], value: &[u8]) -> Result<(String, String), BhttpError> {
    let name = std::str::from_utf8(name).map_err(|_| BhttpError::Malformed("field name"))?;
    let value = std::str::from_utf8(value).map_err(|_| BhttpError::Malformed("field value"))?;
    check(name, value)?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Appends fields with a zero terminator (RFC 9292, section 3.6, indeterminate length).
pub(super) fn write_terminated(fields: &Fields, out: &mut Vec<u8>) -> Result<(), BhttpError> {
    for (name, value) in fields {
        check(name, value)?;
        varint::write_bytes(name.as_bytes(), out);
        varint::write_bytes(value.as_bytes(), out);
    }
    varint::write(0, out);
    Ok(())
}

/// A token of RFC 9110, section 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn check(name: &str, value: &str) -> Result<(), BhttpError> {
    if !is_token(name) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(BhttpError::Malformed("field name"));
    }
    if CONNECTION_FIELDS.contains(&name) {
        return Err(BhttpError::Malformed("field: it belongs to a connection"));
    }
    let edge = |text: &str| text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']);
    if edge(value) || value.chars().any(|character| character.is_control() && character != '\t') {
        return Err(BhttpError::Malformed("field value"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_held_to_the_grammar() {
        for (name, value) in [
            ("Accept", "a"),
            ("", "a"),
            (":path", "/"),
            ("a b", "a"),
            ("x", "a\r\nb: c"),
            ("x", "a\0"),
            ("x", " a"),
            ("x", "a\t"),
            ("transfer-encoding", "chunked"),
        ] {
            assert!(checked(name.as_bytes(), value.as_bytes()).is_err(), "{name}: {value:?}");
        }
        assert!(checked(b"x", b"\xff").is_err());
        assert!(checked(b"x-a", b"").is_ok());
        assert!(checked(b"authorization", b"Bearer a\tb").is_ok());
    }
}
