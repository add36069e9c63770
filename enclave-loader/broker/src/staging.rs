//! A new broker's directory: made under another name, and named when all of it is on disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::BrokerError;

/// Makes the directory DIR.new beside `dir`, which must be absent or empty.
pub(crate) fn begin(dir: &Path) -> Result<PathBuf, BrokerError> {
    let mut name = match dir.file_name() {
        Some(name) => name.to_owned(),
        None => {
            return Err(BrokerError::Value { what: "the broker's directory", wanted: "a path that ends in a name" });
        }
    };
    name.push(".new");
    let new = dir.with_file_name(name);
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Ok(false) => return Err(failed(dir)(io::ErrorKind::DirectoryNotEmpty.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(dir)(error)),
    }
    fs::create_dir_all(parent(dir)).map_err(failed(parent(dir)))?;
    // What is there is never overwritten: perhaps an earlier broker was interrupted when it
    // was made, or another one is being made now.
    fs::create_dir(&new).map_err(failed(&new))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o700)).map_err(failed(&new))?;
    }
    Ok(new)
}

/// Gives the finished directory its name.
pub(crate) fn finish(new: &Path, dir: &Path) -> Result<(), BrokerError> {
    flush(new)?;
    fs::rename(new, dir).map_err(failed(dir))?;
    flush(parent(dir))
}

/// Takes away what [`begin`] made, when there will be no broker.
pub(crate) fn give_up(new: &Path) {
    // The error that led here is what the caller hears of; what cannot be removed stays.
    let _ = fs::remove_dir_all(new);
}

/// Writes a file that must not be there yet, and waits until it is on disk.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), BrokerError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(failed(path))
}

fn flush(dir: &Path) -> Result<(), BrokerError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))
}

fn parent(dir: &Path) -> &Path {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> BrokerError {
    move |source| BrokerError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use strongroom_channel::deployment::DeploymentId;
    use strongroom_channel::trust_file::Environment;

    use super::*;
    use crate::broker::{Broker, InitOptions};

    fn options(tenant: &str) -> InitOptions {
        InitOptions {
            tenant: tenant.into(),
            deployment: DeploymentId::parse("bank-prod").unwrap(),
            environment: Environment::Production,
            kek_file: None,
            development_anchors: Vec::new(),
        }
    }

    #[test]
    fn a_broker_that_could_not_be_made_leaves_nothing_and_can_be_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broker");
        let mut wrong = options("bank");
        wrong.kek_file = Some(PathBuf::from("no/such/directory/kek"));
        assert!(Broker::init(&path, wrong).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        drop(Broker::init(&path, options("bank")).unwrap());
        assert!(Broker::open(&path).is_ok());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_an_interruption_left_and_what_others_keep_there_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broker");
        let left = dir.path().join("broker.new");
        fs::create_dir(&left).unwrap();
        let error = Broker::init(&path, options("bank")).err().unwrap();
        assert!(error.to_string().contains("broker.new"), "{error}");
        assert!(!path.exists() && left.exists());
        fs::remove_dir(&left).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("deposit.pub"), "somebody's").unwrap();
        assert!(Broker::init(&path, options("bank")).is_err());
        assert_eq!(fs::read_to_string(path.join("deposit.pub")).unwrap(), "somebody's");
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_new(&path, b"first").unwrap();
        assert!(write_new(&path, b"second").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }
}
