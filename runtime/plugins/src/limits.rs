//! How much one call may use.

use wasmtime::ResourceLimiter;

/// Table entries of one instance. Tables hold function addresses; large scripting
/// runtimes compiled to Wasm need some twenty thousand.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 32_768;
/// Tables of one instance: compilers emit one, interpreters and shims a few.
pub(crate) const MAX_TABLES: u32 = 4;
/// Core modules that one component may be made of.
pub(crate) const MAX_CORE_INSTANCES: u32 = 16;

/// What one call of a filter may use. Every limit ends the call with its own
/// [`PluginError`](crate::PluginError).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of the instance, in bytes. Holds the filter's own data and a copy
    /// of what it is given.
    pub memory_bytes: usize,
    /// Work, in units of about one Wasm instruction or one byte of a bulk copy. The same
    /// call always uses the same amount, whatever the machine.
    pub fuel: u64,
    /// Text that the filter may hand back, in bytes, each message counted with 48 bytes
    /// of bookkeeping.
    pub output_bytes: usize,
}

impl Default for Limits {
    /// 64 MiB of memory, about a second of work, 4 MiB of text.
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, fuel: 1_000_000_000, output_bytes: 4 << 20 }
    }
}

/// Grants memory up to the limit, over all memories of the instance, and remembers
/// having refused: a program that runs out of memory usually ends itself with a trap,
/// whose cause would be lost.
pub(crate) struct Meter {
    memory_left: usize,
    pub(crate) out_of_memory: bool,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { memory_left: limits.memory_bytes, out_of_memory: false }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        match self.memory_left.checked_sub(desired.saturating_sub(current)) {
            Some(left) => {
                self.memory_left = left;
                Ok(true)
            }
            None => {
                self.out_of_memory = true;
                Ok(false)
            }
        }
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Meter};
    use wasmtime::ResourceLimiter;

    #[test]
    fn the_limit_is_over_all_growth_and_a_refusal_is_remembered() {
        let mut meter = Meter::new(&Limits { memory_bytes: 300, ..Limits::default() });
        assert!(meter.memory_growing(0, 100, None).unwrap());
        assert!(meter.memory_growing(100, 300, None).unwrap());
        assert!(!meter.out_of_memory);
        assert!(!meter.memory_growing(300, 301, None).unwrap());
        assert!(meter.out_of_memory);
    }
}
