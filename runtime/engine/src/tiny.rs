//! A small random model: the whole path from file to text, without a download. It babbles.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Tensor};

use crate::engine::SplitMix64;
use crate::error::EngineError;
use crate::files::MemoryFiles;
use crate::gguf::{Value, Writer};
use crate::text::character;
use crate::weights::DEVICE;

const WIDTH: usize = 128;
const FEED_FORWARD: usize = 256;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_WIDTH: usize = WIDTH / HEADS;
const CONTEXT: i128 = 4096;

/// Words whose letters are merged into tokens, so that there is something to merge.
const WORDS: [&str; 12] =
    [" the", " strong", "room", " keeps", " a", " secret", " key", " proof", " first", "ing", " and", " then"];

/// Special tokens, in the order of their numbers.
const SPECIALS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// As Qwen 2.5's, in short; tools the same way.
const TEMPLATE: &str = "{% if tools %}{{ '<|im_start|>system\\n' }}\
    {% for tool in tools %}{{ tool | tojson + '\\n' }}{% endfor %}{{ '<|im_end|>\\n' }}{% endif %}\
    {% for message in messages %}\
    {{ '<|im_start|>' + message.role + '\\n' + message.content }}\
    {% for call in message.tool_calls %}\
    {{ '<tool_call>\\n{\"name\": ' + call.function.name | tojson + ', \"arguments\": ' + call.function.arguments | tojson + '}\\n</tool_call>' }}\
    {% endfor %}\
    {{ '<|im_end|>\\n' }}\
    {% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// The bytes of a GGUF file of a random model of the Qwen2 family (2 layers, about 300 kB), with
/// tokenizer and chat template. Equal seeds give equal files.
#[must_use]
pub fn tiny_model(seed: u64) -> Vec<u8> {
    // The shapes below are constants that fit their packings: candle has nothing to refuse.
    build(seed).unwrap_or_default()
}

/// The tiny model as the files of a model.
pub(crate) fn tiny_files(seed: u64) -> Result<MemoryFiles, EngineError> {
    Ok(MemoryFiles::new().with("tiny.gguf", build(seed)?))
}

fn build(seed: u64) -> Result<Vec<u8>, EngineError> {
    let mut file = Writer::default();
    let tokens = write_metadata(&mut file);
    let mut weights = RandomWeights { random: SplitMix64(seed), file: &mut file };
    weights.matrix("token_embd.weight", tokens.len(), WIDTH, GgmlDType::Q8_0, 1.0)?;
    for layer in 0..LAYERS {
        let name = |rest: &str| format!("blk.{layer}.{rest}");
        let kv = KV_HEADS * HEAD_WIDTH;
        weights.vector(&name("attn_norm.weight"), WIDTH, 1.0, 0.1)?;
        // Several packings, as in real files.
        weights.matrix(&name("attn_q.weight"), WIDTH, WIDTH, GgmlDType::Q5_0, 2.0)?;
        weights.vector(&name("attn_q.bias"), WIDTH, 0.0, 0.2)?;
        weights.matrix(&name("attn_k.weight"), kv, WIDTH, GgmlDType::Q5_0, 2.0)?;
        weights.vector(&name("attn_k.bias"), kv, 0.0, 0.2)?;
        weights.matrix(&name("attn_v.weight"), kv, WIDTH, GgmlDType::Q8_0, 1.0)?;
        weights.vector(&name("attn_v.bias"), kv, 0.0, 0.2)?;
        weights.matrix(&name("attn_output.weight"), WIDTH, WIDTH, GgmlDType::F16, 1.0)?;
        weights.vector(&name("ffn_norm.weight"), WIDTH, 1.0, 0.1)?;
        weights.matrix(&name("ffn_gate.weight"), FEED_FORWARD, WIDTH, GgmlDType::Q4_0, 1.0)?;
        weights.matrix(&name("ffn_up.weight"), FEED_FORWARD, WIDTH, GgmlDType::Q5_1, 1.0)?;
        weights.matrix(&name("ffn_down.weight"), WIDTH, FEED_FORWARD, GgmlDType::Q4K, 1.0)?;
    }
    weights.vector("output_norm.weight", WIDTH, 1.0, 0.1)?;
    weights.output(&tokens)?;
    Ok(file.finish())
}

/// Writes metadata and returns the tokens.
fn write_metadata(file: &mut Writer) -> Vec<String> {
    let (mut tokens, merges) = vocabulary();
    let mut kinds = vec![1; tokens.len()];
    let first_special = tokens.len() as i128;
    tokens.extend(SPECIALS.map(str::to_owned));
    kinds.extend([3; SPECIALS.len()]);
    let text = |text: &str| Value::Text(text.to_owned());
    let integer = |number: usize| Value::Integer(number as i128);
    for (key, value) in [
        ("general.architecture", text("qwen2")),
        ("general.name", text("tiny random model")),
        ("qwen2.block_count", integer(LAYERS)),
        ("qwen2.context_length", Value::Integer(CONTEXT)),
        ("qwen2.embedding_length", integer(WIDTH)),
        ("qwen2.feed_forward_length", integer(FEED_FORWARD)),
        ("qwen2.attention.head_count", integer(HEADS)),
        ("qwen2.attention.head_count_kv", integer(KV_HEADS)),
        ("qwen2.rope.freq_base", Value::Float(10_000.0)),
        ("qwen2.attention.layer_norm_rms_epsilon", Value::Float(1e-6)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("qwen2")),
        ("tokenizer.ggml.tokens", Value::Texts(tokens.clone())),
        ("tokenizer.ggml.token_type", Value::Integers(kinds)),
        ("tokenizer.ggml.merges", Value::Texts(merges)),
        ("tokenizer.ggml.bos_token_id", Value::Integer(first_special)),
        ("tokenizer.ggml.eos_token_id", Value::Integer(first_special + 2)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
        ("tokenizer.chat_template", text(TEMPLATE)),
    ] {
        file.value(key, &value);
    }
    tokens
}

/// Every byte, and the merges that make the words.
fn vocabulary() -> (Vec<String>, Vec<String>) {
    let mut tokens: Vec<String> = (0..=u8::MAX).map(|byte| character(byte).to_string()).collect();
    let mut merges = Vec::new();
    for word in WORDS {
        let mut merged = String::new();
        for byte in word.bytes() {
            let next = character(byte).to_string();
            let longer = format!("{merged}{next}");
            if !merged.is_empty() && !tokens.contains(&longer) {
                merges.push(format!("{merged} {next}"));
                tokens.push(longer.clone());
            }
            merged = longer;
        }
    }
    (tokens, merges)
}

struct RandomWeights<'a> {
    random: SplitMix64,
    file: &'a mut Writer,
}

impl RandomWeights<'_> {
    /// Evenly distributed about 0, so that rows of products have a deviation of about `scale`.
    fn values(&mut self, rows: usize, columns: usize, scale: f32) -> Vec<f32> {
        let range = scale * (3.0 / columns as f32).sqrt();
        (0..rows * columns).map(|_| (self.random.unit() * 2.0 - 1.0) * range).collect()
    }

    fn matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
        kind: GgmlDType,
        scale: f32,
    ) -> Result<(), EngineError> {
        let values = self.values(rows, columns, scale);
        self.write(name, rows, columns, kind, values)
    }

    /// The output matrix: tokens that are not printable text score 0, so that printable ones win.
    fn output(&mut self, tokens: &[String]) -> Result<(), EngineError> {
        let mut values = self.values(tokens.len(), WIDTH, 2.0);
        for (token, row) in tokens.iter().zip(values.chunks_mut(WIDTH)) {
            if !token.chars().all(|character| character.is_ascii_graphic() || character == 'Ġ') {
                row.fill(0.0);
            }
        }
        self.write("output.weight", tokens.len(), WIDTH, GgmlDType::Q8_0, values)
    }

    fn write(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
        kind: GgmlDType,
        values: Vec<f32>,
    ) -> Result<(), EngineError> {
        let tensor = Tensor::from_vec(values, (rows, columns), &DEVICE)?;
        let packed = QTensor::quantize(&tensor, kind)?;
        self.file.tensor(name, kind, &[rows, columns], &packed.data()?);
        Ok(())
    }

    fn vector(&mut self, name: &str, length: usize, middle: f32, range: f32) -> Result<(), EngineError> {
        let values: Vec<f32> = (0..length).map(|_| middle + (self.random.unit() * 2.0 - 1.0) * range).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        debug_assert_eq!(bytes.len(), length * DType::F32.size_in_bytes());
        self.file.tensor(name, GgmlDType::F32, &[length], &bytes);
        Ok(())
    }
}
