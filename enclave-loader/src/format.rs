//! The sealed model format, version 1: bytes in, structures out, and back.
//!
//! Pure: no files, no clock, no randomness. docs/specs/sealed-model.md is the page
//! that this code follows; the files here have its sections' names.

pub(crate) mod chunk;
pub(crate) mod core;
pub(crate) mod key_schedule;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod manifest;
pub(crate) mod private;
pub(crate) mod tree;
