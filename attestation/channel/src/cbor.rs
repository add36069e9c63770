//! Deterministic CBOR (RFC 8949 section 4.2.1): one value has one encoding, and the reader
//! refuses every other.
//!
//! What is signed or hashed in Strongroom is a [`Value`]: unsigned and negative integers,
//! byte and text strings, arrays, maps, booleans and null. Tags, floats and other simple
//! values do not occur and are refused. Values borrow their strings, so that a secret read
//! from a buffer is not copied into another.

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// Deepest nesting that is read; the deepest value of ours has five levels.
const MAX_DEPTH: usize = 16;

/// Most data items that [`decode`] reads, which bounds what hostile bytes cost in memory: a
/// byte can be an item, and an item in memory has dozens. The longest value of ours that is
/// read before its signature is checked has some hundreds.
pub const MAX_ITEMS: usize = 65_536;

/// What an array or a map may allocate ahead of its items: most of ours are this short, and
/// the count is the sender's word.
const ALLOCATED_AHEAD: u64 = 4;

/// One CBOR data item.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// An unsigned integer (major type 0).
    Uint(u64),
    /// The negative integer -1 - n (major type 1).
    Negative(u64),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A text string.
    Text(&'a str),
    /// An array.
    Array(Vec<Value<'a>>),
    /// A map. In any order here; encoded in the order of the keys' encodings.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// A boolean.
    Bool(bool),
    /// The absent value.
    Null,
}

/// Why bytes are not the deterministic encoding of what was wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborError {
    /// Cut short, not CBOR, or a type that does not occur here.
    #[error(
        "not CBOR of a kind used here (cut short, a tag, a float, an indefinite length, nested too deeply, or too many items)"
    )]
    Malformed,
    /// CBOR, but not in its one deterministic form.
    #[error("not deterministic CBOR: a longer form than needed, or map keys out of order or twice")]
    NotDeterministic,
    /// Bytes follow the data item.
    #[error("bytes follow the CBOR data item")]
    TrailingBytes,
    /// A value has another type than the field asks for.
    #[error("a CBOR value is not {wanted}")]
    WrongType {
        /// The type or length that was wanted, in words.
        wanted: &'static str,
    },
    /// A field that must be there is not.
    #[error("CBOR map lacks field {key}")]
    Missing {
        /// The field's key.
        key: u64,
    },
    /// A field that this version does not know; only negative keys may be ignored.
    #[error("CBOR map has field {key}, which this version does not know")]
    UnknownField {
        /// The field's key.
        key: u64,
    },
}

impl<'a> Value<'a> {
    /// A map with unsigned keys, as nearly all of ours are.
    pub fn map(entries: impl IntoIterator<Item = (u64, Value<'a>)>) -> Value<'a> {
        Value::Map(entries.into_iter().map(|(key, value)| (Value::Uint(key), value)).collect())
    }

    /// An array of `items`.
    pub fn array(items: impl IntoIterator<Item = Value<'a>>) -> Value<'a> {
        Value::Array(items.into_iter().collect())
    }

    /// An array of byte strings.
    pub fn byte_strings(items: impl IntoIterator<Item = &'a (impl AsRef<[u8]> + ?Sized + 'a)>) -> Value<'a> {
        Value::Array(items.into_iter().map(|item| Value::Bytes(item.as_ref())).collect())
    }

    /// A byte string, or null where there is none.
    pub fn bytes_or_null(bytes: Option<&'a [u8]>) -> Value<'a> {
        bytes.map_or(Value::Null, Value::Bytes)
    }

    /// The one deterministic encoding. The buffer is allocated once at its final size, so
    /// that no copy of a secret is left behind by growing.
    ///
    /// A map with one key twice encodes to what [`decode`] refuses.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::with_capacity(self.encoded_len()));
        write(self, &mut encoder);
        encoder.into_writer()
    }

    /// Length of [`Value::encode`]'s result in bytes.
    pub fn encoded_len(&self) -> usize {
        match self {
            Value::Uint(n) | Value::Negative(n) => head_len(*n),
            Value::Bytes(bytes) => string_len(bytes.len()),
            Value::Text(text) => string_len(text.len()),
            Value::Array(items) => {
                items.iter().fold(head_len(as_u64(items.len())), |sum, item| sum.saturating_add(item.encoded_len()))
            }
            Value::Map(entries) => entries.iter().fold(head_len(as_u64(entries.len())), |sum, (key, value)| {
                sum.saturating_add(key.encoded_len()).saturating_add(value.encoded_len())
            }),
            Value::Bool(_) | Value::Null => 1,
        }
    }

    /// The unsigned integer.
    pub fn uint(self) -> Result<u64, CborError> {
        match self {
            Value::Uint(n) => Ok(n),
            _ => Err(CborError::WrongType { wanted: "an unsigned integer" }),
        }
    }

    /// The byte string.
    pub fn bytes(self) -> Result<&'a [u8], CborError> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(CborError::WrongType { wanted: "a byte string" }),
        }
    }

    /// The byte string of exactly `N` bytes; never padded, never cut.
    pub fn fixed<const N: usize>(self) -> Result<[u8; N], CborError> {
        match self {
            Value::Bytes(bytes) => {
                bytes.try_into().map_err(|_| CborError::WrongType { wanted: "a byte string of the fixed length" })
            }
            _ => Err(CborError::WrongType { wanted: "a byte string" }),
        }
    }

    /// The text string.
    pub fn text(self) -> Result<&'a str, CborError> {
        match self {
            Value::Text(text) => Ok(text),
            _ => Err(CborError::WrongType { wanted: "a text string" }),
        }
    }

    /// The boolean.
    pub fn boolean(self) -> Result<bool, CborError> {
        match self {
            Value::Bool(boolean) => Ok(boolean),
            _ => Err(CborError::WrongType { wanted: "a boolean" }),
        }
    }

    /// The items of the array.
    pub fn items(self) -> Result<Vec<Value<'a>>, CborError> {
        match self {
            Value::Array(items) => Ok(items),
            _ => Err(CborError::WrongType { wanted: "an array" }),
        }
    }

    /// The items of an array of exactly `N`.
    pub fn items_exactly<const N: usize>(self) -> Result<[Value<'a>; N], CborError> {
        self.items()?.try_into().map_err(|_| CborError::WrongType { wanted: "an array of the fixed length" })
    }

    /// `None` for null, else the value.
    pub fn nullable(self) -> Option<Value<'a>> {
        match self {
            Value::Null => None,
            value => Some(value),
        }
    }

    /// The fields of a map whose keys are integers.
    pub fn fields(self) -> Result<Fields<'a>, CborError> {
        let Value::Map(entries) = self else {
            return Err(CborError::WrongType { wanted: "a map" });
        };
        if entries.iter().any(|(key, _)| !matches!(key, Value::Uint(_) | Value::Negative(_))) {
            return Err(CborError::WrongType { wanted: "a map with integer keys" });
        }
        Ok(Fields { entries })
    }
}

/// Does not print strings: a value may hold a key.
impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Uint(n) => write!(f, "{n}"),
            Value::Negative(n) => write!(f, "{}", -1 - i128::from(*n)),
            Value::Bytes(bytes) => write!(f, "bytes .size {}", bytes.len()),
            Value::Text(text) => write!(f, "text .size {}", text.len()),
            Value::Array(items) => f.debug_list().entries(items).finish(),
            Value::Map(entries) => f.debug_map().entries(entries.iter().map(|(key, value)| (key, value))).finish(),
            Value::Bool(boolean) => write!(f, "{boolean}"),
            Value::Null => f.write_str("null"),
        }
    }
}

/// The fields of a map with integer keys, taken one by one. [`Fields::finish`] refuses
/// what was not taken, so that nothing signed goes unread.
#[derive(Debug)]
pub struct Fields<'a> {
    entries: Vec<(Value<'a>, Value<'a>)>,
}

impl<'a> Fields<'a> {
    /// The field `key`, if it is there.
    pub fn take(&mut self, key: u64) -> Option<Value<'a>> {
        self.take_key(&Value::Uint(key))
    }

    /// The field with the negative key `-1 - n`, if it is there.
    pub fn take_negative(&mut self, n: u64) -> Option<Value<'a>> {
        self.take_key(&Value::Negative(n))
    }

    /// The field `key`, which must be there.
    pub fn require(&mut self, key: u64) -> Result<Value<'a>, CborError> {
        self.take(key).ok_or(CborError::Missing { key })
    }

    /// Refuses positive keys that were not taken; negative ones are extensions that may be
    /// ignored (protocol.md 1.3).
    pub fn finish(self) -> Result<(), CborError> {
        for (key, _) in self.entries {
            if let Value::Uint(key) = key {
                return Err(CborError::UnknownField { key });
            }
        }
        Ok(())
    }

    fn take_key(&mut self, key: &Value<'_>) -> Option<Value<'a>> {
        let position = self.entries.iter().position(|(found, _)| found == key)?;
        Some(self.entries.swap_remove(position).1)
    }
}

/// Reads exactly one data item in its deterministic form, and nothing after it, of at most
/// [`MAX_ITEMS`] items in all.
pub fn decode(bytes: &[u8]) -> Result<Value<'_>, CborError> {
    decode_within(bytes, MAX_ITEMS)
}

/// [`decode`] with another limit of items: for long lists whose sender is already known, since
/// each item takes up to some 100 bytes of memory.
pub fn decode_within(bytes: &[u8], max_items: usize) -> Result<Value<'_>, CborError> {
    let mut decoder = Decoder::new(bytes);
    let mut items_left = max_items;
    let value = read(&mut decoder, 0, &mut items_left)?;
    if decoder.position() != bytes.len() {
        return Err(CborError::TrailingBytes);
    }
    Ok(value)
}

/// Reads an array of exactly `N` byte strings, at most 23, and nothing after it. It allocates
/// nothing: for bytes that nobody has vouched for yet.
pub fn byte_strings<const N: usize>(bytes: &[u8]) -> Result<[&[u8]; N], CborError> {
    const { assert!(N <= 23, "a longer array has another head") };
    let (head, rest) = bytes.split_first().ok_or(CborError::Malformed)?;
    if usize::from(head ^ ARRAY_HEAD) != N {
        return Err(CborError::WrongType { wanted: "an array of the fixed length" });
    }
    byte_strings_in_a_row(rest)
}

/// Reads exactly `N` byte strings, one after the other, and nothing after them. It allocates
/// nothing.
pub(crate) fn byte_strings_in_a_row<const N: usize>(bytes: &[u8]) -> Result<[&[u8]; N], CborError> {
    let mut strings = [&[][..]; N];
    let mut rest = bytes;
    for string in &mut strings {
        (*string, rest) = split_byte_string(rest)?;
    }
    if rest.is_empty() { Ok(strings) } else { Err(CborError::TrailingBytes) }
}

/// The byte string at the start, in its shortest form, and what follows it.
pub(crate) fn split_byte_string(bytes: &[u8]) -> Result<(&[u8], &[u8]), CborError> {
    let mut decoder = Decoder::new(bytes);
    if decoder.datatype().map_err(|_| CborError::Malformed)? != Type::Bytes {
        return Err(CborError::WrongType { wanted: "a byte string" });
    }
    let string = decoder.bytes().map_err(|_| CborError::Malformed)?;
    shortest(&decoder, 0, string_len(string.len()))?;
    let rest = bytes.get(decoder.position()..).ok_or(CborError::Malformed)?;
    Ok((string, rest))
}

/// Head of an array (major type 4) of fewer than 24 items, without their number.
const ARRAY_HEAD: u8 = 0x80;

fn read<'a>(decoder: &mut Decoder<'a>, depth: usize, items_left: &mut usize) -> Result<Value<'a>, CborError> {
    if depth > MAX_DEPTH {
        return Err(CborError::Malformed);
    }
    *items_left = items_left.checked_sub(1).ok_or(CborError::Malformed)?;
    let start = decoder.position();
    let malformed = |_| CborError::Malformed;
    let value = match decoder.datatype().map_err(malformed)? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
            let n = decoder.u64().map_err(malformed)?;
            shortest(decoder, start, head_len(n))?;
            Value::Uint(n)
        }
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            let n = i128::from(decoder.int().map_err(malformed)?);
            let n = n.checked_neg().and_then(|n| n.checked_sub(1)).and_then(|n| u64::try_from(n).ok());
            let n = n.ok_or(CborError::Malformed)?;
            shortest(decoder, start, head_len(n))?;
            Value::Negative(n)
        }
        Type::Bytes => {
            let bytes = decoder.bytes().map_err(malformed)?;
            shortest(decoder, start, string_len(bytes.len()))?;
            Value::Bytes(bytes)
        }
        Type::String => {
            let text = decoder.str().map_err(malformed)?;
            shortest(decoder, start, string_len(text.len()))?;
            Value::Text(text)
        }
        Type::Array => {
            let count = decoder.array().map_err(malformed)?.ok_or(CborError::Malformed)?;
            shortest(decoder, start, head_len(count))?;
            let mut items = Vec::with_capacity(count.min(ALLOCATED_AHEAD) as usize);
            for _ in 0..count {
                items.push(read(decoder, depth.saturating_add(1), items_left)?);
            }
            Value::Array(items)
        }
        Type::Map => {
            let count = decoder.map().map_err(malformed)?.ok_or(CborError::Malformed)?;
            shortest(decoder, start, head_len(count))?;
            let mut entries = Vec::with_capacity(count.min(ALLOCATED_AHEAD) as usize);
            let mut previous: &[u8] = &[];
            for _ in 0..count {
                let from = decoder.position();
                let key = read(decoder, depth.saturating_add(1), items_left)?;
                let encoded = decoder.input().get(from..decoder.position()).ok_or(CborError::Malformed)?;
                // Strictly rising encodings: sorted, and no key twice. No key encodes to nothing.
                if encoded <= previous {
                    return Err(CborError::NotDeterministic);
                }
                previous = encoded;
                entries.push((key, read(decoder, depth.saturating_add(1), items_left)?));
            }
            Value::Map(entries)
        }
        Type::Bool => Value::Bool(decoder.bool().map_err(malformed)?),
        Type::Null => {
            decoder.null().map_err(malformed)?;
            Value::Null
        }
        _ => return Err(CborError::Malformed),
    };
    Ok(value)
}

/// The item read since `start` must have the length of its shortest form.
fn shortest(decoder: &Decoder<'_>, start: usize, wanted: usize) -> Result<(), CborError> {
    if decoder.position().checked_sub(start) == Some(wanted) { Ok(()) } else { Err(CborError::NotDeterministic) }
}

fn write(value: &Value<'_>, encoder: &mut Encoder<Vec<u8>>) {
    // Writing into a Vec cannot fail; its error type is Infallible.
    let written = match value {
        Value::Uint(n) => encoder.u64(*n).map(drop),
        Value::Negative(n) => {
            minicbor::data::Int::try_from(-1 - i128::from(*n)).map_or(Ok(()), |int| encoder.int(int).map(drop))
        }
        Value::Bytes(bytes) => encoder.bytes(bytes).map(drop),
        Value::Text(text) => encoder.str(text).map(drop),
        Value::Array(items) => {
            let head = encoder.array(as_u64(items.len())).map(drop);
            items.iter().for_each(|item| write(item, encoder));
            head
        }
        Value::Map(entries) => {
            let head = encoder.map(as_u64(entries.len())).map(drop);
            let mut sorted: Vec<_> = entries.iter().map(|(key, value)| (key.encode(), value)).collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            for (key, value) in sorted {
                encoder.writer_mut().extend_from_slice(&key);
                write(value, encoder);
            }
            head
        }
        Value::Bool(boolean) => encoder.bool(*boolean).map(drop),
        Value::Null => encoder.null().map(drop),
    };
    debug_assert!(written.is_ok(), "a Vec takes every byte");
}

/// Length of an item's head with argument `n` (RFC 8949 section 3).
const fn head_len(n: u64) -> usize {
    match n {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

fn string_len(len: usize) -> usize {
    head_len(as_u64(len)).saturating_add(len)
}

/// Lossless: no supported target has pointers wider than 64 bits.
fn as_u64(n: usize) -> u64 {
    n as u64
}

#[cfg(test)]
mod tests;
