//! Vendors and devices on disk: a folder each, its private keys readable by their owner only.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};
use x509_cert::{
    Certificate,
    der::{Decode, Encode},
};
use zeroize::Zeroizing;

use crate::error::SimulationError;

/// Version of both folders' layout.
pub(crate) const FORMAT: u32 = 1;
/// No file of these folders is longer; keys and certificates have about 2 KiB.
const LONGEST_FILE: u64 = 64 * 1024;

/// Who may read a file.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Public,
    /// Mode 0600 on Unix.
    OwnerOnly,
}

/// Makes the folder (and those above it) where there is none.
pub(crate) fn create(directory: &Path) -> Result<(), SimulationError> {
    fs::create_dir_all(directory).map_err(|source| SimulationError::Io {
        action: "created",
        path: directory.to_owned(),
        source,
    })
}

/// Writes a new file. One that is there already is an error: keys are never overwritten.
pub(crate) fn write(directory: &Path, name: &str, content: &[u8], access: Access) -> Result<(), SimulationError> {
    let path = directory.join(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(match access {
            Access::Public => 0o644,
            Access::OwnerOnly => 0o600,
        });
    }
    #[cfg(not(unix))]
    let _ = access;
    options.open(&path).and_then(|mut file| file.write_all(content)).map_err(|source| SimulationError::Io {
        action: "written",
        path,
        source,
    })
}

/// Reads a file; wiped from memory afterwards, since it may be a key.
pub(crate) fn read(directory: &Path, name: &str) -> Result<Zeroizing<Vec<u8>>, SimulationError> {
    let path = directory.join(name);
    let mut content = Zeroizing::new(Vec::new());
    let length = fs::File::open(&path)
        .and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut content))
        .map_err(|source| SimulationError::Io { action: "read", path: path.clone(), source })?;
    if u64::try_from(length).is_ok_and(|length| length <= LONGEST_FILE) {
        Ok(content)
    } else {
        Err(problem(directory, name, format!("is longer than {LONGEST_FILE} bytes")))
    }
}

/// Writes the folder's small text file.
pub(crate) fn write_toml(directory: &Path, name: &str, value: &impl Serialize) -> Result<(), SimulationError> {
    let text = toml::to_string(value).map_err(|error| problem(directory, name, error))?;
    write(directory, name, text.as_bytes(), Access::Public)
}

/// Reads the folder's small text file.
pub(crate) fn read_toml<T: DeserializeOwned>(directory: &Path, name: &str) -> Result<T, SimulationError> {
    let bytes = read(directory, name)?;
    let text = str::from_utf8(&bytes).map_err(|error| problem(directory, name, error))?;
    toml::from_str(text).map_err(|error| problem(directory, name, error))
}

/// Refuses a certificate that is not for the key beside it: files of two folders were mixed.
pub(crate) fn require_certificate_of(
    directory: &Path,
    name: &str,
    certificate: &[u8],
    public_key_info: &[u8],
) -> Result<(), SimulationError> {
    let certified = Certificate::from_der(certificate)
        .and_then(|certificate| certificate.tbs_certificate().subject_public_key_info().to_der())
        .map_err(|error| problem(directory, name, error))?;
    if certified == public_key_info {
        Ok(())
    } else {
        Err(problem(directory, name, "certifies another key than the one beside it"))
    }
}

/// Refuses a folder of a later layout.
pub(crate) fn require_format(directory: &Path, name: &str, format: u32) -> Result<(), SimulationError> {
    if format == FORMAT {
        return Ok(());
    }
    Err(problem(directory, name, format!("has format {format}, wanted {FORMAT}")))
}

pub(crate) fn problem(directory: &Path, name: &str, problem: impl std::fmt::Display) -> SimulationError {
    SimulationError::Directory { path: directory.join(name), problem: problem.to_string() }
}
