//! Divisors of the rotation for short and long contexts, in either kind of file.

use candle_core::quantized::GgmlDType;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value as Json, json};

use crate::config::ModelConfig;
use crate::engine::{Forward, Part, SplitMix64, scores_of};
use crate::error::EngineError;
use crate::files::MemoryFiles;
use crate::gguf::{Value, Writer};
use crate::load::{AnyModel, LoadOptions, load};
use crate::text::character;
use crate::weights::{LayerPart, Part as Weight};

const WIDTH: usize = 32;
const WIDE: usize = 48;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HALF: usize = WIDTH / HEADS / 2;
const LAYERS: usize = 2;
const TOKENS: usize = 257;
const CONTEXT: usize = 64;
const ORIGINAL: usize = 16;
const SHORT: [f32; HALF] = [1.0, 1.1, 1.25, 1.5];
const LONG: [f32; HALF] = [1.0, 2.5, 9.0, 30.0];

/// Random weights, but for the divisors.
fn tensors() -> Vec<(Weight, Vec<usize>, Vec<f32>)> {
    let mut random = SplitMix64(9);
    let mut tensors = Vec::new();
    let mut put = |part, shape: &[usize], middle: f32, range: f32| {
        let numbers = (0..shape.iter().product()).map(|_| middle + (random.unit() * 2.0 - 1.0) * range).collect();
        tensors.push((part, shape.to_vec(), numbers));
    };
    put(Weight::Embedding, &[TOKENS, WIDTH], 0.0, 1.0);
    put(Weight::OutputNorm, &[WIDTH], 1.0, 0.2);
    let kv = 2 * KV_HEADS * WIDTH / HEADS;
    for layer in 0..LAYERS {
        for (part, rows, columns) in [
            (LayerPart::Fused, WIDTH + kv, WIDTH),
            (LayerPart::AttentionOutput, WIDTH, WIDTH),
            (LayerPart::GateUp, 2 * WIDE, WIDTH),
            (LayerPart::Down, WIDTH, WIDE),
        ] {
            put(Weight::Layer(layer, part), &[rows, columns], 0.0, 2.0 * (3.0 / columns as f32).sqrt());
        }
        put(Weight::Layer(layer, LayerPart::AttentionNorm), &[WIDTH], 1.0, 0.2);
        put(Weight::Layer(layer, LayerPart::FeedForwardNorm), &[WIDTH], 1.0, 0.2);
    }
    tensors
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn vocabulary() -> Vec<String> {
    (0..=u8::MAX).map(|byte| character(byte).to_string()).chain(["</s>".to_owned()]).collect()
}

/// As a converter writes it, with these divisors for long contexts.
fn gguf(long: &[f32]) -> MemoryFiles {
    let mut file = Writer::default();
    let number = |number: usize| Value::Integer(number as i128);
    let text = |text: &str| Value::Text(text.to_owned());
    let magnitude = (1.0 + ((CONTEXT / ORIGINAL) as f64).ln() / (ORIGINAL as f64).ln()).sqrt();
    for (key, value) in [
        ("general.architecture", text("phi3")),
        ("phi3.block_count", number(LAYERS)),
        ("phi3.context_length", number(CONTEXT)),
        ("phi3.embedding_length", number(WIDTH)),
        ("phi3.feed_forward_length", number(WIDE)),
        ("phi3.attention.head_count", number(HEADS)),
        ("phi3.attention.head_count_kv", number(KV_HEADS)),
        ("phi3.attention.layer_norm_rms_epsilon", Value::Float(1e-5)),
        ("phi3.rope.scaling.original_context_length", number(ORIGINAL)),
        ("phi3.rope.scaling.attn_factor", Value::Float(magnitude)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.tokens", Value::Texts(vocabulary())),
        (
            "tokenizer.ggml.token_type",
            Value::Integers((0..TOKENS).map(|token| if token < 256 { 1 } else { 3 }).collect()),
        ),
        ("tokenizer.ggml.eos_token_id", number(256)),
    ] {
        file.value(key, &value);
    }
    let divisors = [(Weight::ShortRotationFactors, SHORT.to_vec()), (Weight::LongRotationFactors, long.to_vec())];
    let divisors = divisors.map(|(part, numbers)| (part, vec![numbers.len()], numbers));
    for (part, shape, numbers) in tensors().into_iter().chain(divisors) {
        file.tensor(&part.gguf_name(), GgmlDType::F32, &shape, &bytes(&numbers));
    }
    MemoryFiles::new().with("model.gguf", file.finish())
}

fn config() -> Json {
    json!({
        "model_type": "phi3", "num_hidden_layers": LAYERS, "hidden_size": WIDTH, "intermediate_size": WIDE,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "max_position_embeddings": CONTEXT, "original_max_position_embeddings": ORIGINAL,
        "rope_scaling": { "type": "longrope", "short_factor": SHORT, "long_factor": LONG },
    })
}

fn safetensors(config: &Json) -> MemoryFiles {
    let tensors = tensors();
    let data: Vec<Vec<u8>> = tensors.iter().map(|(.., numbers)| bytes(numbers)).collect();
    let views = tensors.iter().zip(&data).map(|((part, shape, _), data)| {
        (part.safetensors_name(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    let vocab: Map<String, Json> = vocabulary().into_iter().take(256).zip((0..256).map(Json::from)).collect();
    let tokenizer = json!({
        "model": { "type": "BPE", "vocab": vocab, "merges": [] },
        "pre_tokenizer": { "type": "ByteLevel" },
        "added_tokens": [{ "id": 256, "content": "</s>", "special": true }],
    });
    MemoryFiles::new()
        .with("config.json", config.to_string().into_bytes())
        .with("tokenizer.json", tokenizer.to_string().into_bytes())
        .with("tokenizer_config.json", *b"{\"eos_token\":\"</s>\"}")
        .with("model.safetensors", safetensors::serialize(views, None).unwrap())
}

fn scores(files: &MemoryFiles, max_context: usize) -> Vec<f32> {
    let options = LoadOptions { max_context, threads: 1, ..LoadOptions::default() };
    let AnyModel::Kernels(mut model) = load(files, &options, &|_, _| ()).unwrap().model else {
        panic!("kernels are the default")
    };
    let tokens: Vec<u32> = (0..14).map(|index| index * 37 % 256).collect();
    let mut cache = model.cache(None, &[]).unwrap().0;
    let mut parts = [Part { tokens: &tokens, cache: &mut cache, wants_scores: true }];
    scores_of(&mut *model, &mut parts).unwrap().pop().unwrap().unwrap()
}

/// What the configuration makes of the rotation.
fn rotation(config: &Json) -> Result<(usize, f32), EngineError> {
    let recipe = ModelConfig::from_json(config)?.recipe;
    Ok(recipe.long_rotation.map(|rotation| (rotation.original, rotation.magnitude)).unwrap_or_default())
}

#[test]
fn both_kinds_of_files_rotate_alike() {
    let beside = safetensors(&config());
    // The divisors are chosen by the positions that a sequence may have, not by those that it has.
    let [short, long] = [ORIGINAL, CONTEXT].map(|context| {
        let found = scores(&beside, context);
        assert_eq!(found, scores(&gguf(&LONG), context), "in a context of {context}");
        found
    });
    assert_eq!(scores(&beside, ORIGINAL + 1), long);
    let mut plain = config();
    plain["rope_scaling"] = Json::Null;
    let plain = scores(&safetensors(&plain), CONTEXT);
    assert!(short != long && short != plain && long != plain, "the divisors matter");
}

#[test]
fn every_name_and_place_of_the_figures_is_read() {
    // sqrt(1 + ln 4 / ln 16)
    assert_eq!(rotation(&config()).unwrap(), (ORIGINAL, 1.5_f32.sqrt()));
    for kind in
        [json!({ "type": "su" }), json!({ "rope_type": "longrope" }), json!({ "rope_type": "longrope", "type": "su" })]
    {
        let mut json = config();
        json["rope_scaling"]["type"] = Json::Null;
        kind.as_object().unwrap().iter().for_each(|(name, kind)| json["rope_scaling"][name] = kind.clone());
        assert_eq!(rotation(&json).unwrap(), (ORIGINAL, 1.5_f32.sqrt()), "{kind}");
    }
    let changed = |change: &dyn Fn(&mut Json)| {
        let mut json = config();
        change(&mut json);
        rotation(&json).unwrap()
    };
    let inside = |json: &mut Json| {
        json["rope_scaling"]["original_max_position_embeddings"] = json["original_max_position_embeddings"].take();
    };
    assert_eq!(changed(&inside), (ORIGINAL, 1.5_f32.sqrt()));
    assert_eq!(changed(&|json| json["rope_scaling"]["attention_factor"] = json!(1.25)), (ORIGINAL, 1.25));
    assert_eq!(changed(&|json| json["rope_scaling"]["factor"] = json!(4.0)), (ORIGINAL, 1.5_f32.sqrt()));
    assert_eq!(changed(&|json| json["max_position_embeddings"] = json!(ORIGINAL)), (ORIGINAL, 1.0));
    assert_eq!(changed(&|json| json["rope_scaling"] = json!({ "type": "default" })), (0, 0.0));
    // Phi-3.5-mini: sqrt(1 + 5 / 12).
    let published = |json: &mut Json| {
        json["max_position_embeddings"] = json!(131_072);
        json["original_max_position_embeddings"] = json!(4096);
    };
    assert_eq!(changed(&published), (4096, 1.190_238_1));
}

#[test]
fn hostile_divisors_are_refused_by_their_defect() {
    let long = "x".repeat(1 << 20);
    let scaling = |field: &'static str, value: Json| (field, value, true);
    let outside = |field: &'static str, value: Json| (field, value, false);
    for ((field, value, is_inside), wanted) in [
        (scaling("long_factor", json!([1.0, 2.0, 3.0])), "long_factor of rope_scaling has 3 numbers, wanted 4"),
        (scaling("short_factor", json!(vec![1.0; 1 << 16])), "short_factor of rope_scaling has 65536 numbers"),
        (scaling("short_factor", Json::Null), "the rotation's short_factor is null"),
        (scaling("long_factor", json!({ "0": 1.0 })), "the rotation's long_factor is"),
        (scaling("long_factor", json!([1.0, 2.0, 0.0, 3.0])), "a divisor of the rotation's frequencies is 0"),
        (scaling("short_factor", json!([1.0, -2.0, 1.0, 3.0])), "frequencies is -2"),
        (scaling("long_factor", json!([1.0, 1e-300, 1.0, 3.0])), "frequencies is 0"),
        (scaling("long_factor", json!([1.0, 1e300, 1.0, 3.0])), "frequencies is inf"),
        (scaling("long_factor", json!([1.0, "NaN", 1.0, 3.0])), "the rotation's long_factor is \"NaN\""),
        (scaling("long_factor", json!([1.0, null, 1.0, 3.0])), "the rotation's long_factor is null"),
        (scaling("type", json!("yarn")), "yarn"),
        (scaling("type", Json::Null), "rotation scaling is not supported: (none)"),
        (scaling("type", json!(long)), "rotation scaling is not supported: xxx"),
        (scaling("attention_factor", json!(0.0)), "attention_factor is 0"),
        (scaling("attention_factor", json!("1")), "attention_factor is \"1\""),
        (scaling("factor", json!(32.0)), "factor is 32, and the context is 4 times"),
        (scaling("factor", json!(-1.0)), "factor is -1"),
        (scaling("long_mscale", json!(1.2)), "long_mscale"),
        (outside("original_max_position_embeddings", Json::Null), "original_max_position_embeddings is null"),
        (outside("original_max_position_embeddings", json!(0)), "original_max_position_embeddings is 0"),
        (outside("original_max_position_embeddings", json!(1)), "original_max_position_embeddings is 1"),
        (outside("original_max_position_embeddings", json!(-4)), "original_max_position_embeddings is -4"),
        (outside("original_max_position_embeddings", json!(1_u64 << 40)), "original_max_position_embeddings is"),
        (outside("original_max_position_embeddings", json!(long)), "original_max_position_embeddings is"),
        (outside("partial_rotary_factor", json!(0.75)), "the rotation of a part of each head"),
        (outside("head_dim", json!(12)), "has 4 numbers, wanted 6"),
    ] {
        let mut json = config();
        if is_inside {
            json["rope_scaling"][field] = value;
        } else {
            json[field] = value;
        }
        let error = rotation(&json).unwrap_err().to_string();
        assert!(error.contains(wanted) && error.len() < 1_000, "{field}: {error}");
    }
    let text = config().to_string().replace("30.0", "NaN");
    let files = safetensors(&config()).with("config.json", text.into_bytes());
    let refusal = |files| load(&files, &LoadOptions::default(), &|_, _| ()).err().unwrap().to_string();
    assert!(refusal(files).contains("config.json"));
    // The same for divisors that are tensors.
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-40] {
        let error = refusal(gguf(&[1.0, bad, 1.0, 1.0]));
        assert!(error.contains("a divisor of the rotation's frequencies is"), "{bad}: {error}");
    }
    assert!(refusal(gguf(&[1.0; HALF - 1])).contains("rope_factors_long.weight"));
}
