//! Brings packed matrices into the packings that candle computes fast on this processor.
//!
//! On x86, candle 0.11 has no vector code for Q5_0, Q4_1 and Q5_1 and only slow code for Q4_0:
//! they are repacked as Q8_0. That loses nothing for Q4_0 and Q5_0, whose small integers are
//! taken over with their scale, and 1/254 of a block's largest weight for the others. And candle's
//! fastest kernels (`vpdpbusd`) want rows of whole 256s: Q8_0 rows are filled up with zeros
//! where that costs at most a third (Qwen2.5-0.5B: 896 to 1024).

use std::borrow::Cow;
use std::thread;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};

use super::{Bytes, DEVICE};
use crate::candle_model::Linear;
use crate::error::EngineError;
use crate::gguf::byte_length;

/// Columns in a block of candle's fast kernels.
const FAST_COLUMNS: usize = 256;
/// Rows that candle's fast kernels take at once.
const FAST_ROWS: usize = 16;
/// Elements that a thread repacks at once; their `f32` copies take 4 MiB.
const SLAB_ELEMENTS: usize = 1 << 20;

/// A matrix from its packed bytes, whose length the caller has checked.
pub(super) fn linear(
    kind: GgmlDType,
    bytes: &[u8],
    rows: usize,
    columns: usize,
    to_multiply: bool,
    threads: usize,
) -> Result<Linear, EngineError> {
    let is_slow = cfg!(target_arch = "x86_64")
        && matches!(kind, GgmlDType::Q4_0 | GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1);
    let target = if to_multiply && is_slow { GgmlDType::Q8_0 } else { kind };
    let padded = if to_multiply && target == GgmlDType::Q8_0 { padded(rows, columns) } else { columns };
    let storage = if (target, padded) == (kind, columns) {
        QStorage::from_data(Cow::Borrowed(bytes), &DEVICE, kind)?
    } else {
        let repacked = repack(kind, bytes, columns, padded, threads)?;
        QStorage::from_data(Cow::Borrowed(&repacked), &DEVICE, target)?
    };
    Ok(Linear::packed(QTensor::new(storage, (rows, padded))?, columns))
}

/// A packing that [`crate::kernels`] has no layout for, as Q8_0; any other as it is.
pub(crate) fn as_known(
    kind: GgmlDType,
    bytes: Bytes,
    rows: usize,
    columns: usize,
) -> Result<(GgmlDType, Bytes), EngineError> {
    if !matches!(kind, GgmlDType::Q2K | GgmlDType::Q3K) {
        return Ok((kind, bytes));
    }
    let bytes = repack_slab(kind, &bytes, rows, columns, columns)?;
    Ok((GgmlDType::Q8_0, bytes.into()))
}

/// The row length that is fastest to multiply with.
fn padded(rows: usize, columns: usize) -> usize {
    let padded = columns.next_multiple_of(FAST_COLUMNS);
    let is_worth_it = has_fast_kernels() && rows.is_multiple_of(FAST_ROWS) && padded - columns <= columns / 3;
    if is_worth_it { padded } else { columns }
}

#[cfg(target_arch = "x86_64")]
fn has_fast_kernels() -> bool {
    is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_fast_kernels() -> bool {
    false
}

/// Rows of `kind` as rows of Q8_0, filled up to `padded` columns.
fn repack(
    kind: GgmlDType,
    bytes: &[u8],
    columns: usize,
    padded: usize,
    threads: usize,
) -> Result<Vec<u8>, EngineError> {
    let malformed = || EngineError::malformed("a tensor", "its rows are not whole blocks");
    let from = byte_length(kind, &[1, columns]).ok_or_else(malformed)? as usize;
    let to = byte_length(GgmlDType::Q8_0, &[1, padded]).ok_or_else(malformed)? as usize;
    let slab_rows = (SLAB_ELEMENTS / padded).max(1);
    let mut repacked = vec![0; bytes.len() / from * to];
    let mut slabs: Vec<_> = bytes.chunks(slab_rows * from).zip(repacked.chunks_mut(slab_rows * to)).collect();
    let share = slabs.len().div_ceil(threads.max(1)).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = slabs
            .chunks_mut(share)
            .map(|slabs| {
                scope.spawn(move || {
                    slabs.iter_mut().try_for_each(|(source, target)| {
                        let packed = repack_slab(kind, source, source.len() / from, columns, padded)?;
                        target.copy_from_slice(packed.get(..target.len()).ok_or_else(malformed)?);
                        Ok(())
                    })
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(EngineError::malformed("a tensor", "it cannot be repacked")))
        })
    })?;
    Ok(repacked)
}

fn repack_slab(
    kind: GgmlDType,
    bytes: &[u8],
    rows: usize,
    columns: usize,
    padded: usize,
) -> Result<Vec<u8>, EngineError> {
    match kind {
        GgmlDType::Q4_0 => return Ok(widened::<Q4_0, Q4_0_BYTES>(bytes, columns, padded)),
        GgmlDType::Q5_0 => return Ok(widened::<Q5_0, Q5_0_BYTES>(bytes, columns, padded)),
        GgmlDType::Q8_0 => return Ok(widened::<Q8_0, Q8_0_BYTES>(bytes, columns, padded)),
        _ => {}
    }
    let storage = QStorage::from_data(Cow::Borrowed(bytes), &DEVICE, kind)?;
    let dense = QTensor::new(storage, (rows, columns))?.dequantize(&DEVICE)?;
    let dense = dense.pad_with_zeros(1, 0, padded - columns)?;
    Ok(QTensor::quantize(&dense, GgmlDType::Q8_0)?.data()?.into_owned())
}

/// Weights in a block of the simple packings.
const BLOCK: usize = 32;
/// Bytes of a block: a 16-bit scale, then 4, 5 or 8 bits a weight.
const Q4_0_BYTES: usize = 2 + BLOCK / 2;
const Q5_0_BYTES: usize = 2 + BLOCK / 8 + BLOCK / 2;
const Q8_0_BYTES: usize = 2 + BLOCK;

/// A packing of blocks that are a scale and small integers.
trait Simple<const BYTES: usize> {
    /// The integers of a block, as bytes of `i8`.
    fn integers(block: &[u8; BYTES]) -> [u8; BLOCK];
}

struct Q4_0;
struct Q5_0;
struct Q8_0;

impl Simple<Q4_0_BYTES> for Q4_0 {
    fn integers(block: &[u8; Q4_0_BYTES]) -> [u8; BLOCK] {
        let [_, _, pairs @ ..] = block;
        std::array::from_fn(|index| nibble(pairs, index).wrapping_sub(8))
    }
}

impl Simple<Q5_0_BYTES> for Q5_0 {
    fn integers(block: &[u8; Q5_0_BYTES]) -> [u8; BLOCK] {
        let &[_, _, a, b, c, d, ref pairs @ ..] = block;
        let fifth = u32::from_le_bytes([a, b, c, d]);
        std::array::from_fn(|index| (nibble(pairs, index) | ((fifth >> index & 1) as u8) << 4).wrapping_sub(16))
    }
}

impl Simple<Q8_0_BYTES> for Q8_0 {
    fn integers(block: &[u8; Q8_0_BYTES]) -> [u8; BLOCK] {
        let [_, _, integers @ ..] = block;
        *integers
    }
}

/// The low halves of sixteen bytes come first, then the high ones.
fn nibble(pairs: &[u8; BLOCK / 2], index: usize) -> u8 {
    let byte = pairs[index % (BLOCK / 2)];
    if index < BLOCK / 2 { byte & 15 } else { byte >> 4 }
}

/// The same scales and integers as Q8_0, each row filled up with blocks of zero.
fn widened<P: Simple<BYTES>, const BYTES: usize>(bytes: &[u8], columns: usize, padded: usize) -> Vec<u8> {
    let row = columns / BLOCK;
    let filler = (padded - columns) / BLOCK * Q8_0_BYTES;
    let (blocks, _) = bytes.as_chunks::<BYTES>();
    let mut wide = Vec::with_capacity(blocks.len().div_ceil(row.max(1)) * (row * Q8_0_BYTES + filler));
    for row in blocks.chunks(row.max(1)) {
        for block in row {
            wide.extend_from_slice(&block[..2]);
            wide.extend_from_slice(&P::integers(block));
        }
        wide.resize(wide.len() + filler, 0);
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Tensor};

    #[test]
    fn repacking_changes_little_and_padding_nothing() {
        let (rows, columns) = (32, 192);
        let original = Tensor::randn(0f32, 1.0, (rows, columns), &DEVICE).unwrap();
        for kind in [GgmlDType::Q4_0, GgmlDType::Q4_1, GgmlDType::Q5_0, GgmlDType::Q5_1, GgmlDType::Q8_0] {
            let packed = QTensor::quantize(&original, kind).unwrap();
            let dense = packed.dequantize(&DEVICE).unwrap();
            let repacked = repack(kind, &packed.data().unwrap(), columns, FAST_COLUMNS, 2).unwrap();
            let storage = QStorage::from_data(Cow::Borrowed(&repacked), &DEVICE, GgmlDType::Q8_0).unwrap();
            let wide = QTensor::new(storage, (rows, FAST_COLUMNS)).unwrap().dequantize(&DEVICE).unwrap();
            let padding: f32 = wide
                .narrow(1, columns, FAST_COLUMNS - columns)
                .unwrap()
                .abs()
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar()
                .unwrap();
            assert_eq!(padding, 0.0);
            let error: f32 = (wide.narrow(1, 0, columns).unwrap() - dense)
                .unwrap()
                .abs()
                .unwrap()
                .max_all()
                .unwrap()
                .to_scalar()
                .unwrap();
            let is_exact = matches!(kind, GgmlDType::Q4_0 | GgmlDType::Q5_0 | GgmlDType::Q8_0);
            let allowed = if is_exact { 0.0 } else { 4.5 / 250.0 };
            assert!(error <= allowed, "{kind:?}: {error}");
        }
    }

    #[test]
    fn a_multiplication_with_a_repacked_matrix_is_the_same() {
        let (rows, columns) = (32, 192);
        let weights = Tensor::randn(0f32, 1.0, (rows, columns), &DEVICE).unwrap();
        let packed = QTensor::quantize(&weights, GgmlDType::Q5_0).unwrap();
        let input = Tensor::randn(0f32, 1.0, (3, columns), &DEVICE).unwrap();
        let linear = linear(GgmlDType::Q5_0, &packed.data().unwrap(), rows, columns, true, 2).unwrap();
        let found = linear.forward(&input).unwrap();
        let wanted = input.matmul(&packed.dequantize(&DEVICE).unwrap().t().unwrap()).unwrap();
        let error: f32 = (found - &wanted).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap();
        assert_eq!(wanted.dtype(), DType::F32);
        // Products of about 14 in size, from activations of 8 bits.
        assert!(error < 0.5, "{error}");
    }
}
