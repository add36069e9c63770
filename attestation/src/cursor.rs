//! Reads fields of fixed layout from the front of a slice: never past the end, no allocation.

use crate::error::{Code, Refusal};

/// The bytes end before the field does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndsEarly;

impl From<EndsEarly> for Refusal {
    fn from(EndsEarly: EndsEarly) -> Refusal {
        Refusal::new(Code::Parse, "it ends too early")
    }
}

/// The `N` bytes at offset `O` of a structure of `L` bytes; that they lie inside it is proved when
/// compiling.
pub(crate) fn field<const O: usize, const N: usize, const L: usize>(bytes: &[u8; L]) -> [u8; N] {
    const { assert!(O + N <= L) };
    let mut field = [0; N];
    field.copy_from_slice(bytes.split_at(O).1.split_at(N).0);
    field
}

/// Writes `N` bytes at offset `O` of a structure of `L`, under the same proof.
pub(crate) fn put<const O: usize, const N: usize, const L: usize>(bytes: &mut [u8; L], value: [u8; N]) {
    const { assert!(O + N <= L) };
    bytes.split_at_mut(O).1.split_at_mut(N).0.copy_from_slice(&value);
}

/// What is left to read.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `length` bytes.
    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], EndsEarly> {
        let (slice, rest) = self.rest.split_at_checked(length).ok_or(EndsEarly)?;
        self.rest = rest;
        Ok(slice)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], EndsEarly> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(EndsEarly)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn u16_le(&mut self) -> Result<u16, EndsEarly> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32_le(&mut self) -> Result<u32, EndsEarly> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64_le(&mut self) -> Result<u64, EndsEarly> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, EndsEarly> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16_be(&mut self) -> Result<u16, EndsEarly> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32_be(&mut self) -> Result<u32, EndsEarly> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64_be(&mut self) -> Result<u64, EndsEarly> {
        self.array().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut cursor = Cursor::new(&[1, 2, 3, 4, 5]);
        assert_eq!(cursor.u16_le(), Ok(0x0201));
        assert_eq!(cursor.u32_be(), Err(EndsEarly));
        assert_eq!(cursor.slice(4), Err(EndsEarly));
        assert_eq!(cursor.rest(), [3, 4, 5], "a failed read takes nothing");
        assert_eq!(cursor.array(), Ok([3, 4, 5]));
        assert!(cursor.is_empty());
        assert_eq!(cursor.slice(usize::MAX), Err(EndsEarly));
    }
}
