//! Qwen 2 and 2.5 (Alibaba): biases on query, key and value, which are taken where a model has them.

use super::{Family, no_window};
use crate::config::Rotation;

pub(super) static QWEN2: Family = Family {
    name: "qwen2",
    gguf: Some("qwen2"),
    json: "qwen2",
    rotation: Rotation::Halves,
    read: |figures, _, _| {
        figures.want_activation(&["silu"])?;
        no_window(figures)
    },
};
