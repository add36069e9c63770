//! One layer: attention and feed-forward, each added to the residual stream.

use super::pages::{KvCache, PagePool};
use super::rotary::Rotaries;
use super::scratch::Scratch;
use super::transformer::Packer;
use crate::config::ModelConfig;
use crate::engine::Part;
use crate::error::EngineError;
use crate::families::Activation;
use crate::kernels::{
    Arena, Attention, CacheFormat, Cpu, Matrix, Product, Query, add, attend, each_row, gelu_times, multiply, normalize,
    silu_times, store,
};
use crate::weights::{LayerPart, Part as Weight};

/// The weights of a layer; matrices lie in the model's arena.
pub(super) struct Layer {
    index: usize,
    attention: Attention,
    attention_norm: Vec<f32>,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    query_bias: Option<Vec<f32>>,
    key_bias: Option<Vec<f32>>,
    value_bias: Option<Vec<f32>>,
    /// Norms of each head of query and key.
    head_norms: Option<[Vec<f32>; 2]>,
    attention_output: Matrix,
    feed_forward_norm: Vec<f32>,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
    /// Norms of what attention and feed-forward give.
    post_norms: Option<[Vec<f32>; 2]>,
}

/// What all layers of a step work with.
pub(super) struct Step<'a> {
    pub(super) config: &'a ModelConfig,
    pub(super) arena: &'a Arena,
    pub(super) rotaries: &'a Rotaries,
    pub(super) pool: &'a mut PagePool,
    /// Which rows are whose.
    pub(super) queries: &'a [Query],
}

impl Layer {
    pub(super) fn load(
        config: &ModelConfig,
        packer: &mut Packer<'_, '_>,
        index: usize,
        format: CacheFormat,
    ) -> Result<Self, EngineError> {
        let part = |part| Weight::Layer(index, part);
        let (width, query, kv, wide) = (config.width, config.query_width(), config.kv_width(), config.feed_forward);
        let recipe = &config.recipe;
        let [query_matrix, key, value] = if recipe.is_fused {
            packer.matrices(part(LayerPart::Fused), [query, kv, kv], width)?
        } else {
            [
                packer.matrix(part(LayerPart::Query), query, width)?,
                packer.matrix(part(LayerPart::Key), kv, width)?,
                packer.matrix(part(LayerPart::Value), kv, width)?,
            ]
        };
        let [gate, up] = if recipe.is_fused {
            packer.matrices(part(LayerPart::GateUp), [wide, wide], width)?
        } else {
            [packer.matrix(part(LayerPart::Gate), wide, width)?, packer.matrix(part(LayerPart::Up), wide, width)?]
        };
        let mut norms = |first, second, length| -> Result<[Vec<f32>; 2], EngineError> {
            Ok([packer.norm(config, part(first), length)?, packer.norm(config, part(second), length)?])
        };
        let heads = (LayerPart::QueryNorm, LayerPart::KeyNorm, config.head_width);
        let head_norms = recipe.has_head_norms.then(|| norms(heads.0, heads.1, heads.2)).transpose()?;
        let post = (LayerPart::PostAttentionNorm, LayerPart::PostFeedForwardNorm, width);
        let post_norms = recipe.has_post_norms.then(|| norms(post.0, post.1, post.2)).transpose()?;
        let feed_forward_norm =
            if recipe.has_post_norms { LayerPart::PreFeedForwardNorm } else { LayerPart::FeedForwardNorm };
        Ok(Self {
            index,
            attention: attention(config, index, format),
            attention_norm: packer.norm(config, part(LayerPart::AttentionNorm), width)?,
            query: query_matrix,
            key,
            value,
            query_bias: packer.weights.optional_numbers(part(LayerPart::QueryBias), query)?,
            key_bias: packer.weights.optional_numbers(part(LayerPart::KeyBias), kv)?,
            value_bias: packer.weights.optional_numbers(part(LayerPart::ValueBias), kv)?,
            head_norms,
            attention_output: packer.matrix(part(LayerPart::AttentionOutput), width, query)?,
            feed_forward_norm: packer.norm(config, part(feed_forward_norm), width)?,
            gate,
            up,
            down: packer.matrix(part(LayerPart::Down), width, wide)?,
            post_norms,
        })
    }

    /// Computes the layer on all rows; keys and values go to their places in the pages.
    pub(super) fn forward(
        &self,
        cpu: &mut Cpu,
        step: &mut Step<'_>,
        parts: &[Part<'_, KvCache>],
        scratch: &mut Scratch,
    ) {
        self.project(cpu, step, scratch);
        self.remember(cpu, step, parts, scratch);
        self.attend(cpu, step, parts, scratch);
        let (config, arena) = (step.config, step.arena);
        let Scratch { stream, normed, attended, gate, up, rows, .. } = scratch;
        let out = Product::new(&self.attention_output, normed);
        multiply(cpu, arena, attended, config.query_width(), rows, [out]);
        let post_norms = self.post_norms.as_ref();
        add_normed(cpu, config, stream, normed, post_norms.map(|[first, _]| first));

        normalize_rows(cpu, stream, &self.feed_forward_norm, config, normed);
        let products = [Product::new(&self.gate, gate), Product::new(&self.up, up)];
        multiply(cpu, arena, normed, config.width, rows, products);
        each_row(cpu, gate, config.feed_forward, &|level, row, gate| {
            let up = &up[row * config.feed_forward..(row + 1) * config.feed_forward];
            match config.recipe.activation {
                Activation::Silu => silu_times(level, gate, up),
                Activation::Gelu => gelu_times(level, gate, up),
            }
        });
        multiply(cpu, arena, gate, config.feed_forward, rows, [Product::new(&self.down, normed)]);
        add_normed(cpu, config, stream, normed, post_norms.map(|[_, second]| second));
    }

    /// Query, key and value of all rows, rotated where it matters.
    fn project(&self, cpu: &mut Cpu, step: &Step<'_>, scratch: &mut Scratch) {
        let config = step.config;
        let Scratch { stream, normed, query, key, value, rows, angles, .. } = scratch;
        normalize_rows(cpu, stream, &self.attention_norm, config, normed);
        let products =
            [Product::new(&self.query, query), Product::new(&self.key, key), Product::new(&self.value, value)];
        multiply(cpu, step.arena, normed, config.width, rows, products);
        let has_window = self.attention.window.is_some();
        let turned = |heads: &mut [f32], width, bias: &Option<Vec<f32>>, norm: Option<&Vec<f32>>, cpu: &mut Cpu| {
            each_row(cpu, heads, width, &|level, row, heads| {
                if let Some(bias) = bias {
                    add(level, heads, bias);
                }
                if let Some(norm) = norm {
                    for head in heads.chunks_exact_mut(config.head_width) {
                        normalize(level, head, norm, config.norm_epsilon);
                    }
                }
                step.rotaries.rotate(level, heads, angles, row, has_window);
            });
        };
        let norms = self.head_norms.as_ref();
        turned(query, config.query_width(), &self.query_bias, norms.map(|[query, _]| query), cpu);
        turned(key, config.kv_width(), &self.key_bias, norms.map(|[_, key]| key), cpu);
        if let Some(bias) = &self.value_bias {
            each_row(cpu, value, config.kv_width(), &|level, _, value| add(level, value, bias));
        }
    }

    /// Writes keys and values of all rows into their sequences' pages.
    fn remember(&self, cpu: &Cpu, step: &mut Step<'_>, parts: &[Part<'_, KvCache>], scratch: &Scratch) {
        let width = step.config.kv_width();
        let mut rows = scratch.key.chunks_exact(width).zip(scratch.value.chunks_exact(width));
        for part in parts {
            let positions = part.cache.len()..part.cache.len() + part.tokens.len();
            for (position, (keys, values)) in positions.zip(&mut rows) {
                let (page, slot) = part.cache.place(position);
                let page = step.pool.layer_mut(page, self.index);
                store(cpu.level, &self.attention, page, slot, keys, values);
            }
        }
    }

    fn attend(&self, cpu: &mut Cpu, step: &Step<'_>, parts: &[Part<'_, KvCache>], scratch: &mut Scratch) {
        let pool = &*step.pool;
        let pages = |part: usize, page: usize| pool.layer(parts[part].cache.page(page), self.index);
        let Scratch { query, attended, shares, .. } = scratch;
        attend(cpu, &self.attention, query, step.queries, &pages, shares, attended);
    }
}

/// How a layer of this model attends.
pub(super) fn attention(config: &ModelConfig, layer: usize, format: CacheFormat) -> Attention {
    Attention {
        heads: config.heads,
        kv_heads: config.kv_heads,
        width: config.head_width,
        scale: config.recipe.score_scale,
        soft_cap: config.recipe.score_cap,
        window: config.recipe.window_of(layer).map(|window| window.positions),
        format,
    }
}

/// Each row of `rows` normalised into `out`.
pub(super) fn normalize_rows(cpu: &mut Cpu, rows: &[f32], weights: &[f32], config: &ModelConfig, out: &mut [f32]) {
    let width = config.width;
    each_row(cpu, out, width, &|level, row, out| {
        out.copy_from_slice(&rows[row * width..(row + 1) * width]);
        normalize(level, out, weights, config.norm_epsilon);
    });
}

/// Adds rows to the stream, normalised first where a family wants it.
fn add_normed(cpu: &mut Cpu, config: &ModelConfig, stream: &mut [f32], rows: &mut [f32], norm: Option<&Vec<f32>>) {
    if let Some(norm) = norm {
        each_row(cpu, rows, config.width, &|level, _, row| normalize(level, row, norm, config.norm_epsilon));
    }
    add(cpu.level, stream, rows);
}
