//! What was computed of the beginnings of sequences, page by page, for later ones of the same owner.
//! A page is found by its owner, its 32 tokens and what came before it, all compared as they are, so
//! that nobody is served from what others computed, nor can tell from the time that it is there.

use std::collections::HashMap;
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

struct Entry {
    page: u32,
    number: Remembered,
    /// When it was last of use.
    used: u64,
}

/// All remembered pages.
#[derive(Default)]
pub(super) struct Prefixes {
    entries: HashMap<Key, Entry>,
    numbers: u64,
    clock: u64,
}

impl Prefixes {
    /// The page of an owner that has these tokens after that one.
    pub(super) fn find(
        &mut self,
        owner: &Arc<str>,
        after: Remembered,
        tokens: &[u32; PAGE],
    ) -> Option<(u32, Remembered)> {
        self.clock += 1;
        let key = Key { owner: owner.clone(), after, tokens: *tokens };
        let entry = self.entries.get_mut(&key)?;
        entry.used = self.clock;
        Some((entry.page, entry.number))
    }

    /// Remembers a page, unless one with the same tokens is there already; whether it did.
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
        let key = Key { owner: owner.clone(), after, tokens: *tokens };
        self.entries.insert(key, Entry { page, number, used: self.clock });
        (number, true)
    }

    /// Forgets the page that was of no use for the longest, among those that may go.
    pub(super) fn forget(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        let (_, oldest) = self.entries.iter().filter(|(_, entry)| may_go(entry.page)).min_by_key(|(_, it)| it.used)?;
        let (page, number) = (oldest.page, oldest.number);
        self.entries.retain(|_, entry| entry.number != number);
        Some(page)
    }

    /// The pages that are remembered.
    pub(super) fn pages(&self) -> impl Iterator<Item = u32> {
        self.entries.values().map(|entry| entry.page)
    }
}
