//! GGUF, versions 2 and 3 (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>): one
//! file with metadata, a table of tensors, and their bytes. [`Header::read`] checks all of the
//! table against the file before a byte of weights is read.

mod reader;
mod value;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use candle_core::quantized::GgmlDType;

use crate::error::EngineError;
use crate::limits::{DIMENSIONS, GGUF_HEADER_BYTES, GGUF_METADATA_ENTRIES, TENSOR_ELEMENTS, TENSORS};
use reader::Bounded;

pub(crate) use value::{Metadata, Value};
pub(crate) use writer::Writer;

/// `GGUF` in the file's own (little-endian) order.
const MAGIC: u32 = u32::from_le_bytes(*b"GGUF");
/// Where tensors start unless the file says otherwise.
const DEFAULT_ALIGNMENT: u64 = 32;
/// Alignments beyond a page help nobody.
const MAX_ALIGNMENT: u64 = 65_536;

/// A checked header.
#[derive(Debug)]
pub(crate) struct Header {
    /// Key and value pairs.
    pub(crate) metadata: Metadata,
    /// Tensors by name.
    pub(crate) tensors: HashMap<String, TensorInfo>,
}

/// Where one tensor lies. The place is inside the file, and no other tensor overlaps it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TensorInfo {
    /// How its numbers are packed.
    pub(crate) kind: GgmlDType,
    /// Outermost dimension first: a matrix is `[rows, columns]`.
    pub(crate) shape: Vec<usize>,
    /// Offset in the file.
    pub(crate) start: u64,
    /// Length in the file.
    pub(crate) bytes: u64,
}

impl Header {
    /// Reads and checks the header of a file of `len` bytes.
    pub(crate) fn read(file: &mut (impl Read + Seek), len: u64) -> Result<Self, EngineError> {
        let (mut input, tensor_count, entry_count) = begin(file, len)?;
        let metadata = Metadata::read(&mut input, entry_count)?;
        let table = read_table(&mut input, tensor_count)?;
        let tensors = place(table, input.position(), alignment(&metadata)?, len)?;
        Ok(Self { metadata, tensors })
    }
}

/// The architecture that a file names, reading no further: it is the first entry of nearly all.
pub(crate) fn architecture(file: &mut (impl Read + Seek), len: u64) -> Result<Option<String>, EngineError> {
    let (mut input, _, entry_count) = begin(file, len)?;
    Metadata::text_of(&mut input, entry_count, "general.architecture")
}

/// What is before the metadata: the counts of tensors and of entries.
fn begin<F: Read + Seek>(file: &mut F, len: u64) -> Result<(Bounded<BufReader<&mut F>>, u64, u64), EngineError> {
    file.seek(SeekFrom::Start(0)).map_err(|error| malformed(error.to_string()))?;
    let mut input = Bounded::new(BufReader::with_capacity(1 << 16, file), len.min(GGUF_HEADER_BYTES));
    if input.u32()? != MAGIC {
        return Err(malformed("it does not begin with GGUF"));
    }
    let version = input.u32()?;
    if !(2..=3).contains(&version) {
        return Err(malformed(format!("version {version}, wanted 2 or 3")));
    }
    let tensor_count = count("tensors", input.u64()?, TENSORS)?;
    let entry_count = count("metadata entries", input.u64()?, GGUF_METADATA_ENTRIES)?;
    Ok((input, tensor_count, entry_count))
}

/// A tensor as the table has it, its offset counted from where the data begin.
struct Entry {
    name: String,
    kind: GgmlDType,
    shape: Vec<usize>,
    offset: u64,
    bytes: u64,
}

fn read_table(input: &mut Bounded<impl Read>, count: u64) -> Result<Vec<Entry>, EngineError> {
    let mut table = Vec::new();
    for _ in 0..count {
        let name = input.name()?;
        let dimensions = input.u32()?;
        if !(1..=DIMENSIONS).contains(&(dimensions as usize)) {
            return Err(malformed(format!("tensor {name} has {dimensions} dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let length = input.u64()?;
            shape.push(usize::try_from(length).map_err(|_| malformed(format!("tensor {name} is too large")))?);
        }
        shape.reverse();
        let kind = kind(input.u32()?, &name)?;
        let offset = input.u64()?;
        let bytes = byte_length(kind, &shape)
            .ok_or_else(|| malformed(format!("tensor {name} of {kind:?} cannot have the shape {shape:?}")))?;
        table.push(Entry { name, kind, shape, offset, bytes });
    }
    Ok(table)
}

/// Turns offsets into places in the file: aligned, inside, and apart from each other, so that
/// what is loaded can never exceed the file's length.
fn place(
    mut table: Vec<Entry>,
    header_end: u64,
    alignment: u64,
    len: u64,
) -> Result<HashMap<String, TensorInfo>, EngineError> {
    let data =
        header_end.checked_next_multiple_of(alignment).ok_or_else(|| malformed("the data start is out of range"))?;
    table.sort_by_key(|entry| entry.offset);
    let mut tensors = HashMap::new();
    let mut free_from = data;
    for Entry { name, kind, shape, offset, bytes } in table {
        let start = data.checked_add(offset).filter(|_| offset.is_multiple_of(alignment));
        let place = start.and_then(|start| Some((start, start.checked_add(bytes)?)));
        let Some((start, end)) = place.filter(|&(start, end)| start >= free_from && end <= len) else {
            return Err(malformed(format!("tensor {name} is not aligned, overlaps another, or passes the file's end")));
        };
        free_from = end;
        let info = TensorInfo { kind, shape, start, bytes };
        if tensors.insert(name.clone(), info).is_some() {
            return Err(malformed(format!("tensor {name} appears twice")));
        }
    }
    Ok(tensors)
}

fn alignment(metadata: &Metadata) -> Result<u64, EngineError> {
    let Some(alignment) = metadata.integer("general.alignment")? else { return Ok(DEFAULT_ALIGNMENT) };
    if !alignment.is_power_of_two() || !(8..=MAX_ALIGNMENT).contains(&alignment) {
        return Err(malformed(format!("alignment {alignment}")));
    }
    Ok(alignment)
}

/// Bytes of a tensor; `None` where rows are not whole blocks or numbers pass their range.
pub(crate) fn byte_length(kind: GgmlDType, shape: &[usize]) -> Option<u64> {
    let block = kind.block_size();
    let columns = *shape.last()?;
    let elements = shape.iter().try_fold(1u64, |product, &length| product.checked_mul(length as u64))?;
    if elements == 0 || elements > TENSOR_ELEMENTS || !columns.is_multiple_of(block) {
        return None;
    }
    (elements / block as u64).checked_mul(kind.type_size() as u64)
}

/// The packings that candle can compute with (`ggml_type` in ggml.h).
fn kind(number: u32, name: &str) -> Result<GgmlDType, EngineError> {
    Ok(match number {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        other => {
            return Err(EngineError::unsupported("the packing of a tensor", format!("{name} has ggml type {other}")));
        }
    })
}

fn count(what: &str, found: u64, limit: u64) -> Result<u64, EngineError> {
    if found > limit {
        return Err(malformed(format!("{found} {what}, the limit is {limit}")));
    }
    Ok(found)
}

fn malformed(reason: impl Into<String>) -> EngineError {
    EngineError::malformed("the GGUF header", reason)
}
