//! Phi-3 (Microsoft): query, key and value in one matrix, gate and up in another, and divisors of the
//! rotation's frequencies for contexts longer than it was first trained for.

use super::{Family, Figures, LongRotation, Window};
use crate::config::Rotation;
use crate::error::EngineError;

pub(super) static PHI3: Family = Family {
    name: "phi3",
    gguf: Some("phi3"),
    json: "phi3",
    rotation: Rotation::Halves,
    read: |figures, _, recipe| {
        figures.want_activation(&["silu"])?;
        recipe.is_fused = true;
        let window = figures.count("attention.sliding_window", "sliding_window")?;
        recipe.window = window.map(|positions| Window { positions, global_every: 0, rotation_base: None });
        recipe.long_rotation = long_rotation(figures)?;
        Ok(())
    },
};

fn long_rotation(figures: &Figures<'_>) -> Result<Option<LongRotation>, EngineError> {
    if let Figures::Json(config) = figures
        && !config["rope_scaling"].is_null()
    {
        // There they are lists in the configuration, and the magnitude follows from other figures.
        return Err(EngineError::unsupported("rotation scaling", "rope_scaling beside safetensors of phi3"));
    }
    let Some(original) = figures.count("rope.scaling.original_context_length", "")? else { return Ok(None) };
    let magnitude = figures.number("rope.scaling.attn_factor", "")?.unwrap_or(1.0) as f32;
    Ok(Some(LongRotation { original, magnitude }))
}
