//! LoRA adapters against weights to which they were added by hand.

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::*;

const RANK: usize = 2;
/// Rows and columns of the tiny model's matrices that the adapter is for.
const QUERY: (&str, &str, usize, usize) = ("blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj", 128, 128);
const DOWN: (&str, &str, usize, usize) = ("blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj", 128, 256);

fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// Name of a pair, and its two halves.
fn pair((_, name, rows, columns): (&str, &str, usize, usize)) -> [(String, Vec<usize>, Vec<f32>); 2] {
    let tensor = |letter: &str, shape: [usize; 2], seed| {
        (format!("base_model.model.{name}.lora_{letter}.weight"), shape.to_vec(), numbers(seed, shape[0] * shape[1]))
    };
    [tensor("A", [RANK, columns], 5), tensor("B", [rows, RANK], 6)]
}

fn file(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(.., values)| values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes);
    let views: Vec<_> = views
        .map(|((name, shape, _), bytes)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()))
        .collect();
    safetensors::serialize(views, None).unwrap()
}

const CONFIG: &str = r#"{"peft_type":"LORA","r":2,"lora_alpha":3,"target_modules":["q_proj","down_proj"]}"#;

fn adapted(files: &MemoryFiles, config: &str, tensors: &[(String, Vec<usize>, Vec<f32>)]) -> MemoryFiles {
    files.clone().with("adapter_config.json", config.as_bytes()).with("adapter_model.safetensors", file(tensors))
}

#[test]
fn an_adapter_is_added_to_the_matrices_that_it_names() {
    let gguf = tiny_model(1);
    let files = as_safetensors(&gguf);
    for (config, scale) in
        [(CONFIG.to_owned(), 1.5), (CONFIG.replace("\"r\":2", "\"r\":2,\"use_rslora\":true"), 3.0 / 2.0_f32.sqrt())]
    {
        let tensors = [pair(QUERY), pair(DOWN)].concat();
        let mut model = model(&adapted(&files, &config, &tensors));
        let mut plain = Plain::new(&gguf);
        let before = plain.scores(&TOKENS);
        for of in [QUERY, DOWN] {
            let [(.., a), (.., b)] = pair(of);
            let (gguf_name, _, rows, columns) = of;
            let weights = plain.weights.get_mut(gguf_name).unwrap();
            for row in 0..rows {
                for column in 0..columns {
                    let product: f32 = (0..RANK).map(|k| b[row * RANK + k] * a[k * columns + column]).sum();
                    weights[row * columns + column] += scale * product;
                }
            }
        }
        let wanted = plain.scores(&TOKENS);
        assert!(distance(&before, &wanted) > 0.01, "the adapter matters");
        let distance = distance(&scores(&mut model, &TOKENS, 4), &wanted);
        // Keys and values are kept in half precision.
        assert!(distance < 2e-3, "{distance}");
    }
}

/// Nothing of an adapter is passed over: what cannot be applied is named.
#[test]
fn an_adapter_that_cannot_be_applied_whole_is_refused() {
    let files = as_safetensors(&tiny_model(1));
    let sound = [pair(QUERY), pair(DOWN)].concat();
    let refusal = |files: MemoryFiles| load(&files, &LoadOptions::default(), &|_, _| ()).err().unwrap().to_string();
    for (defect, config, word) in [
        ("another kind", CONFIG.replace("LORA", "IA3"), "IA3"),
        ("DoRA", CONFIG.replace("\"r\":2", "\"r\":2,\"use_dora\":true"), "use_dora"),
        ("ranks of its own", CONFIG.replace("\"r\":2", "\"r\":2,\"rank_pattern\":{\"q\":4}"), "rank_pattern"),
        ("no rank", CONFIG.replace("\"r\":2", "\"r\":0"), "r is 0"),
        ("another rank than its tensors'", CONFIG.replace("\"r\":2", "\"r\":4"), "lora_A"),
        ("no configuration in it", "[]".to_owned(), "adapter_config.json"),
    ] {
        let refused = refusal(adapted(&files, &config, &sound));
        assert!(refused.contains(word), "{defect}: {refused}");
    }
    let mut other = sound.clone();
    other[0].0 = other[0].0.replace("layers.0", "layers.9");
    assert!(refusal(adapted(&files, CONFIG, &other)).contains("lora_A"), "half a pair");
    let mut other = sound.clone();
    other[0].0 = other[0].0.replace("layers.0", "layers.9");
    other[1].0 = other[1].0.replace("layers.0", "layers.9");
    assert!(refusal(adapted(&files, CONFIG, &other)).contains("layers.9"), "for a layer that is not there");
    let lonely = files.clone().with("adapter_model.safetensors", file(&sound));
    assert!(refusal(lonely).contains("adapter_config.json"), "no configuration");
    let lonely = files.with("adapter_config.json", CONFIG.as_bytes());
    assert!(refusal(lonely).contains("adapter_model.safetensors"), "no weights");
    let gguf = MemoryFiles::new().with("m.gguf", tiny_model(1));
    assert!(refusal(adapted(&gguf, CONFIG, &sound)).contains("merge it before"), "beside a GGUF file");
}
