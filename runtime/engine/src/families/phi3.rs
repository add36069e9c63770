//! Phi-3 (Microsoft): query, key and value in one matrix, gate and up in another, and divisors of the
//! rotation's frequencies for contexts longer than it was first trained for.

use serde_json::Value as Json;

use super::{Divisors, Family, Figures, LongRotation, Shape, Window, check_divisors};
use crate::config::Rotation;
use crate::error::EngineError;

pub(super) static PHI3: Family = Family {
    name: "phi3",
    gguf: Some("phi3"),
    json: "phi3",
    rotation: Rotation::Halves,
    read: |figures, shape, recipe| {
        figures.want_activation(&["silu"])?;
        recipe.is_fused = true;
        let window = figures.count("attention.sliding_window", "sliding_window")?;
        recipe.window = window.map(|positions| Window { positions, global_every: 0, rotation_base: None });
        recipe.long_rotation = match figures {
            Figures::Gguf(..) => of_gguf(figures)?,
            Figures::Json(config) => of_json(config, shape)?,
        };
        Ok(())
    },
};

/// The divisors are tensors there, and the magnitude is written out.
fn of_gguf(figures: &Figures<'_>) -> Result<Option<LongRotation>, EngineError> {
    let Some(original) = figures.count("rope.scaling.original_context_length", "")? else { return Ok(None) };
    let magnitude = figures.number("rope.scaling.attn_factor", "")?.unwrap_or(1.0) as f32;
    Ok(Some(LongRotation { original, magnitude, divisors: None }))
}

/// From `rope_scaling`, as transformers reads it: the magnitude follows from how far the context was
/// stretched, and holds for short contexts, too.
fn of_json(config: &Json, shape: &Shape) -> Result<Option<LongRotation>, EngineError> {
    if let Some(share) = positive(config, "partial_rotary_factor")?.filter(|share| *share != 1.0) {
        return Err(EngineError::unsupported("the rotation of a part of each head", share.to_string()));
    }
    let scaling = &config["rope_scaling"];
    if scaling.is_null() {
        return Ok(None);
    }
    match scaling["rope_type"].as_str().or(scaling["type"].as_str()) {
        Some("default") => return Ok(None),
        // The first published files call it `su`.
        Some("longrope" | "su") => {}
        other => {
            let found = format!("{} (known for phi3: longrope, su)", other.unwrap_or("(none)"));
            return Err(EngineError::unsupported("rotation scaling", found));
        }
    }
    if let Some(name) = ["short_mscale", "long_mscale"].into_iter().find(|name| !scaling[name].is_null()) {
        return Err(EngineError::unsupported("rotation scaling", name));
    }
    let original = original(config, scaling)?;
    let stretch = positive(config, "max_position_embeddings")?.unwrap_or(0.0) / original as f64;
    // Published files have no such figure, and versions of transformers differ on which counts.
    if let Some(factor) = positive(scaling, "factor")?.filter(|factor| (factor / stretch - 1.0).abs() > 1e-3) {
        let reason = format!("the rotation's factor is {factor}, and the context is {stretch} times the original one");
        return Err(EngineError::malformed("config.json", reason));
    }
    let magnitude = match positive(scaling, "attention_factor")? {
        Some(magnitude) => magnitude,
        None if stretch <= 1.0 => 1.0,
        None => (1.0 + stretch.ln() / (original as f64).ln()).sqrt(),
    };
    let list = |name| divisors(scaling, name, shape.head_width / 2);
    let divisors = Some(Divisors { short: list("short_factor")?, long: list("long_factor")? });
    Ok(Some(LongRotation { original, magnitude: magnitude as f32, divisors }))
}

/// The context of the first training: beside `rope_scaling` in the published files, inside it in newer ones.
fn original(config: &Json, scaling: &Json) -> Result<usize, EngineError> {
    const NAME: &str = "original_max_position_embeddings";
    let found = if config[NAME].is_null() { &scaling[NAME] } else { &config[NAME] };
    // With 1 the magnitude would be a division by ln 1.
    let original = found.as_u64().filter(|original| (2..=1 << 32).contains(original));
    original.map(|original| original as usize).ok_or_else(|| malformed(NAME, found))
}

/// A positive number, if it is there.
fn positive(object: &Json, name: &'static str) -> Result<Option<f64>, EngineError> {
    match &object[name] {
        Json::Null => Ok(None),
        found => match found.as_f64().filter(|number| (1e-6..=1e9).contains(number)) {
            None => Err(malformed(name, found)),
            number => Ok(number),
        },
    }
}

fn divisors(scaling: &Json, name: &'static str, wanted: u64) -> Result<Vec<f32>, EngineError> {
    let list = scaling[name].as_array().ok_or_else(|| malformed(name, &scaling[name]))?;
    if list.len() as u64 != wanted {
        let reason = format!("{name} of rope_scaling has {} numbers, wanted {wanted}", list.len());
        return Err(EngineError::malformed("config.json", reason));
    }
    let number = |found: &Json| Ok(found.as_f64().ok_or_else(|| malformed(name, found))? as f32);
    let divisors = list.iter().map(number).collect::<Result<Vec<f32>, EngineError>>()?;
    check_divisors(&divisors)?;
    Ok(divisors)
}

fn malformed(name: &str, found: &Json) -> EngineError {
    EngineError::malformed("config.json", format!("the rotation's {name} is {found}"))
}
