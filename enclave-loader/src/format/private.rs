//! The private part: what the model is made of (spec section "Private part").

use strongroom_channel::cbor::{self, CborError, Value};
use zeroize::Zeroizing;

use super::core::Hash;
use super::limits::{MAX_FILES, MAX_PATH_BYTES, MIN_BUCKET_BYTES};
use crate::error::LoadError;

/// What a file of a model is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// Weights in safetensors.
    Safetensors,
    /// A GGUF file: weights, tokenizer and metadata in one.
    Gguf,
    /// An ONNX file; what it keeps outside itself is `Other`.
    Onnx,
    /// A tokenizer's file.
    Tokenizer,
    /// A configuration in JSON.
    Config,
    /// A LoRA adapter.
    Adapter,
    /// A chat template.
    Template,
    /// Anything else: licences, model cards.
    Other,
}

impl FileKind {
    const ALL: [Self; 8] = [
        Self::Safetensors,
        Self::Gguf,
        Self::Onnx,
        Self::Tokenizer,
        Self::Config,
        Self::Adapter,
        Self::Template,
        Self::Other,
    ];

    /// The word in the format.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "gguf",
            Self::Onnx => "onnx",
            Self::Tokenizer => "tokenizer",
            Self::Config => "config",
            Self::Adapter => "adapter",
            Self::Template => "template",
            Self::Other => "other",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One file of a sealed model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Path inside the model, with `/` between its parts.
    pub path: String,
    /// What the file is.
    pub kind: FileKind,
    /// Length in bytes.
    pub len: u64,
    /// Where the file begins in the logical address space, in bytes; a multiple of the chunk.
    pub(crate) offset: u64,
    /// SHA-256 of its content.
    pub(crate) sha256: Hash,
}

impl FileEntry {
    /// SHA-256 of its content, as it was sealed. Whoever knows it can tell whether he has the same file: it
    /// is as private as the model.
    #[must_use]
    pub fn sha256(&self) -> &Hash {
        &self.sha256
    }
}

/// Writes the padded plaintext of the private part.
///
/// Its length is a power of two, so that it tells little about the number of files.
pub(crate) fn encode(files: &[FileEntry]) -> Zeroizing<Vec<u8>> {
    let body = Zeroizing::new(value(files).encode());
    let needed = body.len() as u64 + 4;
    let padded = needed.max(MIN_BUCKET_BYTES).next_power_of_two();
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(padded).unwrap_or(usize::MAX)]);
    // A body of 4 GiB is far beyond MAX_PRIVATE_BYTES, which the sealer checks next.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let (head, rest) = bytes.split_at_mut(4);
    head.copy_from_slice(&length.to_be_bytes());
    rest[..body.len()].copy_from_slice(&body);
    bytes
}

/// Reads the padded plaintext of the private part.
///
/// # Errors
/// `Format` unless the files are in the one form that [`encode`] writes, sorted by path,
/// begin at chunks, do not overlap, and end within `total_len`.
pub(crate) fn decode(bytes: &[u8], chunk_bytes: u32, total_len: u64) -> Result<Vec<FileEntry>, LoadError> {
    let (head, rest) = bytes.split_first_chunk().ok_or(MALFORMED)?;
    let length = u32::from_be_bytes(*head) as usize;
    let (body, padding) = rest.split_at_checked(length).ok_or(MALFORMED)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(MALFORMED);
    }
    let files = read_files(body).map_err(|_| MALFORMED)?;
    if value(&files).encode() != body {
        return Err(MALFORMED);
    }
    check(&files, chunk_bytes.into(), total_len)?;
    Ok(files)
}

/// Whether `path` can be a file's path: relative, of plain names, no longer than the limit.
pub(crate) fn valid_path(path: &str) -> bool {
    path.len() <= MAX_PATH_BYTES
        && path.split('/').all(|part| {
            !part.is_empty() && part != "." && part != ".." && !part.chars().any(|c| c.is_control() || c == '\\')
        })
}

const VERSION: u64 = 1;
/// Most CBOR data items of the body: six for each file, and the map around them.
const MAX_ITEMS: usize = 6 * MAX_FILES + 5;
const MALFORMED: LoadError = LoadError::Format("the private part");

fn value(files: &[FileEntry]) -> Value<'_> {
    let files = files.iter().map(|file| {
        Value::array([
            Value::Text(&file.path),
            Value::Text(file.kind.as_str()),
            Value::Uint(file.offset),
            Value::Uint(file.len),
            Value::Bytes(&file.sha256),
        ])
    });
    Value::map([(1, Value::Uint(VERSION)), (2, Value::array(files))])
}

fn read_files(body: &[u8]) -> Result<Vec<FileEntry>, CborError> {
    let mut fields = cbor::decode_within(body, MAX_ITEMS)?.fields()?;
    if fields.require(1)?.uint()? != VERSION {
        return Err(CborError::WrongType { wanted: "version 1" });
    }
    let files = fields
        .require(2)?
        .items()?
        .into_iter()
        .map(|file| {
            let [path, kind, offset, len, sha256] = file.items_exactly()?;
            Ok(FileEntry {
                path: path.text()?.to_owned(),
                kind: FileKind::parse(kind.text()?).ok_or(CborError::WrongType { wanted: "a kind of file" })?,
                offset: offset.uint()?,
                len: len.uint()?,
                sha256: sha256.fixed()?,
            })
        })
        .collect::<Result<_, CborError>>()?;
    fields.finish()?;
    Ok(files)
}

fn check(files: &[FileEntry], chunk_bytes: u64, total_len: u64) -> Result<(), LoadError> {
    if files.is_empty() || files.len() > MAX_FILES {
        return Err(LoadError::Format("no files, or too many"));
    }
    let mut end = 0;
    let mut previous: Option<&str> = None;
    for file in files {
        if !valid_path(&file.path) || previous.is_some_and(|path| path >= file.path.as_str()) {
            return Err(LoadError::Format("the paths of the files are not plain, sorted and different"));
        }
        let file_end = file.offset.checked_add(file.len);
        if file.offset < end || file.offset % chunk_bytes != 0 || file_end.is_none_or(|file_end| file_end > total_len) {
            return Err(LoadError::Format("the files overlap or lie outside"));
        }
        end = file_end.unwrap_or(total_len);
        previous = Some(&file.path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: u32 = 1 << 16;
    const TOTAL: u64 = 5 << 16;

    fn file(path: &str, offset: u64, len: u64) -> FileEntry {
        FileEntry { path: path.to_owned(), kind: FileKind::Other, len, offset, sha256: [1; 32] }
    }

    fn round(files: &[FileEntry]) -> Result<Vec<FileEntry>, LoadError> {
        decode(&encode(files), CHUNK, TOTAL)
    }

    #[test]
    fn comes_back_at_a_length_that_hides_the_number_of_files() {
        let files = [file("a", 0, 1), file("b/c", 1 << 16, 0), file("d", 1 << 16, 4 << 16)];
        assert_eq!(round(&files), Ok(files.to_vec()));
        assert_eq!(encode(&files).len(), encode(&files[..1]).len());
    }

    #[test]
    fn refuses_files_that_overlap_lie_outside_or_off_a_chunk() {
        let outside = Err(LoadError::Format("the files overlap or lie outside"));
        assert_eq!(round(&[file("a", 0, 70_000), file("b", 1 << 16, 1)]), outside);
        assert_eq!(round(&[file("a", 0, TOTAL + 1)]), outside);
        assert_eq!(round(&[file("a", 1 << 16, u64::MAX)]), outside);
        assert_eq!(round(&[file("a", 1, 1)]), outside);
    }

    #[test]
    fn refuses_paths_that_climb_or_repeat() {
        for path in ["../a", "/a", "a//b", "", ".", "a/..", "a\\b", "a\nb"] {
            assert!(round(&[file(path, 0, 1)]).is_err(), "{path:?}");
        }
        assert!(round(&[file("b", 0, 1), file("a", 1 << 16, 1)]).is_err());
        assert!(round(&[file("a", 0, 1), file("a", 1 << 16, 1)]).is_err());
    }

    #[test]
    fn refuses_no_files_and_padding_that_carries_something() {
        assert!(round(&[]).is_err());
        let mut bytes = encode(&[file("a", 0, 1)]);
        *bytes.last_mut().expect("padding") = 1;
        assert_eq!(decode(&bytes, CHUNK, TOTAL), Err(MALFORMED));
        bytes[0] = 0xff;
        assert_eq!(decode(&bytes, CHUNK, TOTAL), Err(MALFORMED));
    }
}
