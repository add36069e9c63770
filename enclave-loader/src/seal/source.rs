//! What is sealed: the files of a model, found, named, and read as one address space.

use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::onnx::{OnnxDefect, check_onnx};
use super::pickle;
use crate::error::{SealError, shown};
use crate::format::limits::MAX_FILES;
use crate::format::private::{FileKind, valid_path};

/// Longer than the clock of any file system stands still: a tick of the kernel is 10 ms at most.
const TICK: Duration = Duration::from_millis(20);

/// The files of a model in the order of their paths.
pub(crate) struct Source {
    pub(crate) files: Vec<SourceFile>,
    /// Hidden files and directories, which are left out.
    pub(crate) skipped: Vec<String>,
}

/// One file to seal.
pub(crate) struct SourceFile {
    /// Where it is on this machine.
    location: PathBuf,
    pub(crate) kind: FileKind,
    pub(crate) stamp: Stamp,
    /// Where it begins in the logical address space.
    pub(crate) offset: u64,
}

/// What tells a changed file from an unchanged one without a hash of its content
/// (protocol.md A5: a checkpoint holds no plaintext hash).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) path: String,
    pub(crate) len: u64,
    device: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Source {
    /// Finds the files of `root`, a file or a directory, and lays them out so that each
    /// begins at a chunk of `chunk_bytes`.
    pub(crate) fn scan(root: &Path, chunk_bytes: u32) -> Result<Self, SealError> {
        let mut source = Self { files: Vec::new(), skipped: Vec::new() };
        let name = root.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let metadata = metadata(root)?;
        if metadata.is_dir() {
            source.walk(root, "")?;
        } else {
            source.add(root.to_owned(), name.to_owned(), &metadata)?;
        }
        if source.files.is_empty() {
            return Err(SealError::Empty { path: shown(root) });
        }
        source.files.sort_by(|a, b| a.stamp.path.cmp(&b.stamp.path));
        source.skipped.sort();
        let mut end = 0_u64;
        for file in &mut source.files {
            file.offset = end.next_multiple_of(chunk_bytes.into());
            end = file
                .offset
                .checked_add(file.stamp.len)
                .ok_or(SealError::TooLarge { what: "bytes", limit: u64::MAX })?;
        }
        Ok(source)
    }

    /// Waits, for a moment and only where a file changed just now, until the clock of file systems has
    /// moved on: a change within the same tick would leave the stamp as it is. Whatever changes after this
    /// has another stamp, and nothing was read before it.
    pub(crate) fn settle(&self) {
        let newest = self.files.iter().map(|file| file.stamp.changed).max();
        let Some((seconds, nanos)) = newest else { return };
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else { return };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanos);
        // A time in the future is another machine's, whose tick is not ours to wait for.
        if let Some(left) = changed.elapsed().ok().and_then(|age| TICK.checked_sub(age)) {
            thread::sleep(left);
        }
    }

    /// The end of the last file in the address space.
    pub(crate) fn end(&self) -> u64 {
        self.files.last().map_or(0, |file| file.offset + file.stamp.len)
    }

    /// What a later run compares.
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        self.files.iter().map(|file| file.stamp.clone()).collect()
    }

    /// Refuses a source whose files are not the ones that were found by [`Source::scan`].
    pub(crate) fn check_unchanged(&self) -> Result<(), SealError> {
        self.files.iter().try_for_each(|file| file.check_unchanged(&metadata(&file.location)?))
    }

    /// Refuses ONNX files that are malformed, or whose tensors lie elsewhere than in these files.
    pub(crate) fn check_onnx(&self) -> Result<(), SealError> {
        let len = |path: &str| {
            let found = self.files.binary_search_by(|file| file.stamp.path.as_str().cmp(path)).ok()?;
            self.files.get(found).map(|file| file.stamp.len)
        };
        self.files.iter().filter(|file| file.kind == FileKind::Onnx).try_for_each(|file| file.check_onnx(&len))
    }

    fn walk(&mut self, directory: &Path, prefix: &str) -> Result<(), SealError> {
        let failed = |error: &_| SealError::io("list", directory, error);
        for entry in fs::read_dir(directory).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            let location = entry.path();
            let name = entry
                .file_name()
                .into_string()
                .map_err(|_| SealError::FileName { path: shown(&location), problem: "the name is not UTF-8" })?;
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            if name.starts_with('.') {
                self.skipped.push(path);
                continue;
            }
            let metadata = metadata(&location)?;
            if metadata.is_dir() {
                self.walk(&location, &path)?;
            } else {
                self.add(location, path, &metadata)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, location: PathBuf, path: String, metadata: &Metadata) -> Result<(), SealError> {
        if !metadata.is_file() {
            return Err(SealError::NotAFile { path: shown(&location) });
        }
        if !valid_path(&path) {
            let problem = "the path is too long, or has control characters or backslashes";
            return Err(SealError::FileName { path: shown(&location), problem });
        }
        if self.files.len() == MAX_FILES {
            return Err(SealError::TooLarge { what: "files", limit: MAX_FILES as u64 });
        }
        pickle::refuse(&location, &path)?;
        let stamp = Stamp::new(path, metadata);
        self.files.push(SourceFile { kind: kind_of(&stamp.path), location, stamp, offset: 0 });
        Ok(())
    }
}

impl SourceFile {
    /// Opens the file, if it still is the file that was found.
    pub(crate) fn open(&self) -> Result<File, SealError> {
        let file = File::open(&self.location).map_err(|error| SealError::io("open", &self.location, &error))?;
        let metadata = file.metadata().map_err(|error| SealError::io("look at", &self.location, &error))?;
        self.check_unchanged(&metadata)?;
        Ok(file)
    }

    /// Fills `buffer` from `file` at `offset`; an end before that means that the file shrank.
    pub(crate) fn read(&self, file: &File, offset: u64, buffer: &mut [u8]) -> Result<(), SealError> {
        file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => self.changed(),
            _ => SealError::io("read", &self.location, &error),
        })
    }

    /// `len` gives the length of the file of the model at a path.
    fn check_onnx(&self, len: &dyn Fn(&str) -> Option<u64>) -> Result<(), SealError> {
        let beside = |location: &str| match self.stamp.path.rsplit_once('/') {
            Some((folder, _)) => len(&format!("{folder}/{location}")),
            None => len(location),
        };
        check_onnx(self.open()?, self.stamp.len, &beside).map_err(|error| match error.defect {
            OnnxDefect::Io { kind: ErrorKind::UnexpectedEof, .. } => self.changed(),
            OnnxDefect::Io { kind, detail } => {
                SealError::Io { action: "read", path: shown(&self.location), kind, detail }
            }
            _ => SealError::Onnx { path: shown(&self.location), why: error },
        })
    }

    fn check_unchanged(&self, metadata: &Metadata) -> Result<(), SealError> {
        if Stamp::new(self.stamp.path.clone(), metadata) == self.stamp { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> SealError {
        SealError::SourceChanged { path: shown(&self.location) }
    }
}

impl Stamp {
    fn new(path: String, metadata: &Metadata) -> Self {
        Self {
            path,
            len: metadata.len(),
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The metadata of `path` itself; a symbolic link is refused, not followed.
fn metadata(path: &Path) -> Result<Metadata, SealError> {
    let metadata = fs::symlink_metadata(path).map_err(|error| SealError::io("look at", path, &error))?;
    if metadata.is_symlink() {
        return Err(SealError::Symlink { path: shown(path) });
    }
    Ok(metadata)
}

fn kind_of(path: &str) -> FileKind {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match (name.as_str(), extension) {
        (_, "gguf") => FileKind::Gguf,
        (_, "onnx") => FileKind::Onnx,
        ("adapter_model.safetensors" | "adapter_config.json", _) => FileKind::Adapter,
        (_, "safetensors") => FileKind::Safetensors,
        (_, "jinja") => FileKind::Template,
        ("chat_template.json", _) => FileKind::Template,
        (
            "tokenizer.json"
            | "tokenizer_config.json"
            | "tokenizer.model"
            | "special_tokens_map.json"
            | "added_tokens.json"
            | "vocab.json"
            | "vocab.txt"
            | "merges.txt",
            _,
        ) => FileKind::Tokenizer,
        (_, "json") => FileKind::Config,
        _ => FileKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_names() {
        for (path, kind) in [
            ("Model-Q4_K_M.GGUF", FileKind::Gguf),
            ("model.onnx", FileKind::Onnx),
            ("model.onnx_data", FileKind::Other),
            ("model-00001-of-00002.safetensors", FileKind::Safetensors),
            ("model.safetensors.index.json", FileKind::Config),
            ("lora/adapter_model.safetensors", FileKind::Adapter),
            ("tokenizer.json", FileKind::Tokenizer),
            ("chat_template.jinja", FileKind::Template),
            ("config.json", FileKind::Config),
            ("LICENSE", FileKind::Other),
        ] {
            assert_eq!(kind_of(path), kind, "{path}");
        }
    }

    #[test]
    fn files_come_sorted_and_begin_at_chunks() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("b")).expect("b");
        for (path, len) in [("c", 3), ("b/x", 65_537), ("a", 0), ("a.txt", 65_536), (".git", 1)] {
            fs::write(directory.path().join(path), vec![1; len]).expect(path);
        }
        let source = Source::scan(directory.path(), 1 << 16).expect("scans");
        let found: Vec<_> = source.files.iter().map(|file| (file.stamp.path.as_str(), file.offset >> 16)).collect();
        assert_eq!(found, [("a", 0), ("a.txt", 0), ("b/x", 1), ("c", 3)]);
        assert_eq!(source.skipped, [".git"]);
        assert_eq!(source.end(), (3 << 16) + 3);
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("model.gguf");
        fs::write(&path, b"GGUF").expect("writes");
        let source = Source::scan(&path, 1 << 16).expect("scans");
        assert_eq!(source.check_unchanged(), Ok(()));
        fs::write(&path, b"GGUF and more").expect("writes");
        assert_eq!(source.check_unchanged().map_err(|error| error.code()), Err("SEAL_SOURCE_CHANGED"));
    }
}
