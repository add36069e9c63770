//! The small random encoder as a GGUF file, laid out as llama.cpp's converter lays out BERT.

use candle_core::quantized::GgmlDType;

use super::names::{LayerPart, Part};
use super::tiny::{HEADS, LAYERS, POSITIONS, SEGMENTS, SPECIALS, Tensors, tensors, vocabulary};
use crate::gguf::{Value, Writer};

/// The bytes of a GGUF file of the encoder that [`super::tiny_encoder`] gives for this seed. Texts may have as
/// many tokens as it has positions, since the format has no word on fewer.
#[must_use]
pub fn tiny_encoder_gguf(seed: u64) -> Vec<u8> {
    TinyGguf::new(&tensors(seed, vocabulary().len())).finish()
}

/// Name, form, shape and bytes of a tensor.
pub(super) type PackedTensor = (String, GgmlDType, Vec<usize>, Vec<u8>);

/// What such a file is made of.
pub(super) struct TinyGguf {
    pub(super) metadata: Vec<(&'static str, Value)>,
    pub(super) tensors: Vec<PackedTensor>,
}

impl TinyGguf {
    /// From tensors by the names that safetensors have for them.
    pub(super) fn new(tensors: &Tensors) -> Self {
        let layers = (0..LAYERS).flat_map(|layer| PARTS.map(|part| Part::Layer(layer, part)));
        let parts = [Part::Words, Part::Positions, Part::Segments, Part::Norm].into_iter().chain(layers);
        let both = parts.flat_map(|part| ["weight", "bias"].map(|suffix| (part, suffix)));
        let found = both.filter_map(|(part, suffix)| {
            let (shape, numbers) = tensors.get(&format!("{}.{suffix}", part.safetensors_name()))?;
            let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            Some((format!("{}.{suffix}", part.gguf_name()), GgmlDType::F32, shape.clone(), bytes))
        });
        let mut file = Self { metadata: Vec::new(), tensors: found.collect() };
        let rows =
            |name: &str| file.tensors.iter().find(|(found, ..)| found == name).map_or(0, |(_, _, shape, _)| shape[0]);
        let (width, wide) = (rows("token_embd_norm.weight"), rows("blk.0.ffn_up.weight"));
        file.metadata = metadata(width, wide);
        file
    }

    pub(super) fn finish(&self) -> Vec<u8> {
        let mut file = Writer::default();
        self.metadata.iter().for_each(|(key, value)| file.value(key, value));
        self.tensors.iter().for_each(|(name, kind, shape, bytes)| file.tensor(name, *kind, shape, bytes));
        file.finish()
    }
}

const PARTS: [LayerPart; 8] = [
    LayerPart::Query,
    LayerPart::Key,
    LayerPart::Value,
    LayerPart::AttentionOutput,
    LayerPart::AttentionNorm,
    LayerPart::Wide,
    LayerPart::Output,
    LayerPart::OutputNorm,
];

fn metadata(width: usize, wide: usize) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let integer = |number: usize| Value::Integer(number as i128);
    let tokens: Vec<String> = vocabulary().iter().enumerate().map(|(number, token)| spelled(number, token)).collect();
    let kinds = (0..tokens.len()).map(|number| if number < SPECIALS.len() { 3 } else { 1 }).collect();
    vec![
        ("general.architecture", text("bert")),
        ("general.name", text("tiny random encoder")),
        ("bert.block_count", integer(LAYERS)),
        ("bert.context_length", integer(POSITIONS)),
        ("bert.embedding_length", integer(width)),
        ("bert.feed_forward_length", integer(wide)),
        ("bert.attention.head_count", integer(HEADS)),
        ("bert.attention.layer_norm_epsilon", Value::Float(1e-12)),
        ("bert.attention.causal", Value::Bool(false)),
        ("bert.pooling_type", integer(1)),
        ("tokenizer.ggml.token_type_count", integer(SEGMENTS)),
        ("tokenizer.ggml.model", text("bert")),
        ("tokenizer.ggml.tokens", Value::Texts(tokens)),
        ("tokenizer.ggml.token_type", Value::Integers(kinds)),
        ("tokenizer.ggml.unknown_token_id", integer(1)),
        ("tokenizer.ggml.bos_token_id", integer(2)),
        ("tokenizer.ggml.seperator_token_id", integer(3)),
    ]
}

/// A token as GGUF spells it: what begins a word is marked there, not what goes on with one.
pub(super) fn spelled(number: usize, token: &str) -> String {
    match token.strip_prefix("##") {
        _ if number < SPECIALS.len() => token.to_owned(),
        Some(further) => further.to_owned(),
        None => format!("\u{2581}{token}"),
    }
}
