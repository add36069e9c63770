//! Attention of the rows of one sequence to all that came before them. Query heads that share
//! a key-value head are computed as more rows against it: nothing is repeated in memory.

use candle_core::{Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;

use crate::config::ModelConfig;

/// Attends from `queries` of the shape (rows, heads, width) to `keys` and `values` of the shape
/// (key-value heads, length, width), the last `rows` of which are the rows' own. Returns
/// (rows, heads × width).
pub(super) fn attend(config: &ModelConfig, queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
    let (rows, heads, width) = queries.dims3()?;
    let kv_heads = config.kv_heads;
    let group = heads / kv_heads;
    let length = keys.dim(1)?;
    let scale = 1.0 / (width as f64).sqrt();
    let queries = (queries * scale)?
        .reshape((rows, kv_heads, group, width))?
        .permute((1, 2, 0, 3))?
        .contiguous()?
        .reshape((kv_heads, group * rows, width))?;
    let mut scores = queries.matmul(&keys.transpose(1, 2)?)?;
    if rows > 1 {
        scores = scores
            .reshape((heads, rows, length))?
            .broadcast_add(&mask(rows, length, queries.device())?)?
            .reshape((kv_heads, group * rows, length))?;
    }
    softmax_last_dim(&scores)?
        .matmul(values)?
        .reshape((kv_heads, group, rows, width))?
        .permute((2, 0, 1, 3))?
        .contiguous()?
        .reshape((rows, heads * width))
}

/// Minus infinity where a row would see what comes after it.
fn mask(rows: usize, length: usize, device: &Device) -> Result<Tensor> {
    let before = length - rows;
    let mask: Vec<f32> = (0..rows)
        .flat_map(|row| (0..length).map(move |column| if column > before + row { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    Tensor::from_vec(mask, (rows, length), device)
}
