//! Qwen 3 (Alibaba): no biases, and each head of query and key is normalised.

use super::{Family, no_window};
use crate::config::Rotation;

pub(super) static QWEN3: Family = Family {
    name: "qwen3",
    gguf: Some("qwen3"),
    json: "qwen3",
    rotation: Rotation::Halves,
    read: |figures, _, recipe| {
        figures.want_activation(&["silu"])?;
        no_window(figures)?;
        recipe.has_head_norms = true;
        Ok(())
    },
};
