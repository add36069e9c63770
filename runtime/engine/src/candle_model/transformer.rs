//! Layers, and the forward pass over the rows of many sequences at once: their rows are stacked
//! for the matrices, and taken apart for attention.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use candle_nn::ops::{rms_norm, silu};

use super::attention::attend;
use super::kv_cache::KvCache;
use super::linear::{Linear, MANY_ROWS};
use super::rotation::{Angles, Rotary};
use crate::config::ModelConfig;
use crate::engine::{Forward, Part, Scores};
use crate::error::EngineError;
use crate::weights::{LayerPart, Part as Weight, Weights as Files};

/// A loaded model.
pub(crate) struct Transformer {
    config: ModelConfig,
    embedding: Linear,
    layers: Vec<Layer>,
    norm: Tensor,
    /// `None` where the embedding is the output matrix, too.
    output: Option<Linear>,
    rotary: Rotary,
    context: usize,
    device: Device,
}

struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    biases: Biases,
    attention_output: Linear,
    feed_forward_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// Those of query, key and value.
struct Biases([Option<Tensor>; 3]);

impl Transformer {
    /// Reads all weights. `context` is the number of positions that a sequence may have, and
    /// `vocabulary` the number of tokens that must have an embedding. All of it lies in the memory of `device`.
    pub(crate) fn load(
        config: ModelConfig,
        files: &mut Files<'_>,
        context: usize,
        vocabulary: usize,
        device: Device,
    ) -> Result<Self, EngineError> {
        let width = config.width;
        let mut weights = Weights { files, device: &device };
        let &[rows, _] = weights.files.shape(Weight::Embedding).unwrap_or_default() else {
            return Err(EngineError::MissingTensor { name: weights.files.name(Weight::Embedding) });
        };
        if rows < vocabulary {
            return Err(EngineError::malformed("the model", format!("{vocabulary} tokens, but {rows} embeddings")));
        }
        let is_tied = weights.files.shape(Weight::Output).is_none();
        let embedding = if is_tied {
            weights.matrix(Weight::Embedding, rows, width)?
        } else {
            weights.table(Weight::Embedding, rows, width)?
        };
        let factors = weights.optional_vector(Weight::RotationFactors, config.head_width / 2)?;
        let factors = factors.map(|factors| factors.to_vec1::<f32>()).transpose()?;
        let rotary = Rotary::new(&config, context, factors.as_deref(), &device)?;
        let layers =
            (0..config.layers).map(|index| Layer::load(&config, &mut weights, index)).collect::<Result<Vec<_>, _>>()?;
        let norm = weights.vector(Weight::OutputNorm, width)?;
        let output = if is_tied { None } else { Some(weights.matrix(Weight::Output, rows, width)?) };
        let mut model = Self { config, embedding, layers, norm, output, rotary, context, device };
        model.warm_up()?;
        Ok(model)
    }

    /// Computes a few tokens for nothing: candle arranges weights for the processor when it first
    /// uses them, which must not fall to the first caller, and a model that cannot compute
    /// should fail here.
    fn warm_up(&mut self) -> Result<(), EngineError> {
        let (mut cache, _) = self.cache(None, &[])?;
        let many = vec![0; MANY_ROWS.min(self.context - 1)];
        for tokens in [many.as_slice(), &[0]] {
            let part = Part { tokens, cache: &mut cache, wants_scores: true };
            let mut scores = Scores::default();
            self.forward(&mut [part], &mut scores)?;
            if !scores.rows().flatten().any(|score| score.is_finite()) {
                return Err(EngineError::NotFinite);
            }
        }
        Ok(())
    }
}

/// Weights on their way to a device.
struct Weights<'a, 'f> {
    files: &'a mut Files<'f>,
    device: &'a Device,
}

impl Weights<'_, '_> {
    fn matrix(&mut self, part: Weight, rows: usize, columns: usize) -> Result<Linear, EngineError> {
        Ok(self.files.matrix(part, rows, columns)?.on(self.device)?)
    }

    fn table(&mut self, part: Weight, rows: usize, columns: usize) -> Result<Linear, EngineError> {
        Ok(self.files.table(part, rows, columns)?.on(self.device)?)
    }

    fn vector(&mut self, part: Weight, length: usize) -> Result<Tensor, EngineError> {
        Ok(self.files.vector(part, length)?.to_device(self.device)?)
    }

    fn optional_vector(&mut self, part: Weight, length: usize) -> Result<Option<Tensor>, EngineError> {
        let vector = self.files.optional_vector(part, length)?;
        Ok(vector.map(|vector| vector.to_device(self.device)).transpose()?)
    }
}

impl Layer {
    fn load(config: &ModelConfig, weights: &mut Weights<'_, '_>, index: usize) -> Result<Self, EngineError> {
        let part = |part| Weight::Layer(index, part);
        let (width, query, kv, wide) = (config.width, config.query_width(), config.kv_width(), config.feed_forward);
        Ok(Self {
            attention_norm: weights.vector(part(LayerPart::AttentionNorm), width)?,
            query: weights.matrix(part(LayerPart::Query), query, width)?,
            key: weights.matrix(part(LayerPart::Key), kv, width)?,
            value: weights.matrix(part(LayerPart::Value), kv, width)?,
            biases: Biases([
                weights.optional_vector(part(LayerPart::QueryBias), query)?,
                weights.optional_vector(part(LayerPart::KeyBias), kv)?,
                weights.optional_vector(part(LayerPart::ValueBias), kv)?,
            ]),
            attention_output: weights.matrix(part(LayerPart::AttentionOutput), width, query)?,
            feed_forward_norm: weights.vector(part(LayerPart::FeedForwardNorm), width)?,
            gate: weights.matrix(part(LayerPart::Gate), wide, width)?,
            up: weights.matrix(part(LayerPart::Up), wide, width)?,
            down: weights.matrix(part(LayerPart::Down), width, wide)?,
        })
    }

    /// Query, key and value of all rows, each (rows, heads, width), rotated where it matters.
    fn project(
        &self,
        config: &ModelConfig,
        rotary: &Rotary,
        x: &Tensor,
        angles: &Angles,
    ) -> candle_core::Result<[Tensor; 3]> {
        let rows = x.dim(0)?;
        let products = Linear::forward_all([&self.query, &self.key, &self.value], x)?;
        let heads = [config.heads, config.kv_heads, config.kv_heads];
        let mut shaped = Vec::with_capacity(3);
        for ((product, bias), heads) in products.iter().zip(&self.biases.0).zip(heads) {
            let product = match bias {
                Some(bias) => product.broadcast_add(bias)?,
                None => product.clone(),
            };
            shaped.push(product.reshape((rows, heads, config.head_width))?);
        }
        let [query, key, value] =
            <[Tensor; 3]>::try_from(shaped).map_err(|_| candle_core::Error::Msg("a projection is missing".into()))?;
        Ok([rotary.rotate(&query, angles)?, rotary.rotate(&key, angles)?, value])
    }

    fn feed_forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let [gate, up] = Linear::forward_all([&self.gate, &self.up], x)?;
        self.down.forward(&(silu(&gate)? * up)?)
    }
}

impl Forward for Transformer {
    type Cache = KvCache;

    fn cache(&self, _owner: Option<&Arc<str>>, _tokens: &[u32]) -> Result<(KvCache, usize), EngineError> {
        Ok((KvCache::new(&self.config, self.context, &self.device)?, 0))
    }

    fn forward(&mut self, parts: &mut [Part<'_, KvCache>], scores: &mut Scores) -> Result<(), EngineError> {
        let mut tokens = Vec::new();
        let mut positions = Vec::new();
        for part in parts.iter_mut() {
            part.cache.reserve(part.tokens.len())?;
            tokens.extend_from_slice(part.tokens);
            positions.extend((part.cache.len()..).map(|position| position as u32).take(part.tokens.len()));
        }
        let angles = self.rotary.angles(&positions)?;
        let mut x = self.embedding.rows(&tokens)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let normed = rms_norm(&x, &layer.attention_norm, self.config.norm_epsilon)?;
            let projected = layer.project(&self.config, &self.rotary, &normed, &angles)?;
            let attended = self.attend_all(index, &projected, parts)?;
            x = (x + layer.attention_output.forward(&attended)?)?;
            let normed = rms_norm(&x, &layer.feed_forward_norm, self.config.norm_epsilon)?;
            x = (x + layer.feed_forward(&normed)?)?;
        }
        parts.iter_mut().for_each(|part| part.cache.advance(part.tokens.len()));
        self.score(&x, parts, scores)
    }
}

impl Transformer {
    /// Attention of each part to its own sequence; the results stacked again.
    fn attend_all(
        &self,
        layer: usize,
        [query, key, value]: &[Tensor; 3],
        parts: &mut [Part<'_, KvCache>],
    ) -> candle_core::Result<Tensor> {
        let mut attended = Vec::with_capacity(parts.len());
        let mut from = 0;
        for part in parts {
            let rows = part.tokens.len();
            let of_part = |heads: &Tensor| heads.narrow(0, from, rows);
            let key = of_part(key)?.transpose(0, 1)?.contiguous()?;
            let value = of_part(value)?.transpose(0, 1)?.contiguous()?;
            let (keys, values) = part.cache.append(layer, &key, &value)?;
            attended.push(attend(&self.config, &of_part(query)?, &keys, &values)?);
            from += rows;
        }
        match attended.as_slice() {
            [only] => Ok(only.clone()),
            several => Tensor::cat(several, 0),
        }
    }

    /// Writes the scores after the last row of each part that wants them.
    fn score(&self, x: &Tensor, parts: &[Part<'_, KvCache>], scores: &mut Scores) -> Result<(), EngineError> {
        let mut wanted = Vec::new();
        let mut end = 0;
        for part in parts {
            end += part.tokens.len();
            if part.wants_scores {
                wanted.push(end as u32 - 1);
            }
        }
        if wanted.is_empty() {
            scores.rows_mut(0, 0);
            return Ok(());
        }
        let last = x.index_select(&Tensor::new(wanted, x.device())?, 0)?;
        let normed = rms_norm(&last, &self.norm, self.config.norm_epsilon)?;
        let found = self.output.as_ref().unwrap_or(&self.embedding).forward(&normed)?;
        let (count, width) = found.dims2()?;
        scores.rows_mut(count, width).copy_from_slice(&found.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }
}
