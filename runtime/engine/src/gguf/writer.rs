//! Writes GGUF version 3, for the tiny models.

use candle_core::quantized::GgmlDType;

use super::value::kinds;
use super::{DEFAULT_ALIGNMENT, MAGIC, Value};

/// A file in the making.
#[derive(Default)]
pub(crate) struct Writer {
    metadata: Vec<u8>,
    entries: u64,
    table: Vec<u8>,
    tensors: u64,
    data: Vec<u8>,
}

impl Writer {
    /// Adds a metadata entry. Integers are written as 32-bit or 64-bit numbers.
    pub(crate) fn value(&mut self, key: &str, value: &Value) {
        text(&mut self.metadata, key);
        self.entries += 1;
        let out = &mut self.metadata;
        match value {
            Value::Integer(integer) => match u32::try_from(*integer) {
                Ok(small) => number(out, kinds::U32, &small.to_le_bytes()),
                Err(_) => number(out, kinds::I64, &(*integer as i64).to_le_bytes()),
            },
            Value::Float(float) => number(out, kinds::F32, &(*float as f32).to_le_bytes()),
            Value::Bool(bool) => number(out, kinds::BOOL, &[u8::from(*bool)]),
            Value::Text(value) => {
                out.extend(kinds::TEXT.to_le_bytes());
                text(out, value);
            }
            Value::Texts(texts) => {
                array(out, kinds::TEXT, texts.len());
                texts.iter().for_each(|value| text(out, value));
            }
            Value::Integers(integers) => {
                array(out, kinds::I32, integers.len());
                integers.iter().for_each(|integer| out.extend((*integer as i32).to_le_bytes()));
            }
            Value::Floats(floats) => {
                array(out, kinds::F32, floats.len());
                floats.iter().for_each(|float| out.extend(float.to_le_bytes()));
            }
            Value::Ignored => array(out, kinds::BOOL, 0),
        }
    }

    /// Adds a tensor, outermost dimension first.
    pub(crate) fn tensor(&mut self, name: &str, kind: GgmlDType, shape: &[usize], bytes: &[u8]) {
        text(&mut self.table, name);
        self.tensors += 1;
        self.table.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|&length| self.table.extend((length as u64).to_le_bytes()));
        self.table.extend(kind_number(kind).to_le_bytes());
        self.table.extend((self.data.len() as u64).to_le_bytes());
        self.data.extend(bytes);
        align(&mut self.data);
    }

    /// The file.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut file = Vec::new();
        file.extend(MAGIC.to_le_bytes());
        file.extend(3u32.to_le_bytes());
        file.extend(self.tensors.to_le_bytes());
        file.extend(self.entries.to_le_bytes());
        file.extend(self.metadata);
        file.extend(self.table);
        align(&mut file);
        file.extend(self.data);
        file
    }
}

fn kind_number(kind: GgmlDType) -> u32 {
    match kind {
        GgmlDType::F32 => 0,
        GgmlDType::F16 => 1,
        GgmlDType::Q4_0 => 2,
        GgmlDType::Q4_1 => 3,
        GgmlDType::Q5_0 => 6,
        GgmlDType::Q5_1 => 7,
        GgmlDType::Q8_0 => 8,
        GgmlDType::Q8_1 => 9,
        GgmlDType::Q2K => 10,
        GgmlDType::Q3K => 11,
        GgmlDType::Q4K => 12,
        GgmlDType::Q5K => 13,
        GgmlDType::Q6K => 14,
        GgmlDType::Q8K => 15,
        GgmlDType::BF16 => 30,
    }
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn number(out: &mut Vec<u8>, kind: u32, bytes: &[u8]) {
    out.extend(kind.to_le_bytes());
    out.extend(bytes);
}

fn array(out: &mut Vec<u8>, kind: u32, length: usize) {
    out.extend(kinds::ARRAY.to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.extend((length as u64).to_le_bytes());
}
