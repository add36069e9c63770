//! The engine from outside: scripted where only the machinery matters, the tiny model where
//! numbers do.

use std::sync::Arc;

use super::*;
use crate::error::SubmitError;
use crate::files::MemoryFiles;
use crate::load::{LoadOptions, load};
use crate::scripted::{Gate, Script};
use crate::tiny::tiny_model;

struct Answer {
    text: String,
    pieces: usize,
    reason: FinishReason,
    prompt_tokens: usize,
    completion_tokens: usize,
}

fn drain(mut generation: Generation) -> Answer {
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(event) = generation.next_blocking() {
        match event {
            Event::Text { text: piece, .. } => {
                assert!(!piece.is_empty());
                text.push_str(&piece);
                pieces += 1;
            }
            Event::Done { reason, prompt_tokens, completion_tokens, .. } => {
                assert!(generation.next_blocking().is_none(), "nothing follows the end");
                return Answer { text, pieces, reason, prompt_tokens, completion_tokens };
            }
        }
    }
    panic!("the stream ended without Done");
}

fn request(engine: &EngineHandle, prompt: &str) -> GenerationRequest {
    GenerationRequest::greedy(engine.text().encode(prompt).unwrap(), 1000)
}

fn tiny(limits: Limits) -> EngineHandle {
    let files = MemoryFiles::new().with("tiny.gguf", tiny_model(7));
    EngineHandle::spawn(load(&files, &LoadOptions::default(), &|_, _| ()).unwrap(), limits).unwrap()
}

#[test]
fn a_script_is_said_in_whole_characters() {
    let script = "Grüße 🦀 then the strongroom keeps the key ✓";
    let engine = EngineHandle::scripted(Script::says(script)).unwrap();
    let answer = drain(engine.submit(request(&engine, "hi")).unwrap());
    assert_eq!((answer.text.as_str(), answer.reason), (script, FinishReason::Stop));
    assert!(answer.pieces > 5);
    assert_eq!(answer.prompt_tokens, 2);
    assert_eq!(answer.completion_tokens, engine.text().encode(script).unwrap().len());
}

#[test]
fn an_echo_is_the_prompt_even_over_many_chunks() {
    let engine = EngineHandle::scripted(Script::echoes()).unwrap();
    let prompt = "canary 4711; ".repeat(60);
    assert_eq!(drain(engine.submit(request(&engine, &prompt)).unwrap()).text, prompt);
}

#[test]
fn a_stop_text_ends_the_answer_and_is_not_shown() {
    let engine = EngineHandle::scripted(Script::says("one strong END two")).unwrap();
    let stop = vec!["ng END".to_owned()];
    let answer = drain(engine.submit(GenerationRequest { stop, ..request(&engine, "x") }).unwrap());
    assert_eq!((answer.text.as_str(), answer.reason), ("one stro", FinishReason::Stop));
}

#[test]
fn text_held_back_for_a_stop_text_comes_at_the_end() {
    let engine = EngineHandle::scripted(Script::says("almost EN")).unwrap();
    let stop = vec!["END".to_owned()];
    let answer = drain(engine.submit(GenerationRequest { stop, ..request(&engine, "x") }).unwrap());
    assert_eq!((answer.text.as_str(), answer.reason), ("almost EN", FinishReason::Stop));
}

#[test]
fn max_tokens_cuts_the_answer() {
    let engine = EngineHandle::scripted(Script::says("abcdef")).unwrap();
    for (max_tokens, wanted) in [(0, ""), (3, "abc")] {
        let answer = drain(engine.submit(GenerationRequest { max_tokens, ..request(&engine, "x") }).unwrap());
        assert_eq!((answer.text.as_str(), answer.reason), (wanted, FinishReason::Length));
        assert_eq!(answer.completion_tokens, max_tokens);
    }
}

#[test]
fn a_character_cut_by_max_tokens_is_marked() {
    let engine = EngineHandle::scripted(Script::says("€")).unwrap();
    let answer = drain(engine.submit(GenerationRequest { max_tokens: 2, ..request(&engine, "x") }).unwrap());
    assert_eq!((answer.text.as_str(), answer.reason), ("\u{FFFD}", FinishReason::Length));
}

#[test]
fn a_failing_model_fails_the_request_and_not_the_engine() {
    let engine = EngineHandle::scripted(Script::fails()).unwrap();
    for _ in 0..2 {
        assert_eq!(drain(engine.submit(request(&engine, "x")).unwrap()).reason, FinishReason::Failed);
    }
    assert_eq!(engine.in_flight(), 0);
}

#[test]
fn a_full_engine_is_busy_until_a_place_is_free() {
    let gate = Gate::closed();
    let script = Script::says("done").behind(&gate).limits(Limits { max_streams: 1, queue: 1 });
    let engine = EngineHandle::scripted(script).unwrap();
    let [first, second] = std::array::from_fn(|_| engine.submit(request(&engine, "x")).unwrap());
    let refused = engine.submit(request(&engine, "x")).err();
    assert_eq!(refused, Some(SubmitError::Busy { streams: 1, queue: 1 }));
    gate.open();
    assert_eq!(drain(first).text, "done");
    assert_eq!(drain(second).text, "done");
    assert_eq!(drain(engine.submit(request(&engine, "x")).unwrap()).text, "done");
}

#[test]
fn a_dropped_generation_frees_its_place() {
    let gate = Gate::closed();
    let script = Script::says("done ".repeat(500)).behind(&gate).limits(Limits { max_streams: 1, queue: 2 });
    let engine = EngineHandle::scripted(script).unwrap();
    let running = engine.submit(request(&engine, "x")).unwrap();
    let waiting = engine.submit(request(&engine, "x")).unwrap();
    let kept = engine.submit(GenerationRequest { max_tokens: 2, ..request(&engine, "x") }).unwrap();
    drop(running);
    drop(waiting);
    gate.open();
    assert_eq!(drain(kept).reason, FinishReason::Length);
    assert_eq!(engine.in_flight(), 0);
}

#[test]
fn stopping_cancels_what_runs_and_what_waits() {
    let gate = Gate::closed();
    let script = Script::says("word ".repeat(500)).behind(&gate).limits(Limits { max_streams: 1, queue: 1 });
    let engine = EngineHandle::scripted(script).unwrap();
    let both: [Generation; 2] = std::array::from_fn(|_| engine.submit(request(&engine, "x")).unwrap());
    engine.stop();
    gate.open();
    for generation in both {
        assert_eq!(drain(generation).reason, FinishReason::Cancelled);
    }
    assert_eq!(engine.submit(request(&engine, "x")).err(), Some(SubmitError::Stopped));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(engine.stopped());
    engine.stop();
}

#[test]
fn a_model_is_dropped_before_stopped_returns() {
    let engine = tiny(Limits::default());
    let shared = Arc::downgrade(engine.text());
    engine.stop();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(engine.stopped());
    drop(engine);
    assert!(shared.upgrade().is_none());
}

#[test]
fn requests_without_meaning_are_refused_with_the_reason() {
    let engine = EngineHandle::scripted(Script::echoes()).unwrap();
    let good = request(&engine, "x");
    let context = engine.text().context_length();
    let too_long = GenerationRequest { prompt: vec![5; context], ..good.clone() };
    assert_eq!(engine.submit(too_long).err(), Some(SubmitError::PromptTooLong { tokens: context, limit: context - 1 }));
    let vocabulary = engine.text().vocabulary() as u32;
    for bad in [
        GenerationRequest { prompt: Vec::new(), ..good.clone() },
        GenerationRequest { prompt: vec![vocabulary], ..good.clone() },
        GenerationRequest { temperature: f32::NAN, ..good.clone() },
        GenerationRequest { temperature: -1.0, ..good.clone() },
        GenerationRequest { top_p: 0.0, ..good.clone() },
        GenerationRequest { top_p: 1.5, ..good.clone() },
        GenerationRequest { stop: vec![String::new(); 17], ..good.clone() },
        GenerationRequest { min_p: 1.5, ..good.clone() },
        GenerationRequest { presence_penalty: f32::NAN, ..good.clone() },
        GenerationRequest { repetition_penalty: 0.0, ..good.clone() },
        GenerationRequest { logit_bias: vec![(vocabulary, 1.0)], ..good.clone() },
        GenerationRequest { logprobs: Some(21), ..good.clone() },
        GenerationRequest { choices: 0, ..good.clone() },
        GenerationRequest { choices: 41, ..good.clone() },
        GenerationRequest { stop: vec!["x".repeat(2000)], ..good.clone() },
    ] {
        assert!(matches!(engine.submit(bad), Err(SubmitError::Invalid { .. })));
    }
    assert_eq!(engine.in_flight(), 0);
}

#[test]
fn a_batch_answers_as_one_by_one() {
    let prompts: Vec<String> =
        (0..6).map(|index| format!("{index} {}", " the strongroom keeps a secret".repeat(1 + index * 5))).collect();
    let answers = |engine: &EngineHandle, together: bool| -> Vec<String> {
        let start =
            |prompt: &String| engine.submit(GenerationRequest { max_tokens: 24, ..request(engine, prompt) }).unwrap();
        if together {
            let started: Vec<_> = prompts.iter().map(start).collect();
            started.into_iter().map(|generation| drain(generation).text).collect()
        } else {
            prompts.iter().map(|prompt| drain(start(prompt)).text).collect()
        }
    };
    let engine = tiny(Limits { max_streams: 4, queue: 8 });
    let alone = answers(&engine, false);
    assert_eq!(answers(&engine, true), alone);
    let distinct: std::collections::HashSet<_> = alone.iter().collect();
    assert!(distinct.len() > 3, "the model looks at its prompt: {alone:?}");
}

#[test]
fn equal_seeds_sample_equally() {
    let engine = tiny(Limits::default());
    let sample = |seed| {
        let request = GenerationRequest { temperature: 1.0, seed, max_tokens: 30, ..request(&engine, " the key") };
        drain(engine.submit(request).unwrap()).text
    };
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
}

#[test]
fn the_context_ends_an_answer() {
    let files = MemoryFiles::new().with("tiny.gguf", tiny_model(7));
    let options = LoadOptions { max_context: 300, ..LoadOptions::default() };
    let engine = EngineHandle::spawn(load(&files, &options, &|_, _| ()).unwrap(), Limits::default()).unwrap();
    let request = GenerationRequest::greedy(vec![70; 295], 100);
    let answer = drain(engine.submit(request).unwrap());
    assert_eq!((answer.reason, answer.completion_tokens), (FinishReason::Length, 5));
}

/// Each answer's text, by number.
fn drain_all(mut generation: Generation, count: usize) -> Vec<String> {
    let mut texts = vec![String::new(); count];
    let mut ends = 0;
    while let Some(event) = generation.next_blocking() {
        match event {
            Event::Text { choice, text, .. } => texts[choice].push_str(&text),
            Event::Done { .. } => ends += 1,
        }
    }
    assert_eq!(ends, count);
    texts
}

#[test]
fn several_answers_are_drawn_with_seeds_of_their_own() {
    let engine = tiny(Limits::default());
    let sample = |choices| {
        let request = GenerationRequest { temperature: 1.5, seed: 1, max_tokens: 30, choices, ..request(&engine, "x") };
        drain_all(engine.submit(request).unwrap(), choices)
    };
    let three = sample(3);
    assert_eq!(three, sample(3));
    assert_eq!(three[0], sample(1)[0]);
    assert_ne!(three[0], three[1]);
    assert_ne!(three[1], three[2]);
}

#[test]
fn several_answers_start_together_or_not_at_all() {
    let gate = Gate::closed();
    let script = Script::says("done").behind(&gate).limits(Limits { max_streams: 1, queue: 3 });
    let engine = EngineHandle::scripted(script).unwrap();
    let two = engine.submit(GenerationRequest { choices: 2, ..request(&engine, "x") }).unwrap();
    let refused = engine.submit(GenerationRequest { choices: 3, ..request(&engine, "x") }).err();
    assert_eq!(refused, Some(SubmitError::Busy { streams: 1, queue: 3 }));
    assert_eq!(engine.in_flight(), 2);
    gate.open();
    assert_eq!(drain_all(two, 2), ["done", "done"]);
    assert_eq!(engine.in_flight(), 0);
}

/// Texts of an answer and the tokens that came with each.
fn scored(engine: &EngineHandle, request: GenerationRequest) -> Vec<(String, Vec<TokenLogprobs>)> {
    let mut generation = engine.submit(request).unwrap();
    std::iter::from_fn(|| generation.next_blocking())
        .filter_map(|event| match event {
            Event::Text { text, logprobs, .. } => Some((text, logprobs)),
            Event::Done { .. } => None,
        })
        .collect()
}

#[test]
fn log_probabilities_keep_step_with_the_text() {
    let engine = EngineHandle::scripted(Script::says("Grüße 🦀 to the END, strongroom")).unwrap();
    for stop in [Vec::new(), vec!["END, strong!".to_owned()], vec!["END".to_owned()]] {
        let wanted = GenerationRequest { logprobs: Some(2), stop, ..request(&engine, "x") };
        for (text, logprobs) in scored(&engine, wanted) {
            let bytes: Vec<u8> = logprobs.iter().flat_map(|token| token.token.bytes.clone()).collect();
            assert_eq!(String::from_utf8(bytes).unwrap(), text);
            // The script wants one token each time.
            assert!(logprobs.iter().all(|token| token.token.logprob == 0.0 && token.likeliest[0] == token.token));
        }
    }
}

#[test]
fn log_probabilities_are_those_of_the_model_whatever_is_sampled() {
    let engine = tiny(Limits::default());
    let all = |request: GenerationRequest| -> Vec<TokenLogprobs> {
        scored(&engine, request).into_iter().flat_map(|(_, logprobs)| logprobs).collect()
    };
    let greedy = GenerationRequest { logprobs: Some(20), max_tokens: 1, ..request(&engine, " the key") };
    let plain = all(greedy.clone());
    let first = &plain[0];
    assert!(first.token == first.likeliest[0] && first.likeliest.len() == 20);
    assert!(first.likeliest.is_sorted_by(|a, b| a.logprob >= b.logprob));
    let sum: f32 = first.likeliest.iter().map(|token| token.logprob.exp()).sum();
    assert!(sum > 0.1 && sum <= 1.0, "{sum}");
    let hot = all(GenerationRequest { temperature: 2.0, top_k: 1, ..greedy });
    assert!(hot == plain);
}

#[test]
fn an_answer_follows_its_schema_and_ends_with_it() {
    let schema = serde_json::json!({
        "type": "object", "additionalProperties": false, "required": ["key"],
        "properties": { "key": { "enum": ["first", "second"] } },
    });
    let scripted = EngineHandle::scripted(Script::says("{\"key\": \"second\"} and more")).unwrap();
    for (engine, temperature) in [(&scripted, 0.0), (&scripted, 2.0), (&tiny(Limits::default()), 1.5)] {
        let constraint = Some(engine.text().constraint(schema.as_object().unwrap()).unwrap());
        let request = GenerationRequest { constraint, temperature, choices: 3, ..request(engine, "x") };
        for text in drain_all(engine.submit(request).unwrap(), 3) {
            let document: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(document["key"] == "first" || document["key"] == "second", "{text}");
        }
    }
    let constraint = Some(scripted.text().constraint(schema.as_object().unwrap()).unwrap());
    let answer = drain(scripted.submit(GenerationRequest { constraint, ..request(&scripted, "x") }).unwrap());
    assert_eq!((answer.text.as_str(), answer.reason), ("{\"key\": \"second\"}", FinishReason::Stop));
}

/// The tiny model with memory for one whole context and no more.
fn cramped(limits: Limits) -> EngineHandle {
    let files = MemoryFiles::new().with("tiny.gguf", tiny_model(7));
    let options = LoadOptions { max_context: 256, cache_bytes: 0, ..LoadOptions::default() };
    EngineHandle::spawn(load(&files, &options, &|_, _| ()).unwrap(), limits).unwrap()
}

#[test]
fn streams_that_do_not_fit_into_memory_wait_or_are_computed_again_and_none_fails() {
    let prompts = ["the secret key", "a proof and then the strongroom keeps", "first", " keeps a key and then a proof"];
    let ask = |engine: &EngineHandle, prompt: &str| {
        let request = GenerationRequest { max_tokens: 150, ignores_end: true, ..request(engine, prompt) };
        engine.submit(request).unwrap()
    };
    let roomy = tiny(Limits::default());
    let wanted: Vec<String> = prompts.iter().map(|prompt| drain(ask(&roomy, prompt)).text).collect();
    let engine = cramped(Limits { max_streams: 4, queue: 0 });
    let running: Vec<Generation> = prompts.iter().map(|prompt| ask(&engine, prompt)).collect();
    for (generation, wanted) in running.into_iter().zip(wanted) {
        let answer = drain(generation);
        assert_eq!((answer.reason, answer.completion_tokens), (FinishReason::Length, 150));
        // Batches of other sizes round differently; the beginnings, which leave no room for that, are equal.
        assert_eq!(answer.text[..20], wanted[..20]);
    }
}

fn cached_tokens(engine: &EngineHandle, prompt: &[u32], owner: Option<&str>) -> usize {
    let request = GenerationRequest { owner: owner.map(Arc::from), ..GenerationRequest::greedy(prompt.to_vec(), 3) };
    let mut generation = engine.submit(request).unwrap();
    loop {
        match generation.next_blocking().unwrap() {
            Event::Done { cached_tokens, .. } => return cached_tokens,
            Event::Text { .. } => {}
        }
    }
}

#[test]
fn tokens_are_counted_while_they_are_made_and_whoever_waits_for_them() {
    let engine = EngineHandle::scripted(Script::says("then the strongroom keeps the key")).unwrap();
    let wanted = GenerationRequest { choices: 2, max_tokens: 3, ..request(&engine, "x") };
    let mut generation = engine.submit(wanted.clone()).unwrap();
    let mut counted = 0;
    while let Some(event) = generation.next_blocking() {
        if let Event::Done { completion_tokens, .. } = event {
            counted += completion_tokens;
        }
    }
    assert_eq!((counted, generation.produced()), (6, 6));

    let gate = Gate::closed();
    let engine = EngineHandle::scripted(Script::says("then the strongroom").behind(&gate)).unwrap();
    let mut generation = engine.submit(wanted).unwrap();
    assert_eq!(generation.produced(), 0);
    gate.open();
    // Two of both answers at least: the end of one says that the engine is that far.
    while !matches!(generation.next_blocking(), Some(Event::Done { .. })) {}
    assert!((4..=6).contains(&generation.produced()));
}

#[test]
fn what_one_owner_computed_serves_that_owner_alone() {
    let engine = tiny(Limits::default());
    let prompt: Vec<u32> = (0..200).map(|index| index * 31 % 250).collect();
    assert_eq!(cached_tokens(&engine, &prompt, Some("bank")), 0);
    assert_eq!(cached_tokens(&engine, &prompt, Some("bank")), 192, "whole pages of 32");
    assert_eq!(cached_tokens(&engine, &prompt, Some("hospital")), 0);
    assert_eq!(cached_tokens(&engine, &prompt, None), 0);
    assert_eq!(cached_tokens(&engine, &prompt[..100], Some("bank")), 96);
}

#[test]
fn choices_share_what_is_computed_of_their_prompt() {
    let engine = tiny(Limits { max_streams: 4, queue: 0 });
    let prompt: Vec<u32> = (0..700).map(|index| index * 31 % 250).collect();
    let request = |owner: Option<&str>| GenerationRequest {
        owner: owner.map(Arc::from),
        choices: 3,
        ..GenerationRequest::greedy(prompt.clone(), 3)
    };
    let cached = |owner| -> Vec<usize> {
        let mut generation = engine.submit(request(owner)).unwrap();
        let events = std::iter::from_fn(|| generation.next_blocking());
        let mut cached: Vec<usize> = events
            .filter_map(|event| match event {
                Event::Done { cached_tokens, .. } => Some(cached_tokens),
                Event::Text { .. } => None,
            })
            .collect();
        cached.sort_unstable();
        cached
    };
    assert_eq!(cached(Some("bank")), [0, 672, 672]);
    assert_eq!(cached(None), [0, 0, 0], "of a request without an owner nothing is remembered");
}

#[test]
fn a_remembered_beginning_changes_no_answer() {
    let engine = tiny(Limits::default());
    let prompt = "the strongroom keeps a secret key and then a proof first ".repeat(12);
    let ask = |owner: Option<&str>| {
        let owner = owner.map(Arc::from);
        drain(engine.submit(GenerationRequest { owner, max_tokens: 40, ..request(&engine, &prompt) }).unwrap()).text
    };
    let fresh = ask(None);
    assert_eq!(ask(Some("bank")), fresh);
    assert_eq!(ask(Some("bank")), fresh);
}
