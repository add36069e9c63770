//! The broker's state: one embedded transactional store, every value sealed under the
//! key-encryption key for its place.
//!
//! Sealing everything, not only keys, means that whoever can write the file but lacks the key
//! can destroy records, and cannot change what any of them says. That none was removed, or put
//! back as it was before, is in the sealed [`Contents`], compared when the store is opened. What
//! cannot be seen is an old copy of the whole file put back; the specification says so.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use redb::WriteTransaction;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::contents::Contents;
use crate::kek::{Kek, KekError};

/// The store's file in the broker's directory.
const FILE: &str = "broker.redb";

/// Where the contents are summed up, in a table of its own.
const CONTENTS: &[u8] = b"contents";

/// Where a value lies. The name is part of what it is sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Single values: identity, policy, counters, the log's head.
    Meta,
    /// The broker's own private keys.
    Keys,
    /// Model records by model id.
    Models,
    /// The keys of a sealed model, by model id.
    ModelKeys,
    /// Highest versions by model name.
    Versions,
    /// Client credentials by id.
    ApiKeys,
    /// Leases by lease id.
    Leases,
    /// The lease of each instance, by instance id.
    Instances,
    /// What is in all the others.
    Contents,
}

impl Table {
    /// Every table of records.
    const RECORDS: [Self; 8] = [
        Self::Meta,
        Self::Keys,
        Self::Models,
        Self::ModelKeys,
        Self::Versions,
        Self::ApiKeys,
        Self::Leases,
        Self::Instances,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Keys => "keys",
            Self::Models => "models",
            Self::ModelKeys => "model-keys",
            Self::Versions => "versions",
            Self::ApiKeys => "api-keys",
            Self::Leases => "leases",
            Self::Instances => "instances",
            Self::Contents => "contents",
        }
    }

    fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name())
    }
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no store: it is never made in passing.
    #[error("there is no broker in {path}; make one with `strongroom broker init --dir {path}`")]
    Missing {
        /// The broker's directory.
        path: PathBuf,
    },
    /// There is a store already.
    #[error("there is a broker in {path} already; choose an empty directory")]
    Exists {
        /// The broker's directory.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("the broker in {path} is running and holds its store; stop it first, or ask it itself (`revoke --url`)")]
    InUse {
        /// The broker's directory.
        path: PathBuf,
    },
    /// The file system or the store's format.
    #[error("the broker's store failed")]
    Storage(#[source] Box<redb::Error>),
    /// A sealed value does not open.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// Records were removed, or put back as they were before.
    #[error(
        "the broker's store was changed from outside: records are missing, or older than the last that were written; put back the whole store from a copy"
    )]
    Changed,
    /// A value opens and is not what this version writes.
    #[error("a value in table {table} is not what this version of the broker writes")]
    Value {
        /// Which table.
        table: &'static str,
    },
}

/// The open store.
pub(crate) struct Store {
    database: Database,
    kek: Kek,
    contents_key: hmac::Key,
}

/// Reading, from a snapshot or inside a transaction.
pub(crate) trait Read {
    /// The opened value at this place.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;

    /// Every key of a table, in order.
    fn keys(&self, table: Table) -> Result<Vec<Vec<u8>>, StoreError>;

    /// The JSON value at this place.
    fn json<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StoreError> {
        match self.get(table, key)? {
            None => Ok(None),
            Some(bytes) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|_| StoreError::Value { table: table.name() })
            }
        }
    }

    /// Every JSON value of a table, in order of the keys.
    fn all<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<T>, StoreError> {
        let mut values = Vec::new();
        for key in self.keys(table)? {
            values.extend(self.json(table, &key)?);
        }
        Ok(values)
    }
}

/// A snapshot.
pub(crate) struct View<'a> {
    transaction: ReadTransaction,
    kek: &'a Kek,
}

/// A transaction. Dropped without [`Transaction::commit`], it changes nothing.
pub(crate) struct Transaction<'a> {
    transaction: WriteTransaction,
    kek: &'a Kek,
    contents_key: &'a hmac::Key,
    contents: Cell<Contents>,
}

impl Store {
    /// Makes a new store in `dir`.
    pub(crate) fn create(dir: &Path, kek: Kek) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        if path.exists() {
            return Err(StoreError::Exists { path: dir.to_owned() });
        }
        let database = Database::create(&path).map_err(|error| opening(dir, error))?;
        restrict(&path)?;
        let store = Self { database, contents_key: kek.contents_key()?, kek };
        let transaction = store.transaction(Contents::default())?;
        for table in Table::RECORDS {
            transaction.transaction.open_table(table.definition()).map_err(storage)?;
        }
        transaction.commit()?;
        Ok(store)
    }

    /// Whether `dir` holds a store.
    pub(crate) fn exists(dir: &Path) -> bool {
        dir.join(FILE).is_file()
    }

    /// Opens the store in `dir`, which must be there and hold exactly what was last written.
    pub(crate) fn open(dir: &Path, kek: Kek) -> Result<Self, StoreError> {
        if !Self::exists(dir) {
            return Err(StoreError::Missing { path: dir.to_owned() });
        }
        let database = Database::open(dir.join(FILE)).map_err(|error| opening(dir, error))?;
        let store = Self { database, contents_key: kek.contents_key()?, kek };
        store.check_contents()?;
        Ok(store)
    }

    /// A snapshot of now.
    pub(crate) fn view(&self) -> Result<View<'_>, StoreError> {
        let transaction = self.database.begin_read().map_err(storage)?;
        Ok(View { transaction, kek: &self.kek })
    }

    /// Begins a transaction; there is one at a time, others wait.
    pub(crate) fn begin(&self) -> Result<Transaction<'_>, StoreError> {
        let transaction = self.transaction(Contents::default())?;
        transaction.contents.set(remembered(&transaction)?);
        Ok(transaction)
    }

    fn transaction(&self, contents: Contents) -> Result<Transaction<'_>, StoreError> {
        let transaction = self.database.begin_write().map_err(storage)?;
        let contents = Cell::new(contents);
        Ok(Transaction { transaction, kek: &self.kek, contents_key: &self.contents_key, contents })
    }

    /// Compares what is there with what should be.
    fn check_contents(&self) -> Result<(), StoreError> {
        let view = self.view()?;
        let mut found = Contents::default();
        for table in Table::RECORDS {
            let opened = view.transaction.open_table(table.definition()).map_err(storage)?;
            for entry in opened.iter().map_err(storage)? {
                let (key, sealed) = entry.map_err(storage)?;
                found.toggle(&self.contents_key, table.name(), key.value(), sealed.value());
            }
        }
        if found == remembered(&view)? { Ok(()) } else { Err(StoreError::Changed) }
    }
}

impl Read for View<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let opened = self.transaction.open_table(table.definition()).map_err(storage)?;
        get_from(&opened, self.kek, table, key)
    }

    fn keys(&self, table: Table) -> Result<Vec<Vec<u8>>, StoreError> {
        keys_of(&self.transaction.open_table(table.definition()).map_err(storage)?)
    }
}

impl Read for Transaction<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let opened = self.transaction.open_table(table.definition()).map_err(storage)?;
        get_from(&opened, self.kek, table, key)
    }

    fn keys(&self, table: Table) -> Result<Vec<Vec<u8>>, StoreError> {
        keys_of(&self.transaction.open_table(table.definition()).map_err(storage)?)
    }
}

impl Transaction<'_> {
    /// Seals and puts a value.
    pub(crate) fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let sealed = self.kek.seal(&[table.name().as_bytes(), key], value)?;
        let mut opened = self.transaction.open_table(table.definition()).map_err(storage)?;
        let mut contents = self.contents.get();
        let before = opened.insert(key, sealed.as_slice()).map_err(storage)?;
        if let Some(before) = before {
            contents.toggle(self.contents_key, table.name(), key, before.value());
        }
        contents.toggle(self.contents_key, table.name(), key, &sealed);
        self.contents.set(contents);
        Ok(())
    }

    /// Seals and puts a value as JSON.
    pub(crate) fn put_json(&self, table: Table, key: &[u8], value: &impl Serialize) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(value).map_err(|_| StoreError::Value { table: table.name() })?;
        self.put(table, key, &Zeroizing::new(bytes))
    }

    /// Makes the changes durable: on return they are on disk.
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        let contents = self.contents.get();
        self.put(Table::Contents, CONTENTS, contents.as_bytes())?;
        self.transaction.commit().map_err(storage)
    }
}

/// The contents that the store remembers. Every commit writes them, so they are always there.
fn remembered(read: &impl Read) -> Result<Contents, StoreError> {
    let bytes = read.get(Table::Contents, CONTENTS)?.ok_or(StoreError::Changed)?;
    Contents::from_bytes(&bytes).ok_or(StoreError::Value { table: "contents" })
}

fn get_from(
    opened: &impl ReadableTable<&'static [u8], &'static [u8]>,
    kek: &Kek,
    table: Table,
    key: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    match opened.get(key).map_err(storage)? {
        None => Ok(None),
        Some(sealed) => Ok(Some(kek.open(&[table.name().as_bytes(), key], sealed.value())?)),
    }
}

fn keys_of(opened: &impl ReadableTable<&'static [u8], &'static [u8]>) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut keys = Vec::new();
    for entry in opened.iter().map_err(storage)? {
        keys.push(entry.map_err(storage)?.0.value().to_vec());
    }
    Ok(keys)
}

fn storage(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Storage(Box::new(error.into()))
}

fn opening(dir: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: dir.to_owned() },
        error => storage(error),
    }
}

/// Sealed or not, the file is nobody else's business.
#[cfg(unix)]
fn restrict(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| storage(redb::Error::Io(error)))
}

#[cfg(not(unix))]
fn restrict(_path: &Path) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(test)]
mod tests;
