//! The kernels in plain Rust. `avx2` is the same code compiled with those instructions; what
//! AVX-512 does better is in `avx512.rs` and must give the same numbers.

use super::layout::{BLOCK, HALVES_BYTES, LINE, Layout, NESTED_BYTES, PANEL, SUPER, Scales};
use super::rows::{QUADS, Row};

/// A block of a panel with its integers as bytes: quad `j` of 16 rows in each line.
pub(crate) type Quads = [[u8; LINE]; BLOCK / 4];

/// A block's scales as factors of integers and of the row's sum, for either half.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    pub(crate) scale: [[f32; PANEL]; 2],
    pub(crate) offset: [[f32; PANEL]; 2],
}

/// A row's 8-bit form: the largest of a block becomes 127.
#[inline(always)]
pub(crate) fn quantize(row: &[f32], values: &mut [i32], scales: &mut [f32], sums: &mut [f32]) {
    let blocks = row.chunks(BLOCK).zip(values.chunks_exact_mut(QUADS)).zip(scales).zip(sums.chunks_exact_mut(2));
    for (((numbers, values), scale), sums) in blocks {
        let largest = numbers.iter().fold(0f32, |largest, number| largest.max(number.abs()));
        *scale = largest / 127.0;
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let mut halves = [0i32; 2];
        for (j, quad) in values.iter_mut().enumerate() {
            let mut bytes = [0; 4];
            for (t, byte) in bytes.iter_mut().enumerate() {
                let number = numbers.get(4 * j + t).copied().unwrap_or(0.0) * inverse;
                let integer = number.round_ties_even() as i8;
                *byte = integer.cast_unsigned();
                halves[j / 4] += i32::from(integer);
            }
            *quad = i32::from_le_bytes(bytes);
        }
        for (sum, half) in sums.iter_mut().zip(halves) {
            *sum = half as f32 * *scale;
        }
    }
}

/// The integers of a block.
#[inline(always)]
pub(crate) fn unpack(bits: usize, block: &[u8], quads: &mut Quads) {
    if bits == 8 {
        quads.iter_mut().zip(block.as_chunks::<LINE>().0).for_each(|(quad, line)| *quad = *line);
        return;
    }
    let (lines, _) = block.as_chunks::<LINE>();
    for (i, line) in lines.iter().enumerate().take(4) {
        for (at, &pair) in line.iter().enumerate() {
            quads[i][at] = pair & 15;
            quads[4 + i][at] = pair >> 4;
        }
    }
    match bits {
        5 => {
            for (j, bits) in lines[4].as_chunks::<8>().0.iter().enumerate() {
                let bits = u64::from_le_bytes(*bits);
                quads[j].iter_mut().enumerate().for_each(|(at, quad)| *quad |= ((bits >> at & 1) as u8) << 4);
            }
        }
        6 => {
            for (j, quad) in quads.iter_mut().enumerate() {
                let high = &lines[4 + j / 4];
                quad.iter_mut().zip(high).for_each(|(quad, high)| *quad |= (high >> (2 * (j % 4)) & 3) << 4);
            }
        }
        _ => {}
    }
}

/// The factors of block `index` of a panel whose scales these are.
#[inline(always)]
pub(crate) fn factors(form: Scales, bits: usize, scales: &[u8], index: usize) -> Factors {
    let (group, inside) = (index / (SUPER / BLOCK), index % (SUPER / BLOCK));
    let halves = |at: usize| -> [f32; PANEL] {
        let (numbers, _) = scales[at..at + 2 * PANEL].as_chunks::<2>();
        std::array::from_fn(|lane| single(numbers[lane]))
    };
    let times = |a: [f32; PANEL], b: f32| a.map(|a| a * b);
    let zero = Layout::zero(bits) as f32;
    match form {
        Scales::Symmetric => {
            let scale = halves(index * 2 * PANEL);
            Factors { scale: [scale; 2], offset: [times(scale, -zero); 2] }
        }
        Scales::Offset => {
            let scale = halves(index * 4 * PANEL);
            Factors { scale: [scale; 2], offset: [halves(index * 4 * PANEL + 2 * PANEL); 2] }
        }
        Scales::Nested => {
            let start = group * NESTED_BYTES;
            let (outer, outer_offset) = (halves(start), halves(start + 2 * PANEL));
            let start = start + 4 * PANEL + inside * 2 * PANEL;
            let scale = std::array::from_fn(|lane| outer[lane] * f32::from(scales[start + lane]));
            let offset = std::array::from_fn(|lane| -outer_offset[lane] * f32::from(scales[start + PANEL + lane]));
            Factors { scale: [scale; 2], offset: [offset; 2] }
        }
        Scales::NestedHalves => {
            let start = group * HALVES_BYTES;
            let outer = halves(start);
            let start = start + 2 * PANEL + inside * 2 * PANEL;
            let scale: [[f32; PANEL]; 2] = std::array::from_fn(|half| {
                std::array::from_fn(|lane| outer[lane] * f32::from(scales[start + half * PANEL + lane] as i8))
            });
            Factors { scale, offset: scale.map(|scale| times(scale, -zero)) }
        }
    }
}

/// Adds the products of a block with the same block of a row.
#[inline(always)]
pub(crate) fn add_block(quads: &Quads, factors: &Factors, row: &Row<'_>, index: usize, out: &mut [f32; PANEL]) {
    let (values, scale, sums) = (&row.values[index], row.scales[index], row.sums[index]);
    for (half, sum) in sums.iter().enumerate() {
        let mut products = [0i32; PANEL];
        for j in half * 4..half * 4 + 4 {
            for (product, weights) in products.iter_mut().zip(quads[j].as_chunks::<4>().0) {
                for (weight, value) in weights.iter().zip(values[j].to_le_bytes()) {
                    *product += i32::from(*weight) * i32::from(value.cast_signed());
                }
            }
        }
        for lane in 0..PANEL {
            out[lane] += products[lane] as f32 * (factors.scale[half][lane] * scale);
            out[lane] += factors.offset[half][lane] * sum;
        }
    }
}

/// The products of an integer panel with each row.
#[inline(always)]
pub(crate) fn integers(
    bits: usize,
    form: Scales,
    weights: &[u8],
    scales: &[u8],
    rows: &[Row<'_>],
    out: &mut [[f32; PANEL]],
) {
    let mut quads = [[0; LINE]; BLOCK / 4];
    out.fill([0.0; PANEL]);
    for (index, block) in weights.chunks_exact(bits * LINE).enumerate() {
        unpack(bits, block, &mut quads);
        let factors = factors(form, bits, scales, index);
        for (row, out) in rows.iter().zip(out.iter_mut()) {
            // Columns beyond the row's are padding.
            if index < row.scales.len() {
                add_block(&quads, &factors, row, index, out);
            }
        }
    }
}

/// Adds the products of a panel of floating-point numbers with a row.
#[inline(always)]
pub(crate) fn floats(layout: Layout, weights: &[u8], row: &[f32], out: &mut [f32; PANEL]) {
    let mut add = |column: [f32; PANEL], x: f32| {
        out.iter_mut().zip(column).for_each(|(out, weight)| *out += weight * x);
    };
    match layout {
        Layout::F32 => {
            for (bytes, &x) in weights.chunks_exact(4 * PANEL).zip(row) {
                let (numbers, _) = bytes.as_chunks::<4>();
                add(std::array::from_fn(|lane| f32::from_le_bytes(numbers[lane])), x);
            }
        }
        Layout::F16 => {
            for (bytes, &x) in weights.chunks_exact(2 * PANEL).zip(row) {
                let (numbers, _) = bytes.as_chunks::<2>();
                add(std::array::from_fn(|lane| single(numbers[lane])), x);
            }
        }
        Layout::Bf16 => {
            for (line, pair) in weights.as_chunks::<LINE>().0.iter().zip(row.chunks(2)) {
                let (numbers, _) = line.as_chunks::<2>();
                for (second, &x) in pair.iter().enumerate() {
                    let upper = |lane: usize| u32::from(u16::from_le_bytes(numbers[2 * lane + second])) << 16;
                    add(std::array::from_fn(|lane| f32::from_bits(upper(lane))), x);
                }
            }
        }
        Layout::Integers { .. } => {}
    }
}

/// Half precision as single, without a branch.
#[inline(always)]
pub(crate) fn single(bytes: [u8; 2]) -> f32 {
    let half = u32::from(u16::from_le_bytes(bytes));
    let magnitude = half & 0x7fff;
    // Shifted into place the exponent is 112 too small, also that of subnormal numbers.
    let finite = f32::from_bits(magnitude << 13) * f32::from_bits(0x7780_0000);
    let special = f32::from_bits(magnitude << 13 | 0x7f80_0000);
    let magnitude = if magnitude >= 0x7c00 { special } else { finite };
    f32::from_bits(magnitude.to_bits() | (half & 0x8000) << 16)
}
