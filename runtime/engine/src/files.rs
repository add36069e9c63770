//! Where a model's files come from. The engine reads them through [`ModelFiles`] only, so that
//! weights can arrive from a decrypting reader and never touch a disk or a memory map.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::EngineError;
use crate::limits::JSON_FILE_BYTES;

/// A reader with positions.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// Path inside the model, with `/` between its parts.
    pub path: String,
    /// Length in bytes.
    pub len: u64,
}

/// The files of a model, wherever they are kept.
pub trait ModelFiles: Send + Sync {
    /// Every file, in any order.
    fn files(&self) -> Vec<ModelFile>;
    /// A reader of one file, at its start.
    fn open(&self, path: &str) -> io::Result<Box<dyn ReadSeek>>;
}

/// The plain files of one directory and of those right below it, for tests and tools.
#[derive(Debug, Clone)]
pub struct PlainDirectory(pub PathBuf);

impl ModelFiles for PlainDirectory {
    fn files(&self) -> Vec<ModelFile> {
        let mut files = Vec::new();
        for entry in entries(&self.0) {
            let Ok(name) = entry.file_name().into_string() else { continue };
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => files.push(ModelFile { path: name, len: metadata.len() }),
                Ok(metadata) if metadata.is_dir() => files.extend(entries(&entry.path()).filter_map(|below| {
                    let metadata = below.metadata().ok().filter(std::fs::Metadata::is_file)?;
                    let path = format!("{name}/{}", below.file_name().to_str()?);
                    Some(ModelFile { path, len: metadata.len() })
                })),
                _ => {}
            }
        }
        files
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn ReadSeek>> {
        // A part that is no plain name could leave the directory.
        let is_plain = |part: &str| Path::new(part).file_name().and_then(|name| name.to_str()) == Some(part);
        if path.split('/').count() > 2 || !path.split('/').all(is_plain) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file name"));
        }
        Ok(Box::new(File::open(self.0.join(path))?))
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = std::fs::DirEntry> {
    std::fs::read_dir(directory).into_iter().flatten().flatten()
}

/// One plain file, for tests and tools.
#[derive(Debug, Clone)]
pub struct PlainFile(pub PathBuf);

impl PlainFile {
    fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

impl ModelFiles for PlainFile {
    fn files(&self) -> Vec<ModelFile> {
        let len = std::fs::metadata(&self.0).map(|metadata| metadata.len());
        len.map(|len| vec![ModelFile { path: self.name(), len }]).unwrap_or_default()
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn ReadSeek>> {
        if path != self.name() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(File::open(&self.0)?))
    }
}

/// Files in memory: a made model, or one received over a channel.
#[derive(Clone, Default)]
pub struct MemoryFiles(BTreeMap<String, Arc<[u8]>>);

impl MemoryFiles {
    /// No file yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These files and one more.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.0.insert(path.into(), bytes.into());
        self
    }
}

impl ModelFiles for MemoryFiles {
    fn files(&self) -> Vec<ModelFile> {
        self.0.iter().map(|(path, bytes)| ModelFile { path: path.clone(), len: bytes.len() as u64 }).collect()
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn ReadSeek>> {
        let bytes = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(bytes.clone())))
    }
}

/// A reader of `path`, or an error that names it.
pub(crate) fn open(files: &dyn ModelFiles, path: &str) -> Result<Box<dyn ReadSeek>, EngineError> {
    files.open(path).map_err(|source| EngineError::Read { path: path.to_owned(), source })
}

/// A JSON file of a model, parsed; `None` where there is none.
pub(crate) fn json(files: &dyn ModelFiles, path: &str) -> Result<Option<serde_json::Value>, EngineError> {
    let Some(file) = files.files().into_iter().find(|file| file.path == path) else { return Ok(None) };
    if file.len > JSON_FILE_BYTES {
        return Err(EngineError::malformed("a JSON file", format!("{path} is longer than {JSON_FILE_BYTES} bytes")));
    }
    let mut bytes = Vec::new();
    open(files, path)?
        .take(JSON_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|source| EngineError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| EngineError::malformed("a JSON file", format!("{path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_cannot_be_left() {
        let files = PlainDirectory(std::env::temp_dir());
        for path in ["../etc/passwd", "/etc/passwd", "a/../b", "a/..", "a//b", "a/b/c", "./a", "..", ""] {
            assert!(files.open(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_json_file_that_is_not_json_is_named() {
        let files = MemoryFiles::new().with("config.json", *b"{");
        let error = json(&files, "config.json").unwrap_err();
        assert!(error.to_string().contains("config.json"), "{error}");
        assert!(json(&files, "other.json").unwrap().is_none());
    }
}
