//! A tensor: as many bytes as its dimensions and data type say, in one place, inside the model.

use std::io::{Read, Seek};

use super::error::{OnnxDefect, OnnxError};
use super::reader::{Payload, Reader, Scope};
use super::schema::{Field, Kind, Message};
use super::{Checker, MAX_NAME_BYTES};
use crate::format::limits::MAX_PATH_BYTES;
use crate::format::private::valid_path;

/// Most dimensions of a tensor: NumPy's limit.
const MAX_DIMENSIONS: u64 = 64;
/// `TensorProto.DataLocation`.
const HERE: u64 = 0;
const EXTERNAL: u64 = 1;
/// `TensorProto.DataType.STRING`.
const STRING: u64 = 8;
const RAW_DATA: &str = "raw_data";
const EXTERNAL_DATA: &str = "external_data";

/// What was read of a tensor.
#[derive(Default)]
struct Tensor {
    dimensions: u64,
    /// The product of the dimensions; none until there is one.
    values: Option<u64>,
    data_type: u64,
    location: u64,
    /// The field that holds the data, and its bytes (`raw_data`) or values.
    data: Option<(&'static str, u64)>,
    external: External,
}

/// The entries of `external_data`.
#[derive(Default)]
struct External {
    entries: u64,
    location: Option<String>,
    offset: Option<u64>,
    length: Option<u64>,
    checksum: Option<()>,
}

impl<R: Read + Seek> Checker<'_, R> {
    /// Checks the tensor in `scope`.
    pub(super) fn tensor(&mut self, mut scope: Scope) -> Result<(), OnnxError> {
        let mut tensor = Tensor::default();
        while let Some((field, payload)) = self.reader.next(&mut scope)? {
            match (field.name, payload) {
                ("dims", _) => self.dimensions(&mut tensor, payload)?,
                ("data_location", Payload::Integer(location)) => tensor.location = location,
                (EXTERNAL_DATA, Payload::Bytes(len)) => self.external(&scope, len, &mut tensor.external)?,
                (name, _) if name.ends_with("_data") => {
                    let count = self.count(field, payload)?;
                    tensor.add(&self.reader, field.name, count)?;
                }
                ("data_type", Payload::Integer(data_type)) => tensor.data_type = data_type,
                _ => self.value(&scope, field, payload)?,
            }
        }
        self.complete(&tensor)
    }

    fn dimensions(&mut self, tensor: &mut Tensor, payload: Payload) -> Result<(), OnnxError> {
        self.reader.integers(payload, |reader, value| {
            tensor.dimensions += 1;
            if tensor.dimensions > MAX_DIMENSIONS {
                return Err(reader.refuse(OnnxDefect::TooMany { what: "dimensions", limit: MAX_DIMENSIONS }));
            }
            // An int64: the upper half are the negative ones.
            let value = i64::try_from(value).ok().and_then(|value| u64::try_from(value).ok());
            let product = value.and_then(|value| tensor.values.unwrap_or(1).checked_mul(value));
            tensor.values = Some(product.ok_or_else(|| reader.refuse(OnnxDefect::Dimensions))?);
            Ok(())
        })
    }

    /// Goes over a field of data; gives the bytes of `raw_data`, else the number of values.
    fn count(&mut self, field: &'static Field, payload: Payload) -> Result<u64, OnnxError> {
        match (field.kind, payload) {
            (Kind::Integers, _) => {
                let mut count = 0;
                self.reader.integers(payload, |_, _| {
                    count += 1;
                    Ok(())
                })?;
                Ok(count)
            }
            (Kind::Floats, Payload::Bytes(len)) => self.fixed(field, len, 4),
            (Kind::Doubles, Payload::Bytes(len)) => self.fixed(field, len, 8),
            (_, Payload::Bytes(len)) => {
                self.reader.skip(len)?;
                Ok(if field.name == RAW_DATA { len } else { 1 })
            }
            (_, Payload::Integer(_)) => Ok(1),
        }
    }

    /// One entry of `external_data`.
    fn external(&mut self, scope: &Scope, len: u64, external: &mut External) -> Result<(), OnnxError> {
        let mut entry = self.reader.enter(scope, Message::Entry, len)?;
        external.entries += 1;
        let (mut key, mut value) = (String::new(), String::new());
        while let Some((field, payload)) = self.reader.next(&mut entry)? {
            // Both fields are texts.
            let Payload::Bytes(len) = payload else { continue };
            let text = self.reader.text(field.name, len, MAX_NAME_BYTES)?;
            if field.name == "key" { key = text } else { value = text }
        }
        let number = || value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten();
        let wrong = |problem| self.reader.refuse(OnnxDefect::External { problem });
        let again = match key.as_str() {
            "location" => external.location.replace(value.clone()).is_some(),
            "offset" => {
                let offset = number().ok_or_else(|| wrong("has an offset that is no number"))?;
                external.offset.replace(offset).is_some()
            }
            "length" => {
                let length = number().ok_or_else(|| wrong("has a length that is no number"))?;
                external.length.replace(length).is_some()
            }
            // SHA-1 of the whole file, for whoever wants it; the sealed model has better.
            "checksum" => external.checksum.replace(()).is_some(),
            _ => return Err(wrong("has a key beside location, offset, length and checksum")),
        };
        if again { Err(wrong("says the same thing twice")) } else { Ok(()) }
    }

    /// Compares what is there with what should be.
    fn complete(&self, tensor: &Tensor) -> Result<(), OnnxError> {
        let refuse = |defect| self.reader.refuse(defect);
        let data = |problem| refuse(OnnxDefect::Data { problem });
        let found = tensor.data_type;
        let layout = Layout::of(found).ok_or_else(|| refuse(OnnxDefect::DataType { found }))?;
        // Without dimensions it is one value.
        let values = tensor.values.unwrap_or(1);
        let bytes = layout.bytes(values).ok_or_else(|| refuse(OnnxDefect::Dimensions))?;
        let external = &tensor.external;
        match (tensor.location, &external.location, tensor.data) {
            (EXTERNAL, _, _) if found == STRING => Err(data("texts outside the file")),
            (EXTERNAL, _, Some(_)) => Err(data("data both in the file and outside")),
            (EXTERNAL, None, None) => Err(refuse(OnnxDefect::External { problem: "has no location" })),
            (EXTERNAL, Some(location), None) => self.outside(external, location, bytes),
            (HERE, _, _) if external.entries > 0 => {
                Err(data("external_data, and its data_location says that it has none"))
            }
            (HERE, _, None) if values == 0 => Ok(()),
            (HERE, _, None) => Err(data("no data")),
            (HERE, _, Some((RAW_DATA, _))) if found == STRING => Err(data("texts in raw_data")),
            (HERE, _, Some((RAW_DATA, len))) => self.same(RAW_DATA, len, bytes),
            (HERE, _, Some((field, count))) if field == layout.field => {
                let wanted = layout.entries(values).ok_or_else(|| refuse(OnnxDefect::Dimensions))?;
                self.same(field, count, wanted)
            }
            (HERE, _, Some(_)) => Err(data("its data in the field of another data type")),
            _ => Err(data("a data_location that this version does not know")),
        }
    }

    /// A tensor whose data is in another file: which must be one of the model's.
    fn outside(&self, external: &External, location: &str, bytes: u64) -> Result<(), OnnxError> {
        let refuse = |defect| self.reader.refuse(defect);
        if !plain(location) {
            return Err(refuse(OnnxDefect::Location { location: brief(location) }));
        }
        let location = location.to_owned();
        let Some(len) = (self.length_of)(&location) else { return Err(refuse(OnnxDefect::NoSuchFile { location })) };
        let offset = external.offset.unwrap_or(0);
        let left = len.checked_sub(offset).filter(|left| bytes <= *left);
        let Some(left) = left else {
            return Err(refuse(OnnxDefect::OutsideFile { location, offset, wanted: bytes, len }));
        };
        // Without a length, the data is the rest of the file.
        self.same(EXTERNAL_DATA, external.length.unwrap_or(left), bytes)
    }

    fn same(&self, field: &'static str, found: u64, wanted: u64) -> Result<(), OnnxError> {
        match found == wanted {
            true => Ok(()),
            false => Err(self.reader.refuse(OnnxDefect::Length { field, found, wanted })),
        }
    }
}

impl Tensor {
    fn add<R: Read + Seek>(&mut self, reader: &Reader<R>, field: &'static str, count: u64) -> Result<(), OnnxError> {
        let before = match self.data {
            None => 0,
            Some((same, before)) if same == field => before,
            Some(_) => return Err(reader.refuse(OnnxDefect::Data { problem: "data in two fields" })),
        };
        self.data = Some((field, before.saturating_add(count)));
        Ok(())
    }
}

/// How values of a data type lie in a file.
struct Layout {
    bits: u64,
    /// The field that holds them where it is not `raw_data`.
    field: &'static str,
    /// Entries of that field for so many values.
    entries: (u64, u64),
}

impl Layout {
    /// Of `TensorProto.DataType` and the comments beside it in onnx.proto.
    fn of(data_type: u64) -> Option<Self> {
        let (bits, field, entries) = match data_type {
            1 => (32, "float_data", (1, 1)),           // FLOAT
            2 | 3 | 9 => (8, "int32_data", (1, 1)),    // UINT8, INT8, BOOL
            4 | 5 => (16, "int32_data", (1, 1)),       // UINT16, INT16
            6 => (32, "int32_data", (1, 1)),           // INT32
            7 => (64, "int64_data", (1, 1)),           // INT64
            STRING => (8, "string_data", (1, 1)),      // of any length: counted, not measured
            10 | 16 => (16, "int32_data", (1, 1)),     // FLOAT16, BFLOAT16
            11 => (64, "double_data", (1, 1)),         // DOUBLE
            12 => (32, "uint64_data", (1, 1)),         // UINT32
            13 => (64, "uint64_data", (1, 1)),         // UINT64
            14 => (64, "float_data", (2, 1)),          // COMPLEX64
            15 => (128, "double_data", (2, 1)),        // COMPLEX128
            17..=20 | 24 => (8, "int32_data", (1, 1)), // the FLOAT8 types
            21..=23 => (4, "int32_data", (1, 2)),      // UINT4, INT4, FLOAT4E2M1
            25 | 26 => (2, "int32_data", (1, 4)),      // UINT2, INT2
            27 | 28 => (6, "int32_data", (1, 1)),      // FLOAT6E2M3, FLOAT6E3M2
            _ => return None,
        };
        Some(Self { bits, field, entries })
    }

    fn bytes(&self, values: u64) -> Option<u64> {
        values.checked_mul(self.bits).map(|bits| bits.div_ceil(8))
    }

    fn entries(&self, values: u64) -> Option<u64> {
        let (entries, of) = self.entries;
        values.checked_mul(entries).map(|entries| entries.div_ceil(of))
    }
}

/// Whether a location is a path that leads nowhere but into the model. A colon is a scheme's or a drive's;
/// ONNX Runtime and OpenVINO take `*/_ORT_MEM_ADDR_/*` for an address in their own memory.
fn plain(location: &str) -> bool {
    valid_path(location) && !location.contains([':', '*'])
}

/// A location as an error shows it.
fn brief(location: &str) -> String {
    let visible = |character: char| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
    location.chars().take(MAX_PATH_BYTES / 8).map(visible).collect()
}
