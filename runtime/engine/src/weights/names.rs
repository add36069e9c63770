//! What the tensors of a transformer are called in either kind of file.

/// A tensor of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Embedding,
    OutputNorm,
    /// Absent where the embedding serves as output matrix.
    Output,
    /// Divisors of the rotation's frequencies; only in GGUF.
    RotationFactors,
    /// The same for short contexts and for long ones.
    ShortRotationFactors,
    LongRotationFactors,
    Layer(usize, LayerPart),
}

/// A tensor of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerPart {
    AttentionNorm,
    Query,
    QueryBias,
    Key,
    KeyBias,
    Value,
    ValueBias,
    AttentionOutput,
    FeedForwardNorm,
    /// The same where what attention gives is normalised, too.
    PreFeedForwardNorm,
    PostAttentionNorm,
    PostFeedForwardNorm,
    QueryNorm,
    KeyNorm,
    /// Query, key and value, one below the other.
    Fused,
    /// Gate and up, one below the other.
    GateUp,
    Gate,
    Up,
    Down,
}

impl Part {
    pub(crate) fn gguf_name(self) -> String {
        let (index, part) = match self {
            Self::Embedding => return "token_embd.weight".into(),
            Self::OutputNorm => return "output_norm.weight".into(),
            Self::Output => return "output.weight".into(),
            Self::RotationFactors => return "rope_freqs.weight".into(),
            Self::ShortRotationFactors => return "rope_factors_short.weight".into(),
            Self::LongRotationFactors => return "rope_factors_long.weight".into(),
            Self::Layer(index, part) => (index, part),
        };
        let name = match part {
            LayerPart::AttentionNorm => "attn_norm.weight",
            LayerPart::Query => "attn_q.weight",
            LayerPart::QueryBias => "attn_q.bias",
            LayerPart::Key => "attn_k.weight",
            LayerPart::KeyBias => "attn_k.bias",
            LayerPart::Value => "attn_v.weight",
            LayerPart::ValueBias => "attn_v.bias",
            LayerPart::AttentionOutput => "attn_output.weight",
            LayerPart::FeedForwardNorm | LayerPart::PreFeedForwardNorm => "ffn_norm.weight",
            LayerPart::PostAttentionNorm => "post_attention_norm.weight",
            LayerPart::PostFeedForwardNorm => "post_ffw_norm.weight",
            LayerPart::QueryNorm => "attn_q_norm.weight",
            LayerPart::KeyNorm => "attn_k_norm.weight",
            LayerPart::Fused => "attn_qkv.weight",
            LayerPart::Gate => "ffn_gate.weight",
            LayerPart::Up | LayerPart::GateUp => "ffn_up.weight",
            LayerPart::Down => "ffn_down.weight",
        };
        format!("blk.{index}.{name}")
    }

    pub(crate) fn safetensors_name(self) -> String {
        let (index, part) = match self {
            Self::Embedding => return "model.embed_tokens.weight".into(),
            Self::OutputNorm => return "model.norm.weight".into(),
            Self::Output => return "lm_head.weight".into(),
            Self::RotationFactors => return "rope_freqs.weight".into(),
            Self::ShortRotationFactors => return "rope_factors_short.weight".into(),
            Self::LongRotationFactors => return "rope_factors_long.weight".into(),
            Self::Layer(index, part) => (index, part),
        };
        let name = match part {
            LayerPart::AttentionNorm => "input_layernorm.weight",
            LayerPart::Query => "self_attn.q_proj.weight",
            LayerPart::QueryBias => "self_attn.q_proj.bias",
            LayerPart::Key => "self_attn.k_proj.weight",
            LayerPart::KeyBias => "self_attn.k_proj.bias",
            LayerPart::Value => "self_attn.v_proj.weight",
            LayerPart::ValueBias => "self_attn.v_proj.bias",
            LayerPart::AttentionOutput => "self_attn.o_proj.weight",
            LayerPart::FeedForwardNorm | LayerPart::PostAttentionNorm => "post_attention_layernorm.weight",
            LayerPart::PreFeedForwardNorm => "pre_feedforward_layernorm.weight",
            LayerPart::PostFeedForwardNorm => "post_feedforward_layernorm.weight",
            LayerPart::QueryNorm => "self_attn.q_norm.weight",
            LayerPart::KeyNorm => "self_attn.k_norm.weight",
            LayerPart::Fused => "self_attn.qkv_proj.weight",
            LayerPart::GateUp => "mlp.gate_up_proj.weight",
            LayerPart::Gate => "mlp.gate_proj.weight",
            LayerPart::Up => "mlp.up_proj.weight",
            LayerPart::Down => "mlp.down_proj.weight",
        };
        format!("model.layers.{index}.{name}")
    }
}
