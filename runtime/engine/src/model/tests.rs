//! The transformer against a plain re-computation of the same weights, without cache, batch,
//! packing or tensors.

mod adapters;
mod cache;

use std::collections::HashMap;
use std::io::Cursor;

use super::*;
use crate::candle_model;
use crate::config::{ModelConfig, Rotation};
use crate::engine::{Forward, Part, Scores, scores_of};
use crate::files::MemoryFiles;
use crate::gguf::Header;
use crate::kernels::CacheFormat;
use crate::load::{AnyModel, Arithmetic, LoadOptions, load};
use crate::tiny::tiny_model;
use crate::weights::{DEVICE, GgufWeights, LayerPart, Part as Weight, Weights};

/// Every weight as numbers, by its GGUF name.
struct Plain {
    config: ModelConfig,
    weights: HashMap<String, Vec<f32>>,
}

impl Plain {
    fn new(file: &[u8]) -> Self {
        let header = Header::read(&mut Cursor::new(file), file.len() as u64).unwrap();
        let config = ModelConfig::from_gguf(&header.metadata).unwrap();
        let weights = header
            .tensors
            .iter()
            .map(|(name, info)| {
                let bytes = &file[info.start as usize..(info.start + info.bytes) as usize];
                let tensor =
                    candle_core::quantized::ggml_file::qtensor_from_ggml(info.kind, bytes, info.shape.clone(), &DEVICE);
                let dense = tensor.unwrap().dequantize(&DEVICE).unwrap().flatten_all().unwrap();
                (name.clone(), dense.to_vec1().unwrap())
            })
            .collect();
        Self { config, weights }
    }

    fn product(&self, name: &str, x: &[f32]) -> Vec<f32> {
        self.weights[name].chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    }

    fn norm(&self, name: &str, x: &[f32]) -> Vec<f32> {
        let mean = x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32;
        let scale = 1.0 / (mean + self.config.norm_epsilon).sqrt();
        x.iter().zip(&self.weights[name]).map(|(x, w)| x * scale * w).collect()
    }

    /// A projection of every row, with bias, rotated if wanted.
    fn heads(&self, layer: usize, name: &str, rows: &[Vec<f32>], rotated: bool) -> Vec<Vec<f32>> {
        let bias = &self.weights[&format!("blk.{layer}.attn_{name}.bias")];
        let width = self.config.head_width;
        rows.iter()
            .enumerate()
            .map(|(position, row)| {
                let mut product = self.product(&format!("blk.{layer}.attn_{name}.weight"), row);
                product.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
                for head in product.chunks_mut(width).filter(|_| rotated) {
                    for index in 0..width / 2 {
                        let frequency = self.config.rotation_base.powf(-2.0 * index as f64 / width as f64);
                        let (sin, cos) = (position as f64 * frequency).sin_cos();
                        let (a, b) = match self.config.rotation {
                            Rotation::Halves => (index, index + width / 2),
                            Rotation::Pairs => (2 * index, 2 * index + 1),
                        };
                        let (x, y) = (f64::from(head[a]), f64::from(head[b]));
                        head[a] = (x * cos - y * sin) as f32;
                        head[b] = (x * sin + y * cos) as f32;
                    }
                }
                product
            })
            .collect()
    }

    /// The scores after the last token.
    fn scores(&self, tokens: &[u32]) -> Vec<f32> {
        let ModelConfig { width, head_width, heads, kv_heads, layers, .. } = self.config;
        let embedding = &self.weights["token_embd.weight"];
        let mut x: Vec<Vec<f32>> =
            tokens.iter().map(|&token| embedding[token as usize * width..][..width].to_vec()).collect();
        for layer in 0..layers {
            let name = |rest: &str| format!("blk.{layer}.{rest}.weight");
            let normed: Vec<_> = x.iter().map(|row| self.norm(&name("attn_norm"), row)).collect();
            let query = self.heads(layer, "q", &normed, true);
            let key = self.heads(layer, "k", &normed, true);
            let value = self.heads(layer, "v", &normed, false);
            for row in 0..x.len() {
                let mut attended = vec![0.0; heads * head_width];
                for head in 0..heads {
                    let shared = head / (heads / kv_heads) * head_width;
                    let q = &query[row][head * head_width..][..head_width];
                    let weights: Vec<f32> = (0..=row)
                        .map(|past| q.iter().zip(&key[past][shared..]).map(|(q, k)| q * k).sum::<f32>())
                        .map(|score| (score / (head_width as f32).sqrt()).exp())
                        .collect();
                    let total: f32 = weights.iter().sum();
                    for (past, weight) in weights.iter().enumerate() {
                        for index in 0..head_width {
                            attended[head * head_width + index] += weight / total * value[past][shared + index];
                        }
                    }
                }
                let output = self.product(&name("attn_output"), &attended);
                x[row].iter_mut().zip(output).for_each(|(x, y)| *x += y);
            }
            for row in &mut x {
                let normed = self.norm(&name("ffn_norm"), row);
                let up = self.product(&name("ffn_up"), &normed);
                let gated: Vec<f32> = self
                    .product(&name("ffn_gate"), &normed)
                    .iter()
                    .zip(up)
                    .map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up)
                    .collect();
                let down = self.product(&name("ffn_down"), &gated);
                row.iter_mut().zip(down).for_each(|(x, y)| *x += y);
            }
        }
        let last = self.norm("output_norm.weight", x.last().unwrap());
        self.product("output.weight", &last)
    }
}

fn of_gguf(file: Vec<u8>) -> MemoryFiles {
    MemoryFiles::new().with("m.gguf", file)
}

fn model(files: &MemoryFiles) -> Transformer {
    model_with(files, LoadOptions::default())
}

fn model_with(files: &MemoryFiles, options: LoadOptions) -> Transformer {
    match load(files, &options, &|_, _| ()).unwrap().model {
        AnyModel::Kernels(model) => *model,
        AnyModel::Candle(_) => panic!("kernels are the default"),
    }
}

fn on_candle(files: &MemoryFiles) -> candle_model::Transformer {
    let options = LoadOptions { arithmetic: Arithmetic::Candle, ..LoadOptions::default() };
    match load(files, &options, &|_, _| ()).unwrap().model {
        AnyModel::Candle(model) => *model,
        AnyModel::Kernels(_) => panic!("candle was asked for"),
    }
}

fn scores<F: Forward>(model: &mut F, tokens: &[u32], chunk: usize) -> Vec<f32> {
    let mut cache = model.cache(None, &[]).unwrap().0;
    let mut last = None;
    for tokens in tokens.chunks(chunk) {
        let mut parts = [Part { tokens, cache: &mut cache, wants_scores: true }];
        last = scores_of(model, &mut parts).unwrap().pop().unwrap();
    }
    last.unwrap()
}

/// Root mean square of the difference, relative to that of `wanted`.
fn distance(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let difference: f32 = found.iter().zip(wanted).map(|(a, b)| (a - b).powi(2)).sum();
    (difference / wanted.iter().map(|b| b * b).sum::<f32>()).sqrt()
}

const TOKENS: [u32; 9] = [72, 256, 260, 101, 290, 12, 270, 256, 33];

/// The tiny model under the other family's name, which rotates pairs.
fn as_llama(mut file: Vec<u8>) -> Vec<u8> {
    let is_figure = |at: usize, file: &[u8]| file[at..].starts_with(b"qwen2.");
    let architecture = file.windows(5).position(|window| window == b"qwen2").unwrap();
    let places: Vec<usize> = (0..4000).filter(|&at| at == architecture || is_figure(at, &file)).collect();
    for at in places {
        file[at..at + 5].copy_from_slice(b"llama");
    }
    file
}

#[test]
fn both_families_compute_what_their_weights_say() {
    for file in [tiny_model(1), as_llama(tiny_model(1))] {
        let plain = Plain::new(&file);
        let wanted = plain.scores(&TOKENS);
        let files = of_gguf(file);
        let found = scores(&mut model(&files), &TOKENS, 100);
        // Activations are packed to 8 bits for the products, hence the tolerance.
        let from_plain = distance(&found, &wanted);
        assert!(from_plain < 0.06, "{:?}: {from_plain}", plain.config.family);
        let from_candle = distance(&found, &scores(&mut on_candle(&files), &TOKENS, 100));
        assert!(from_candle < 0.06, "{:?}: {from_candle}", plain.config.family);
    }
    let (qwen, llama) = (Plain::new(&tiny_model(1)), Plain::new(&as_llama(tiny_model(1))));
    assert!(distance(&qwen.scores(&TOKENS), &llama.scores(&TOKENS)) > 0.3, "the rotation matters");
}

#[test]
fn chunks_and_a_grown_cache_change_nothing() {
    let mut model = model(&of_gguf(tiny_model(2)));
    let tokens: Vec<u32> = (0..600).map(|index| (index * 37 % 290) as u32).collect();
    let whole = scores(&mut model, &tokens, 600);
    for chunk in [1, 7, 256] {
        let distance = distance(&scores(&mut model, &tokens, chunk), &whole);
        assert!(distance < 0.01, "chunks of {chunk}: {distance}");
    }
}

#[test]
fn a_part_does_not_see_its_neighbours() {
    let mut model = model(&of_gguf(tiny_model(2)));
    let alone = scores(&mut model, &TOKENS, 100);
    let (mut first, mut second) = (model.cache(None, &[]).unwrap().0, model.cache(None, &[]).unwrap().0);
    let other = [9, 8, 7, 6];
    let mut parts = [
        Part { tokens: &other, cache: &mut first, wants_scores: false },
        Part { tokens: &TOKENS, cache: &mut second, wants_scores: true },
    ];
    let together = scores_of(&mut model, &mut parts).unwrap();
    assert!(together[0].is_none());
    assert!(distance(together[1].as_ref().unwrap(), &alone) < 0.001);
}

#[test]
fn a_sequence_beyond_its_context_is_an_error() {
    let options = LoadOptions { max_context: 8, threads: 1, ..LoadOptions::default() };
    let AnyModel::Kernels(mut model) = load(&of_gguf(tiny_model(2)), &options, &|_, _| ()).unwrap().model else {
        panic!("kernels are the default")
    };
    let mut cache = model.cache(None, &[]).unwrap().0;
    let part = Part { tokens: &TOKENS, cache: &mut cache, wants_scores: true };
    assert!(model.forward(&mut [part], &mut Scores::default()).is_err());
}

/// The tiny model as safetensors: the same figures, weights as 32-bit floats in two shards.
fn as_safetensors(file: &[u8]) -> MemoryFiles {
    let plain = Plain::new(file);
    let config = &plain.config;
    let json = serde_json::json!({
        "model_type": "qwen2", "num_hidden_layers": config.layers, "hidden_size": config.width,
        "intermediate_size": config.feed_forward, "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads, "rms_norm_eps": config.norm_epsilon,
        "rope_theta": config.rotation_base, "max_position_embeddings": config.context,
    });
    let header = Header::read(&mut Cursor::new(file), file.len() as u64).unwrap();
    let vocab: serde_json::Map<String, serde_json::Value> = header
        .metadata
        .texts("tokenizer.ggml.tokens")
        .unwrap()
        .unwrap()
        .iter()
        .zip(0u64..)
        .filter(|(text, _)| !text.starts_with("<|"))
        .map(|(text, number)| (text.clone(), number.into()))
        .collect();
    let count = vocab.len();
    let added: Vec<_> = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        .iter()
        .enumerate()
        .map(|(index, text)| serde_json::json!({"id": count + index, "content": text, "special": true}))
        .collect();
    let tokenizer = serde_json::json!({
        "model": {"type": "BPE", "vocab": vocab, "merges": header.metadata.texts("tokenizer.ggml.merges").unwrap()},
        "added_tokens": added, "pre_tokenizer": {"type": "ByteLevel", "use_regex": true},
    });
    let mut parts = vec![Weight::Embedding, Weight::OutputNorm, Weight::Output];
    for layer in 0..config.layers {
        use LayerPart::{
            AttentionNorm, AttentionOutput, Down, FeedForwardNorm, Gate, Key, KeyBias, Query, QueryBias, Up, Value,
            ValueBias,
        };
        let all = [
            AttentionNorm,
            Query,
            QueryBias,
            Key,
            KeyBias,
            Value,
            ValueBias,
            AttentionOutput,
            FeedForwardNorm,
            Gate,
            Up,
            Down,
        ];
        parts.extend(all.map(|part| Weight::Layer(layer, part)));
    }
    let mut files = MemoryFiles::new();
    let mut map = serde_json::Map::new();
    for (index, parts) in parts.chunks(parts.len().div_ceil(2)).enumerate() {
        let shard = format!("model-{index}.safetensors");
        let bytes: Vec<Vec<u8>> = parts
            .iter()
            .map(|part| plain.weights[&part.gguf_name()].iter().flat_map(|x| x.to_le_bytes()).collect())
            .collect();
        let views = parts.iter().zip(&bytes).map(|(part, bytes)| {
            map.insert(part.safetensors_name(), shard.clone().into());
            let shape = header.tensors[&part.gguf_name()].shape.clone();
            (
                part.safetensors_name(),
                safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, bytes).unwrap(),
            )
        });
        let views: Vec<_> = views.collect();
        files = files.with(shard, safetensors::serialize(views, None).unwrap());
    }
    let index = serde_json::json!({ "weight_map": map });
    files
        .with("model.safetensors.index.json", index.to_string().into_bytes())
        .with("config.json", json.to_string().into_bytes())
        .with("tokenizer.json", tokenizer.to_string().into_bytes())
}

#[test]
fn safetensors_compute_exactly() {
    let file = tiny_model(1);
    let files = as_safetensors(&file);
    let wanted = Plain::new(&file).scores(&TOKENS);
    // Keys and values are kept in half precision, by candle in single.
    let kernels = distance(&scores(&mut model(&files), &TOKENS, 4), &wanted);
    assert!(kernels < 2e-3, "{kernels}");
    let candle = distance(&scores(&mut on_candle(&files), &TOKENS, 4), &wanted);
    assert!(candle < 1e-4, "{candle}");
    assert!(!load(&files, &LoadOptions::default(), &|_, _| ()).unwrap().text().has_chat_template());
}

#[test]
fn safetensors_that_do_not_fit_are_refused() {
    let files = as_safetensors(&tiny_model(1));
    let refusal = |files: MemoryFiles| load(&files, &LoadOptions::default(), &|_, _| ()).err().unwrap().to_string();
    let header = |json: &str, data: usize| {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    };
    let shard = |bytes: Vec<u8>| files.clone().with("model-0.safetensors", bytes);
    assert!(refusal(shard(vec![0xFF; 16])).contains("header"));
    assert!(refusal(shard(header("{", 0))).contains("safetensors"));
    let place = r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert!(refusal(shard(header(place, 4))).contains("does not fit"));
    let wrong = r#"{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#;
    assert!(!refusal(shard(header(wrong, 8))).is_empty());
    let other = r#"{"x":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    assert!(refusal(shard(header(other, 8))).contains("I64"));
    assert!(refusal(shard(header(place, 8))).contains("no tensor model."));
    assert!(
        refusal(files.clone().with("model.safetensors.index.json", *b"{\"weight_map\":{\"a\":\"b\"}}"))
            .contains("no file b")
    );
}

#[test]
fn missing_and_misshapen_tensors_are_named() {
    let file = tiny_model(1);
    let header = || Header::read(&mut Cursor::new(&file), file.len() as u64).unwrap();
    let config = ModelConfig::from_gguf(&header().metadata).unwrap();
    let load = |edit: &dyn Fn(&mut HashMap<String, crate::gguf::TensorInfo>)| {
        let mut tensors = header().tensors;
        edit(&mut tensors);
        let reader = Box::new(Cursor::new(file.clone()));
        let mut weights = Weights::Gguf(GgufWeights::new("m".into(), reader, tensors, 1, &|_, _| ()));
        Transformer::load(
            config.clone(),
            &mut weights,
            &Room { threads: 1, context: 64, cache: 0, format: CacheFormat::F16 },
            290,
        )
        .err()
        .map(|error| error.to_string())
    };
    assert_eq!(load(&|_| ()), None);
    let missing = load(&|tensors| drop(tensors.remove("blk.1.ffn_up.weight"))).unwrap();
    assert!(missing.contains("blk.1.ffn_up.weight"), "{missing}");
    let swapped = load(&|tensors| tensors.get_mut("blk.0.attn_k.weight").unwrap().shape.reverse()).unwrap();
    assert!(swapped.contains("blk.0.attn_k.weight"), "{swapped}");
    // Without an output matrix, the embedding is it; without biases, there are none.
    assert_eq!(load(&|tensors| drop(tensors.remove("output.weight"))), None);
    assert_eq!(load(&|tensors| drop(tensors.remove("blk.0.attn_q.bias"))), None);
}

#[test]
fn progress_ends_at_its_total() {
    let last = std::cell::Cell::new((0, 0));
    let files = MemoryFiles::new().with("m.gguf", tiny_model(1));
    load(&files, &LoadOptions::default(), &|done, total| {
        assert!(done >= last.get().0 && done <= total);
        last.set((done, total));
    })
    .unwrap();
    assert!(last.get().0 == last.get().1 && last.get().1 > 100_000);
}
