//! Memory for what passes between products, kept from step to step: a step that is no longer than one
//! before it allocates nothing.

use super::rotary::StepAngles;
use crate::config::ModelConfig;
use crate::kernels::{Rows, Shares};

/// Rows of numbers, each as wide as its name says.
#[derive(Default)]
pub(super) struct Scratch {
    /// The residual stream.
    pub(super) stream: Vec<f32>,
    /// The stream normalised, or what is added to it.
    pub(super) normed: Vec<f32>,
    pub(super) query: Vec<f32>,
    pub(super) key: Vec<f32>,
    pub(super) value: Vec<f32>,
    pub(super) attended: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    /// The rows of the stream whose scores are wanted.
    pub(super) last: Vec<f32>,
    /// The input of a product, quantised.
    pub(super) rows: Rows,
    pub(super) angles: StepAngles,
    pub(super) shares: Shares,
}

impl Scratch {
    /// Room for a step of so many rows.
    pub(super) fn resize(&mut self, config: &ModelConfig, rows: usize) {
        self.stream.resize(rows * config.width, 0.0);
        self.normed.resize(rows * config.width, 0.0);
        self.query.resize(rows * config.query_width(), 0.0);
        self.attended.resize(rows * config.query_width(), 0.0);
        self.key.resize(rows * config.kv_width(), 0.0);
        self.value.resize(rows * config.kv_width(), 0.0);
        self.gate.resize(rows * config.feed_forward, 0.0);
        self.up.resize(rows * config.feed_forward, 0.0);
    }
}
