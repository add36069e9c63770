//! Mistral 7B and its kin (Mistral AI): Llama, with a sliding window in the first version. GGUF files
//! of it say that they are Llama.

use super::{Family, Window};
use crate::config::Rotation;

pub(super) static MISTRAL: Family = Family {
    name: "mistral",
    gguf: None,
    json: "mistral",
    rotation: Rotation::Pairs,
    read: |figures, _, recipe| {
        figures.want_activation(&["silu"])?;
        let window = figures.count("attention.sliding_window", "sliding_window")?;
        recipe.window = window.map(|positions| Window { positions, global_every: 0, rotation_base: None });
        Ok(())
    },
};
