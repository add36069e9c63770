//! Files of this machine.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::{ModelStore, StoredFile};

/// A directory that holds a sealed model.
pub(super) struct DirectoryStore(pub(super) PathBuf);

impl ModelStore for DirectoryStore {
    fn describe(&self, file: &str) -> String {
        self.0.join(file).display().to_string()
    }

    fn len(&self, file: &str) -> io::Result<u64> {
        match fs::metadata(self.0.join(file)) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn read_all(&self, file: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.0.join(file))?.take(limit + 1).read_to_end(&mut bytes)?;
        match bytes.len() as u64 > limit {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(bytes),
        }
    }

    fn open(&self, file: &str) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(File::open(self.0.join(file))?))
    }
}

impl StoredFile for File {
    fn read_exact_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, out, at)
    }
}
