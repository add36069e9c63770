//! Rotary position embedding (Su et al., RoFormer, 2021).

use crate::config::{FrequencyScale, ModelConfig, Rotation};
use crate::error::EngineError;
use crate::families::check_divisors;
use crate::kernels::{Level, rotate_halves, rotate_pairs};
use crate::weights::{Part as Weight, Weights};

/// The rotation of all layers, and of those with a window where they have their own.
pub(super) struct Rotaries {
    all: Rotary,
    windowed: Option<Rotary>,
}

/// Their turns for the rows of one step.
#[derive(Default)]
pub(super) struct StepAngles {
    all: Angles,
    windowed: Angles,
}

impl Rotaries {
    /// Reads what the files have on it; `context` is how many positions a sequence may have.
    ///
    /// Of two sets of divisors one is taken for good, by that number, as llama.cpp does: keys that were rotated
    /// with one stay in the cache and do not fit queries that are rotated with the other. (transformers takes
    /// the short set until a sequence passes the original context, and then mixes the two.)
    pub(super) fn load(config: &ModelConfig, weights: &mut Weights<'_>, context: usize) -> Result<Self, EngineError> {
        let half = config.head_width / 2;
        let mut factors = weights.optional_numbers(Weight::RotationFactors, half)?;
        let mut magnitude = 1.0;
        if let Some(rotation) = &config.recipe.long_rotation {
            let is_long = context > rotation.original;
            let found = match &rotation.divisors {
                Some(divisors) => Some(if is_long { &divisors.long } else { &divisors.short }.clone()),
                None if is_long => weights.optional_numbers(Weight::LongRotationFactors, half)?,
                None => weights.optional_numbers(Weight::ShortRotationFactors, half)?,
            };
            if found.is_some() {
                (factors, magnitude) = (found, rotation.magnitude);
            }
        }
        check_divisors(factors.as_deref().unwrap_or_default())?;
        let all = Rotary::new(config, config.rotation_base, config.frequency_scale, factors.as_deref(), magnitude);
        let base = config.recipe.window.and_then(|window| window.rotation_base);
        let windowed = base.map(|base| Rotary::new(config, base, FrequencyScale::Plain, None, 1.0));
        Ok(Self { all, windowed })
    }

    /// Turns for rows at these positions.
    pub(super) fn angles(&self, positions: impl Iterator<Item = usize> + Clone, angles: &mut StepAngles) {
        if let Some(windowed) = &self.windowed {
            windowed.angles(positions.clone(), &mut angles.windowed);
        }
        self.all.angles(positions, &mut angles.all);
    }

    /// Turns all heads of a row, in a layer with a window or without.
    pub(super) fn rotate(&self, level: Level, heads: &mut [f32], angles: &StepAngles, row: usize, has_window: bool) {
        match &self.windowed {
            Some(windowed) if has_window => windowed.rotate(level, heads, &angles.windowed, row),
            _ => self.all.rotate(level, heads, &angles.all, row),
        }
    }
}

/// How fast each pair of coordinates turns.
struct Rotary {
    frequencies: Vec<f64>,
    /// What cosines and sines are multiplied with.
    magnitude: f32,
    rotation: Rotation,
    width: usize,
}

/// Cosines and sines, row by row.
#[derive(Default)]
struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotary {
    /// `factors` divide the frequencies where a file brings them.
    fn new(config: &ModelConfig, base: f64, scale: FrequencyScale, factors: Option<&[f32]>, magnitude: f32) -> Self {
        let frequencies = config.frequencies(base, scale, factors);
        Self { frequencies, magnitude, rotation: config.rotation, width: config.head_width }
    }

    fn angles(&self, positions: impl Iterator<Item = usize>, angles: &mut Angles) {
        angles.cos.clear();
        angles.sin.clear();
        for position in positions {
            for frequency in &self.frequencies {
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                angles.cos.push(cos as f32 * self.magnitude);
                angles.sin.push(sin as f32 * self.magnitude);
            }
        }
    }

    fn rotate(&self, level: Level, heads: &mut [f32], angles: &Angles, row: usize) {
        let of_row = row * self.frequencies.len()..(row + 1) * self.frequencies.len();
        let (cos, sin) = (&angles.cos[of_row.clone()], &angles.sin[of_row]);
        match self.rotation {
            Rotation::Halves => rotate_halves(level, heads, self.width, cos, sin),
            Rotation::Pairs => rotate_pairs(level, heads, self.width, cos, sin),
        }
    }
}
