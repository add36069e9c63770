//! Protocol buffers, read as a stream: field after field of a message, none of them kept.
//!
//! <https://protobuf.dev/programming-guides/encoding/>. Stricter than it has to be: numbers in their
//! shortest form, no groups, no unknown fields, and what is not repeated occurs once.

use std::io::{BufRead, BufReader, Read, Seek};

use super::error::{OnnxDefect, OnnxError};
use super::schema::{Field, Kind, Message};

/// Deepest nesting of messages: what readers of protocol buffers take unless told otherwise.
const MAX_DEPTH: usize = 100;
const BUFFER_BYTES: usize = 64 << 10;
/// Bytes of the longest varint.
const VARINT_BYTES: u32 = 10;

/// A file that is read from its beginning to its end.
pub(super) struct Reader<R> {
    input: BufReader<R>,
    at: u64,
}

/// A message that is being read.
pub(super) struct Scope {
    message: Message,
    end: u64,
    depth: usize,
    /// The bits of the fields that occurred.
    seen: u32,
}

/// What follows a field's key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payload {
    /// A varint, which was read.
    Integer(u64),
    /// So many bytes, which come next and end within the message.
    Bytes(u64),
}

impl Scope {
    /// Whether the field of this name occurred.
    pub(super) fn has(&self, name: &str) -> bool {
        let (_, fields) = self.message.describe();
        fields.iter().any(|field| field.name == name && self.seen & field.bit() != 0)
    }
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(BUFFER_BYTES, input), at: 0 }
    }

    /// The outermost message, all `len` bytes of the file.
    pub(super) fn outermost(message: Message, len: u64) -> Scope {
        Scope { message, end: len, depth: 0, seen: 0 }
    }

    /// The message in the next `len` bytes, which end within `parent`.
    pub(super) fn enter(&self, parent: &Scope, message: Message, len: u64) -> Result<Scope, OnnxError> {
        if parent.depth == MAX_DEPTH {
            return Err(self.refuse(OnnxDefect::TooDeep { limit: MAX_DEPTH }));
        }
        Ok(Scope { message, end: self.at.saturating_add(len), depth: parent.depth + 1, seen: 0 })
    }

    /// The next field of a message, none at its end. The caller reads or skips the payload's bytes.
    pub(super) fn next(&mut self, scope: &mut Scope) -> Result<Option<(&'static Field, Payload)>, OnnxError> {
        if self.at == scope.end {
            return Ok(None);
        }
        let key = self.varint(scope.end)?;
        let (number, wire) = (key >> 3, key & 7);
        let (message, fields) = scope.message.describe();
        let field = fields
            .iter()
            .find(|field| u64::from(field.number) == number)
            .ok_or_else(|| self.refuse(OnnxDefect::UnknownField { message, number }))?;
        let name = field.name;
        if !field.repeated && scope.seen & field.bit() != 0 {
            return Err(self.refuse(OnnxDefect::Twice { field: name }));
        }
        scope.seen |= field.bit();
        let payload = match (wire, field.kind) {
            (0, Kind::Integer | Kind::DataType | Kind::Integers) => return Ok(Some((field, self.integer(scope)?))),
            (1, Kind::Doubles) => 8,
            (2, Kind::Name | Kind::Text | Kind::Bytes | Kind::Nested(_)) => self.varint(scope.end)?,
            (2, Kind::Integers | Kind::Floats | Kind::Doubles) => self.varint(scope.end)?,
            (5, Kind::Single | Kind::Floats) => 4,
            _ => return Err(self.refuse(OnnxDefect::WireType { field: name, wire })),
        };
        if scope.end.checked_sub(self.at).is_none_or(|left| payload > left) {
            return Err(self.refuse(OnnxDefect::Outside { field: name }));
        }
        Ok(Some((field, Payload::Bytes(payload))))
    }

    fn integer(&mut self, scope: &Scope) -> Result<Payload, OnnxError> {
        self.varint(scope.end).map(Payload::Integer)
    }

    /// Goes over the next `len` bytes, which [`Reader::next`] has measured.
    pub(super) fn skip(&mut self, len: u64) -> Result<(), OnnxError> {
        let distance = i64::try_from(len).map_err(|_| self.refuse(OnnxDefect::Cut))?;
        self.input.seek_relative(distance).map_err(|error| self.failed(&error))?;
        self.at = self.at.saturating_add(len);
        Ok(())
    }

    /// Reads the next `len` bytes as a text of at most `limit`.
    pub(super) fn text(&mut self, field: &'static str, len: u64, limit: u64) -> Result<String, OnnxError> {
        let size = usize::try_from(len).ok().filter(|_| len <= limit);
        let Some(size) = size else { return Err(self.refuse(OnnxDefect::TooLong { field, limit })) };
        let mut bytes = vec![0; size];
        self.input.read_exact(&mut bytes).map_err(|error| self.failed(&error))?;
        let text = String::from_utf8(bytes).map_err(|_| self.refuse(OnnxDefect::NotText { field }))?;
        self.at = self.at.saturating_add(len);
        Ok(text)
    }

    /// Gives the values of a field of varints, one or packed, to `each`.
    pub(super) fn integers(
        &mut self,
        payload: Payload,
        mut each: impl FnMut(&Self, u64) -> Result<(), OnnxError>,
    ) -> Result<(), OnnxError> {
        match payload {
            Payload::Integer(value) => each(self, value),
            Payload::Bytes(len) => {
                let end = self.at.saturating_add(len);
                while self.at < end {
                    let value = self.varint(end)?;
                    each(self, value)?;
                }
                Ok(())
            }
        }
    }

    /// Reads a varint that ends at or before `end`.
    fn varint(&mut self, end: u64) -> Result<u64, OnnxError> {
        let mut value = 0;
        for position in 0..VARINT_BYTES {
            let byte = self.byte(end)?;
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                // A last byte of 0 adds nothing; of the tenth byte one bit is left.
                let shortest = (byte != 0 || position == 0) && (byte <= 1 || position < VARINT_BYTES - 1);
                return if shortest { Ok(value) } else { Err(self.refuse(OnnxDefect::Varint)) };
            }
        }
        Err(self.refuse(OnnxDefect::Varint))
    }

    fn byte(&mut self, end: u64) -> Result<u8, OnnxError> {
        if self.at >= end {
            return Err(self.refuse(OnnxDefect::Cut));
        }
        let first = self.input.fill_buf().map(|buffer| buffer.first().copied());
        let byte = first
            .and_then(|byte| byte.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into()))
            .map_err(|error| self.failed(&error))?;
        self.input.consume(1);
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    /// The error of this place.
    pub(super) fn refuse(&self, defect: OnnxDefect) -> OnnxError {
        OnnxError { defect, at: self.at }
    }

    fn failed(&self, error: &std::io::Error) -> OnnxError {
        self.refuse(OnnxDefect::Io { kind: error.kind(), detail: error.to_string() })
    }
}
