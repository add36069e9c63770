//! Another recipient for a sealed model: only its keys file changes.

use std::path::Path;

use strongroom_channel::cose::VerifyingKey;

use crate::deposit::{DepositKeyPair, DepositPublicKey};
use crate::error::SealError;
use crate::format::keys::{KEYS_FILE, WrappedKeys};
use crate::open::{open_manifest, read_wrapped_keys};
use crate::seal::write_file;

/// Wraps the keys of the sealed model at `directory`, which `from` can unwrap, to `to` instead.
/// Model id, signature and blobs stay as they are; the keys file is replaced whole.
///
/// # Errors
/// `Open` where the manifest is not by `publisher` or the keys are not those of the artifact,
/// `Io` where the file cannot be written.
pub fn rewrap(
    directory: &Path,
    publisher: &VerifyingKey,
    from: &DepositKeyPair,
    to: &DepositPublicKey,
) -> Result<(), SealError> {
    let manifest = open_manifest(directory, publisher)?;
    let keys = from.unwrap_keys(&read_wrapped_keys(directory)?)?;
    manifest.check_keys(&keys)?;
    let artifact_id = manifest.artifact_id();
    let runs = keys.iter().zip(0..).map(|(key, run)| to.wrap(key, &artifact_id, run)).collect::<Result<_, _>>()?;
    write_file(&directory.join(KEYS_FILE), &WrappedKeys { artifact_id, runs }.encode())
}
