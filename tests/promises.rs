//! Each row of docs/promises.md, and each guard rail of the simulation in docs/threat-model.md,
//! names a test that exists, or says that it is pending.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_promise_names_a_test_or_is_pending() {
    let promises = fs::read_to_string(root().join("docs/promises.md")).unwrap();
    let rows = rows(&promises);
    assert!(rows.len() >= 12, "docs/promises.md has only {} rows", rows.len());
    for row in rows.into_iter().filter(|row| !row[2].starts_with("pending")) {
        exist(row[2]);
    }
}

#[test]
fn every_guard_rail_of_the_simulation_names_its_tests() {
    let page = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let (_, section) = page.split_once("## Guard rails of the simulation\n").unwrap();
    let rows = rows(section.split("\n## ").next().unwrap());
    assert!(rows.len() >= 12, "only {} guard rails", rows.len());
    for row in rows {
        exist(row[2]);
    }
}

/// The rows of the tables in a text, each with three cells; their heads left out.
fn rows(text: &str) -> Vec<[&str; 3]> {
    let tables = text.lines().zip(text.lines().skip(1));
    let rows = tables.filter(|(line, next)| line.starts_with("| ") && !next.starts_with("|---"));
    let last = text.lines().last().filter(|line| line.starts_with("| "));
    let rows = rows.map(|(line, _)| line).chain(last);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        cells.try_into().unwrap_or_else(|_| panic!("a row of three cells is wanted: {row}"))
    })
    .collect()
}

/// Looks for tests written as `file::name`, with commas between them.
fn exist(tests: &str) {
    for test in tests.split(", ") {
        let (file, name) = test.trim_matches('`').split_once("::").unwrap_or_else(|| panic!("no test: {tests}"));
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|_| panic!("no file {file}: {tests}"));
        assert!(text.contains(&format!("fn {name}(")), "{file} has no test {name}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
