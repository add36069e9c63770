//! Files that the user named.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use crate::exit_code::Exit;
use crate::output::Failure;

/// Largest artefact that is read; event logs have some hundred kilobytes.
const LARGEST_ARTEFACT: u64 = 8 << 20;

/// Evidence, an endorsement, or a deny list, whole.
pub(crate) fn read_artefact(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read_at_most(path, LARGEST_ARTEFACT + 1)?;
    if bytes.len() as u64 > LARGEST_ARTEFACT {
        let message = format!("{} is larger than {LARGEST_ARTEFACT} bytes, which no evidence is", path.display());
        return Err(Failure::new(Exit::Malformed, "PARSE", message));
    }
    Ok(bytes)
}

/// At most `limit` bytes of a file, so that a wrong path cannot fill the memory: what is longer is refused by whoever
/// gets its beginning.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| Failure::file(path, &error))
}

/// Writes a file that must not exist, whole or not at all.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        // Half a file would only be found out by whoever it is for.
        let _ = fs::remove_file(path);
        return Err(failed(error));
    }
    Ok(())
}
