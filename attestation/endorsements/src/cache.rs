//! The cache: one directory, a file an item, named by the hash of the want.
//!
//! Files are written beside their name, flushed and renamed, so that processes that share a directory see a whole
//! item or none. What cannot be read is as good as absent: it is fetched again and overwritten, never served.

use std::collections::hash_map::RandomState;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use strongroom_attestation::UnixTime;

use crate::item::{Item, ItemJson, MAX_ITEM_JSON};
use crate::want::Want;

/// An unfinished file this old was left by a process that was killed.
const ABANDONED: Duration = Duration::from_secs(60 * 60);
const FINISHED: &str = "json";
const UNFINISHED: &str = "tmp";

/// A directory of items.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

/// What a cache holds.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// In the order of their wants' texts.
    pub items: Vec<Item>,
    /// Files with an item's name that hold none: they are ignored until they are overwritten.
    pub unreadable: Vec<PathBuf>,
}

impl Cache {
    /// The cache in `directory`, which is made if need be, for its owner only. Removes what killed processes left.
    ///
    /// # Errors
    /// Of the file system.
    pub fn open(directory: impl Into<PathBuf>, now: UnixTime) -> io::Result<Cache> {
        let cache = Cache { directory: directory.into() };
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        // Which chips somebody verifies is nobody else's business.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&cache.directory)?;
        for path in cache.files(UNFINISHED)? {
            let modified = fs::metadata(&path).and_then(|data| data.modified()).ok();
            let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let old = |since: Duration| now.as_secs().saturating_sub(since.as_secs()) > ABANDONED.as_secs();
            if since.is_some_and(old) {
                // Another process may have been faster.
                let _ = fs::remove_file(&path);
            }
        }
        Ok(cache)
    }

    /// The item for `want`, if a sound one is there.
    pub fn load(&self, want: &Want) -> Option<Item> {
        read(&self.path(want)).filter(|item| item.want == *want)
    }

    /// Keeps `item` in place of an older one.
    ///
    /// # Errors
    /// Of the file system; what was there before is still there.
    pub fn store(&self, item: &Item) -> io::Result<()> {
        let path = self.path(&item.want);
        let random = RandomState::new().build_hasher().finish();
        let unfinished = path.with_extension(format!("{random:016x}.{UNFINISHED}"));
        let json = serde_json::to_vec(&item.to_json())?;
        let written = write_flushed(&unfinished, &json).and_then(|()| fs::rename(&unfinished, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        // The name is on the disk only with its directory.
        #[cfg(unix)]
        File::open(&self.directory)?.sync_all()?;
        Ok(())
    }

    /// Forgets the item for `want`: for a verifier that refused its bytes, so that the next call fetches others.
    ///
    /// # Errors
    /// Of the file system; an absent item is none.
    pub fn discard(&self, want: &Want) -> io::Result<()> {
        match fs::remove_file(self.path(want)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// All items.
    ///
    /// # Errors
    /// Of the file system.
    pub fn items(&self) -> io::Result<Kept> {
        let mut kept = Kept::default();
        for path in self.files(FINISHED)? {
            let named = |item: &Item| self.path(&item.want) == path;
            match read(&path).filter(named) {
                Some(item) => kept.items.push(item),
                None => kept.unreadable.push(path),
            }
        }
        kept.items.sort_by_cached_key(|item| item.want.to_string());
        kept.unreadable.sort();
        Ok(kept)
    }

    fn path(&self, want: &Want) -> PathBuf {
        self.directory.join(format!("{}.{FINISHED}", want.key()))
    }

    /// Files of ours: 64 hexadecimal digits, and this extension.
    fn files(&self, extension: &str) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let key = name.split('.').next().unwrap_or_default();
            let is_key = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_key && path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
        Ok(files)
    }
}

fn read(path: &Path) -> Option<Item> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_ITEM_JSON).unwrap_or(u64::MAX);
    File::open(path).ok()?.take(limit.saturating_add(1)).read_to_end(&mut bytes).ok()?;
    if bytes.len() > MAX_ITEM_JSON {
        return None;
    }
    let json: ItemJson = serde_json::from_slice(&bytes).ok()?;
    Item::try_from(json).ok()
}

fn write_flushed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
