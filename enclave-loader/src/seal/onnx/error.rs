//! Why an ONNX file is not sealed.

use std::io;

use thiserror::Error;

/// Why a file is not an ONNX model that can be sealed, and where in it that was found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{defect} (at byte {at})")]
pub struct OnnxError {
    /// What is wrong.
    pub defect: OnnxDefect,
    /// How many bytes of the file were good.
    pub at: u64,
}

/// What is wrong with an ONNX file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OnnxDefect {
    /// A varint is not over where the message is.
    #[error("a message ends inside a number")]
    Cut,
    /// A varint has more bytes than its value needs, or more than 64 bits.
    #[error("a number is longer than it needs to be, or than 64 bits")]
    Varint,
    /// A field's wire type is not the one of the format; groups and the unknown ones never are.
    #[error("{field} has the wire type {wire}, which is not that of the format")]
    WireType {
        /// The field.
        field: &'static str,
        /// The three bits.
        wire: u64,
    },
    /// A field that onnx.proto does not have.
    #[error("{message} has no field {number} that this version knows")]
    UnknownField {
        /// The message.
        message: &'static str,
        /// The number found.
        number: u64,
    },
    /// A field's length leads out of its message.
    #[error("{field} is longer than the message or file that holds it")]
    Outside {
        /// The field.
        field: &'static str,
    },
    /// A field that may occur once occurs again: which of them counts is the reader's choice.
    #[error("{field} occurs twice in one message")]
    Twice {
        /// The field.
        field: &'static str,
    },
    /// Packed values do not fill their field.
    #[error("{field} ends inside a value")]
    Packed {
        /// The field.
        field: &'static str,
    },
    /// Messages in messages beyond the limit.
    #[error("messages are nested more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// More than a reader should be asked to hold.
    #[error("there are more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A name or text beyond its limit.
    #[error("{field} has more than {limit} bytes")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A name that is no UTF-8.
    #[error("{field} is not UTF-8")]
    NotText {
        /// The field.
        field: &'static str,
    },
    /// What makes a file an ONNX model is not in it.
    #[error("it has no {what}, which every ONNX model has")]
    NotAModel {
        /// What is missing.
        what: &'static str,
    },
    /// Another version of the format.
    #[error("its IR version is {found}; wanted is {oldest} to {newest}")]
    IrVersion {
        /// What the file says.
        found: u64,
        /// The oldest that is taken.
        oldest: u64,
        /// The newest that is known.
        newest: u64,
    },
    /// A data type that onnx.proto does not have, or none where one is needed.
    #[error("the data type {found} is none that this version knows")]
    DataType {
        /// The number found.
        found: u64,
    },
    /// A dimension is negative, or there are more values than can be counted.
    #[error("a tensor's dimensions are negative, or their product is beyond 64 bits")]
    Dimensions,
    /// A tensor's data is missing, twice there, or in a field for another type.
    #[error("a tensor has {problem}")]
    Data {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A tensor has another length than its dimensions and data type say.
    #[error("a tensor has {found} in {field}; its dimensions and data type want {wanted}")]
    Length {
        /// Where the data is.
        field: &'static str,
        /// What there is: bytes in `raw_data` and `external_data`, else values.
        found: u64,
        /// What should be.
        wanted: u64,
    },
    /// `external_data` is not as the format has it.
    #[error("external_data {problem}")]
    External {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The location of a tensor is not a plain relative path: it could lead out of the model.
    #[error("a tensor lies at `{location}`, which is not a plain path inside the model")]
    Location {
        /// What the file says, as it can be shown.
        location: String,
    },
    /// The location of a tensor is no file of the model.
    #[error("a tensor lies in `{location}`, which is not among the files to seal")]
    NoSuchFile {
        /// What the file says.
        location: String,
    },
    /// A tensor would end beyond its file.
    #[error("a tensor of {wanted} bytes at {offset} of `{location}` ends outside: the file has {len} bytes")]
    OutsideFile {
        /// The file.
        location: String,
        /// Where the tensor begins.
        offset: u64,
        /// Its length in bytes.
        wanted: u64,
        /// The file's.
        len: u64,
    },
    /// The file could not be read.
    #[error("it cannot be read: {detail}")]
    Io {
        /// Kind of the operating system's error.
        kind: io::ErrorKind,
        /// Its text.
        detail: String,
    },
}
