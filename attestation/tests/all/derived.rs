//! Vectors that are derived from captured ones by a named edit: the table's rows are the vectors, so that
//! no file is copied for one changed byte.

use serde_json::Value;
use strongroom_attestation::Policy;

use crate::captured::{Captured, Question, outcome};

/// A captured vector on its way to being another.
pub(crate) struct Changed {
    pub(crate) base: Captured,
    pub(crate) artefacts: Vec<Vec<u8>>,
    pub(crate) question: Question,
}

/// The defect, what is done to the base to get it, and the answer: "accepted", or a code.
pub(crate) type Row = (&'static str, fn(&mut Changed), &'static str);

impl Changed {
    fn new(path: &str, policy: Policy) -> Changed {
        let base = Captured::named(path);
        let question = base.question(policy);
        Changed { artefacts: base.artefacts.clone(), question, base }
    }

    pub(crate) fn file(&mut self, name: &str) -> &mut Vec<u8> {
        let index = self.base.index(name);
        &mut self.artefacts[index]
    }

    pub(crate) fn flip(&mut self, name: &str, byte: usize) {
        self.file(name)[byte] ^= 1;
    }

    pub(crate) fn set(&mut self, name: &str, at: usize, bytes: &[u8]) {
        self.file(name)[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Takes bytes off the end.
    pub(crate) fn cut(&mut self, name: &str, bytes: usize) {
        let file = self.file(name);
        file.truncate(file.len() - bytes);
    }

    /// Takes one artefact away.
    pub(crate) fn remove(&mut self, name: &str) {
        let index = self.base.index(name);
        self.artefacts[index].clear();
    }

    /// Puts the artefact of another vector in the place of the one of this name.
    pub(crate) fn substitute(&mut self, name: &str, path: &str, other: &str) {
        *self.file(name) = file_of(path, other);
    }

    /// Replaces text that stands there once or more.
    pub(crate) fn replace(&mut self, name: &str, from: &str, to: &str) {
        let file = self.file(name);
        let text = String::from_utf8(file.clone()).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        *file = text.replace(from, to).into_bytes();
    }

    /// Edits an artefact that is JSON. What was signed as text must be edited as text.
    pub(crate) fn json(&mut self, name: &str, edit: impl FnOnce(&mut Value)) {
        let file = self.file(name);
        let mut value: Value = serde_json::from_slice(file).unwrap();
        edit(&mut value);
        *file = serde_json::to_vec(&value).unwrap();
    }
}

/// An artefact of another vector.
pub(crate) fn file_of(path: &str, name: &str) -> Vec<u8> {
    let vector = Captured::named(path);
    vector.artefacts[vector.index(name)].clone()
}

/// Every row of a table that does not give its answer.
pub(crate) fn wrong_rows(base: &str, policy: fn() -> Policy, rows: &[Row]) -> Vec<String> {
    let untouched = Changed::new(base, policy());
    assert_eq!(outcome(&untouched.question.about(&untouched.artefacts)), "accepted", "{base} itself");
    let mut wrong = Vec::new();
    for (defect, edit, wanted) in rows {
        let mut changed = Changed::new(base, policy());
        edit(&mut changed);
        changed.artefacts.retain(|artefact| !artefact.is_empty());
        let result = changed.question.about(&changed.artefacts);
        if outcome(&result) != *wanted {
            let detail = result.detail.clone().unwrap_or_default();
            wrong.push(format!("{base}, {defect}: {} ({detail}), wanted {wanted}", outcome(&result)));
        }
    }
    wrong
}
