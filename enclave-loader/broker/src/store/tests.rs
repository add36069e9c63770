use super::*;

fn kek(dir: &Path) -> Kek {
    let path = dir.join("kek.key");
    if path.exists() { Kek::read(&path).unwrap() } else { Kek::create(&path).unwrap() }
}

#[test]
fn a_missing_store_is_never_made_in_passing_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = Store::open(dir.path(), kek(dir.path())).err().unwrap();
    assert!(matches!(error, StoreError::Missing { .. }));
    assert!(error.to_string().contains("strongroom broker init"), "{error}");
    assert!(!Store::exists(dir.path()));
}

#[test]
fn committed_values_are_there_after_reopening_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), kek(dir.path())).unwrap();
    let transaction = store.begin().unwrap();
    transaction.put(Table::Meta, b"kept", b"1").unwrap();
    transaction.commit().unwrap();
    let transaction = store.begin().unwrap();
    transaction.put(Table::Meta, b"lost", b"2").unwrap();
    drop(transaction);
    drop(store);

    let store = Store::open(dir.path(), kek(dir.path())).unwrap();
    let view = store.view().unwrap();
    assert_eq!(view.get(Table::Meta, b"kept").unwrap().unwrap().as_slice(), b"1");
    assert!(view.get(Table::Meta, b"lost").unwrap().is_none());
    assert!(view.get(Table::Keys, b"kept").unwrap().is_none());
    assert_eq!(view.keys(Table::Meta).unwrap(), [b"kept".to_vec()]);
}

#[test]
fn a_store_in_use_and_a_second_store_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), kek(dir.path())).unwrap();
    let error = Store::open(dir.path(), kek(dir.path())).err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(store);
    let error = Store::create(dir.path(), kek(dir.path())).err().unwrap();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
}

/// Changes a row as somebody without the key can: with bytes that were there before, or none.
fn meddle(dir: &Path, table: Table, key: &[u8], sealed: Option<&[u8]>) {
    let database = Database::open(dir.join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut opened = transaction.open_table(table.definition()).unwrap();
    match sealed {
        Some(sealed) => drop(opened.insert(key, sealed).unwrap()),
        None => drop(opened.remove(key).unwrap()),
    }
    drop(opened);
    transaction.commit().unwrap();
}

fn sealed_row(store: &Store, table: Table, key: &[u8]) -> Vec<u8> {
    let opened = store.database.begin_read().unwrap().open_table(table.definition()).unwrap();
    opened.get(key).unwrap().unwrap().value().to_vec()
}

#[test]
fn one_record_put_back_or_removed_and_a_missing_sum_are_found_when_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), kek(dir.path())).unwrap();
    let put = |value: &[u8]| {
        let transaction = store.begin().unwrap();
        transaction.put(Table::Leases, b"a", value).unwrap();
        transaction.commit().unwrap();
        (sealed_row(&store, Table::Leases, b"a"), sealed_row(&store, Table::Contents, CONTENTS))
    };
    let (live, early) = put(b"live");
    let (revoked, late) = put(b"revoked");
    drop(store);
    let dir = dir.path();
    let rows = |lease: Option<&[u8]>, contents: Option<&[u8]>| {
        meddle(dir, Table::Leases, b"a", lease);
        meddle(dir, Table::Contents, CONTENTS, contents);
        Store::open(dir, kek(dir)).map(|_| ())
    };
    assert!(matches!(rows(Some(&live), Some(&late)), Err(StoreError::Changed)));
    assert!(matches!(rows(None, Some(&late)), Err(StoreError::Changed)));
    assert!(matches!(rows(Some(&revoked), Some(&early)), Err(StoreError::Changed)));
    assert!(matches!(rows(Some(&revoked), None), Err(StoreError::Changed)));
    assert!(rows(Some(&revoked), Some(&late)).is_ok(), "as it was written");
}

#[test]
fn no_value_stands_in_the_file_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), kek(dir.path())).unwrap();
    let transaction = store.begin().unwrap();
    let canary = b"canary-3f9a77c1-should-never-be-on-disk";
    transaction.put(Table::ModelKeys, b"m", canary).unwrap();
    transaction.commit().unwrap();
    drop(store);
    let file = std::fs::read(dir.path().join(FILE)).unwrap();
    assert!(!file.windows(12).any(|window| window == &canary[..12]));
}
