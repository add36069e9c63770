//! Keys and values as they are kept, and attention as it is shared out, in whole models.

use super::*;

fn tokens(count: usize) -> Vec<u32> {
    (0..count).map(|index| (index * 37 % 290) as u32).collect()
}

fn with(cache: CacheFormat, threads: usize) -> Transformer {
    model_with(&of_gguf(tiny_model(2)), LoadOptions { cache, threads, ..LoadOptions::default() })
}

#[test]
fn integers_keep_scores_and_perplexity_within_their_bounds() {
    let tokens = tokens(700);
    let [floats, integers] = [CacheFormat::F16, CacheFormat::Int8].map(|format| {
        let scores = scores(&mut with(format, 2), &tokens, 256);
        let options = LoadOptions { cache: format, ..LoadOptions::default() };
        let mut loaded = load(&of_gguf(tiny_model(2)), &options, &|_, _| ()).unwrap();
        let found = loaded.log_probabilities(&tokens[..200], 100).unwrap();
        (scores, found.iter().sum::<f64>() / found.len() as f64)
    });
    let distance = distance(&integers.0, &floats.0);
    // Random weights make scores of attention that are far apart, and exact ones matter more than in models in use.
    assert!(distance > 0.0 && distance < 0.12, "{distance}");
    assert!((integers.1 - floats.1).abs() < 0.03, "{} {}", integers.1, floats.1);
}

#[test]
fn memory_holds_nearly_twice_the_positions_as_integers() {
    let room = |cache| {
        let options = LoadOptions { cache, cache_bytes: 1 << 20, max_context: 64, ..LoadOptions::default() };
        let model = model_with(&of_gguf(tiny_model(2)), options);
        assert!(model.machine().cache_bytes <= 1 << 20);
        model.room()
    };
    // Two layers of two heads of 32 numbers: 32 positions are 16 KiB, or 8 and scales of half a KiB.
    assert_eq!([room(CacheFormat::F16), room(CacheFormat::Int8)], [64, 120]);
}

#[test]
fn nothing_of_a_sequence_stays_in_memory() {
    for format in [CacheFormat::F16, CacheFormat::Int8] {
        let mut model = with(format, 1);
        let mut cache = model.cache(None, &[]).unwrap().0;
        let tokens = tokens(70);
        let part = Part { tokens: &tokens, cache: &mut cache, wants_scores: false };
        model.forward(&mut [part], &mut Scores::default()).unwrap();
        assert!(!model.is_cache_clean());
        drop(cache);
        assert!(model.is_cache_clean(), "{format:?}");
    }
}

#[test]
fn scores_do_not_depend_on_the_number_of_threads() {
    let tokens = tokens(1300);
    for format in [CacheFormat::F16, CacheFormat::Int8] {
        let [one, three] = [1, 3].map(|threads| {
            let mut model = with(format, threads);
            let mut cache = model.cache(None, &[]).unwrap().0;
            // The last row alone, as an answer's tokens are: it is split.
            let (prompt, last) = tokens.split_at(1299);
            [prompt, last].map(|tokens| {
                let part = Part { tokens, cache: &mut cache, wants_scores: true };
                scores_of(&mut model, &mut [part]).unwrap()
            })
        });
        assert_eq!(one, three, "{format:?}");
    }
}
