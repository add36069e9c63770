//! Intel's AMX: registers of 16 lines of 64 bytes, tiles, and one instruction that multiplies two of them.
//!
//! Everything is multiplied as BF16 with sums in single precision, integers too. A product of 8-bit tiles would be
//! twice as fast by itself, but scales change every 32 columns: half of a tile would stay empty, and its sums
//! would have to leave the tile after each, for three vector instructions a line. Weights of few bits are as near to
//! BF16 as their scales are, and their rows are nearer to it than to 8-bit integers.
//!
//! Rust has no stable names for these instructions, so this module has the one piece of assembly. It is given whole
//! to the assembler, from the tiles' configuration to their release: no tile holds anything beyond it.

#![expect(unsafe_code, reason = "assembly, and the system call that asks for permission to use tiles")]

#[cfg(all(test, target_os = "linux"))]
pub(super) mod emulated;
mod rows;

use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::ops::Range;
use std::sync::OnceLock;

use super::layout::{BLOCK, LINE, PANEL};
pub(super) use rows::TileRows;

/// Lines of a tile.
const HEIGHT: usize = 16;
/// Columns of a tile of rows.
const COLUMNS: usize = BLOCK;

/// A line of a tile: 32 columns of a row, or a pair of columns of 16 rows of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [u8; LINE]);

impl Line {
    pub(super) const ZERO: Self = Self([0; LINE]);
}

/// The same 32 columns of two panels, a pair of columns in each line.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct WeightTiles(pub(super) [[Line; HEIGHT]; 2]);

impl WeightTiles {
    pub(super) const ZERO: Self = Self([[Line::ZERO; HEIGHT]; 2]);
}

/// Tiles that are unpacked together: as much as stays in the first-level cache.
pub(super) const STRIP_TILES: usize = 16;

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
    /// Tiles 0 to 3 for sums, 4 and 5 for rows, all `height` lines; 6 and 7 for weights.
    fn new(height: usize) -> Self {
        let (mut line_bytes, mut lines) = ([0; 16], [0; 16]);
        line_bytes[..8].fill(LINE as u16);
        lines[..6].fill(height as u8);
        lines[6..8].fill(HEIGHT as u8);
        Self { palette: 1, start_row: 0, reserved: [0; 14], line_bytes, lines }
    }
}

/// Adds to `totals` the products of a strip's columns, which begin with tile `from` of a row, with groups of rows. Sums
/// of two by two tiles stay in their registers for the length of the strip.
///
/// # Panics
/// When there are no such groups or columns, or totals for another number of rows.
///
/// # Safety
/// The processor has tiles and the process may use them: [`is_usable`].
pub(super) unsafe fn multiply(
    rows: &TileRows,
    groups: Range<usize>,
    from: usize,
    strip: &[WeightTiles],
    totals: &mut [[[f32; PANEL]; 2]],
) {
    let (count, steps, height) = (groups.len(), strip.len(), rows.height());
    assert_eq!(totals.len(), count * 2 * height, "totals for other rows");
    if count == 0 || steps == 0 {
        return;
    }
    let first = rows.tiles(groups.clone(), 0, from..from + steps);
    let second = rows.tiles(groups, 1, from..from + steps);
    let configuration = Configuration::new(height);
    let tile = height * LINE;
    let total = size_of_val(&totals[0]);
    // SAFETY: the caller has tiles. `first` and `second` are the first tiles of the first group; `rows.tiles`
    // has seen that all tiles of all groups lie behind them, `tile` bytes each and `between` bytes from one group's to
    // the next one's. Each group has `2 * height` totals of `total` bytes, as was asserted. Of a strip all `steps`
    // pairs of tiles are read. Registers that are changed are named; memory beside the totals is only read; the stack
    // and flags that Rust relies on are left alone.
    unsafe {
        std::arch::asm!(
            "ldtilecfg [{k}]",
            "2:",
            "tileloadd tmm0, [{total} + {pitch}*1]",
            "tileloadd tmm1, [{total} + {pitch}*1 + 64]",
            "tileloadd tmm2, [{lower} + {pitch}*1]",
            "tileloadd tmm3, [{lower} + {pitch}*1 + 64]",
            "mov {k}, {steps}",
            "3:",
            "tileloadd tmm4, [{first} + {line}*1]",
            "tileloadd tmm6, [{weights} + {line}*1]",
            "tileloadd tmm7, [{weights} + {line}*1 + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{second} + {line}*1]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {first}, {tile}",
            "add {second}, {tile}",
            "add {weights}, 2048",
            "dec {k}",
            "jnz 3b",
            "tilestored [{total} + {pitch}*1], tmm0",
            "tilestored [{total} + {pitch}*1 + 64], tmm1",
            "tilestored [{lower} + {pitch}*1], tmm2",
            "tilestored [{lower} + {pitch}*1 + 64], tmm3",
            // To the next group: the strip from its start, rows that follow, totals behind both tiles'.
            "mov {k}, {steps}",
            "shl {k}, 11",
            "sub {weights}, {k}",
            "add {first}, {between}",
            "add {second}, {between}",
            "mov {k}, {lower}",
            "sub {k}, {total}",
            "lea {total}, [{lower} + {k}]",
            "lea {lower}, [{total} + {k}]",
            "dec {count}",
            "jnz 2b",
            "tilerelease",
            k = inout(reg) &raw const configuration => _,
            total = inout(reg) totals.as_mut_ptr() => _,
            lower = inout(reg) totals.as_mut_ptr().wrapping_byte_add(height * total) => _,
            pitch = in(reg) total,
            first = inout(reg) first.as_ptr() => _,
            second = inout(reg) second.as_ptr() => _,
            line = in(reg) LINE,
            weights = inout(reg) strip.as_ptr() => _,
            tile = in(reg) tile,
            between = in(reg) rows.group_bytes() - steps * tile,
            steps = in(reg) steps,
            count = inout(reg) count => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

const _: () = assert!(size_of::<WeightTiles>() == 2048 && size_of::<Configuration>() == LINE);

/// Whether there are tiles for BF16, the system lets this process use them, and they compute what they should.
pub(super) fn is_usable() -> bool {
    static USABLE: OnceLock<bool> = OnceLock::new();
    // The kernel ends a process that uses tiles without its permission: the order matters.
    *USABLE.get_or_init(|| is_there() && is_permitted() && rows::is_right())
}

/// What the processor says: tiles of the size that is meant here, and their product of BF16.
fn is_there() -> bool {
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    let highest = __cpuid(0).eax;
    if highest < 0x1d || __cpuid_count(7, 0).edx & BF16_AND_TILES != BF16_AND_TILES {
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
