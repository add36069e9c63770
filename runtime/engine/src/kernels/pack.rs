//! From the blocks of a file (`ggml-common.h` names them) to panels.

#![expect(unsafe_code, reason = "panels are packed on several threads")]

use candle_core::quantized::GgmlDType;

use super::layout::{BLOCK, HALVES_BYTES, LINE, Layout, NESTED_BYTES, PANEL, SUPER, Scales};
use super::pool::{Pool, Shards};

/// A block of 32 columns of one row, taken apart.
struct Block {
    integers: [u8; BLOCK],
    scale: Scale,
}

/// The scales of such a block, as [`Scales`] has them; 16-bit floats by their bits.
enum Scale {
    Symmetric([u8; 2]),
    Offset([u8; 2], [u8; 2]),
    Nested { outer: [[u8; 2]; 2], inner: [u8; 2] },
    Halves { outer: [u8; 2], inner: [u8; 2] },
}

/// Packs 16 rows, or the last fewer, into a zeroed panel. `rows` are the file's bytes of each.
fn panel(kind: GgmlDType, rows: &[&[u8]], columns: usize, panel: &mut [u8]) {
    let layout = Layout::of(kind);
    let (weights, scales) = panel.split_at_mut(layout.weight_bytes(columns).min(panel.len()));
    for (lane, row) in rows.iter().enumerate().take(PANEL) {
        match (kind, layout) {
            (GgmlDType::F32, _) => floats::<4>(row, lane, weights),
            (GgmlDType::F16, _) => floats::<2>(row, lane, weights),
            (GgmlDType::BF16, _) => pairs(row, lane, weights),
            (_, Layout::Integers { bits, scales: form }) => {
                let mut put = |index: usize, block: &Block| {
                    put_integers(bits, index, lane, &block.integers, weights);
                    put_scale(form, index, lane, &block.scale, scales);
                };
                blocks(kind, row, &mut put);
            }
            _ => {}
        }
    }
}

/// Columns one after the other, 16 rows of each side by side.
fn floats<const BYTES: usize>(row: &[u8], lane: usize, weights: &mut [u8]) {
    for (number, column) in row.as_chunks::<BYTES>().0.iter().zip(weights.chunks_exact_mut(PANEL * BYTES)) {
        column[lane * BYTES..(lane + 1) * BYTES].copy_from_slice(number);
    }
}

/// Pairs of columns; a last single one gets a zero beside it.
fn pairs(row: &[u8], lane: usize, weights: &mut [u8]) {
    for (pair, line) in row.chunks(4).zip(weights.chunks_exact_mut(LINE)) {
        line[lane * 4..lane * 4 + pair.len()].copy_from_slice(pair);
    }
}

#[inline(always)]
fn put_integers(bits: usize, index: usize, lane: usize, integers: &[u8; BLOCK], weights: &mut [u8]) {
    let block = &mut weights[index * bits * LINE..(index + 1) * bits * LINE];
    let (quads, _) = integers.as_chunks::<4>();
    let at = lane * 4;
    if bits == 8 {
        for (quad, line) in quads.iter().zip(block.chunks_exact_mut(LINE)) {
            line[at..at + 4].copy_from_slice(quad);
        }
        return;
    }
    let (low, high) = block.split_at_mut(4 * LINE);
    for (line, (first, second)) in low.chunks_exact_mut(LINE).zip(quads[..4].iter().zip(&quads[4..])) {
        let both = (u32::from_le_bytes(*first) & 0x0f0f_0f0f) | (u32::from_le_bytes(*second) & 0x0f0f_0f0f) << 4;
        line[at..at + 4].copy_from_slice(&both.to_le_bytes());
    }
    match bits {
        5 => {
            for (j, quad) in quads.iter().enumerate() {
                let fifths = quad.iter().enumerate().fold(0, |all, (t, integer)| all | (integer >> 4 & 1) << t);
                high[j * 8 + lane / 2] |= fifths << (lane % 2 * 4);
            }
        }
        6 => {
            for (line, quads) in high.chunks_exact_mut(LINE).zip(quads.chunks_exact(4)) {
                let two_bits = quads
                    .iter()
                    .enumerate()
                    .fold(0, |all, (k, quad)| all | (u32::from_le_bytes(*quad) >> 4 & 0x0303_0303) << (2 * k));
                line[at..at + 4].copy_from_slice(&two_bits.to_le_bytes());
            }
        }
        _ => {}
    }
}

#[inline(always)]
fn put_scale(form: Scales, index: usize, lane: usize, scale: &Scale, scales: &mut [u8]) {
    let (group, inside) = (index / (SUPER / BLOCK), index % (SUPER / BLOCK));
    let mut half = |at: usize, value: [u8; 2]| scales[at + 2 * lane..at + 2 * lane + 2].copy_from_slice(&value);
    match (form, scale) {
        (Scales::Symmetric, Scale::Symmetric(d)) => half(index * 2 * PANEL, *d),
        (Scales::Offset, Scale::Offset(d, m)) => {
            half(index * 4 * PANEL, *d);
            half(index * 4 * PANEL + 2 * PANEL, *m);
        }
        (Scales::Nested, Scale::Nested { outer: [d, n], inner: [s, t] }) => {
            let start = group * NESTED_BYTES;
            half(start, *d);
            half(start + 2 * PANEL, *n);
            let start = start + 4 * PANEL + inside * 2 * PANEL;
            scales[start + lane] = *s;
            scales[start + PANEL + lane] = *t;
        }
        (Scales::NestedHalves, Scale::Halves { outer, inner: [first, second] }) => {
            let start = group * HALVES_BYTES;
            half(start, *outer);
            let start = start + 2 * PANEL + inside * 2 * PANEL;
            scales[start + lane] = *first;
            scales[start + PANEL + lane] = *second;
        }
        _ => {}
    }
}

/// Calls `put` for each block of a row.
#[inline(always)]
fn blocks(kind: GgmlDType, row: &[u8], put: &mut dyn FnMut(usize, &Block)) {
    match kind {
        GgmlDType::Q4_0 => simple::<18>(row, put, |&[a, b, ref pairs @ ..]| (nibbles(pairs), Scale::Symmetric([a, b]))),
        GgmlDType::Q4_1 => {
            simple::<20>(row, put, |&[a, b, c, d, ref pairs @ ..]| (nibbles(pairs), Scale::Offset([a, b], [c, d])));
        }
        GgmlDType::Q5_0 => simple::<22>(row, put, |&[a, b, e, f, g, h, ref pairs @ ..]| {
            (fifths(nibbles(pairs), [e, f, g, h]), Scale::Symmetric([a, b]))
        }),
        GgmlDType::Q5_1 => simple::<24>(row, put, |&[a, b, c, d, e, f, g, h, ref pairs @ ..]| {
            (fifths(nibbles(pairs), [e, f, g, h]), Scale::Offset([a, b], [c, d]))
        }),
        GgmlDType::Q8_0 => simple::<34>(row, put, |&[a, b, ref integers @ ..]| {
            (integers.map(|integer: u8| integer ^ 0x80), Scale::Symmetric([a, b]))
        }),
        GgmlDType::Q4K => nested::<144>(row, put, |&[a, b, c, d, ref rest @ ..]| {
            let (packed, pairs) = rest.split_at(12);
            ([[a, b], [c, d]], six_bits(packed), wide_nibbles(pairs))
        }),
        GgmlDType::Q5K => nested::<176>(row, put, |&[a, b, c, d, ref rest @ ..]| {
            let (packed, rest) = rest.split_at(12);
            let (fifths, pairs) = rest.split_at(32);
            let mut integers = wide_nibbles(pairs);
            for (index, block) in integers.iter_mut().enumerate() {
                block.iter_mut().zip(fifths).for_each(|(integer, bits)| *integer |= (bits >> index & 1) << 4);
            }
            ([[a, b], [c, d]], six_bits(packed), integers)
        }),
        GgmlDType::Q6K => halves(row, put),
        _ => {}
    }
}

#[inline(always)]
fn simple<const BYTES: usize>(
    row: &[u8],
    put: &mut dyn FnMut(usize, &Block),
    parse: impl Fn(&[u8; BYTES]) -> ([u8; BLOCK], Scale),
) {
    for (index, bytes) in row.as_chunks::<BYTES>().0.iter().enumerate() {
        let (integers, scale) = parse(bytes);
        put(index, &Block { integers, scale });
    }
}

/// Low halves of 16 bytes, then the high ones.
#[inline(always)]
fn nibbles(pairs: &[u8; 16]) -> [u8; BLOCK] {
    std::array::from_fn(|index| if index < 16 { pairs[index] & 15 } else { pairs[index - 16] >> 4 })
}

#[inline(always)]
fn fifths(mut integers: [u8; BLOCK], bits: [u8; 4]) -> [u8; BLOCK] {
    let bits = u32::from_le_bytes(bits);
    integers.iter_mut().enumerate().for_each(|(index, integer)| *integer |= ((bits >> index & 1) as u8) << 4);
    integers
}

const BLOCKS: usize = SUPER / BLOCK;

type Nested = ([[u8; 2]; 2], [[u8; 2]; BLOCKS], [[u8; BLOCK]; BLOCKS]);

#[inline(always)]
fn nested<const BYTES: usize>(row: &[u8], put: &mut dyn FnMut(usize, &Block), parse: impl Fn(&[u8; BYTES]) -> Nested) {
    for (group, bytes) in row.as_chunks::<BYTES>().0.iter().enumerate() {
        let (outer, inner, integers) = parse(bytes);
        for (index, (integers, inner)) in integers.into_iter().zip(inner).enumerate() {
            put(group * BLOCKS + index, &Block { integers, scale: Scale::Nested { outer, inner } });
        }
    }
}

/// The scale and the minimum, 6 bits each, of eight blocks in 12 bytes.
#[inline(always)]
fn six_bits(packed: &[u8]) -> [[u8; 2]; BLOCKS] {
    std::array::from_fn(|j| match (j, packed) {
        (0..4, packed) => [packed[j] & 63, packed[j + 4] & 63],
        (_, packed) => {
            let (low, first, second) = (packed[j + 4], packed[j - 4], packed[j]);
            [low & 15 | first >> 6 << 4, low >> 4 | second >> 6 << 4]
        }
    })
}

/// Each 32 bytes have a block in their low halves and the next one in their high ones.
#[inline(always)]
fn wide_nibbles(pairs: &[u8]) -> [[u8; BLOCK]; BLOCKS] {
    std::array::from_fn(|block| {
        let pairs = &pairs[block / 2 * BLOCK..];
        std::array::from_fn(|index| pairs[index] >> (block % 2 * 4) & 15)
    })
}

/// Q6_K: low halves, two high bits, sixteen signed scales, and the outer one.
#[inline(always)]
fn halves(row: &[u8], put: &mut dyn FnMut(usize, &Block)) {
    for (group, bytes) in row.as_chunks::<210>().0.iter().enumerate() {
        let (low, rest) = bytes.split_at(128);
        let (high, rest) = rest.split_at(64);
        let (inner, outer) = rest.split_at(16);
        for block in 0..BLOCKS {
            let (half, quarter) = (block / 4, block % 4);
            let low = &low[half * 64 + quarter % 2 * 32..];
            let high = &high[half * 32..];
            let integers = std::array::from_fn(|index| {
                (low[index] >> (quarter / 2 * 4) & 15) | (high[index] >> (quarter * 2) & 3) << 4
            });
            let inner = [inner[block * 2], inner[block * 2 + 1]];
            let scale = Scale::Halves { outer: [outer[0], outer[1]], inner };
            put(group * BLOCKS + block, &Block { integers, scale });
        }
    }
}

/// Packs a whole matrix: `bytes` are its rows in a file of this kind, `target` is zeroed and as
/// long as [`Layout::bytes`] says.
///
/// # Panics
/// When a length is not what the shape says; callers have checked the file's.
pub(crate) fn pack(pool: &mut Pool, kind: GgmlDType, bytes: &[u8], rows: usize, columns: usize, target: &mut [u8]) {
    let layout = Layout::of(kind);
    let (row_bytes, panel_bytes) = (bytes.len() / rows.max(1), layout.panel_bytes(columns));
    assert_eq!(target.len(), layout.bytes(rows, columns), "a matrix of another size than its place");
    let panels = Shards::new(target);
    pool.each(rows.div_ceil(PANEL), &|index| {
        let mut of_panel = [&[][..]; PANEL];
        let first = index * PANEL;
        let count = (rows - first).min(PANEL);
        for (lane, row) in of_panel.iter_mut().enumerate().take(count) {
            *row = &bytes[(first + lane) * row_bytes..(first + lane + 1) * row_bytes];
        }
        // SAFETY: each panel has a place of its own, and is given out once.
        let target = unsafe { panels.part(index * panel_bytes..(index + 1) * panel_bytes) };
        panel(kind, &of_panel[..count], columns, target);
    });
}
