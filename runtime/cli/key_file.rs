//! Signing keys in files, and public keys as they are typed.

use std::fs;
use std::path::Path;

use strongroom_channel::cose::{SigningKey, VerifyingKey};

use crate::output::Failure;

/// Makes a key in a file that must not exist, and gives its public half.
pub(crate) fn generate(file: &Path) -> Result<VerifyingKey, Failure> {
    let key = SigningKey::generate();
    write_secret(file, hex::encode(*key.seed()).as_bytes())?;
    Ok(key.verifying_key())
}

/// The key in a file; `None` when the file holds something else.
pub(crate) fn read(file: &Path) -> Result<Option<SigningKey>, Failure> {
    let text = zeroize::Zeroizing::new(fs::read(file).map_err(|e| Failure::file(file, &e))?);
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    let decoded = hex::decode_to_slice(text.trim_ascii(), seed.as_mut_slice());
    Ok(decoded.ok().map(|()| SigningKey::from_seed(*seed)))
}

/// A public key in hexadecimal.
pub(crate) fn parse_public(text: &str) -> Result<VerifyingKey, Failure> {
    let mut bytes = [0; 32];
    let wrong = || Failure::usage(format!("`{text}` is no public key: 64 hexadecimal digits are wanted"));
    hex::decode_to_slice(text, &mut bytes).map_err(|_| wrong())?;
    VerifyingKey::from_bytes(&bytes).map_err(|_| wrong())
}

/// Writes a file that only its owner reads, and never over another.
pub(crate) fn write_secret(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
        .open(file)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|e| Failure::file(file, &e))
}
