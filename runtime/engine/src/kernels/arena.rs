//! Stretches of memory for weights, and for keys and values: each reserved at once, locked where the
//! system allows it, backed by large pages where it has them, and wiped before it is given back.

use std::io;
use std::ops::Range;

use memmap2::{Advice, MmapMut};

use super::layout::LINE;

/// Memory that is being filled.
pub(crate) struct ArenaBuilder {
    map: MmapMut,
    used: usize,
}

/// Memory that is only read.
pub(crate) struct Arena {
    map: MmapMut,
    used: usize,
    is_locked: bool,
}

impl ArenaBuilder {
    /// Reserves `bytes`; untouched pages cost nothing.
    ///
    /// # Errors
    /// When the system has no such stretch.
    pub(crate) fn new(bytes: usize) -> io::Result<Self> {
        Ok(Self { map: reserve(bytes)?, used: 0 })
    }

    /// The next `bytes`, zeroed and beginning with a line, and their place.
    ///
    /// # Errors
    /// When less is left, which a layout that was added up beforehand excludes.
    pub(crate) fn take(&mut self, bytes: usize) -> io::Result<(Range<usize>, &mut [u8])> {
        let start = self.used;
        let end = start.checked_add(bytes).filter(|&end| end <= self.map.len());
        let end = end.ok_or_else(|| io::Error::other("the memory for weights is full"))?;
        self.used = end.next_multiple_of(LINE).min(self.map.len());
        Ok((start..end, &mut self.map[start..end]))
    }

    /// Ends the filling.
    pub(crate) fn freeze(self) -> Arena {
        let is_locked = self.map.lock().is_ok();
        Arena { map: self.map, used: self.used, is_locked }
    }
}

impl Arena {
    /// The bytes of a place that [`ArenaBuilder::take`] gave.
    pub(crate) fn bytes(&self, place: &Range<usize>) -> &[u8] {
        self.map.get(place.clone()).unwrap_or_default()
    }

    /// Bytes that were taken.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// Whether its pages can never be swapped out.
    pub(crate) fn is_locked(&self) -> bool {
        self.is_locked
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        wipe(&mut self.map);
    }
}

/// Memory that is zero at first and costs nothing until it is touched, for weights, or keys and values.
/// Whoever gives out parts of it wipes them.
///
/// # Errors
/// When the system has no such stretch.
pub(crate) fn reserve(bytes: usize) -> io::Result<MmapMut> {
    let map = MmapMut::map_anon(bytes.max(LINE))?;
    // Fewer misses of the address cache; a system without large pages serves small ones.
    let _ = map.advise(Advice::HugePage);
    // No part of a core dump, whatever the process allows.
    let _ = map.advise(Advice::DontDump);
    Ok(map)
}

/// Zeroes what a tenant's weights were in. The pages go back to the kernel right after, which
/// clears them too before anybody else has them; the compiler sees a use, so nothing is left out.
fn wipe(map: &mut MmapMut) {
    map.fill(0);
    std::hint::black_box(&map[..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_begin_with_a_line_and_end_where_memory_does() {
        let mut arena = ArenaBuilder::new(3 * LINE).unwrap();
        let (first, bytes) = arena.take(10).unwrap();
        bytes.fill(7);
        let (second, _) = arena.take(LINE).unwrap();
        assert_eq!((first.clone(), second), (0..10, LINE..2 * LINE));
        assert!(arena.take(LINE + 1).is_err());
        let arena = arena.freeze();
        assert_eq!(arena.bytes(&first), [7; 10]);
    }
}
