//! Rotary position embedding (Su et al., RoFormer, 2021).

use candle_core::{Device, Result, Tensor};
use candle_nn::rotary_emb::{rope_i, rope_thd};

use crate::config::{ModelConfig, Rotation};

/// Cosines and sines of every position.
pub(crate) struct Rotary {
    cos: Tensor,
    sin: Tensor,
    rotation: Rotation,
}

/// Those of the rows of one step.
pub(crate) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// For `positions` positions; `factors` divide the frequencies where a file brings them.
    pub(crate) fn new(
        config: &ModelConfig,
        positions: usize,
        factors: Option<&[f32]>,
        device: &Device,
    ) -> Result<Self> {
        let half = config.head_width / 2;
        let frequencies = config.frequencies(config.rotation_base, config.frequency_scale, factors);
        let mut cos = Vec::with_capacity(positions * half);
        let mut sin = Vec::with_capacity(positions * half);
        for position in 0..positions {
            for frequency in &frequencies {
                let (s, c) = (position as f64 * frequency).sin_cos();
                sin.push(s as f32);
                cos.push(c as f32);
            }
        }
        let shape = (positions, half);
        Ok(Self {
            cos: Tensor::from_vec(cos, shape, device)?,
            sin: Tensor::from_vec(sin, shape, device)?,
            rotation: config.rotation,
        })
    }

    /// The angles of rows at these positions.
    pub(crate) fn angles(&self, positions: &[u32]) -> Result<Angles> {
        let positions = Tensor::new(positions, self.cos.device())?;
        Ok(Angles { cos: self.cos.index_select(&positions, 0)?, sin: self.sin.index_select(&positions, 0)? })
    }

    /// Rotates heads of the shape (rows, heads, width).
    pub(crate) fn rotate(&self, heads: &Tensor, angles: &Angles) -> Result<Tensor> {
        let heads = heads.unsqueeze(0)?;
        let rotated = match self.rotation {
            Rotation::Halves => rope_thd(&heads.contiguous()?, &angles.cos, &angles.sin)?,
            Rotation::Pairs => rope_i(&heads.transpose(1, 2)?.contiguous()?, &angles.cos, &angles.sin)?
                .transpose(1, 2)?
                .contiguous()?,
        };
        rotated.squeeze(0)
    }
}
