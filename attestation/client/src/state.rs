//! What a user's machine remembers: for each deployment the pinned trust root and the highest sequence seen, and for
//! each key the highest sequence of its deny list.
//!
//! A trust file says what "yours" means, so the first one must be tied to something the user knows: its root's
//! thumbprint, given once as `--trust-root`. Later files need the same root, and may not be older (protocol.md A3).

mod deny_lists;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use strongroom_attestation::UnixTime;
use strongroom_channel::deployment::DeploymentId;
use strongroom_channel::trust_file::{self, TrustFile, TrustFileError};

use crate::error::ClientError;

/// The most that is read of a record: two short fields.
const RECORD_MOST: u64 = 4096;

/// The user's state directory.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    path: PathBuf,
}

/// What is remembered of one deployment.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    trust_root: String,
    sequence: u64,
}

impl StateDirectory {
    /// The state in this directory, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        StateDirectory { path: path.into() }
    }

    /// The usual place, from the values of `XDG_STATE_HOME` and `HOME`; `None` when neither is an absolute path.
    #[must_use]
    pub fn usual(xdg_state_home: Option<&OsStr>, home: Option<&OsStr>) -> Option<Self> {
        let absolute = |value: &OsStr| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
        let base = xdg_state_home
            .and_then(absolute)
            .or_else(|| home.and_then(absolute).map(|home| home.join(".local").join("state")))?;
        Some(StateDirectory::new(base.join("strongroom")))
    }

    /// Accepts a trust file and remembers it.
    ///
    /// `trust_root` is the thumbprint that the user gave. It is needed the first time; when it is given later, it must
    /// be the one remembered.
    ///
    /// # Errors
    /// [`ClientError::NotPinned`] at first use without a thumbprint; [`ClientError::TrustFile`] for another root, an
    /// older sequence, a bad signature or an expired file; [`ClientError::Malformed`] for a damaged record;
    /// [`ClientError::Io`] when the record cannot be read or written. Nothing is remembered then.
    pub fn accept_trust(
        &self,
        bytes: &[u8],
        trust_root: Option<[u8; 32]>,
        now: UnixTime,
    ) -> Result<TrustFile, ClientError> {
        // 1. By its own root: so far this only says that the file is in order, and whose it claims to be.
        let found = trust_file::root_thumbprint(bytes)?;
        let trust = trust_file::verify(bytes, &trust_root.unwrap_or(found), 0, now)?;
        // 2. Against what is remembered, with nobody else writing meanwhile.
        let directory = self.path.join("trust");
        make_private_directory(&directory)?;
        let _lock = lock(&directory)?;
        let path = record_path(&directory, &trust.deployment);
        let least_sequence = match read_record::<Record>(&path)? {
            Some(record) => {
                let pinned = parse_trust_root(&record.trust_root).ok_or_else(|| damaged(&path))?;
                if pinned != found {
                    return Err(TrustFileError::WrongRoot { pinned, found }.into());
                }
                record.sequence
            }
            None if trust_root.is_some() => 0,
            None => return Err(ClientError::NotPinned { found }),
        };
        if trust.sequence < least_sequence {
            return Err(TrustFileError::Older { seen: least_sequence, found: trust.sequence }.into());
        }
        // 3. Remember, before anything relies on it.
        let record = Record { trust_root: format!("sha256:{}", hex::encode(found)), sequence: trust.sequence };
        write_record(&directory, &path, &record)?;
        Ok(trust)
    }
}

/// Reads `sha256:<64 hex digits>`.
#[must_use]
pub fn parse_trust_root(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:")?;
    let mut thumbprint = [0; 32];
    hex::decode_to_slice(digits, &mut thumbprint).ok()?;
    Some(thumbprint)
}

/// A deployment id is a DNS label, so it is also a safe file name.
fn record_path(directory: &Path, deployment: &DeploymentId) -> PathBuf {
    directory.join(format!("{}.json", deployment.as_str()))
}

fn read_record<R: DeserializeOwned>(path: &Path) -> Result<Option<R>, ClientError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(RECORD_MOST).read_to_end(&mut bytes).map_err(|error| io_error(path, &error))?;
    // A record that cannot be read must not count as "first use": that would let damage undo a pin.
    serde_json::from_slice(&bytes).map(Some).map_err(|_| damaged(path))
}

/// Written whole under another name, synced, then renamed: after a crash there is the old record or the new one.
fn write_record(directory: &Path, path: &Path, record: &impl Serialize) -> Result<(), ClientError> {
    let bytes = serde_json::to_vec(record).map_err(|error| ClientError::Malformed(error.to_string()))?;
    let temporary = path.with_extension("json.new");
    let write = || -> io::Result<()> {
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory(directory)
    };
    write().map_err(|error| io_error(path, &error))
}

fn lock(directory: &Path) -> Result<File, ClientError> {
    let path = directory.join(".lock");
    let open = || -> io::Result<File> {
        let file = private(OpenOptions::new().write(true).create(true).truncate(false)).open(&path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|error| io_error(&path, &error))
}

fn make_private_directory(path: &Path) -> Result<(), ClientError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| io_error(path, &error))
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Elsewhere a directory cannot be opened for syncing; the rename itself is still atomic.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

fn io_error(path: &Path, error: &io::Error) -> ClientError {
    ClientError::Io { path: path.to_owned(), kind: error.kind() }
}

fn damaged(path: &Path) -> ClientError {
    ClientError::Malformed(format!(
        "{} is damaged; if you know the trust root, remove the file and pass --trust-root again",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use strongroom_channel::cose::SigningKey;

    use super::*;
    use crate::test_instance;

    struct Tenant {
        root: SigningKey,
        directory: tempfile::TempDir,
        now: UnixTime,
    }

    impl Tenant {
        fn new() -> Self {
            Tenant { root: SigningKey::generate(), directory: tempfile::tempdir().unwrap(), now: test_instance::NOW }
        }

        fn state(&self) -> StateDirectory {
            StateDirectory::new(self.directory.path().join("state"))
        }

        fn thumbprint(&self) -> [u8; 32] {
            self.root.verifying_key().thumbprint()
        }

        fn file(&self, sequence: u64) -> Vec<u8> {
            TrustFile { sequence, ..test_instance::plain_trust_file() }.sign(&self.root)
        }
    }

    #[test]
    fn first_use_needs_the_pin_and_later_ones_remember_it() {
        let tenant = Tenant::new();
        let state = tenant.state();
        let found = tenant.thumbprint();
        assert_eq!(state.accept_trust(&tenant.file(1), None, tenant.now), Err(ClientError::NotPinned { found }));
        assert_eq!(state.accept_trust(&tenant.file(1), Some(found), tenant.now).unwrap().sequence, 1);
        assert_eq!(state.accept_trust(&tenant.file(2), None, tenant.now).unwrap().sequence, 2);
        assert!(state.accept_trust(&tenant.file(2), Some(found), tenant.now).is_ok(), "the same again");
    }

    #[test]
    fn a_wrong_pin_is_refused_and_not_remembered() {
        let tenant = Tenant::new();
        let refused = tenant.state().accept_trust(&tenant.file(1), Some([1; 32]), tenant.now);
        assert!(matches!(refused, Err(ClientError::TrustFile(TrustFileError::WrongRoot { .. }))));
        let refused = tenant.state().accept_trust(&tenant.file(1), None, tenant.now);
        assert!(matches!(refused, Err(ClientError::NotPinned { .. })));
    }

    #[test]
    fn an_older_file_is_refused() {
        let tenant = Tenant::new();
        let state = tenant.state();
        state.accept_trust(&tenant.file(5), Some(tenant.thumbprint()), tenant.now).unwrap();
        for pin in [None, Some(tenant.thumbprint())] {
            assert_eq!(
                state.accept_trust(&tenant.file(4), pin, tenant.now),
                Err(TrustFileError::Older { seen: 5, found: 4 }.into())
            );
        }
        assert!(state.accept_trust(&tenant.file(5), None, tenant.now).is_ok());
    }

    #[test]
    fn another_root_is_refused_even_with_its_own_pin() {
        let tenant = Tenant::new();
        tenant.state().accept_trust(&tenant.file(1), Some(tenant.thumbprint()), tenant.now).unwrap();
        let other = SigningKey::generate();
        let file = TrustFile { sequence: 9, ..test_instance::plain_trust_file() }.sign(&other);
        for pin in [None, Some(other.verifying_key().thumbprint())] {
            let refused = tenant.state().accept_trust(&file, pin, tenant.now);
            assert!(matches!(refused, Err(ClientError::TrustFile(TrustFileError::WrongRoot { .. }))));
        }
    }

    #[test]
    fn a_damaged_record_is_not_first_use() {
        let tenant = Tenant::new();
        let state = tenant.state();
        let pin = Some(tenant.thumbprint());
        state.accept_trust(&tenant.file(1), pin, tenant.now).unwrap();
        let trust = test_instance::plain_trust_file();
        let path = record_path(&state.path.join("trust"), &trust.deployment);
        for damage in [&b""[..], b"{", b"{\"trust_root\":\"sha256:00\",\"sequence\":1}"] {
            fs::write(&path, damage).unwrap();
            let refused = state.accept_trust(&tenant.file(2), pin, tenant.now);
            assert!(matches!(refused, Err(ClientError::Malformed(_))));
        }
    }

    #[test]
    fn a_flipped_bit_is_refused_and_not_remembered() {
        let tenant = Tenant::new();
        let mut file = tenant.file(3);
        let at = file.len() - 1;
        file[at] ^= 1;
        assert!(tenant.state().accept_trust(&file, Some(tenant.thumbprint()), tenant.now).is_err());
        assert!(tenant.state().accept_trust(&tenant.file(1), Some(tenant.thumbprint()), tenant.now).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn state_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let tenant = Tenant::new();
        tenant.state().accept_trust(&tenant.file(1), Some(tenant.thumbprint()), tenant.now).unwrap();
        let directory = tenant.state().path.join("trust");
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&directory).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn usual_place() {
        let at = |xdg: Option<&str>, home: Option<&str>| {
            StateDirectory::usual(xdg.map(OsStr::new), home.map(OsStr::new)).map(|state| state.path)
        };
        assert_eq!(at(Some("/x"), Some("/h")), Some("/x/strongroom".into()));
        assert_eq!(at(Some("relative"), Some("/h")), Some("/h/.local/state/strongroom".into()));
        assert_eq!(at(None, None), None);
    }

    #[test]
    fn trust_roots_have_one_spelling() {
        let digits = "ab".repeat(32);
        assert_eq!(parse_trust_root(&format!("sha256:{digits}")), Some([0xab; 32]));
        assert_eq!(parse_trust_root(&digits), None);
        assert_eq!(parse_trust_root("sha256:ab"), None);
    }
}
