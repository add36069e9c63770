//! Products of BF16 with sums in single precision, which stay in their tiles for the length of a strip.

#![expect(unsafe_code, reason = "assembly")]

use std::ops::Range;

use super::super::layout::{LINE, PANEL};
use super::rows::{COLUMNS, TileRows};
use super::{Configuration, Configured, HEIGHT};

/// A line of a tile: 32 columns of a row, or a pair of columns of 16 rows of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
pub(in super::super) struct Line(pub(in super::super) [u8; LINE]);

impl Line {
    pub(in super::super) const ZERO: Self = Self([0; LINE]);
}

/// The same 32 columns of two panels, a pair of columns in each line.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(in super::super) struct WeightTiles(pub(in super::super) [[Line; HEIGHT]; 2]);

impl WeightTiles {
    pub(in super::super) const ZERO: Self = Self([[Line::ZERO; HEIGHT]; 2]);
}

/// Tiles that are copied together: as much as stays in the first-level cache.
pub(in super::super) const STRIP_TILES: usize = 16;

/// Adds to `totals` the products of a strip's columns, which begin with tile `from` of a row, with groups of rows. Sums
/// of two by two tiles stay in their registers for the length of the strip.
///
/// # Panics
/// When there are no such groups or columns, or totals for another number of rows.
///
/// # Safety
/// The process may use tiles: [`is_usable`](super::is_usable). This thread has no [`Configured`].
pub(in super::super) unsafe fn multiply(
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
    // Sums, then rows, then weights.
    let (of_rows, of_weights) = ((height, LINE), (HEIGHT, LINE));
    let shapes = [of_rows, of_rows, of_rows, of_rows, of_rows, of_rows, of_weights, of_weights];
    // SAFETY: the caller has tiles, and nothing else here sets them up.
    let _configured = unsafe { Configured::new(&Configuration::new(shapes)) };
    let tile = height * LINE;
    let total = size_of_val(&totals[0]);
    // SAFETY: the caller has tiles. `first` and `second` are the first tiles of the first group; `rows.tiles` has
    // seen that all tiles of all groups lie behind them, `tile` bytes each, and `between` bytes from where one group's
    // columns end to where the next one's begin. Each group has `2 * height` totals of `total` bytes, as was asserted. Of a strip all `steps`
    // pairs of tiles are read. Registers that are changed are named; memory beside the totals is only read; the stack
    // and flags that Rust relies on are left alone.
    unsafe {
        std::arch::asm!(
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
            k = out(reg) _,
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

const _: () = assert!(size_of::<WeightTiles>() == 2048);

/// Whether tiles give products of small integers exactly. What a virtual machine says of its processor need not be so.
pub(super) fn is_right() -> bool {
    const STEPS: usize = 2;
    let integer = |seed: usize| (seed * 7 % 13) as f32 - 6.0;
    let (x, weight) = (
        |row: usize, column: usize| integer(3 * row + 5 * column),
        |row: usize, column: usize| integer(11 * row + 2 * column + 1),
    );
    let upper = |number: f32| <[u8; 2]>::try_from(&number.to_le_bytes()[2..]).unwrap_or_default();
    [1, 2, 11, HEIGHT].into_iter().all(|height| {
        let line = |word: &dyn Fn(usize) -> [u8; 2]| {
            let mut line = Line::ZERO;
            line.0.as_chunks_mut().0.iter_mut().enumerate().for_each(|(at, bytes)| *bytes = word(at));
            line
        };
        let places = (0..2).flat_map(|tile| (0..STEPS).map(move |step| (tile, step)));
        let lines = places
            .flat_map(|(tile, step)| (0..height).map(move |place| (tile * height + place, step)))
            .map(|(row, step)| line(&|at| upper(x(row, step * COLUMNS + at))))
            .collect();
        let rows = TileRows::of(lines, STEPS, height);
        let strip: [WeightTiles; STEPS] = std::array::from_fn(|step| {
            WeightTiles([0, PANEL].map(|panel| {
                std::array::from_fn(|pair| {
                    line(&|at| upper(weight(panel + at / 2, step * COLUMNS + 2 * pair + at % 2)))
                })
            }))
        });
        let mut totals = vec![[[1.0; PANEL]; 2]; 2 * height];
        // SAFETY: the caller has seen that there are tiles, and has the permission.
        unsafe { multiply(&rows, 0..1, 0, &strip, &mut totals) };
        totals.iter().enumerate().all(|(row, totals)| {
            let wanted =
                |lane: usize| (0..STEPS * COLUMNS).fold(1.0, |sum, column| sum + x(row, column) * weight(lane, column));
            totals.as_flattened().iter().enumerate().all(|(lane, &total)| total == wanted(lane))
        })
    })
}
