//! Little-endian reading that counts what is left, so that no length in the file can ask for
//! more memory than the file has bytes.

use std::io::Read;

use super::malformed;
use crate::error::EngineError;
use crate::limits::{NAME_BYTES, TEXT_BYTES};

/// A reader with a budget.
pub(super) struct Bounded<R> {
    input: R,
    left: u64,
    position: u64,
}

impl<R: Read> Bounded<R> {
    pub(super) fn new(input: R, budget: u64) -> Self {
        Self { input, left: budget, position: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Fails unless `count` things of at least `size` bytes can still come.
    pub(super) fn expect(&self, count: u64, size: u64) -> Result<(), EngineError> {
        match count.checked_mul(size) {
            Some(bytes) if bytes <= self.left => Ok(()),
            _ => Err(malformed("it ends too early, or passes the limit on headers")),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], EngineError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, EngineError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, EngineError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, EngineError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A key or a tensor's name.
    pub(super) fn name(&mut self) -> Result<String, EngineError> {
        self.text_of(NAME_BYTES)
    }

    /// A text value.
    pub(super) fn text(&mut self) -> Result<String, EngineError> {
        self.text_of(TEXT_BYTES)
    }

    /// Passes over `count` things of `size` bytes.
    pub(super) fn skip(&mut self, count: u64, size: u64) -> Result<(), EngineError> {
        self.expect(count, size)?;
        let mut scratch = [0; 512];
        let mut bytes = count * size;
        while bytes > 0 {
            let step = bytes.min(scratch.len() as u64) as usize;
            self.fill(&mut scratch[..step])?;
            bytes -= step as u64;
        }
        Ok(())
    }

    fn text_of(&mut self, limit: u64) -> Result<String, EngineError> {
        let length = self.u64()?;
        if length > limit {
            return Err(malformed(format!("a text of {length} bytes, the limit is {limit}")));
        }
        self.expect(length, 1)?;
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| malformed("a text is not UTF-8"))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EngineError> {
        let length = bytes.len() as u64;
        self.expect(length, 1)?;
        self.input.read_exact(bytes).map_err(|error| malformed(format!("at byte {}: {error}", self.position)))?;
        self.left -= length;
        self.position += length;
        Ok(())
    }
}
