//! ONNX files: read through, against the format's own list of fields, before they are sealed.
//!
//! The engine runs no ONNX, so nothing later in this house would look into such a file; whoever loads it
//! out of the sealed model does so with a library that believes lengths, follows `external_data` to any
//! path, and holds what it is told to hold. So the sealer refuses what is malformed or leads outside, as
//! it refuses pickles. Safetensors, GGUF and tokenizers are the engine's, which checks them where it reads
//! them (`runtime/engine/src/hostile.rs`).
//!
//! The file is read once, as a stream: memory is one buffer and one name, whatever its length. Data of
//! tensors in `raw_data` is passed over, not read.
//!
//! What an operator does with its attributes is not judged: an operator of a runtime's own may name files
//! in a text, and only that runtime knows.

mod error;
mod reader;
mod schema;
mod tensor;
#[cfg(test)]
mod tests;

use std::io::{Read, Seek};

pub use error::{OnnxDefect, OnnxError};

use reader::{Payload, Reader, Scope};
use schema::{Field, Kind, Message};

/// The fields that a model has.
const IR_VERSION: &str = "ir_version";
const NEEDED: [&str; 3] = [IR_VERSION, "graph", "opset_import"];
/// The first IR version with operator sets, of November 2017.
const OLDEST_IR: u64 = 3;
/// The IR version of ONNX 1.23, whose fields are in [`schema`].
const NEWEST_IR: u64 = 14;
/// The last of `TensorProto.DataType`.
const LAST_DATA_TYPE: u64 = 28;
/// Longest name.
const MAX_NAME_BYTES: u64 = 4_096;
/// Longest text for people, or piece of metadata: some hold a list of labels, or a vocabulary.
const MAX_TEXT_BYTES: u64 = 16 << 20;
/// Most nodes, tensors, attributes, and messages in all: the largest models have some hundred thousand.
const MAX_NODES: u64 = 1 << 20;
const MAX_TENSORS: u64 = 1 << 20;
const MAX_ATTRIBUTES: u64 = 1 << 22;
const MAX_MESSAGES: u64 = 1 << 24;

/// Reads an ONNX file of `len` bytes through, and checks all that docs/specs/sealed-model.md says of it.
/// `input` stands at its beginning; `length_of` gives the length in bytes of the file of the model at a
/// path relative to the ONNX file's folder, or none where there is no such file.
///
/// # Errors
/// [`OnnxError`], the first defect.
pub fn check_onnx(input: impl Read + Seek, len: u64, length_of: &dyn Fn(&str) -> Option<u64>) -> Result<(), OnnxError> {
    let mut checker = Checker { reader: Reader::new(input), length_of, counts: Counts::default() };
    checker.model(len)
}

struct Checker<'a, R> {
    reader: Reader<R>,
    length_of: &'a dyn Fn(&str) -> Option<u64>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    nodes: u64,
    tensors: u64,
    attributes: u64,
    messages: u64,
}

impl<R: Read + Seek> Checker<'_, R> {
    fn model(&mut self, len: u64) -> Result<(), OnnxError> {
        let mut scope = Reader::<R>::outermost(Message::Model, len);
        while let Some((field, payload)) = self.reader.next(&mut scope)? {
            match (field.name, payload) {
                (IR_VERSION, Payload::Integer(found)) if !(OLDEST_IR..=NEWEST_IR).contains(&found) => {
                    let (oldest, newest) = (OLDEST_IR, NEWEST_IR);
                    return Err(self.reader.refuse(OnnxDefect::IrVersion { found, oldest, newest }));
                }
                _ => self.value(&scope, field, payload)?,
            }
        }
        match NEEDED.into_iter().find(|what| !scope.has(what)) {
            Some(what) => Err(self.reader.refuse(OnnxDefect::NotAModel { what })),
            None => Ok(()),
        }
    }

    /// Goes over a field's payload, checking what is in it.
    fn value(&mut self, scope: &Scope, field: &'static Field, payload: Payload) -> Result<(), OnnxError> {
        match (field.kind, payload) {
            (Kind::Nested(message), Payload::Bytes(len)) => self.message(scope, message, len),
            (Kind::Name, Payload::Bytes(len)) => self.reader.text(field.name, len, MAX_NAME_BYTES).map(drop),
            (Kind::Text, Payload::Bytes(len)) if len > MAX_TEXT_BYTES => {
                Err(self.reader.refuse(OnnxDefect::TooLong { field: field.name, limit: MAX_TEXT_BYTES }))
            }
            (Kind::Integers, _) => self.reader.integers(payload, |_, _| Ok(())),
            (Kind::Floats, Payload::Bytes(len)) => self.fixed(field, len, 4).map(drop),
            (Kind::Doubles, Payload::Bytes(len)) => self.fixed(field, len, 8).map(drop),
            (Kind::DataType, Payload::Integer(found)) if found > LAST_DATA_TYPE => {
                Err(self.reader.refuse(OnnxDefect::DataType { found }))
            }
            (_, Payload::Bytes(len)) => self.reader.skip(len),
            (_, Payload::Integer(_)) => Ok(()),
        }
    }

    fn message(&mut self, parent: &Scope, message: Message, len: u64) -> Result<(), OnnxError> {
        let counts = &mut self.counts;
        let counted = match message {
            Message::Node => Some((&mut counts.nodes, "nodes", MAX_NODES)),
            Message::Tensor => Some((&mut counts.tensors, "tensors", MAX_TENSORS)),
            Message::Attribute => Some((&mut counts.attributes, "attributes", MAX_ATTRIBUTES)),
            _ => None,
        };
        for (count, what, limit) in counted.into_iter().chain([(&mut counts.messages, "messages", MAX_MESSAGES)]) {
            *count += 1;
            if *count > limit {
                return Err(self.reader.refuse(OnnxDefect::TooMany { what, limit }));
            }
        }
        let mut scope = self.reader.enter(parent, message, len)?;
        if message == Message::Tensor {
            return self.tensor(scope);
        }
        while let Some((field, payload)) = self.reader.next(&mut scope)? {
            self.value(&scope, field, payload)?;
        }
        Ok(())
    }

    /// Goes over packed values of `size` bytes; gives their number.
    fn fixed(&mut self, field: &'static Field, len: u64, size: u64) -> Result<u64, OnnxError> {
        if !len.is_multiple_of(size) {
            return Err(self.reader.refuse(OnnxDefect::Packed { field: field.name }));
        }
        self.reader.skip(len)?;
        Ok(len / size)
    }
}
