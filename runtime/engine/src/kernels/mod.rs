//! The arithmetic of inference on processors: the only `unsafe` code of the engine, and none of
//! its decisions. Everything here computes on slices that its callers own, at a [`Level`] that is
//! found once and can be forced.
//!
//! ```text
//! file's blocks ─► pack ─► Arena: panels of 16 rows ─┐
//! rows of f32 ─► Rows: 8-bit blocks and their scales ─┴─► multiply ─► rows of f32
//! ```
//!
//! A matrix is kept once, in panels of 16 rows whose bytes lie in the order in which every level
//! consumes them: one row in each lane, four columns in a lane's 32 bits (`layout.rs`). A product
//! with few rows reads each panel once, unpacking in registers, and is bound by memory; one with
//! many unpacks a strip of a panel into the first-level cache and uses it for all rows.

/// Evaluates the body with `rows`, a slice, as an array of each of these lengths, for which code is
/// compiled: as many as there are, and of more the first so many.
#[cfg(target_arch = "x86_64")]
macro_rules! by_count {
    ($rows:ident, [$($count:literal)* | $most:literal] => $body:expr) => {
        match $rows.len() {
            0 => {}
            $($count => if let Some($rows) = $rows.first_chunk::<$count>() { $body },)*
            _ => if let Some($rows) = $rows.first_chunk::<$most>() { $body },
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod amx;
mod arena;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod elementwise;
mod inside;
mod kv_page;
mod layout;
mod level;
mod lookup;
mod matmul;
mod pack;
mod pool;
mod portable;
mod rows;
mod shares;

#[cfg(test)]
mod tests;

pub(crate) use arena::{Arena, ArenaBuilder, reserve};
pub(crate) use attention::{Attention, HEAD_WIDTH, Query, attend, store};
pub(crate) use elementwise::{
    add, gelu, gelu_times, layer_normalize, normalize, rotate_halves, rotate_pairs, silu_times,
};
pub(crate) use inside::{Texts, attend_inside};
pub use kv_page::CacheFormat;
pub(crate) use kv_page::PAGE;
pub(crate) use layout::{Layout, Matrix, PANEL};
pub(crate) use level::Level;
pub(crate) use lookup::lookup;
pub(crate) use matmul::{Product, multiply};
pub(crate) use pack::pack;
pub(crate) use pool::{Pool, each_row};
pub(crate) use rows::Rows;
pub(crate) use shares::Shares;

/// What a model computes with: instructions and threads.
pub(crate) struct Cpu {
    pub(crate) level: Level,
    pub(crate) pool: Pool,
}

impl Cpu {
    /// The best of this processor, on so many threads.
    pub(crate) fn new(level: Level, threads: usize) -> Self {
        Self { level, pool: Pool::new(threads) }
    }
}
