//! Rotary position embedding (Su et al., RoFormer, 2021).

use candle_core::{Result, Tensor};
use candle_nn::rotary_emb::{rope_i, rope_thd};

use crate::config::{FrequencyScale, ModelConfig, Rotation};
use crate::weights::DEVICE;

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
    pub(crate) fn new(config: &ModelConfig, positions: usize, factors: Option<&[f32]>) -> Result<Self> {
        let half = config.head_width / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|index| {
                let plain = config.rotation_base.powf(-2.0 * index as f64 / config.head_width as f64);
                let divisor = factors.and_then(|factors| factors.get(index)).map_or(1.0, |&factor| f64::from(factor));
                scaled(plain, config.frequency_scale) / divisor
            })
            .collect();
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
            cos: Tensor::from_vec(cos, shape, &DEVICE)?,
            sin: Tensor::from_vec(sin, shape, &DEVICE)?,
            rotation: config.rotation,
        })
    }

    /// The angles of rows at these positions.
    pub(crate) fn angles(&self, positions: &[u32]) -> Result<Angles> {
        let positions = Tensor::new(positions, &DEVICE)?;
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

fn scaled(frequency: f64, scale: FrequencyScale) -> f64 {
    match scale {
        FrequencyScale::Plain => frequency,
        FrequencyScale::Linear(factor) => frequency / factor,
        FrequencyScale::Llama3 { factor, low, high, original } => {
            let turns = original * frequency / std::f64::consts::TAU;
            if turns > high {
                frequency
            } else if turns < low {
                frequency / factor
            } else {
                let smooth = (turns - low) / (high - low);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_scaling_keeps_high_frequencies_and_divides_low_ones() {
        let scale = FrequencyScale::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
        assert_eq!(scaled(1.0, scale), 1.0);
        assert_eq!(scaled(1e-6, scale), 1e-6 / 8.0);
        let middle = 2.5 * std::f64::consts::TAU / 8192.0;
        assert!((scaled(middle, scale) - middle * (0.5 / 8.0 + 0.5)).abs() < 1e-12);
    }
}
