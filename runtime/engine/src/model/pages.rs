//! Memory for keys and values, in pages of 32 positions of the whole model. A sequence holds as many
//! as it has begun. A page that is full may be remembered for later sequences of the same owner that
//! begin alike ([`Prefixes`]); any other is wiped before anybody else has it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;

use super::prefixes::{Prefixes, Remembered};
use crate::error::EngineError;
use crate::kernels::{PAGE, reserve};

/// All pages, and who has which.
pub(super) struct PagePool {
    memory: MmapMut,
    /// Bytes of a page, and of one layer in it.
    page: usize,
    layer: usize,
    free: Vec<u32>,
    /// How many hold each page: sequences, and the memory of prefixes.
    holders: Vec<u32>,
    prefixes: Prefixes,
}

/// The pages of one sequence.
pub(crate) struct KvCache {
    pool: Arc<Mutex<PagePool>>,
    pages: Vec<u32>,
    /// Positions in use.
    len: usize,
    /// Positions that there may ever be.
    limit: usize,
    /// Whose it is, if what it computes may be remembered.
    owner: Option<Arc<str>>,
    /// The tokens of the page that is not full yet, and what was remembered before it.
    begun: Vec<u32>,
    last: Remembered,
}

impl PagePool {
    /// `count` pages of so many layers, of `layer` bytes each.
    pub(super) fn new(layers: usize, layer: usize, count: usize) -> Result<Self, EngineError> {
        let page = layers * layer;
        let memory = page.checked_mul(count).map(reserve).transpose().map_err(EngineError::Memory)?;
        let memory = memory.ok_or_else(|| EngineError::Memory(std::io::ErrorKind::OutOfMemory.into()))?;
        // The first pages are given out first.
        let free = (0..count as u32).rev().collect();
        Ok(Self { memory, page, layer, free, holders: vec![0; count], prefixes: Prefixes::default() })
    }

    /// One layer of a page, to write to.
    pub(super) fn layer_mut(&mut self, page: u32, layer: usize) -> &mut [u8] {
        let start = page as usize * self.page + layer * self.layer;
        &mut self.memory[start..start + self.layer]
    }

    /// One layer of a page.
    pub(super) fn layer(&self, page: u32, layer: usize) -> &[u8] {
        let start = page as usize * self.page + layer * self.layer;
        &self.memory[start..start + self.layer]
    }

    /// Bytes of all pages.
    pub(super) fn bytes(&self) -> usize {
        self.memory.len()
    }

    /// Whether no page has anything in it.
    #[cfg(test)]
    pub(super) fn is_clean(&self) -> bool {
        self.memory.iter().all(|&byte| byte == 0)
    }

    /// Pages that can be had: free ones, and remembered ones that nobody else holds.
    pub(super) fn room(&self) -> usize {
        self.free.len() + self.prefixes.idle()
    }

    fn take(&mut self) -> Result<u32, EngineError> {
        if self.free.is_empty()
            && let Some(page) = self.prefixes.forget()
        {
            self.let_go(page);
        }
        let page = self.free.pop().ok_or_else(|| EngineError::Memory(std::io::ErrorKind::OutOfMemory.into()))?;
        self.holders[page as usize] = 1;
        Ok(page)
    }

    fn hold(&mut self, page: u32) {
        self.holders[page as usize] += 1;
        self.prefixes.hold(page);
    }

    fn let_go(&mut self, page: u32) {
        let holders = &mut self.holders[page as usize];
        *holders -= 1;
        match *holders {
            0 => {
                self.wipe(page);
                self.free.push(page);
            }
            // Pages with two holders are remembered: that memory is left.
            1 => self.prefixes.rest(page),
            _ => {}
        }
    }

    fn wipe(&mut self, page: u32) {
        let start = page as usize * self.page;
        self.memory[start..start + self.page].fill(0);
    }
}

/// What is remembered goes with the model: at the end of a lease, say.
impl Drop for PagePool {
    fn drop(&mut self) {
        for page in 0..self.holders.len() {
            if self.holders[page] > 0 {
                self.wipe(page as u32);
            }
        }
        // The compiler sees a use, so nothing is left out.
        std::hint::black_box(&self.memory[..]);
    }
}

impl KvCache {
    /// An empty cache; with an owner, one that begins with what is remembered of these tokens, all of it
    /// but the last token, which must be computed to know what follows it. Returns how many that is.
    pub(super) fn new(
        pool: Arc<Mutex<PagePool>>,
        limit: usize,
        owner: Option<Arc<str>>,
        tokens: &[u32],
    ) -> (Self, usize) {
        let mut cache =
            Self { pool, pages: Vec::new(), len: 0, limit, owner, begun: Vec::new(), last: Remembered::default() };
        if let Some(owner) = &cache.owner {
            let mut pool = lock(&cache.pool);
            let (full, _) = tokens[..tokens.len().saturating_sub(1)].as_chunks::<PAGE>();
            for tokens in full {
                let Some((page, remembered)) = pool.prefixes.find(owner, cache.last, tokens) else { break };
                pool.hold(page);
                cache.pages.push(page);
                cache.last = remembered;
            }
        }
        cache.len = cache.pages.len() * PAGE;
        let len = cache.len;
        (cache, len)
    }

    /// Positions in use.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Pages that it wants for so many rows more.
    pub(super) fn pages_for(&self, rows: usize) -> usize {
        (self.len + rows).div_ceil(PAGE).saturating_sub(self.pages.len())
    }

    /// Makes room for `rows` more positions.
    ///
    /// # Errors
    /// Past the context, or when no page is free.
    pub(super) fn reserve(&mut self, rows: usize) -> Result<(), EngineError> {
        if self.len + rows > self.limit {
            return Err(EngineError::malformed("a sequence", "it passed its context"));
        }
        let mut pool = lock(&self.pool);
        for _ in 0..self.pages_for(rows) {
            self.pages.push(pool.take()?);
        }
        Ok(())
    }

    /// A page by its number in the sequence.
    pub(super) fn page(&self, index: usize) -> u32 {
        self.pages[index]
    }

    /// Page and place in it of a position that was made room for.
    pub(super) fn place(&self, position: usize) -> (u32, usize) {
        (self.pages[position / PAGE], position % PAGE)
    }

    /// Counts the positions of these tokens, after every layer has them.
    pub(super) fn advance(&mut self, tokens: &[u32]) {
        self.len += tokens.len();
        let Some(owner) = &self.owner else { return };
        self.begun.extend_from_slice(tokens);
        let mut pool = lock(&self.pool);
        let (full, rest) = self.begun.as_chunks::<PAGE>();
        let first = self.len / PAGE - full.len();
        for (index, tokens) in full.iter().enumerate() {
            let page = self.pages[first + index];
            let (remembered, is_new) = pool.prefixes.remember(owner, self.last, tokens, page);
            if is_new {
                pool.hold(page);
            }
            self.last = remembered;
        }
        let done = self.begun.len() - rest.len();
        self.begun.drain(..done);
    }
}

impl Drop for KvCache {
    fn drop(&mut self) {
        let mut pool = lock(&self.pool);
        // The last first: what follows a forgotten page is not found any more.
        self.pages.drain(..).rev().for_each(|page| pool.let_go(page));
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

    fn cache(pool: &Arc<Mutex<PagePool>>, owner: Option<&str>, tokens: &[u32]) -> KvCache {
        KvCache::new(pool.clone(), 1000, owner.map(Arc::from), tokens).0
    }

    #[test]
    fn what_a_sequence_leaves_is_wiped_and_given_to_the_next() {
        let pool = pool(2);
        let mut first = cache(&pool, None, &[]);
        first.reserve(PAGE + 1).unwrap();
        let (page, slot) = first.place(PAGE);
        assert_eq!(slot, 0);
        lock(&pool).layer_mut(page, 1).fill(7);
        first.advance(&[1; PAGE + 1]);
        let mut second = cache(&pool, None, &[]);
        assert!(second.reserve(1).is_err(), "all pages are taken");
        drop(first);
        assert!(lock(&pool).is_clean());
        second.reserve(2 * PAGE).unwrap();
        drop(second);
        assert_eq!(lock(&pool).free.len(), 2);
    }

    #[test]
    fn a_sequence_cannot_pass_its_context() {
        let mut cache = KvCache::new(pool(4), 40, None, &[]).0;
        cache.reserve(40).unwrap();
        cache.advance(&[0; 40]);
        assert!(cache.reserve(1).is_err());
    }

    #[test]
    fn an_owner_finds_what_it_computed_before_and_nobody_else_does() {
        let pool = pool(8);
        let tokens: Vec<u32> = (0..3 * PAGE as u32 + 5).collect();
        let mut first = cache(&pool, Some("bank"), &tokens);
        assert_eq!(first.len(), 0);
        first.reserve(tokens.len()).unwrap();
        lock(&pool).layer_mut(first.page(0), 0).fill(9);
        // In steps that do not end with pages.
        tokens.chunks(37).for_each(|tokens| first.advance(tokens));
        // While it runs, and after.
        assert_eq!(cache(&pool, Some("bank"), &tokens).len(), 3 * PAGE);
        drop(first);
        let again = cache(&pool, Some("bank"), &tokens);
        assert_eq!(again.len(), 3 * PAGE);
        assert_eq!(lock(&pool).layer(again.page(0), 0)[0], 9);
        assert_eq!(cache(&pool, Some("bank"), &tokens[..3 * PAGE]).len(), 2 * PAGE, "the last token is computed");
        let mut other = tokens.clone();
        other[PAGE] = 7;
        assert_eq!(cache(&pool, Some("bank"), &other).len(), PAGE);
        for stranger in [Some("hospital"), None] {
            assert_eq!(cache(&pool, stranger, &tokens).len(), 0);
        }
        // The same page of tokens after others is not the same page.
        assert_eq!(cache(&pool, Some("bank"), &tokens[PAGE..]).len(), 0);
    }

    #[test]
    fn what_is_remembered_makes_room_wiped_the_longest_unused_first() {
        let pool = pool(3);
        let (old, new): (Vec<u32>, Vec<u32>) = ((0..PAGE as u32 + 1).collect(), (100..101 + PAGE as u32).collect());
        for tokens in [&old, &new] {
            let mut cache = cache(&pool, Some("bank"), tokens);
            cache.reserve(PAGE + 1).unwrap();
            lock(&pool).layer_mut(cache.page(0), 0).fill(9);
            cache.advance(tokens);
        }
        assert_eq!(lock(&pool).free.len(), 1);
        assert_eq!(lock(&pool).room(), 3);
        let mut stranger = cache(&pool, Some("hospital"), &[]);
        stranger.reserve(2 * PAGE).unwrap();
        assert!((0..2).all(|page| lock(&pool).layer(stranger.page(page), 0).iter().all(|&byte| byte == 0)));
        assert_eq!(cache(&pool, Some("bank"), &old).len(), 0);
        assert_eq!(cache(&pool, Some("bank"), &new).len(), PAGE);
        assert_eq!(stranger.pages_for(3 * PAGE), 1);
        stranger.reserve(3 * PAGE).unwrap();
        assert!(stranger.reserve(4 * PAGE).is_err());
    }
}
