//! Keys and values of one sequence. Room is made ahead and doubled, so that a token costs a
//! copy of itself, not of all before it. What a sequence leaves behind is zeroed.

use candle_core::{DType, Device, Result, Tensor};

use crate::config::ModelConfig;
use crate::limits::CACHE_START;

/// The cache of one sequence.
pub(crate) struct KvCache {
    layers: Vec<Layer>,
    device: Device,
    heads: usize,
    width: usize,
    /// Positions in use.
    len: usize,
    /// Positions with room.
    capacity: usize,
    /// Positions that there may ever be.
    limit: usize,
}

/// Keys and values of the shape (heads, capacity, width).
struct Layer {
    keys: Tensor,
    values: Tensor,
}

impl KvCache {
    pub(crate) fn new(config: &ModelConfig, limit: usize, device: &Device) -> Result<Self> {
        let mut cache = Self {
            layers: Vec::with_capacity(config.layers),
            device: device.clone(),
            heads: config.kv_heads,
            width: config.head_width,
            len: 0,
            capacity: CACHE_START.min(limit),
            limit,
        };
        for _ in 0..config.layers {
            let layer = cache.empty_layer(cache.capacity)?;
            cache.layers.push(layer);
        }
        Ok(cache)
    }

    /// Positions in use.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for `rows` more positions.
    pub(crate) fn reserve(&mut self, rows: usize) -> Result<()> {
        let wanted = self.len.saturating_add(rows);
        if wanted > self.limit {
            return Err(candle_core::Error::Msg("a sequence passed its context".into()));
        }
        if wanted <= self.capacity {
            return Ok(());
        }
        let capacity = wanted.max(self.capacity.saturating_mul(2)).min(self.limit);
        for index in 0..self.layers.len() {
            let grown = self.empty_layer(capacity)?;
            let layer = &mut self.layers[index];
            if self.len > 0 {
                grown.keys.slice_set(&layer.keys.narrow(1, 0, self.len)?.contiguous()?, 1, 0)?;
                grown.values.slice_set(&layer.values.narrow(1, 0, self.len)?.contiguous()?, 1, 0)?;
            }
            // Assigning drops the old layer, which wipes it.
            *layer = grown;
        }
        self.capacity = capacity;
        Ok(())
    }

    /// Writes keys and values of the shape (heads, rows, width) behind what is there, and
    /// returns all of both. [`Self::advance`] makes them count, once for all layers.
    pub(crate) fn append(&mut self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let all = self.len + keys.dim(1)?;
        let layer = &self.layers[layer];
        layer.keys.slice_set(keys, 1, self.len)?;
        layer.values.slice_set(values, 1, self.len)?;
        Ok((layer.keys.narrow(1, 0, all)?, layer.values.narrow(1, 0, all)?))
    }

    /// Counts `rows` more positions, after every layer has them.
    pub(crate) fn advance(&mut self, rows: usize) {
        self.len += rows;
    }

    fn empty_layer(&self, capacity: usize) -> Result<Layer> {
        let shape = (self.heads, capacity, self.width);
        Ok(Layer {
            keys: Tensor::zeros(shape, DType::F32, &self.device)?,
            values: Tensor::zeros(shape, DType::F32, &self.device)?,
        })
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        // Another sequence may get this memory next. Zeroing a tensor of our own cannot fail.
        let _ = self.keys.zero_set();
        let _ = self.values.zero_set();
    }
}
