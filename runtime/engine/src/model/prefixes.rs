//! What was computed of the beginnings of sequences, page by page, for later ones of the same owner.
//! A page is found by its owner, its 32 tokens and what came before it, all compared as they are, so
//! that nobody is served from what others computed, nor can tell from the time that it is there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::kernels::PAGE;

/// A remembered page, as what the next one follows. The default is the beginning of a sequence. Numbers
/// are never used again: what followed a forgotten page is not found any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Remembered(u64);

#[derive(PartialEq, Eq, Hash)]
struct Key {
    owner: Arc<str>,
    after: Remembered,
    tokens: [u32; PAGE],
}

struct Page {
    key: Arc<Key>,
    /// Since when no sequence holds it.
    idle: Option<u64>,
}

/// All remembered pages.
#[derive(Default)]
pub(super) struct Prefixes {
    entries: HashMap<Arc<Key>, (u32, Remembered)>,
    pages: HashMap<u32, Page>,
    /// Pages that no sequence holds, by since when.
    idle: BTreeMap<u64, u32>,
    numbers: u64,
    clock: u64,
}

impl Prefixes {
    /// The page of an owner that has these tokens after that one.
    pub(super) fn find(&self, owner: &Arc<str>, after: Remembered, tokens: &[u32; PAGE]) -> Option<(u32, Remembered)> {
        self.entries.get(&Key { owner: owner.clone(), after, tokens: *tokens }).copied()
    }

    /// Remembers a page that a sequence holds, unless one with the same tokens is there already; whether it did.
    pub(super) fn remember(
        &mut self,
        owner: &Arc<str>,
        after: Remembered,
        tokens: &[u32; PAGE],
        page: u32,
    ) -> (Remembered, bool) {
        if let Some((_, number)) = self.find(owner, after, tokens) {
            return (number, false);
        }
        self.numbers += 1;
        let number = Remembered(self.numbers);
        let key = Arc::new(Key { owner: owner.clone(), after, tokens: *tokens });
        self.entries.insert(key.clone(), (page, number));
        self.pages.insert(page, Page { key, idle: None });
        (number, true)
    }

    /// A sequence holds this page, remembered or not.
    pub(super) fn hold(&mut self, page: u32) {
        if let Some(since) = self.pages.get_mut(&page).and_then(|page| page.idle.take()) {
            self.idle.remove(&since);
        }
    }

    /// No sequence holds this page any more, remembered or not.
    pub(super) fn rest(&mut self, page: u32) {
        if let Some(entry) = self.pages.get_mut(&page) {
            self.clock += 1;
            entry.idle = Some(self.clock);
            self.idle.insert(self.clock, page);
        }
    }

    /// Forgets the page that no sequence has held for the longest.
    pub(super) fn forget(&mut self) -> Option<u32> {
        let (_, page) = self.idle.pop_first()?;
        if let Some(entry) = self.pages.remove(&page) {
            self.entries.remove(&entry.key);
        }
        Some(page)
    }

    /// How many pages no sequence holds.
    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }
}
