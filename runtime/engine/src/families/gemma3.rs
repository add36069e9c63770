//! Gemma 3 (Google), its text models: Gemma 2 with normalised heads instead of bent scores, and five
//! layers with a window, and a rotation of their own, for each without.

use super::gemma2::{cap, common};
use super::{Family, Figures, Window};
use crate::config::Rotation;
use crate::error::EngineError;

/// See [`super::gemma2`].
const LAYERS_OF_27B: u64 = 62;
const GLOBAL_EVERY: usize = 6;
const LOCAL_BASE: f64 = 10_000.0;

pub(super) static GEMMA3: Family = Family {
    name: "gemma3",
    gguf: Some("gemma3"),
    json: "gemma3_text",
    rotation: Rotation::Halves,
    read: |figures, shape, recipe| {
        common(figures, shape, LAYERS_OF_27B, recipe)?;
        recipe.has_head_norms = true;
        recipe.score_cap = cap(figures, "attn_logit_softcapping")?;
        recipe.output_cap = cap(figures, "final_logit_softcapping")?;
        if let Figures::Json(config) = figures
            && config["layer_types"].as_array().is_some_and(|layers| !follow_pattern(layers))
        {
            return Err(EngineError::unsupported("attention", "layers with a window in another order"));
        }
        if let Some(positions) = figures.count("attention.sliding_window", "sliding_window")? {
            let base = figures.number("rope.freq_base_swa", "rope_local_base_freq")?.unwrap_or(LOCAL_BASE);
            recipe.window = Some(Window { positions, global_every: GLOBAL_EVERY, rotation_base: Some(base) });
        }
        Ok(())
    },
};

fn follow_pattern(layers: &[serde_json::Value]) -> bool {
    layers.iter().enumerate().all(|(layer, kind)| {
        let is_global = (layer + 1) % GLOBAL_EVERY == 0;
        kind == if is_global { "full_attention" } else { "sliding_attention" }
    })
}
