//! Layers, and the forward pass over the rows of many sequences at once: their rows are stacked
//! for the matrices, and taken apart for attention.

use std::sync::{Arc, Mutex};

use candle_core::quantized::GgmlDType;

use super::layer::{Layer, Step, attention, normalize_rows};
use super::pages::{KvCache, PagePool, lock};
use super::rotary::Rotaries;
use super::scratch::Scratch;
use crate::config::ModelConfig;
use crate::engine::{Forward, Part, Scores};
use crate::error::EngineError;
use crate::kernels::{
    Arena, ArenaBuilder, CacheFormat, Cpu, HEAD_WIDTH, Layout, Level, Matrix, PAGE, PANEL, Product, Query, lookup,
    multiply, pack,
};
use crate::load::Machine;
use crate::weights::{Part as Weight, Weights, as_known};

/// A loaded model.
pub(crate) struct Transformer {
    config: ModelConfig,
    arena: Arena,
    cpu: Cpu,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// `None` where the embedding is the output matrix, too.
    output: Option<Matrix>,
    rotaries: Rotaries,
    pool: Arc<Mutex<PagePool>>,
    context: usize,
    scratch: Scratch,
    /// Which rows of a step are whose; kept for its memory.
    queries: Vec<Query>,
}

/// What a model may take of the machine.
pub(crate) struct Room {
    /// Threads that compute.
    pub(crate) threads: usize,
    /// Positions that a sequence may have.
    pub(crate) context: usize,
    /// Bytes of keys and values of all sequences together.
    pub(crate) cache: usize,
    /// How those are kept.
    pub(crate) format: CacheFormat,
}

/// Where matrices go, one after the other.
pub(super) struct Packer<'a, 'b> {
    pub(super) weights: &'a mut Weights<'b>,
    cpu: &'a mut Cpu,
    arena: ArenaBuilder,
}

impl Packer<'_, '_> {
    /// Reads a matrix and packs it; the file's form of it is given back at once.
    pub(super) fn matrix(&mut self, part: Weight, rows: usize, columns: usize) -> Result<Matrix, EngineError> {
        let [matrix] = self.matrices(part, [rows], columns)?;
        Ok(matrix)
    }

    /// Reads matrices of so many rows that are one tensor, one below the other.
    pub(super) fn matrices<const N: usize>(
        &mut self,
        part: Weight,
        rows: [usize; N],
        columns: usize,
    ) -> Result<[Matrix; N], EngineError> {
        let all: usize = rows.iter().sum();
        let (kind, bytes) = self.weights.raw(part, all, columns)?;
        let (kind, bytes) = as_known(kind, bytes, all, columns)?;
        let layout = Layout::of(kind);
        let row_bytes = bytes.len() / all.max(1);
        let mut from = 0;
        let mut places = [const { 0..0 }; N];
        for (rows, place) in rows.into_iter().zip(&mut places) {
            let target;
            (*place, target) = self.arena.take(layout.bytes(rows, columns)).map_err(EngineError::Memory)?;
            let bytes = &bytes[from * row_bytes..(from + rows) * row_bytes];
            pack(&mut self.cpu.pool, kind, bytes, rows, columns, target);
            from += rows;
        }
        self.weights.keep(bytes);
        let mut rows = rows.into_iter();
        Ok(places.map(|place| Matrix { layout, rows: rows.next().unwrap_or(0), columns, place }))
    }

    /// The weights of a norm.
    pub(super) fn norm(&mut self, config: &ModelConfig, part: Weight, length: usize) -> Result<Vec<f32>, EngineError> {
        let mut weights = self.weights.numbers(part, length)?;
        weights.iter_mut().for_each(|weight| *weight += config.recipe.norm_offset);
        Ok(weights)
    }
}

impl Transformer {
    /// Reads all weights. `vocabulary` is the number of tokens that must have an embedding.
    pub(crate) fn load(
        config: ModelConfig,
        weights: &mut Weights<'_>,
        room: &Room,
        vocabulary: usize,
    ) -> Result<Self, EngineError> {
        if config.head_width > HEAD_WIDTH {
            return Err(EngineError::unsupported("heads of this width", config.head_width.to_string()));
        }
        let width = config.width;
        let &[rows, _] = weights.shape(Weight::Embedding).unwrap_or_default() else {
            return Err(EngineError::MissingTensor { name: weights.name(Weight::Embedding) });
        };
        if rows < vocabulary {
            return Err(EngineError::malformed("the model", format!("{vocabulary} tokens, but {rows} embeddings")));
        }
        // A fused matrix is packed in up to three parts, each of whole panels.
        let padded = |rows: usize| if config.recipe.is_fused { rows + 2 * PANEL } else { rows };
        let bytes = weights.matrices().into_iter().map(|(kind, rows, columns)| size(kind, padded(rows), columns)).sum();
        let mut cpu = Cpu::new(Level::best(), room.threads);
        let arena = ArenaBuilder::new(bytes).map_err(EngineError::Memory)?;
        let mut packer = Packer { weights, cpu: &mut cpu, arena };
        let is_tied = packer.weights.shape(Weight::Output).is_none();
        let embedding = packer.matrix(Weight::Embedding, rows, width)?;
        let rotaries = Rotaries::load(&config, packer.weights, room.context)?;
        let layers = (0..config.layers)
            .map(|index| Layer::load(&config, &mut packer, index, room.format))
            .collect::<Result<Vec<_>, _>>()?;
        let norm = packer.norm(&config, Weight::OutputNorm, width)?;
        let output = if is_tied { None } else { Some(packer.matrix(Weight::Output, rows, width)?) };
        let arena = packer.arena.freeze();
        let layer_page = attention(&config, 0, room.format).layer_page();
        let pages = (room.cache / (layer_page * config.layers)).max(room.context.div_ceil(PAGE));
        let pool = Arc::new(Mutex::new(PagePool::new(config.layers, layer_page, pages)?));
        let context = room.context;
        let scratch = Scratch::default();
        let mut model = Self {
            config,
            arena,
            cpu,
            embedding,
            layers,
            norm,
            output,
            rotaries,
            pool,
            context,
            scratch,
            queries: Vec::new(),
        };
        model.warm_up()?;
        Ok(model)
    }

    /// What the model takes of its machine.
    pub(crate) fn machine(&self) -> Machine {
        Machine {
            instructions: self.cpu.level.name(),
            threads: self.cpu.pool.threads(),
            weight_bytes: self.arena.len(),
            cache_bytes: lock(&self.pool).bytes(),
            is_locked: self.arena.is_locked(),
        }
    }

    /// Whether no page has anything in it.
    #[cfg(test)]
    pub(super) fn is_cache_clean(&self) -> bool {
        lock(&self.pool).is_clean()
    }

    /// Computes a few tokens for nothing: a model that cannot compute should fail here, and pages of
    /// memory that are touched for the first time should not be the first caller's.
    fn warm_up(&mut self) -> Result<(), EngineError> {
        let (mut cache, _) = self.cache(None, &[])?;
        let mut scores = Scores::default();
        self.forward(&mut [Part { tokens: &[0], cache: &mut cache, wants_scores: true }], &mut scores)?;
        if scores.rows().flatten().any(|score| score.is_finite()) { Ok(()) } else { Err(EngineError::NotFinite) }
    }

    /// Writes the scores after the last row of each part that wants them.
    fn score(&mut self, parts: &[Part<'_, KvCache>], scores: &mut Scores) {
        let width = self.config.width;
        let Scratch { stream, normed, last, rows, .. } = &mut self.scratch;
        last.clear();
        let mut end = 0;
        for part in parts {
            end += part.tokens.len();
            if part.wants_scores {
                last.extend_from_slice(&stream[(end - 1) * width..end * width]);
            }
        }
        let count = last.len() / width;
        let normed = &mut normed[..last.len()];
        normalize_rows(&mut self.cpu, last, &self.norm, &self.config, normed);
        let matrix = self.output.as_ref().unwrap_or(&self.embedding);
        let scores = scores.rows_mut(count, matrix.rows);
        let product = Product::new(matrix, &mut *scores);
        multiply(&mut self.cpu, &self.arena, normed, width, rows, [product]);
        if let Some(cap) = self.config.recipe.output_cap {
            scores.iter_mut().for_each(|score| *score = cap * (*score / cap).tanh());
        }
    }
}

/// Bytes that a matrix of this form takes in the arena.
fn size(kind: GgmlDType, rows: usize, columns: usize) -> usize {
    Layout::of(kind).bytes(rows, columns)
}

impl Forward for Transformer {
    type Cache = KvCache;

    fn cache(&self, owner: Option<&Arc<str>>, tokens: &[u32]) -> Result<(KvCache, usize), EngineError> {
        Ok(KvCache::new(self.pool.clone(), self.context, owner.cloned(), tokens))
    }

    fn remembered(&self, tokens: usize) -> usize {
        tokens - tokens % PAGE
    }

    fn room(&self) -> usize {
        lock(&self.pool).room()
    }

    fn pages_for(&self, cache: Option<&KvCache>, rows: usize) -> usize {
        cache.map_or(rows.div_ceil(PAGE), |cache| cache.pages_for(rows))
    }

    fn forward(&mut self, parts: &mut [Part<'_, KvCache>], scores: &mut Scores) -> Result<(), EngineError> {
        for part in parts.iter_mut() {
            part.cache.reserve(part.tokens.len())?;
        }
        let mut rows = 0;
        self.queries.clear();
        self.queries.extend(parts.iter().map(|part| {
            let first = rows;
            rows += part.tokens.len();
            Query { rows: first..rows, position: part.cache.len() }
        }));
        self.scratch.resize(&self.config, rows);
        let positions = parts.iter().flat_map(|part| (part.cache.len()..).take(part.tokens.len()));
        self.rotaries.angles(positions, &mut self.scratch.angles);
        let tokens = parts.iter().flat_map(|part| part.tokens);
        for (token, row) in tokens.zip(self.scratch.stream.chunks_exact_mut(self.config.width)) {
            lookup(&self.arena, &self.embedding, *token as usize, row);
            row.iter_mut().for_each(|number| *number *= self.config.recipe.embedding_scale);
        }
        {
            // Caches lock the pool by themselves before and after.
            let mut step = Step {
                config: &self.config,
                arena: &self.arena,
                rotaries: &self.rotaries,
                pool: &mut lock(&self.pool),
                queries: &self.queries,
            };
            for layer in &self.layers {
                layer.forward(&mut self.cpu, &mut step, parts, &mut self.scratch);
            }
        }
        parts.iter_mut().for_each(|part| part.cache.advance(part.tokens));
        self.score(parts, scores);
        Ok(())
    }
}
