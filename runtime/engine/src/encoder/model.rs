//! Layers of an encoder, and the forward pass over the rows of many texts at once (Devlin et al., "BERT",
//! 2018): attention and feed-forward, each added to the stream, which is normalised after that.

use std::ops::Range;

use super::config::{EncoderConfig, Pooling};
use super::names::{LayerPart, Part};
use super::tensors::Tensors;
use super::weights::{Dense, Norm, Store, Table};
use crate::error::EngineError;
use crate::kernels::{
    Arena, Cpu, Level, Product, Rows, Texts, add, attend_inside, each_row, gelu, layer_normalize, multiply,
};
use crate::load::Machine;

/// The length below which a vector is left as it is.
const SHORTEST: f64 = 1e-12;

/// A loaded encoder.
pub(super) struct Encoder {
    config: EncoderConfig,
    arena: Arena,
    cpu: Cpu,
    words: Table,
    positions: Table,
    /// What is added to every row: the vector of the first kind of segment.
    segment: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    scratch: Scratch,
}

struct Layer {
    query: Dense,
    key: Dense,
    value: Dense,
    attention_output: Dense,
    attention_norm: Norm,
    wide: Dense,
    output: Dense,
    output_norm: Norm,
}

/// Rows of numbers, kept from step to step.
#[derive(Default)]
struct Scratch {
    stream: Vec<f32>,
    /// What is added to the stream.
    added: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    wide: Vec<f32>,
    /// The input of a product, in other forms.
    rows: Rows,
}

impl Encoder {
    /// Reads all weights. `vocabulary` is the number of tokens that must have an embedding.
    pub(super) fn load(
        config: EncoderConfig,
        tensors: &mut Tensors<'_>,
        vocabulary: usize,
        threads: usize,
    ) -> Result<Self, EngineError> {
        let width = config.width;
        let mut cpu = Cpu::new(Level::best(), threads);
        let mut store = Store::new(tensors, &mut cpu)?;
        let rows = store.rows(Part::Words).unwrap_or(vocabulary);
        if rows < vocabulary {
            return Err(EngineError::malformed("the model", format!("{vocabulary} tokens, but {rows} embeddings")));
        }
        let words = store.table(Part::Words, rows, width)?;
        let positions = store.table(Part::Positions, config.positions, width)?;
        let segments = store.table(Part::Segments, config.segment_kinds, width)?;
        let norm = store.norm(Part::Norm, width)?;
        let layers = (0..config.layers).map(|index| Layer::load(&config, &mut store, index));
        let layers = layers.collect::<Result<_, _>>()?;
        let arena = store.freeze();
        tensors.finish()?;
        let mut segment = vec![0.0; width];
        segments.row(&arena, 0, &mut segment);
        let scratch = Scratch::default();
        let mut encoder = Self { config, arena, cpu, words, positions, segment, norm, layers, scratch };
        // A model that cannot compute should fail here, and pages of memory that are touched for the first
        // time should not be the first caller's.
        let embedded = encoder.embed(&[&[0]]);
        if embedded.iter().flatten().all(|number| number.is_finite()) {
            Ok(encoder)
        } else {
            Err(EngineError::NotFinite)
        }
    }

    /// What the model takes of its machine.
    pub(super) fn machine(&self) -> Machine {
        Machine {
            instructions: self.cpu.level.name(),
            threads: self.cpu.pool.threads(),
            weight_bytes: self.arena.len(),
            cache_bytes: 0,
            is_locked: self.arena.is_locked(),
        }
    }

    /// The vectors of texts, each of at least one token and of no more than there are positions.
    pub(super) fn embed(&mut self, texts: &[&[u32]]) -> Vec<Vec<f32>> {
        let mut end = 0;
        let rows = texts.iter().map(|text| {
            let start = end;
            end += text.len();
            start..end
        });
        let rows: Vec<Range<usize>> = rows.collect();
        self.scratch.resize(&self.config, end);
        self.look_up(texts);
        for layer in &self.layers {
            layer.forward(&mut self.cpu, &self.arena, &self.config, &rows, &mut self.scratch);
        }
        rows.into_iter().map(|rows| self.pool(rows)).collect()
    }

    /// The first stream: word, position and segment, normalised.
    fn look_up(&mut self, texts: &[&[u32]]) {
        let width = self.config.width;
        let mut position = vec![0.0; width];
        let tokens = texts.iter().flat_map(|text| text.iter().enumerate());
        for ((index, &token), row) in tokens.zip(self.scratch.stream.chunks_exact_mut(width)) {
            self.words.row(&self.arena, token as usize, row);
            self.positions.row(&self.arena, index, &mut position);
            add(self.cpu.level, row, &position);
            add(self.cpu.level, row, &self.segment);
        }
        let (norm, epsilon) = (&self.norm, self.config.norm_epsilon);
        each_row(&mut self.cpu, &mut self.scratch.stream, width, &|level, _, row| {
            layer_normalize(level, row, &norm.weights, &norm.biases, epsilon);
        });
    }

    /// The vector of one text.
    fn pool(&self, rows: Range<usize>) -> Vec<f32> {
        let width = self.config.width;
        let rows = &self.scratch.stream[rows.start * width..rows.end * width];
        let mut vector = rows[..width].to_vec();
        if self.config.pooling == Pooling::Mean {
            rows.chunks_exact(width).skip(1).for_each(|row| add(self.cpu.level, &mut vector, row));
            let share = 1.0 / (rows.len() / width) as f32;
            vector.iter_mut().for_each(|number| *number *= share);
        }
        if self.config.normalizes {
            let squares: f64 = vector.iter().map(|&number| f64::from(number) * f64::from(number)).sum();
            let scale = (1.0 / squares.sqrt().max(SHORTEST)) as f32;
            vector.iter_mut().for_each(|number| *number *= scale);
        }
        vector
    }
}

impl Layer {
    fn load(config: &EncoderConfig, store: &mut Store<'_, '_>, index: usize) -> Result<Self, EngineError> {
        let part = |part| Part::Layer(index, part);
        let (width, wide) = (config.width, config.feed_forward);
        Ok(Self {
            query: store.dense(part(LayerPart::Query), width, width)?,
            key: store.dense(part(LayerPart::Key), width, width)?,
            value: store.dense(part(LayerPart::Value), width, width)?,
            attention_output: store.dense(part(LayerPart::AttentionOutput), width, width)?,
            attention_norm: store.norm(part(LayerPart::AttentionNorm), width)?,
            wide: store.dense(part(LayerPart::Wide), wide, width)?,
            output: store.dense(part(LayerPart::Output), width, wide)?,
            output_norm: store.norm(part(LayerPart::OutputNorm), width)?,
        })
    }

    fn forward(
        &self,
        cpu: &mut Cpu,
        arena: &Arena,
        config: &EncoderConfig,
        texts: &[Range<usize>],
        scratch: &mut Scratch,
    ) {
        let (width, heads) = (config.width, config.heads);
        let Scratch { stream, added, query, key, value, attended, wide, rows } = scratch;
        let products = [self.query.product(query), self.key.product(key), self.value.product(value)];
        multiply(cpu, arena, stream, width, rows, products);
        let taken = Texts { heads, width: width / heads, query, key, value, rows: texts };
        attend_inside(cpu, &taken, attended);
        multiply(cpu, arena, attended, width, rows, [self.attention_output.product(added)]);
        add_normed(cpu, config, stream, added, &self.attention_norm);

        let widened = Product { then: Some(gelu), ..self.wide.product(wide) };
        multiply(cpu, arena, stream, width, rows, [widened]);
        multiply(cpu, arena, wide, config.feed_forward, rows, [self.output.product(added)]);
        add_normed(cpu, config, stream, added, &self.output_norm);
    }
}

/// Adds rows to the stream, and normalises it.
fn add_normed(cpu: &mut Cpu, config: &EncoderConfig, stream: &mut [f32], added: &[f32], norm: &Norm) {
    let width = config.width;
    each_row(cpu, stream, width, &|level, index, row| {
        add(level, row, &added[index * width..(index + 1) * width]);
        layer_normalize(level, row, &norm.weights, &norm.biases, config.norm_epsilon);
    });
}

impl Scratch {
    /// Room for a step of so many rows.
    fn resize(&mut self, config: &EncoderConfig, rows: usize) {
        let Self { stream, added, query, key, value, attended, wide, .. } = self;
        for numbers in [stream, added, query, key, value, attended] {
            numbers.resize(rows * config.width, 0.0);
        }
        wide.resize(rows * config.feed_forward, 0.0);
    }
}
