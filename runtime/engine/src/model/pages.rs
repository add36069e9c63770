//! Memory for keys and values, in pages of 32 positions of the whole model. A sequence holds as
//! many as it has begun; what it leaves is wiped before anybody else has it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::EngineError;
use crate::kernels::{Halves, PAGE, Pages};

/// All pages, and who has which.
pub(super) struct PagePool {
    memory: Halves,
    /// 16-bit numbers of a page, and of one layer in it.
    page: usize,
    layer: usize,
    free: Vec<u32>,
}

/// The pages of one sequence.
pub(crate) struct KvCache {
    pool: Arc<Mutex<PagePool>>,
    pages: Vec<u32>,
    /// Positions in use.
    len: usize,
    /// Positions that there may ever be.
    limit: usize,
}

impl PagePool {
    /// `count` pages of so many layers.
    pub(super) fn new(layers: usize, layer: usize, count: usize) -> Result<Self, EngineError> {
        let page = layers * layer;
        let memory = page.checked_mul(count).map(Halves::new).transpose().map_err(EngineError::Memory)?;
        let memory = memory.ok_or_else(|| EngineError::Memory(std::io::ErrorKind::OutOfMemory.into()))?;
        // The first pages are given out first.
        let free = (0..count as u32).rev().collect();
        Ok(Self { memory, page, layer, free })
    }

    /// One layer of a page, to write to.
    pub(super) fn layer_mut(&mut self, page: u32, layer: usize) -> &mut [u16] {
        let start = page as usize * self.page + layer * self.layer;
        &mut self.memory[start..start + self.layer]
    }

    /// Bytes of all pages.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.memory[..])
    }

    fn layer(&self, page: u32, layer: usize) -> &[u16] {
        let start = page as usize * self.page + layer * self.layer;
        &self.memory[start..start + self.layer]
    }

    fn give_back(&mut self, page: u32) {
        let start = page as usize * self.page;
        self.memory[start..start + self.page].fill(0);
        self.free.push(page);
    }
}

impl KvCache {
    pub(super) fn new(pool: Arc<Mutex<PagePool>>, limit: usize) -> Self {
        Self { pool, pages: Vec::new(), len: 0, limit }
    }

    /// Positions in use.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for `rows` more positions.
    ///
    /// # Errors
    /// Past the context, or when no page is free.
    pub(super) fn reserve(&mut self, rows: usize) -> Result<(), EngineError> {
        let wanted = self.len + rows;
        if wanted > self.limit {
            return Err(EngineError::malformed("a sequence", "it passed its context"));
        }
        let mut pool = lock(&self.pool);
        while self.pages.len() * PAGE < wanted {
            let page = pool.free.pop().ok_or_else(|| EngineError::Memory(std::io::ErrorKind::OutOfMemory.into()))?;
            self.pages.push(page);
        }
        Ok(())
    }

    /// Page and place in it of a position that was made room for.
    pub(super) fn place(&self, position: usize) -> (u32, usize) {
        (self.pages[position / PAGE], position % PAGE)
    }

    /// Counts `rows` more positions, after every layer has them.
    pub(super) fn advance(&mut self, rows: usize) {
        self.len += rows;
    }
}

impl Drop for KvCache {
    fn drop(&mut self) {
        let mut pool = lock(&self.pool);
        self.pages.drain(..).for_each(|page| pool.give_back(page));
    }
}

/// A sequence's pages of one layer.
pub(super) struct OfLayer<'a> {
    pub(super) pool: &'a PagePool,
    pub(super) cache: &'a KvCache,
    pub(super) layer: usize,
}

impl Pages for OfLayer<'_> {
    fn page(&self, index: usize) -> &[u16] {
        self.pool.layer(self.cache.pages[index], self.layer)
    }
}

/// A panic while pages were written leaves nothing that a later owner could read: they are wiped.
pub(super) fn lock(pool: &Mutex<PagePool>) -> MutexGuard<'_, PagePool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(count: usize) -> Arc<Mutex<PagePool>> {
        Arc::new(Mutex::new(PagePool::new(2, 10, count).unwrap()))
    }

    #[test]
    fn what_a_sequence_leaves_is_wiped_and_given_to_the_next() {
        let pool = pool(2);
        let mut first = KvCache::new(pool.clone(), 100);
        first.reserve(PAGE + 1).unwrap();
        let (page, slot) = first.place(PAGE);
        assert_eq!(slot, 0);
        lock(&pool).layer_mut(page, 1).fill(7);
        let mut second = KvCache::new(pool.clone(), 100);
        assert!(second.reserve(1).is_err(), "all pages are taken");
        drop(first);
        assert!(lock(&pool).memory.iter().all(|&number| number == 0));
        second.reserve(2 * PAGE).unwrap();
        drop(second);
        assert_eq!(lock(&pool).free.len(), 2);
    }

    #[test]
    fn a_sequence_cannot_pass_its_context() {
        let mut cache = KvCache::new(pool(4), 40);
        cache.reserve(40).unwrap();
        cache.advance(40);
        assert!(cache.reserve(1).is_err());
    }
}
