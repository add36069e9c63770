//! Small random models of each family, with the scores that llama.cpp computes for them:
//! `tests/vectors/families/README.md` says how they were made.

use crate::engine::{Forward, Part, scores_of};
use crate::files::MemoryFiles;
use crate::kernels::CacheFormat;
use crate::load::{AnyModel, LoadOptions, load};

fn vector(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/vectors/families/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_family_scores_as_llama_cpp_does() {
    for family in ["llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"] {
        let files = MemoryFiles::new().with("m.gguf", vector(&format!("{family}.gguf")));
        let wanted: serde_json::Value = serde_json::from_slice(&vector(&format!("{family}.json"))).unwrap();
        let numbers = |field: &str| wanted[field].as_array().unwrap().iter().map(|number| number.as_f64().unwrap());
        let tokens: Vec<u32> = numbers("tokens").map(|token| token as u32).collect();
        // Eight bits for keys and values cost what the second bound says.
        for (cache, bound) in [(CacheFormat::F16, 2e-3), (CacheFormat::Int8, 3e-2)] {
            let options = LoadOptions { cache, ..LoadOptions::default() };
            let AnyModel::Kernels(mut model) = load(&files, &options, &|_, _| ()).unwrap().model else {
                panic!("kernels are the default")
            };
            // At once, and with what came before in the cache.
            for chunk in [tokens.len(), 9] {
                let mut cache = model.cache(None, &[]).unwrap().0;
                let mut found = Vec::new();
                for tokens in tokens.chunks(chunk) {
                    let mut parts = [Part { tokens, cache: &mut cache, wants_scores: true }];
                    found = scores_of(&mut *model, &mut parts).unwrap().pop().unwrap().unwrap();
                }
                let (difference, size) = found
                    .iter()
                    .zip(numbers("scores"))
                    .fold((0.0, 0.0), |(sum, size), (a, b)| (sum + (f64::from(*a) - b).powi(2), size + b * b));
                let distance = (difference / size).sqrt();
                assert!(distance < bound, "{family}, {:?}, in chunks of {chunk}: {distance}", options.cache);
            }
        }
    }
}
