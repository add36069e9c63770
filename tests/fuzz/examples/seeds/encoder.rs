//! Seeds of the encoder's target: the generated encoder, with its weights, without them, and parts of it.

use std::error::Error;

use strongroom_fuzz::encoder::{file, gguf, input};
use strongroom_fuzz::targets::SEPARATOR;

pub(super) fn write(
    mut write: impl FnMut(&str, &str, &[u8]) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    const WEIGHTS: &str = "model.safetensors";
    let without = |name: &'static str| move |of: &str| (of == name).then(Vec::new);
    // The weights stay in the target: an input is then 5 KiB.
    write(
        "encoder",
        "whole",
        &input(without(WEIGHTS), "The strongroom keeps 12 secrets: Caf\u{e9}, \u{65e5}\u{672c}!"),
    )?;
    write("encoder", "empty-text", &input(without(WEIGHTS), ""))?;
    let plain = |of: &str| matches!(of, WEIGHTS | "modules.json" | "sentence_bert_config.json").then(Vec::new);
    write("encoder", "plain-layout", &input(plain, "keeps"))?;
    let weights = file(WEIGHTS);
    let length = weights.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let table = weights[..8 + usize::try_from(length)?].to_vec();
    write("encoder", "table", &input(|of| (of == WEIGHTS).then(|| table.clone()), "the"))?;
    let text = "The strongroom keeps 12 secrets: Caf\u{e9}, \u{65e5}\u{672c}!";
    write("encoder", "gguf", &[&gguf().0, text.as_bytes()].join(SEPARATOR))
}
