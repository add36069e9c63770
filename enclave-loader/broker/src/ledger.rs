//! The store and the decision log as one: what is decided is logged, stored and durable
//! before anybody hears of it, or it did not happen.

use std::sync::{Mutex, PoisonError};

use strongroom_attestation::UnixTime;

use crate::log::{DecisionLog, Event, LogError, LogHead};
use crate::store::{Read, Store, StoreError, Table, Transaction, View};

/// Where the log's head is remembered.
const HEAD: &[u8] = b"log-head";

pub(crate) struct Ledger {
    store: Store,
    /// Locked inside a transaction, never the other way round.
    log: Mutex<DecisionLog>,
}

impl Ledger {
    pub(crate) fn new(store: Store, log: DecisionLog) -> Self {
        Self { store, log: Mutex::new(log) }
    }

    /// The head that a store remembers. Making a broker is its log's first record, so a store
    /// without a head was changed.
    pub(crate) fn remembered_head(store: &Store) -> Result<LogHead, StoreError> {
        store.view()?.json(Table::Meta, HEAD)?.ok_or(StoreError::Value { table: "meta" })
    }

    /// A snapshot for reading.
    pub(crate) fn view(&self) -> Result<View<'_>, StoreError> {
        self.store.view()
    }

    /// Where the log ends now.
    pub(crate) fn log_head(&self) -> LogHead {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).head()
    }

    /// Does `work` in one transaction. Its events go to the log, and are on disk, before the
    /// transaction commits; when `work` fails, nothing changes and nothing is logged.
    pub(crate) fn transact<T, E>(
        &self,
        now: UnixTime,
        work: impl FnOnce(&Transaction<'_>) -> Result<(T, Vec<Event>), E>,
    ) -> Result<T, E>
    where
        E: From<StoreError> + From<LogError>,
    {
        let transaction = self.store.begin()?;
        let (result, events) = work(&transaction)?;
        if events.is_empty() {
            transaction.commit()?;
            return Ok(result);
        }
        // A panic elsewhere while the log was locked leaves it marked as failed, if it was
        // in the middle of a write; so the lock's own poison adds nothing.
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let head = log.append(now, events)?;
        transaction.put_json(Table::Meta, HEAD, &head)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Logs an event that changes nothing else, such as a refusal. The head that the store
    /// remembers follows with the next transaction.
    pub(crate) fn note(&self, now: UnixTime, event: Event) -> Result<(), LogError> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.append(now, vec![event])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kek::Kek;

    #[test]
    fn a_store_without_a_head_is_an_error_and_no_empty_log() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), Kek::create(&dir.path().join("kek")).unwrap()).unwrap();
        assert!(matches!(Ledger::remembered_head(&store), Err(StoreError::Value { .. })));
    }
}
