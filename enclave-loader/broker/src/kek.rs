//! The key-encryption key: everything the broker keeps on disk is sealed under it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// The one line of a key file begins so.
const FILE_TAG: &str = "strongroom-kek-v1 ";

/// HKDF's first info part, before the place that a value is sealed for.
const DOMAIN: &[u8] = b"strongroom/broker-store/v1";

/// HKDF's info for the key of the contents; no place begins so.
const CONTENTS_DOMAIN: &[u8] = b"strongroom/broker-contents/v1";

/// A random salt per sealed value makes its key unique, so that the count of values written
/// under one KEK has no practical limit.
const SALT_BYTES: usize = 32;

/// AES-GCM's tag.
const TAG_BYTES: usize = 16;

/// A key-encryption key in memory: wiped on drop, not printable.
pub(crate) struct Kek(Zeroizing<[u8; 32]>);

/// Why a key-encryption key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KekError {
    /// The file cannot be read or written.
    #[error("the key-encryption key {path} cannot be used")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not one that `broker init` wrote.
    #[error("{path} is not a strongroom key-encryption key")]
    Format {
        /// Which file.
        path: PathBuf,
    },
    /// Others than its owner may read the file.
    #[error("{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A sealed value does not open: another key, or a changed store.
    #[error("the store does not open under this key-encryption key: it is another key, or the store was changed")]
    Wrong,
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}

impl Kek {
    /// Makes a new key in a new file that only its owner can read.
    pub(crate) fn create(path: &Path) -> Result<Self, KekError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| KekError::Randomness)?;
        let text = Zeroizing::new(format!("{FILE_TAG}{}\n", URL_SAFE_NO_PAD.encode(key.as_slice())));
        write_private(path, text.as_bytes()).map_err(|source| KekError::File { path: path.to_owned(), source })?;
        Ok(Self(key))
    }

    /// Reads a key file.
    pub(crate) fn read(path: &Path) -> Result<Self, KekError> {
        let file = |source| KekError::File { path: path.to_owned(), source };
        refuse_exposed(path, &fs::metadata(path).map_err(file)?)?;
        let text = Zeroizing::new(fs::read_to_string(path).map_err(file)?);
        let format = || KekError::Format { path: path.to_owned() };
        let encoded = text.strip_prefix(FILE_TAG).ok_or_else(format)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded.trim_end()).map_err(|_| format())?);
        let key = bytes.as_slice().try_into().map_err(|_| format())?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Seals `plaintext` for one place in the store; it opens nowhere else.
    pub(crate) fn seal(&self, place: &[&[u8]], plaintext: &[u8]) -> Result<Vec<u8>, KekError> {
        let mut sealed = vec![0; SALT_BYTES];
        getrandom::fill(&mut sealed).map_err(|_| KekError::Randomness)?;
        let key = self.value_key(&sealed, place)?;
        // Room for the tag from the start: growing would leave a copy of the plaintext behind.
        let mut value = Zeroizing::new(Vec::with_capacity(plaintext.len().saturating_add(TAG_BYTES)));
        value.extend_from_slice(plaintext);
        key.seal_in_place_append_tag(zero_nonce(), Aad::empty(), &mut *value).map_err(|_| KekError::Wrong)?;
        sealed.append(&mut value);
        Ok(sealed)
    }

    /// Opens what [`Kek::seal`] sealed for the same place.
    pub(crate) fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KekError> {
        let (salt, value) = sealed.split_at_checked(SALT_BYTES).ok_or(KekError::Wrong)?;
        let key = self.value_key(salt, place)?;
        let mut value = Zeroizing::new(value.to_vec());
        let length = key.open_in_place(zero_nonce(), Aad::empty(), &mut value).map_err(|_| KekError::Wrong)?.len();
        value.truncate(length);
        Ok(value)
    }

    /// The key under which the store's contents are summed up ([`crate::contents`]).
    pub(crate) fn contents_key(&self) -> Result<hmac::Key, KekError> {
        let secret = Salt::new(HKDF_SHA256, &[]).extract(self.0.as_slice());
        let okm = secret.expand(&[CONTENTS_DOMAIN], hmac::HMAC_SHA256).map_err(|_| KekError::Wrong)?;
        Ok(hmac::Key::from(okm))
    }

    /// The key of one sealed value, used for that value only. The parts of `place` are joined
    /// with their lengths, so that no two places share a key.
    fn value_key(&self, salt: &[u8], place: &[&[u8]]) -> Result<LessSafeKey, KekError> {
        let mut info = DOMAIN.to_vec();
        for part in place {
            info.extend((part.len() as u64).to_be_bytes());
            info.extend_from_slice(part);
        }
        let secret = Salt::new(HKDF_SHA256, salt).extract(self.0.as_slice());
        let info = [info.as_slice()];
        let okm = secret.expand(&info, &AES_256_GCM).map_err(|_| KekError::Wrong)?;
        Ok(LessSafeKey::new(UnboundKey::from(okm)))
    }
}

/// The key is used once, so its nonce may be a constant.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Writes a new file that only its owner can read, and makes sure that it is on disk.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, metadata: &fs::Metadata) -> Result<(), KekError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KekError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path, _metadata: &fs::Metadata) -> Result<(), KekError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_under_its_key_and_place_only() {
        let dir = tempfile::tempdir().unwrap();
        let kek = Kek::create(&dir.path().join("kek")).unwrap();
        let sealed = kek.seal(&[b"models", b"a"], b"secret").unwrap();
        assert_eq!(*kek.open(&[b"models", b"a"], &sealed).unwrap(), b"secret");
        for place in [&[b"models".as_slice(), b"b"][..], &[b"model", b"sa"], &[b"modelsa"]] {
            assert!(matches!(kek.open(place, &sealed), Err(KekError::Wrong)));
        }
        let other = Kek::create(&dir.path().join("other")).unwrap();
        assert!(matches!(other.open(&[b"models", b"a"], &sealed), Err(KekError::Wrong)));
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(kek.open(&[b"models", b"a"], &changed).is_err(), "byte {index}");
        }
        assert!(kek.open(&[b"models", b"a"], &sealed[..8]).is_err());
        assert_ne!(kek.seal(&[b"models", b"a"], b"secret").unwrap(), sealed);
    }

    #[test]
    fn a_key_file_is_read_back_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        let kek = Kek::create(&path).unwrap();
        let sealed = kek.seal(&[b"x"], b"y").unwrap();
        assert_eq!(*Kek::read(&path).unwrap().open(&[b"x"], &sealed).unwrap(), b"y");
        assert!(matches!(Kek::create(&path), Err(KekError::File { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        Kek::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Kek::read(&path), Err(KekError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        write_private(&path, b"strongroom-kek-v1 AAAA\n").unwrap();
        assert!(matches!(Kek::read(&path), Err(KekError::Format { .. })));
    }
}
