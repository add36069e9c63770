//! The socket in the file system: its folder and its mode say who may open it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::error::StartError;

/// A socket that is listened on.
pub(crate) struct Socket {
    pub(crate) listener: UnixListener,
    pub(crate) path: Removed,
}

/// The socket's file, removed when this is dropped.
pub(crate) struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // Somebody may have cleared it away.
        let _ = fs::remove_file(&self.0);
    }
}

impl Socket {
    /// Whether a socket may lie there: the folder is this user's, and nobody else enters it. So the mode of the
    /// socket holds from its first moment.
    ///
    /// # Errors
    /// [`StartError::Admin`].
    pub(crate) fn check(path: &Path) -> Result<(), StartError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let meta =
            fs::metadata(folder).map_err(|error| wrong(path, format!("its folder: {error}; make it, mode 0700")))?;
        let own = meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw();
        if own && meta.mode() & 0o077 == 0 {
            return Ok(());
        }
        let found = format!("mode {:04o} and user id {}", meta.mode() & 0o7777, meta.uid());
        Err(wrong(path, format!("its folder has {found}; wanted is mode 0700 and the server's own user")))
    }

    /// Makes it, mode 0600. One that a server left behind is replaced.
    ///
    /// # Errors
    /// [`StartError::Admin`].
    pub(crate) fn bind(path: &Path) -> Result<Self, StartError> {
        Self::check(path)?;
        let failed = |error: io::Error| wrong(path, format!("{error}; choose another place, or clear this one"));
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => return Err(wrong(path, "another server listens on it; choose another place".into())),
                Err(_) => fs::remove_file(path).map_err(failed)?,
            },
            Ok(_) => return Err(wrong(path, "something else is there, and is not overwritten".into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let removed = Removed(path.to_owned());
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path: removed })
    }
}

fn wrong(path: &Path, problem: String) -> StartError {
    StartError::Admin { path: path.to_owned(), problem }
}
