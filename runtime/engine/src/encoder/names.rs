//! What the tensors of an encoder are called in either kind of file, less `.weight` and `.bias`.

/// A part of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A vector for each token.
    Words,
    /// A vector for each position.
    Positions,
    /// A vector for each kind of segment.
    Segments,
    /// The norm of their sum.
    Norm,
    Layer(usize, LayerPart),
}

/// A part of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LayerPart {
    Query,
    Key,
    Value,
    AttentionOutput,
    AttentionNorm,
    Wide,
    Output,
    OutputNorm,
}

impl Part {
    pub(super) fn gguf_name(self) -> String {
        let (index, part) = match self {
            Self::Words => return "token_embd".into(),
            Self::Positions => return "position_embd".into(),
            Self::Segments => return "token_types".into(),
            Self::Norm => return "token_embd_norm".into(),
            Self::Layer(index, part) => (index, part),
        };
        let name = match part {
            LayerPart::Query => "attn_q",
            LayerPart::Key => "attn_k",
            LayerPart::Value => "attn_v",
            LayerPart::AttentionOutput => "attn_output",
            LayerPart::AttentionNorm => "attn_output_norm",
            LayerPart::Wide => "ffn_up",
            LayerPart::Output => "ffn_down",
            LayerPart::OutputNorm => "layer_output_norm",
        };
        format!("blk.{index}.{name}")
    }

    pub(super) fn safetensors_name(self) -> String {
        let (index, part) = match self {
            Self::Words => return "embeddings.word_embeddings".into(),
            Self::Positions => return "embeddings.position_embeddings".into(),
            Self::Segments => return "embeddings.token_type_embeddings".into(),
            Self::Norm => return "embeddings.LayerNorm".into(),
            Self::Layer(index, part) => (index, part),
        };
        let name = match part {
            LayerPart::Query => "attention.self.query",
            LayerPart::Key => "attention.self.key",
            LayerPart::Value => "attention.self.value",
            LayerPart::AttentionOutput => "attention.output.dense",
            LayerPart::AttentionNorm => "attention.output.LayerNorm",
            LayerPart::Wide => "intermediate.dense",
            LayerPart::Output => "output.dense",
            LayerPart::OutputNorm => "output.LayerNorm",
        };
        format!("encoder.layer.{index}.{name}")
    }
}
