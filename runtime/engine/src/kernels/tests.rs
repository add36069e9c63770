//! Each kernel, at each level that this processor has, and with AMX in software where it has none, against sums in
//! double precision.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::*;
use crate::engine::SplitMix64;

const KINDS: [GgmlDType; 11] = [
    GgmlDType::F32,
    GgmlDType::F16,
    GgmlDType::BF16,
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q5_0,
    GgmlDType::Q5_1,
    GgmlDType::Q8_0,
    GgmlDType::Q4K,
    GgmlDType::Q5K,
    GgmlDType::Q6K,
];

/// All levels, the one that has to be emulated among them.
fn levels() -> impl Iterator<Item = Level> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    let emulated = Level::emulated();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    let emulated = None;
    Level::all().chain(emulated)
}

fn random(random: &mut SplitMix64, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.unit() * 2.0 - 1.0).collect()
}

/// A random matrix in an arena, and what its numbers are.
pub(super) fn matrix(
    cpu: &mut Cpu,
    seed: &mut SplitMix64,
    kind: GgmlDType,
    rows: usize,
    columns: usize,
) -> (Arena, Matrix, Vec<f32>) {
    let numbers = Tensor::from_vec(random(seed, rows * columns), (rows, columns), &Device::Cpu).unwrap();
    let packed = QTensor::quantize(&numbers, kind).unwrap();
    let dense = packed.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let layout = Layout::of(kind);
    let mut arena = ArenaBuilder::new(layout.bytes(rows, columns)).unwrap();
    let (place, target) = arena.take(layout.bytes(rows, columns)).unwrap();
    pack(&mut cpu.pool, kind, &packed.data().unwrap(), rows, columns, target);
    (arena.freeze(), Matrix { layout, rows, columns, place }, dense)
}

#[test]
fn products_are_those_of_the_numbers_they_stand_for() {
    for level in levels() {
        let mut cpu = Cpu::new(level, 2);
        let mut seed = SplitMix64(7);
        for kind in KINDS {
            // A last panel that is not full, and more than one strip of columns.
            let (rows, columns) = (72, if kind.block_size() == 1 { 289 } else { 768 });
            let (arena, matrix, dense) = matrix(&mut cpu, &mut seed, kind, rows, columns);
            for count in [1, 2, 3, 4, 5, 6, 13, 17, 33, 120, 121, 523] {
                let input = random(&mut seed, count * columns);
                let mut scratch = Rows::default();
                let mut out = vec![f32::NAN; count * rows];
                multiply(&mut cpu, &arena, &input, columns, &mut scratch, [Product::new(&matrix, &mut out)]);
                check(level, kind, &dense, &input, &out, columns);
            }
        }
    }
}

/// Else an answer would depend on how many rows happen to be computed together.
#[test]
fn tiles_give_the_very_sums_of_the_vector_units() {
    let level = |name: &str| levels().find(|level| level.name() == name);
    let (Some(vectors), Some(tiles)) = (level("avx512"), level("avx512-amx")) else { return };
    let mut seed = SplitMix64(9);
    for kind in KINDS.into_iter().filter(|kind| kind.block_size() > 1) {
        // Columns that do not fill the last 256 where a block may be smaller.
        let (rows, columns) = (56, if kind.block_size() == 32 { 544 } else { 768 });
        let (arena, matrix, _) = matrix(&mut Cpu::new(vectors, 1), &mut seed, kind, rows, columns);
        for count in [16, 17, 33, 131] {
            let input = random(&mut seed, count * columns);
            let [wanted, found] = [vectors, tiles].map(|level| {
                let mut out = vec![f32::NAN; count * rows];
                let product = Product::new(&matrix, &mut out);
                multiply(&mut Cpu::new(level, 2), &arena, &input, columns, &mut Rows::default(), [product]);
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            });
            assert_eq!(wanted, found, "{kind:?}, {count} rows");
        }
    }
}

/// Compares with the products of the same weights in double precision.
fn check(level: Level, kind: GgmlDType, dense: &[f32], input: &[f32], out: &[f32], columns: usize) {
    let (rows, count) = (dense.len() / columns, input.len() / columns);
    let rounded = |numbers: &[f32]| numbers.iter().map(|&x| half::bf16::from_f32(x).to_f32()).collect::<Vec<_>>();
    let has_blocks = kind.block_size() > 1;
    let has_pairs = ["avx512-bf16", "avx512-amx"].contains(&level.name()) && kind == GgmlDType::BF16;
    for (index, input) in input.chunks(columns).enumerate() {
        let input = if has_pairs {
            rounded(input)
        } else if has_blocks {
            quantized(input)
        } else {
            input.to_vec()
        };
        for (row, weights) in dense.chunks(columns).enumerate() {
            let products = weights.iter().zip(&input).map(|(w, x)| f64::from(*w) * f64::from(*x));
            let (wanted, size) =
                products.fold((0.0, 0.0), |(sum, size), product| (sum + product, size + product.abs()));
            let found = f64::from(out[index * rows + row]);
            assert!(
                (found - wanted).abs() <= 2e-5 * size,
                "{} {kind:?}, row {index} of {count}, output {row}: {found}, wanted {wanted}",
                level.name()
            );
        }
    }
}

/// What a row's 8-bit form stands for.
fn quantized(row: &[f32]) -> Vec<f32> {
    row.chunks(32)
        .flat_map(|block| {
            let largest = block.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            let (scale, inverse) = (largest / 127.0, 127.0 / largest);
            block.iter().map(move |x| (x * inverse).round_ties_even() * scale).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn several_matrices_share_one_input() {
    for level in levels() {
        let mut cpu = Cpu::new(level, 2);
        let mut seed = SplitMix64(3);
        let columns = 256;
        let (first, a, dense_a) = matrix(&mut cpu, &mut seed, GgmlDType::Q4K, 40, columns);
        let (second, b, dense_b) = matrix(&mut cpu, &mut seed, GgmlDType::BF16, 24, columns);
        // Both in one arena.
        let mut arena = ArenaBuilder::new(1 << 20).unwrap();
        let mut moved = |from: &Arena, matrix: &Matrix| {
            let (place, target) = arena.take(matrix.place.len()).unwrap();
            target.copy_from_slice(from.bytes(&matrix.place));
            Matrix { place, ..matrix.clone() }
        };
        let (a, b) = (moved(&first, &a), moved(&second, &b));
        let arena = arena.freeze();
        let input = random(&mut seed, 3 * columns);
        let (mut x, mut y) = (vec![0.0; 3 * 40], vec![0.0; 3 * 24]);
        let products = [Product::new(&a, &mut x), Product::new(&b, &mut y)];
        multiply(&mut cpu, &arena, &input, columns, &mut Rows::default(), products);
        check(level, GgmlDType::Q4K, &dense_a, &input, &x, columns);
        check(level, GgmlDType::BF16, &dense_b, &input, &y, columns);
    }
}

#[test]
fn a_bias_is_added_before_what_happens_then() {
    for level in levels() {
        let mut cpu = Cpu::new(level, 2);
        let mut seed = SplitMix64(5);
        for kind in [GgmlDType::F32, GgmlDType::BF16, GgmlDType::Q8_0] {
            let (rows, columns) = (72, 64);
            let (arena, matrix, _) = matrix(&mut cpu, &mut seed, kind, rows, columns);
            let bias = random(&mut seed, rows);
            for count in [1, 7, 130] {
                let (input, mut scratch) = (random(&mut seed, count * columns), Rows::default());
                let (mut plain, mut out) = (vec![f32::NAN; count * rows], vec![f32::NAN; count * rows]);
                let product = Product::new(&matrix, &mut plain);
                multiply(&mut cpu, &arena, &input, columns, &mut scratch, [product]);
                let product = Product { bias: &bias, then: Some(gelu), ..Product::new(&matrix, &mut out) };
                multiply(&mut cpu, &arena, &input, columns, &mut scratch, [product]);
                for row in plain.chunks_mut(rows) {
                    add(level, row, &bias);
                    gelu(level, row);
                }
                let differs = plain.iter().zip(&out).find(|(wanted, found)| (**wanted - **found).abs() > 1e-5);
                assert_eq!(differs, None, "{} {kind:?}, {count} rows", level.name());
            }
        }
    }
}

/// Pages of a sequence, and the numbers that its keys and values stand for there.
struct Sequence {
    pages: Vec<Vec<u8>>,
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

const FORMATS: [CacheFormat; 2] = [CacheFormat::F16, CacheFormat::Int8];

fn sequence(level: Level, seed: &mut SplitMix64, attention: &Attention, positions: usize) -> Sequence {
    let kv = attention.kv_heads * attention.width;
    let mut sequence = Sequence { pages: Vec::new(), keys: Vec::new(), values: Vec::new() };
    for position in 0..positions {
        let (keys, values) = (random(seed, kv), random(seed, kv));
        if position % PAGE == 0 {
            // What a page had before must not matter.
            sequence.pages.push(vec![0x3c; attention.layer_page()]);
        }
        store(level, attention, sequence.pages.last_mut().unwrap(), position % PAGE, &keys, &values);
        let kept =
            |heads: &[f32]| heads.chunks(attention.width).flat_map(|head| kept(attention.format, head)).collect();
        sequence.keys.push(kept(&keys));
        sequence.values.push(kept(&values));
    }
    sequence
}

/// What a head's numbers stand for as they are kept.
fn kept(format: CacheFormat, head: &[f32]) -> Vec<f32> {
    let half = |x: f32| half::f16::from_f32(x).to_f32();
    let integers = |block: &[f32]| {
        let scale = half(block.iter().fold(0f32, |largest, x| largest.max(x.abs())) / 127.0);
        block.iter().map(move |x| (x * (1.0 / scale)).round_ties_even().clamp(-127.0, 127.0) * scale).collect()
    };
    match format {
        CacheFormat::F16 => head.iter().map(|&x| half(x)).collect(),
        CacheFormat::Int8 => head.chunks(32).flat_map(|block| -> Vec<f32> { integers(block) }).collect(),
    }
}

/// What a step's attention gives.
fn attended(
    cpu: &mut Cpu,
    attention: &Attention,
    queries: &[f32],
    parts: &[Query],
    sequences: &[&Sequence],
) -> Vec<f32> {
    let mut out = vec![f32::NAN; queries.len()];
    let pages = |part: usize, page: usize| &sequences[part].pages[page][..];
    attend(cpu, attention, queries, parts, &pages, &mut Shares::default(), &mut out);
    out
}

#[test]
fn attention_is_a_weighted_mean_of_what_is_seen() {
    for (width, soft_cap, window) in
        [(64, None, None), (128, Some(2.0), None), (40, None, Some(19)), (256, None, None), (64, None, Some(900))]
    {
        for (level, format) in Level::all().flat_map(|level| FORMATS.map(|format| (level, format))) {
            let attention = Attention { heads: 6, kv_heads: 2, width, scale: 0.7, soft_cap, window, format };
            let mut cpu = Cpu::new(level, 2);
            let mut seed = SplitMix64(width as u64);
            // A long sequence of which three rows are new, a whole short one, and one that is split among threads.
            let sequences = [70, 5, 1300].map(|positions| sequence(level, &mut seed, &attention, positions));
            let parts = [(0..3, 67), (3..8, 0), (8..9, 1299)].map(|(rows, position)| Query { rows, position });
            let queries = random(&mut seed, 9 * 6 * width);
            let out = attended(&mut cpu, &attention, &queries, &parts, &sequences.each_ref());
            for (part, sequence) in parts.iter().zip(&sequences) {
                for (offset, row) in part.rows.clone().enumerate() {
                    for head in 0..6 {
                        let at = (row * 6 + head) * width;
                        let wanted =
                            plain(&attention, sequence, &queries[at..at + width], head / 3, part.position + offset);
                        for (found, wanted) in out[at..at + width].iter().zip(wanted) {
                            let difference = (f64::from(*found) - wanted).abs();
                            assert!(difference < 2e-5, "{} {format:?} {width}: {found}, {wanted}", level.name());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn attention_depends_neither_on_threads_nor_on_other_sequences() {
    for format in FORMATS {
        let attention =
            Attention { heads: 8, kv_heads: 1, width: 64, scale: 0.2, soft_cap: None, window: None, format };
        let level = Level::best();
        let mut seed = SplitMix64(5);
        let sequences = [1500, 40].map(|positions| sequence(level, &mut seed, &attention, positions));
        let [long, short] = &sequences;
        let queries = random(&mut seed, 4 * 8 * 64);
        let (first, rest) = queries.split_at(8 * 64);
        let long_row = Query { rows: 0..1, position: 1499 };
        let wanted = attended(&mut Cpu::new(level, 1), &attention, first, &[long_row], &[long]);
        for threads in [1, 2, 3, 7] {
            let mut cpu = Cpu::new(level, threads);
            let parts = [Query { rows: 0..3, position: 37 }, Query { rows: 3..4, position: 1499 }];
            let found = attended(&mut cpu, &attention, &[rest, first].concat(), &parts, &[short, long]);
            assert_eq!(found[3 * 8 * 64..], wanted, "{threads} threads");
        }
    }
}

#[test]
fn attention_to_integers_is_near_that_to_floats() {
    for (width, positions) in [(64, 100), (128, 1300), (40, 300)] {
        for level in Level::all() {
            let [floats, integers] = FORMATS.map(|format| {
                let scale = 1.0 / (width as f32).sqrt();
                let attention = Attention { heads: 4, kv_heads: 2, width, scale, soft_cap: None, window: None, format };
                let mut seed = SplitMix64(width as u64 + 1);
                let sequence = sequence(level, &mut seed, &attention, positions);
                let queries = random(&mut seed, 4 * width);
                let part = Query { rows: 0..1, position: positions - 1 };
                attended(&mut Cpu::new(level, 2), &attention, &queries, &[part], &[&sequence])
            });
            let size: f32 = floats.iter().map(|x| x * x).sum();
            let difference: f32 = floats.iter().zip(&integers).map(|(a, b)| (a - b).powi(2)).sum();
            let distance = (difference / size).sqrt();
            assert!(distance > 0.0 && distance < 0.01, "{} {width}: {distance}", level.name());
        }
    }
}

fn plain(attention: &Attention, sequence: &Sequence, query: &[f32], kv_head: usize, position: usize) -> Vec<f64> {
    let width = attention.width;
    let of_head = kv_head * width..(kv_head + 1) * width;
    let first = attention.window.map_or(0, |window| (position + 1).saturating_sub(window));
    let seen = first..=position;
    let weights: Vec<f64> = seen
        .clone()
        .map(|position| {
            let key = &sequence.keys[position][of_head.clone()];
            let score: f64 = key.iter().zip(query).map(|(k, q)| f64::from(*k) * f64::from(*q)).sum();
            let score = score * f64::from(attention.scale);
            attention.soft_cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh()).exp()
        })
        .collect();
    let total: f64 = weights.iter().sum();
    let mut out = vec![0.0; width];
    for (position, weight) in seen.zip(weights) {
        let value = &sequence.values[position][of_head.clone()];
        out.iter_mut().zip(value).for_each(|(out, value)| *out += weight / total * f64::from(*value));
    }
    out
}

#[test]
fn rows_are_divided_by_their_root_mean_square() {
    for level in Level::all() {
        let row = random(&mut SplitMix64(1), 100);
        let weights = random(&mut SplitMix64(2), 100);
        let mut out = row.clone();
        normalize(level, &mut out, &weights, 1e-5);
        let mean: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 100.0;
        for ((x, weight), out) in row.iter().zip(weights).zip(out) {
            let wanted = f64::from(*x) / (mean + 1e-5).sqrt() * f64::from(weight);
            assert!((f64::from(out) - wanted).abs() < 1e-5);
        }
    }
}
