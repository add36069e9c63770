//! Products of bytes: the integers of a block of weights with those of up to 16 rows. Scales change from block to
//! block, so the sums leave their tiles after each; the vector units bring them under their scales.

#![expect(unsafe_code, reason = "assembly")]

use super::super::layout::{BLOCK, LINE, PANEL};
use super::super::portable::Quads;
use super::{Configuration, Configured, HEIGHT};

/// Sums of a block, or half of one, for two panels: row by row, 16 outputs each.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(in super::super) struct Products(pub(in super::super) [[[i32; PANEL]; HEIGHT]; 2]);

impl Products {
    pub(in super::super) const ZERO: Self = Self([[[0; PANEL]; HEIGHT]; 2]);
}

/// Tiles for so many rows and columns are set up, until this is dropped.
pub(in super::super) struct Shape {
    rows: usize,
    columns: usize,
    _configured: Configured,
}

impl Shape {
    /// For up to 16 rows, and a block of columns or half of one.
    ///
    /// # Panics
    /// When there are none, or more.
    ///
    /// # Safety
    /// The process may use tiles: [`is_usable`](super::is_usable). This thread has no other such value.
    pub(in super::super) unsafe fn new(rows: usize, columns: usize) -> Self {
        assert!((1..=HEIGHT).contains(&rows) && (columns == BLOCK || columns == BLOCK / 2), "no shape of a tile");
        let (sums, x, weights) = ((rows, LINE), (rows, columns), (columns / 4, LINE));
        let none = (0, 0);
        // SAFETY: as the caller says.
        let configured =
            unsafe { Configured::new(&Configuration::new([sums, sums, x, weights, weights, none, none, none])) };
        Self { rows, columns, _configured: configured }
    }
}

/// The products of rows, which lie `pitch` numbers apart, with a block of two panels, from a quad of columns on.
///
/// # Panics
/// When there are fewer rows or columns than the tiles are set up for.
pub(in super::super) fn product(
    shape: &Shape,
    values: &[i32],
    pitch: usize,
    weights: &[Quads; 2],
    quad: usize,
    out: &mut Products,
) {
    let quads = shape.columns / 4;
    assert!(
        (shape.rows - 1) * pitch + quads <= values.len() && quad + quads <= weights[0].len(),
        "rows that are not there"
    );
    // SAFETY: the shape says that there are tiles, and of which sizes: `rows` lines of `columns` bytes of the values,
    // `pitch` numbers apart, `columns / 4` lines of both panels' weights, and as many lines of the products as there
    // are rows, at most 16. The assertion above has seen that they are there.
    unsafe {
        std::arch::asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tileloadd tmm2, [{values} + {pitch}*1]",
            "tileloadd tmm3, [{weights} + {line}*1]",
            "tileloadd tmm4, [{weights} + {line}*1 + 512]",
            "tdpbsud tmm0, tmm2, tmm3",
            "tdpbsud tmm1, tmm2, tmm4",
            "tilestored [{out} + {line}*1], tmm0",
            "tilestored [{out} + {line}*1 + 1024], tmm1",
            values = in(reg) values.as_ptr(),
            pitch = in(reg) 4 * pitch,
            weights = in(reg) weights.as_ptr().cast::<[u8; LINE]>().wrapping_add(quad),
            line = in(reg) LINE,
            out = in(reg) out,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _,
            options(nostack, preserves_flags),
        );
    }
}

const _: () = assert!(size_of::<Quads>() == 512 && size_of::<Products>() == 2048);

/// Whether tiles give what the sums of products are. What a virtual machine says of its processor need not be so.
pub(super) fn is_right() -> bool {
    let (x, weight) = (
        |row: usize, at: usize| (row * 37 + at * 11) as i8,
        |panel: usize, quad: usize, at: usize| (panel * 5 + quad * 71 + at * 13) as u8,
    );
    let weights: [Quads; 2] =
        [0, 1].map(|panel| std::array::from_fn(|quad| std::array::from_fn(|at| weight(panel, quad, at))));
    let quads = BLOCK / 4;
    let values: Vec<i32> = (0..HEIGHT * quads)
        .map(|at| {
            i32::from_le_bytes(std::array::from_fn(|byte| x(at / quads, 4 * (at % quads) + byte).cast_unsigned()))
        })
        .collect();
    [(HEIGHT, BLOCK, 0), (3, BLOCK / 2, quads / 2)].into_iter().all(|(rows, columns, first)| {
        let mut out = Products::ZERO;
        // SAFETY: the caller has seen that there are tiles, and has the permission.
        let shape = unsafe { Shape::new(rows, columns) };
        product(&shape, &values[first..], quads, &weights, first, &mut out);
        let sum = |panel: usize, row: usize, lane: usize| -> i32 {
            let of_quad = |quad: usize| {
                (0..4).map(move |at| i32::from(x(row, 4 * quad + at)) * i32::from(weight(panel, quad, 4 * lane + at)))
            };
            (first..first + columns / 4).flat_map(of_quad).sum()
        };
        out.0.iter().enumerate().all(|(panel, of_panel)| {
            let of_rows = of_panel.iter().take(rows).enumerate();
            let mut lanes =
                of_rows.flat_map(|(row, lanes)| lanes.iter().enumerate().map(move |(lane, &found)| (row, lane, found)));
            lanes.all(|(row, lane, found)| found == sum(panel, row, lane))
        })
    })
}
