//! Metadata values. Only what the engine reads is kept; the rest is checked and passed over.

use std::collections::HashMap;
use std::io::Read;

use super::reader::Bounded;
use super::{count, malformed};
use crate::error::EngineError;
use crate::limits::ARRAY_ELEMENTS;

/// A value, its integer width forgotten.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Any integer.
    Integer(i128),
    /// Any float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
    /// An array of texts.
    Texts(Vec<String>),
    /// An array of 32-bit integers.
    Integers(Vec<i64>),
    /// An array of floats.
    Floats(Vec<f32>),
    /// An array of a kind that the engine has no use for.
    Ignored,
}

/// Everything by its key.
#[derive(Debug, Default)]
pub(crate) struct Metadata(HashMap<String, Value>);

impl Metadata {
    pub(super) fn read(input: &mut Bounded<impl Read>, entries: u64) -> Result<Self, EngineError> {
        let mut values = HashMap::new();
        for _ in 0..entries {
            let key = input.name()?;
            let kind = input.u32()?;
            let value = read_value(input, kind)?;
            if values.insert(key.clone(), value).is_some() {
                return Err(malformed(format!("the key {key} appears twice")));
            }
        }
        Ok(Self(values))
    }

    /// The text under `wanted`, where what follows it is of no interest.
    pub(super) fn text_of(
        input: &mut Bounded<impl Read>,
        entries: u64,
        wanted: &str,
    ) -> Result<Option<String>, EngineError> {
        for _ in 0..entries {
            let key = input.name()?;
            let kind = input.u32()?;
            let value = read_value(input, kind)?;
            if key == wanted {
                return Ok(Self(HashMap::from([(key, value)])).text(wanted)?.map(str::to_owned));
            }
        }
        Ok(None)
    }

    /// The text under `key`, if there is one; another kind is an error.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, EngineError> {
        self.typed(key, "a text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The integer of 0 or more under `key`.
    pub(crate) fn integer(&self, key: &str) -> Result<Option<u64>, EngineError> {
        self.typed(key, "an integer of 0 or more", |value| match value {
            Value::Integer(integer) => u64::try_from(*integer).ok(),
            _ => None,
        })
    }

    /// The number under `key`.
    pub(crate) fn float(&self, key: &str) -> Result<Option<f64>, EngineError> {
        self.typed(key, "a number", |value| match value {
            Value::Float(float) => Some(*float),
            Value::Integer(integer) => Some(*integer as f64),
            _ => None,
        })
    }

    /// The truth value under `key`.
    pub(crate) fn bool(&self, key: &str) -> Result<Option<bool>, EngineError> {
        self.typed(key, "a truth value", |value| match value {
            Value::Bool(bool) => Some(*bool),
            _ => None,
        })
    }

    /// The texts under `key`.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<&[String]>, EngineError> {
        self.typed(key, "an array of texts", |value| match value {
            Value::Texts(texts) => Some(texts.as_slice()),
            _ => None,
        })
    }

    /// The integers under `key`.
    pub(crate) fn integers(&self, key: &str) -> Result<Option<&[i64]>, EngineError> {
        self.typed(key, "an array of integers", |value| match value {
            Value::Integers(integers) => Some(integers.as_slice()),
            _ => None,
        })
    }

    /// The floats under `key`.
    pub(crate) fn floats(&self, key: &str) -> Result<Option<&[f32]>, EngineError> {
        self.typed(key, "an array of floats", |value| match value {
            Value::Floats(floats) => Some(floats.as_slice()),
            _ => None,
        })
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, EngineError> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| malformed(format!("{key} is not {wanted}")))
    }
}

/// The kinds of value, as the format numbers them.
pub(super) mod kinds {
    pub(in crate::gguf) const U8: u32 = 0;
    pub(in crate::gguf) const I8: u32 = 1;
    pub(in crate::gguf) const U16: u32 = 2;
    pub(in crate::gguf) const I16: u32 = 3;
    pub(in crate::gguf) const U32: u32 = 4;
    pub(in crate::gguf) const I32: u32 = 5;
    pub(in crate::gguf) const F32: u32 = 6;
    pub(in crate::gguf) const BOOL: u32 = 7;
    pub(in crate::gguf) const TEXT: u32 = 8;
    pub(in crate::gguf) const ARRAY: u32 = 9;
    pub(in crate::gguf) const U64: u32 = 10;
    pub(in crate::gguf) const I64: u32 = 11;
    pub(in crate::gguf) const F64: u32 = 12;
}

fn read_value(input: &mut Bounded<impl Read>, kind: u32) -> Result<Value, EngineError> {
    Ok(match kind {
        kinds::U64 => Value::Integer(input.u64()?.into()),
        kinds::I64 => Value::Integer(i64::from_le_bytes(input.array()?).into()),
        kinds::F32 => Value::Float(f32::from_le_bytes(input.array()?).into()),
        kinds::F64 => Value::Float(f64::from_le_bytes(input.array()?)),
        kinds::BOOL => match input.u8()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            other => return Err(malformed(format!("{other} is no truth value"))),
        },
        kinds::TEXT => Value::Text(input.text()?),
        kinds::ARRAY => read_array(input)?,
        small => Value::Integer(small_integer(input, small)?.into()),
    })
}

/// An integer of 32 bits or fewer.
fn small_integer(input: &mut Bounded<impl Read>, kind: u32) -> Result<i64, EngineError> {
    Ok(match kind {
        kinds::U8 => input.u8()?.into(),
        kinds::I8 => i8::from_le_bytes(input.array()?).into(),
        kinds::U16 => u16::from_le_bytes(input.array()?).into(),
        kinds::I16 => i16::from_le_bytes(input.array()?).into(),
        kinds::U32 => input.u32()?.into(),
        kinds::I32 => i32::from_le_bytes(input.array()?).into(),
        other => return Err(malformed(format!("value kind {other}"))),
    })
}

fn read_array(input: &mut Bounded<impl Read>) -> Result<Value, EngineError> {
    let kind = input.u32()?;
    let length = count("elements of an array", input.u64()?, ARRAY_ELEMENTS)?;
    // Each element is checked against what is left before it is read, so growth is paid for
    // by bytes of the file.
    Ok(match kind {
        kinds::TEXT => Value::Texts((0..length).map(|_| input.text()).collect::<Result<_, _>>()?),
        kinds::F32 => Value::Floats(
            (0..length).map(|_| Ok(f32::from_le_bytes(input.array()?))).collect::<Result<_, EngineError>>()?,
        ),
        // Kept, they would take eight times their bytes in the file.
        kinds::BOOL | kinds::U8 | kinds::I8 => ignored(input, length, 1)?,
        kinds::U16 | kinds::I16 => ignored(input, length, 2)?,
        kinds::U64 | kinds::I64 | kinds::F64 => ignored(input, length, 8)?,
        kinds::ARRAY => return Err(malformed("an array of arrays")),
        small => Value::Integers((0..length).map(|_| small_integer(input, small)).collect::<Result<_, _>>()?),
    })
}

fn ignored(input: &mut Bounded<impl Read>, length: u64, size: u64) -> Result<Value, EngineError> {
    input.skip(length, size)?;
    Ok(Value::Ignored)
}
