//! An encoder's figures, from whichever file, checked once.

use crate::error::EngineError;
use crate::limits::{ENCODER_POSITIONS, ENCODER_ROW, HEADS, LAYERS, SEGMENT_KINDS, WIDTH};

/// The family that is read: `model_type` of a `config.json`, `general.architecture` of a GGUF file.
pub(crate) const FAMILY: &str = "bert";

/// How rows become the vector of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The first one.
    First,
}

/// The shape of an encoder.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EncoderConfig {
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) feed_forward: usize,
    pub(super) heads: usize,
    pub(super) norm_epsilon: f32,
    /// Positions that have a vector.
    pub(super) positions: usize,
    pub(super) segment_kinds: usize,
    /// Tokens that a text may have, at most as many as positions.
    pub(super) limit: usize,
    pub(super) pooling: Pooling,
    /// Whether vectors are brought to length 1.
    pub(super) normalizes: bool,
}

/// The same as a file says it.
pub(super) struct Figures {
    pub(super) layers: u64,
    pub(super) width: u64,
    pub(super) feed_forward: u64,
    pub(super) heads: u64,
    pub(super) norm_epsilon: f64,
    pub(super) positions: u64,
    pub(super) segment_kinds: u64,
    /// Without: as many as positions.
    pub(super) limit: Option<u64>,
    pub(super) pooling: Pooling,
    pub(super) normalizes: bool,
}

impl Figures {
    /// What they are if all of them are within bounds.
    pub(super) fn check(self) -> Result<EncoderConfig, EngineError> {
        let within = |what: &'static str, found: u64, limit: u64| {
            let fine = Some(found as usize).filter(|_| (1..=limit).contains(&found));
            fine.ok_or_else(|| malformed(format!("{what} is {found}, wanted 1 to {limit}")))
        };
        let positions = within("the number of positions", self.positions, ENCODER_POSITIONS)?;
        let limit = match self.limit {
            None => positions,
            Some(limit) => within("max_seq_length", limit, positions as u64)?,
        };
        if !(0.0..=1.0).contains(&self.norm_epsilon) {
            return Err(malformed(format!("the norm's epsilon is {}", self.norm_epsilon)));
        }
        let config = EncoderConfig {
            layers: within("the number of layers", self.layers, LAYERS)?,
            width: within("the width", self.width, WIDTH)?,
            feed_forward: within("the feed-forward width", self.feed_forward, WIDTH)?,
            heads: within("the number of heads", self.heads, HEADS)?,
            norm_epsilon: self.norm_epsilon as f32,
            positions,
            segment_kinds: within("type_vocab_size", self.segment_kinds, SEGMENT_KINDS)?,
            limit,
            pooling: self.pooling,
            normalizes: self.normalizes,
        };
        if !config.width.is_multiple_of(config.heads) {
            return Err(malformed(format!("{} heads in a width of {}", config.heads, config.width)));
        }
        let row = 6 * config.width + config.feed_forward;
        if row > ENCODER_ROW {
            return Err(malformed(format!("a row takes {row} numbers, the limit is {ENCODER_ROW}")));
        }
        Ok(config)
    }
}

pub(super) fn malformed(reason: impl Into<String>) -> EngineError {
    EngineError::malformed("the encoder's configuration", reason)
}
