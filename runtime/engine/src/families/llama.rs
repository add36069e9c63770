//! Llama 2 and 3 (Meta): what all others are told apart from.

use super::{Family, no_window};
use crate::config::Rotation;

pub(super) static LLAMA: Family = Family {
    name: "llama",
    gguf: Some("llama"),
    json: "llama",
    // Converters to GGUF reorder its query and key rows.
    rotation: Rotation::Pairs,
    read: |figures, _, _| {
        figures.want_activation(&["silu"])?;
        no_window(figures)
    },
};
