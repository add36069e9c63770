//! Gemma 2 (Google): norms before and after each part, GELU, bent scores, and every other layer with
//! a window.

use super::{Activation, Family, Figures, Recipe, Shape, Window};
use crate::config::Rotation;
use crate::error::EngineError;

/// The largest one scales its scores by the width of a head as it would be without being widened.
const LAYERS_OF_27B: u64 = 46;

pub(super) static GEMMA2: Family = Family {
    name: "gemma2",
    gguf: Some("gemma2"),
    json: "gemma2",
    rotation: Rotation::Halves,
    read: |figures, shape, recipe| {
        common(figures, shape, LAYERS_OF_27B, recipe)?;
        recipe.score_cap = cap(figures, "attn_logit_softcapping")?;
        recipe.output_cap = cap(figures, "final_logit_softcapping")?;
        let positions = figures.count("attention.sliding_window", "sliding_window")?.unwrap_or(4096);
        recipe.window = Some(Window { positions, global_every: 2, rotation_base: None });
        Ok(())
    },
};

/// What Gemma 2 and 3 share.
pub(super) fn common(
    figures: &Figures<'_>,
    shape: &Shape,
    widest: u64,
    recipe: &mut Recipe,
) -> Result<(), EngineError> {
    figures.want_activation(&["gelu_pytorch_tanh"])?;
    recipe.embedding_scale = (shape.width as f32).sqrt();
    // Converters to GGUF have added the one.
    recipe.norm_offset = if matches!(figures, Figures::Json(_)) { 1.0 } else { 0.0 };
    recipe.has_post_norms = true;
    recipe.activation = Activation::Gelu;
    let scalar = match figures.number("", "query_pre_attn_scalar")? {
        Some(scalar) => scalar as f32,
        None if shape.layers == widest => (shape.width / shape.heads.max(1)) as f32,
        None => shape.head_width as f32,
    };
    recipe.score_scale = 1.0 / scalar.sqrt();
    Ok(())
}

pub(super) fn cap(figures: &Figures<'_>, name: &str) -> Result<Option<f32>, EngineError> {
    Ok(figures.number(name, name)?.map(|cap| cap as f32))
}
