//! The files of a model as a signature sees them: paths and digests.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use strongroom_attestation::HexBytes;

use super::limits::MAX_RESOURCES;
use super::{ProvenanceError, error};
use crate::format::private::{FileEntry, valid_path};

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// Paths that the model-signing package leaves out of directories without being told.
pub const GIT_IGNORED: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// A file of a model and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// Path in the model, with `/` between its parts.
    pub path: String,
    /// SHA-256 of the content.
    pub sha256: HexBytes<32>,
}

/// The files of an unlocked sealed model, from its private part.
impl From<&FileEntry> for FileDigest {
    fn from(file: &FileEntry) -> Self {
        Self { path: file.path.clone(), sha256: HexBytes(file.sha256) }
    }
}

/// Hashes all files below `directory`, but for those that `ignored` names and what is below them.
///
/// The files come in the order of the model-signing package: by the parts of their paths.
///
/// # Errors
/// `Path` for a symbolic link, for what is neither file nor directory, and for a name that no model
/// can hold; `TooLarge`; `Io`.
pub fn hash_directory(directory: &Path, ignored: &[&str]) -> Result<Vec<FileDigest>, ProvenanceError> {
    let mut files = Vec::new();
    let mut open = vec![String::new()];
    let mut entries_seen = 0_usize;
    while let Some(folder) = open.pop() {
        let path = directory.join(&folder);
        let entries = fs::read_dir(&path).map_err(|e| ProvenanceError::io("list", &path, &e))?;
        for entry in entries {
            let entry = entry.map_err(|e| ProvenanceError::io("list", &path, &e))?;
            entries_seen = entries_seen.saturating_add(1);
            let refused =
                |problem| ProvenanceError::Path { path: error::shown(&entry.path().to_string_lossy()), problem };
            let name = entry.file_name().into_string().map_err(|_| refused("its name is not UTF-8"))?;
            let inside = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if ignored.iter().any(|ignored| is_below(&inside, ignored)) {
                continue;
            }
            if !valid_path(&inside) {
                return Err(refused("no model can hold a file of this name. Rename it"));
            }
            let kind = entry.file_type().map_err(|e| ProvenanceError::io("look at", &entry.path(), &e))?;
            if kind.is_symlink() {
                return Err(refused("a symbolic link could lead outside the model. Copy with `cp -rL`"));
            } else if kind.is_dir() {
                open.push(inside);
            } else if kind.is_file() {
                let sha256 = hash_file(&entry.path())?;
                files.push(FileDigest { path: inside, sha256 });
            } else {
                return Err(refused("neither a file nor a directory"));
            }
            if entries_seen > MAX_RESOURCES {
                return Err(ProvenanceError::TooLarge { what: "the files of the directory", limit: MAX_RESOURCES });
            }
        }
    }
    sort(&mut files);
    Ok(files)
}

/// Sorts as the model-signing package does: `a/b` before `a-b`, because `a` comes before `a-b`.
pub(super) fn sort(files: &mut [FileDigest]) {
    files.sort_by(|one, other| one.path.split('/').cmp(other.path.split('/')));
}

/// Whether `path` is `folder`, or a path below it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The digest over all digests, in the order of `digests`: the subject of a signature.
pub(super) fn root<'a>(digests: impl IntoIterator<Item = &'a [u8; 32]>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for digest in digests {
        context.update(digest);
    }
    finish(context)
}

fn hash_file(path: &Path) -> Result<HexBytes<32>, ProvenanceError> {
    let cannot = |error: &std::io::Error| ProvenanceError::io("read", path, error);
    let mut file = File::open(path).map_err(|e| cannot(&e))?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).map_err(|e| cannot(&e))?;
        match piece.get(..read) {
            None | Some([]) => return Ok(HexBytes(finish(context))),
            Some(bytes) => context.update(bytes),
        }
    }
}

fn finish(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_hashed_in_the_order_of_its_parts_without_what_is_ignored() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("sub/.git")).expect("made");
        fs::create_dir_all(dir.path().join(".git/x")).expect("made");
        for (name, text) in [("sub/b", "b"), ("sub-x", "x"), ("a", ""), (".git/x/y", "g"), ("sub/.git/z", "z")] {
            fs::write(dir.path().join(name), text).expect("written");
        }
        let files = hash_directory(dir.path(), &[".git"]).expect("hashed");
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a", "sub/.git/z", "sub/b", "sub-x"]);
        assert_eq!(files[0].sha256.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

        std::os::unix::fs::symlink("a", dir.path().join("link")).expect("linked");
        assert_eq!(hash_directory(dir.path(), &[]).map_err(|e| e.code()), Err("PROVENANCE_PATH"));
        assert!(hash_directory(dir.path(), &["link"]).is_ok());
        assert_eq!(hash_directory(&dir.path().join("none"), &[]).map_err(|e| e.code()), Err("PROVENANCE_IO"));
    }

    #[test]
    fn below_means_whole_names() {
        assert!(is_below("a/b/c", "a/b") && is_below("a", "a"));
        assert!(!is_below("ab", "a") && !is_below("a", "a/b") && !is_below("b/a", "a"));
    }
}
