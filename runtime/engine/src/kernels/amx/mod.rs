//! Intel's AMX: registers of 16 lines of 64 bytes, tiles, and one instruction that multiplies two of them.
//!
//! Integers are multiplied as integers, so that what the vector units make of the sums is the same to the bit as with
//! their own: an answer must not depend on how many rows happened to be computed together. BF16 is multiplied as
//! BF16, to which few rows are rounded, too.
//!
//! Rust has no stable names for these instructions: what is here is assembly. The compiler never uses tiles, and
//! nothing that this crate calls in between does; a value of [`Configured`] stands for what it has set up.

#![expect(unsafe_code, reason = "assembly, and the system call that asks for permission to use tiles")]

mod bf16;
#[cfg(all(test, target_os = "linux"))]
pub(super) mod emulated;
mod int8;
mod rows;

use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::layout::LINE;

pub(super) use bf16::{Line, STRIP_TILES, WeightTiles, multiply};
pub(super) use int8::{Products, Shape, product};
pub(super) use rows::TileRows;

/// Lines of a tile.
pub(super) const HEIGHT: usize = 16;

/// What `ldtilecfg` reads (Intel SDM volume 1, section 18.3, palette 1).
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    line_bytes: [u16; 16],
    lines: [u8; 16],
}

impl Configuration {
    /// Lines and bytes a line of each tile.
    fn new(shapes: [(usize, usize); 8]) -> Self {
        let (mut line_bytes, mut lines) = ([0; 16], [0; 16]);
        for (tile, (height, bytes)) in shapes.into_iter().enumerate() {
            (lines[tile], line_bytes[tile]) = (height as u8, bytes as u16);
        }
        Self { palette: 1, start_row: 0, reserved: [0; 14], line_bytes, lines }
    }
}

/// This thread's tiles have shapes, until this is dropped. It stays with its thread.
pub(super) struct Configured(PhantomData<*const ()>);

impl Configured {
    /// # Safety
    /// The process may use tiles: [`is_usable`]. This thread has no other such value.
    unsafe fn new(configuration: &Configuration) -> Self {
        // SAFETY: 64 readable bytes; the caller has tiles.
        unsafe {
            std::arch::asm!("ldtilecfg [{}]", in(reg) configuration, options(nostack, readonly, preserves_flags));
        }
        Self(PhantomData)
    }
}

impl Drop for Configured {
    /// The system saves and restores tiles only as long as they have shapes.
    fn drop(&mut self) {
        // SAFETY: whoever made this has tiles.
        unsafe { std::arch::asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
    }
}

const _: () = assert!(size_of::<Configuration>() == LINE);

/// Whether there are tiles, the system lets this process use them, and they compute what they should.
pub(super) fn is_usable() -> bool {
    static USABLE: OnceLock<bool> = OnceLock::new();
    // The kernel ends a process that uses tiles without its permission: the order matters.
    *USABLE.get_or_init(|| is_there() && is_permitted() && bf16::is_right() && int8::is_right())
}

/// What the processor says: tiles of the size that is meant here, with products of BF16 and of bytes.
fn is_there() -> bool {
    const BF16_TILES_INT8: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    let highest = __cpuid(0).eax;
    if highest < 0x1d || __cpuid_count(7, 0).edx & BF16_TILES_INT8 != BF16_TILES_INT8 {
        return false;
    }
    let palette = __cpuid_count(0x1d, 1);
    let (line_bytes, tiles, lines) = (palette.ebx & 0xffff, palette.ebx >> 16, palette.ecx & 0xffff);
    (line_bytes as usize, lines as usize) == (LINE, HEIGHT) && tiles >= 8
}

/// Asks Linux for the permission, which the whole process then has (its Documentation/arch/x86/xstate.rst).
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and touches no memory of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::Level;

    #[test]
    fn what_is_known_comes_out_right() {
        let has_tiles = |level: Level| level.name() == "avx512-amx";
        if Level::all().chain(Level::emulated()).any(has_tiles) {
            assert!(super::bf16::is_right() && super::int8::is_right());
        }
    }
}
