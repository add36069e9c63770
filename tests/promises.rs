//! Each row of docs/promises.md names a test that exists, or says that it is pending.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_promise_names_a_test_or_is_pending() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let promises = fs::read_to_string(root.join("docs/promises.md")).unwrap();
    let rows: Vec<&str> =
        promises.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise")).collect();
    assert!(rows.len() >= 12, "docs/promises.md has only {} rows", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 3, "a row of promise, number, test is wanted: {row}");
        if cells[2].starts_with("pending") {
            continue;
        }
        for test in cells[2].split(", ") {
            let (file, name) = test.trim_matches('`').split_once("::").unwrap_or_else(|| panic!("no test: {row}"));
            let text = fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("no file {file}: {row}"));
            assert!(text.contains(&format!("fn {name}(")), "{file} has no test {name}");
        }
    }
    assert!(Path::new(&root).exists());
}
