//! Where the bytes of a sealed model are. Nothing there is trusted: all that is read is verified.
//!
//! A directory, or files behind HTTP with byte ranges: an object store, or any web server.

mod directory;
mod http;
mod retry;
mod spans;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::LoadError;
use directory::DirectoryStore;
use http::HttpStore;

/// Where a sealed model lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory of this machine.
    Directory(PathBuf),
    /// An address, `http://` or `https://`, under which its files lie. TLS is no need: what comes is
    /// verified, and encrypted.
    Http(String),
}

/// A text that begins as an address does is one; whatever else is a directory.
impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        match path.to_str().filter(|text| text.starts_with("http://") || text.starts_with("https://")) {
            Some(address) => Self::Http(address.trim_end_matches('/').to_owned()),
            None => Self::Directory(path.to_owned()),
        }
    }
}

impl From<&PathBuf> for Place {
    fn from(path: &PathBuf) -> Self {
        Self::from(path.as_path())
    }
}

/// The files of one sealed model, by their paths in it.
pub(crate) trait ModelStore: Send + Sync {
    /// The file's full name, for messages.
    fn describe(&self, file: &str) -> String;

    /// The length of a file; 0 where there is none.
    fn len(&self, file: &str) -> io::Result<u64>;

    /// A whole file, unless it is longer than `limit`: then an error of the kind `FileTooLarge`.
    fn read_all(&self, file: &str, limit: u64) -> io::Result<Vec<u8>>;

    /// A file to read ranges of.
    fn open(&self, file: &str) -> io::Result<Box<dyn StoredFile>>;
}

/// One file, read at positions by many threads.
pub(crate) trait StoredFile: Send + Sync {
    /// Fills `out` with what begins at `at`; an end of the file before that is `UnexpectedEof`.
    fn read_exact_at(&self, out: &mut [u8], at: u64) -> io::Result<()>;
}

impl Place {
    /// What reads there.
    ///
    /// # Errors
    /// `Io` for an address that is none.
    pub(crate) fn store(&self) -> Result<Arc<dyn ModelStore>, LoadError> {
        match self {
            Self::Directory(directory) => Ok(Arc::new(DirectoryStore(directory.clone()))),
            Self::Http(address) => HttpStore::new(address)
                .map(|store| Arc::new(store) as Arc<dyn ModelStore>)
                .map_err(|error| LoadError::io("open", address, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_directory() {
        for address in ["https://store.example/m.sealed", "http://127.0.0.1:9/m/"] {
            let place = Place::from(Path::new(address));
            assert_eq!(place, Place::Http(address.trim_end_matches('/').to_owned()));
        }
        for directory in ["/models/llama", "https", "models/http://x"] {
            assert_eq!(Place::from(Path::new(directory)), Place::Directory(directory.into()));
        }
    }
}
