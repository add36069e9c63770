//! Measures an engine and prints JSON; `.ci/engine-bench.sh` runs it beside llama.cpp.
//!
//! ```text
//! measure speed MODEL THREADS [candle|cuda]      prompt of 512, answer of 128, load time, memory
//! measure long MODEL THREADS CACHE POSITIONS     a prompt of so many, and 64 tokens more; CACHE is f16 or int8
//! measure streams MODEL THREADS N IN OUT         so many prompts and answers at once
//! measure greedy MODEL THREADS FILE TOKENS       the likeliest continuation of each line
//! measure perplexity MODEL THREADS FILE CONTEXT [CACHE]  of the second halves of windows, as llama.cpp does it
//! ```

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use strongroom_engine::{
    Arithmetic, CacheFormat, EngineHandle, Event, FinishReason, Generation, GenerationRequest, Limits, LoadOptions,
    Loaded, ModelFiles, PlainDirectory, PlainFile, load,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match arguments[..] {
        ["speed", model, threads] => speed(model, threads.parse()?, Arithmetic::Kernels)?,
        #[cfg(feature = "cuda")]
        ["speed", model, threads, "cuda"] => speed(model, threads.parse()?, Arithmetic::Cuda)?,
        ["speed", model, threads, "candle"] => speed(model, threads.parse()?, Arithmetic::Candle)?,
        ["long", model, threads, cache, positions] => long(model, threads.parse()?, cache, positions.parse()?)?,
        ["streams", model, threads, count, prompt, answer] => {
            streams(model, threads.parse()?, count.parse()?, prompt.parse()?, answer.parse()?)?
        }
        ["greedy", model, threads, file, tokens] => greedy(model, threads.parse()?, file, tokens.parse()?)?,
        ["perplexity", model, threads, file, context] => {
            perplexity(model, threads.parse()?, file, context.parse()?, "f16")?
        }
        ["perplexity", model, threads, file, context, cache] => {
            perplexity(model, threads.parse()?, file, context.parse()?, cache)?
        }
        _ => return Err("wanted: speed, streams, greedy or perplexity, and what the head of this file says".into()),
    };
    println!("{found}");
    Ok(())
}

fn open(model: &str, options: LoadOptions) -> Result<Loaded, Failure> {
    let path = PathBuf::from(model);
    let files: Box<dyn ModelFiles> =
        if path.is_dir() { Box::new(PlainDirectory(path)) } else { Box::new(PlainFile(path)) };
    Ok(load(files.as_ref(), &options, &|_, _| ())?)
}

fn speed(model: &str, threads: usize, arithmetic: Arithmetic) -> Result<Value, Failure> {
    let begun = Instant::now();
    let loaded = open(model, LoadOptions { threads, arithmetic, ..LoadOptions::default() })?;
    let load_seconds = begun.elapsed().as_secs_f64();
    let machine = loaded.machine();
    let engine = EngineHandle::spawn(loaded, Limits::default())?;
    // Once before, as llama-bench does.
    timed(&engine, GenerationRequest::greedy(tokens(&engine, 512, 1), 1))?;
    let prefill = timed(&engine, GenerationRequest::greedy(tokens(&engine, 512, 2), 1))?;
    // What one token costs is in both, and falls out.
    let one = timed(&engine, GenerationRequest::greedy(tokens(&engine, 1, 3), 1))?;
    let many = timed(&engine, GenerationRequest::greedy(tokens(&engine, 1, 3), 129))?;
    Ok(json!({
        "instructions": machine.instructions, "load_seconds": load_seconds, "prefill": 512.0 / prefill,
        "decode": 128.0 / (many - one), "resident_mib": resident(), "weights_mib": machine.weight_bytes >> 20,
        "file_mib": std::fs::metadata(model).map_or(0, |file| file.len()) >> 20,
    }))
}

/// A long prompt, answers after it, and what keys and values take. The fastest of three.
fn long(model: &str, threads: usize, cache: &str, positions: usize) -> Result<Value, Failure> {
    const ANSWER: usize = 64;
    let max_context = (positions + ANSWER + 1).next_multiple_of(32);
    // Memory for one whole context and no more, which is what it is measured by.
    let options = LoadOptions { threads, max_context, cache_bytes: 0, cache: format(cache)?, ..LoadOptions::default() };
    let loaded = open(model, options)?;
    let bytes = loaded.machine().cache_bytes / max_context;
    let engine = EngineHandle::spawn(loaded, Limits::default())?;
    let (mut prefill, mut decode) = (f64::INFINITY, f64::INFINITY);
    for seed in 0..3 {
        let prompt = tokens(&engine, positions, seed);
        // What was computed of the prompt is remembered: the others begin after it, and are answers for the most part.
        let mut seconds = [0.0; 3];
        for (seconds, count) in seconds.iter_mut().zip([1, 1, 1 + ANSWER]) {
            let owner = Some("measure".into());
            *seconds = timed(&engine, GenerationRequest { owner, ..GenerationRequest::greedy(prompt.clone(), count) })?;
        }
        let [whole, one, many] = seconds;
        prefill = prefill.min(whole);
        decode = decode.min(many - one);
    }
    Ok(json!({
        "cache": cache, "threads": threads, "positions": positions, "bytes_a_position": bytes,
        "prefill": positions as f64 / prefill, "decode": ANSWER as f64 / decode,
    }))
}

fn format(name: &str) -> Result<CacheFormat, Failure> {
    match name {
        "f16" => Ok(CacheFormat::F16),
        "int8" => Ok(CacheFormat::Int8),
        _ => Err("wanted: f16 or int8".into()),
    }
}

fn streams(model: &str, threads: usize, count: usize, prompt: usize, answer: usize) -> Result<Value, Failure> {
    let loaded = open(model, LoadOptions { threads, ..LoadOptions::default() })?;
    let engine = EngineHandle::spawn(loaded, Limits { max_streams: count, queue: 0 })?;
    let begun = Instant::now();
    let running = (0..count).map(|index| {
        let prompt = tokens(&engine, prompt, index as u64);
        let request = GenerationRequest { ignores_end: true, ..GenerationRequest::greedy(prompt, answer) };
        Ok(engine.submit(request)?)
    });
    let running = running.collect::<Result<Vec<Generation>, Failure>>()?;
    let mut first: Vec<f64> = Vec::new();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = running
            .into_iter()
            .map(|mut generation| {
                scope.spawn(move || {
                    let mut first = None;
                    while generation.next_blocking().is_some() {
                        first.get_or_insert_with(|| begun.elapsed().as_secs_f64());
                    }
                    first.unwrap_or(f64::NAN)
                })
            })
            .collect();
        first.extend(waiting.into_iter().map(|thread| thread.join().unwrap_or(f64::NAN)));
    });
    let seconds = begun.elapsed().as_secs_f64();
    first.sort_by(f64::total_cmp);
    let at = |share: f64| first[((count - 1) as f64 * share).round() as usize];
    Ok(json!({
        "tokens_per_second": (count * (prompt + answer)) as f64 / seconds, "seconds": seconds,
        "answer_tokens_per_second": (count * answer) as f64 / seconds,
        "first_token_median": at(0.5), "first_token_p95": at(0.95),
    }))
}

fn greedy(model: &str, threads: usize, file: &str, count: usize) -> Result<Value, Failure> {
    let loaded = open(model, LoadOptions { threads, ..LoadOptions::default() })?;
    let engine = EngineHandle::spawn(loaded, Limits { max_streams: 1, queue: 64 })?;
    let mut answers = Vec::new();
    for line in std::fs::read_to_string(file)?.lines() {
        let prompt = engine.text().encode_completion(line)?;
        let request =
            GenerationRequest { ignores_end: true, logprobs: Some(2), ..GenerationRequest::greedy(prompt, count) };
        answers.push(answer(engine.submit(request)?));
    }
    Ok(json!(answers))
}

fn perplexity(model: &str, threads: usize, file: &str, context: usize, cache: &str) -> Result<Value, Failure> {
    let mut loaded = open(model, LoadOptions { threads, cache: format(cache)?, ..LoadOptions::default() })?;
    let tokens = loaded.text().encode(&std::fs::read_to_string(file)?)?;
    let (mut total, mut count) = (0.0, 0);
    for window in tokens.chunks_exact(context) {
        let found = loaded.log_probabilities(window, context / 2)?;
        total -= found.iter().sum::<f64>();
        count += found.len();
    }
    Ok(json!({ "perplexity": (total / f64::from(u32::try_from(count)?)).exp(), "tokens": count }))
}

/// Seconds to the end of an answer. (Tokens that are no whole text say nothing before.)
fn timed(engine: &EngineHandle, request: GenerationRequest) -> Result<f64, Failure> {
    let begun = Instant::now();
    let mut generation = engine.submit(GenerationRequest { ignores_end: true, ..request })?;
    while let Some(event) = generation.next_blocking() {
        if let Event::Done { reason, .. } = event {
            return if reason == FinishReason::Failed {
                Err("the model failed".into())
            } else {
                Ok(begun.elapsed().as_secs_f64())
            };
        }
    }
    Err("the engine died".into())
}

/// The text, and for each token where it ends and how far behind the second likeliest was, as the
/// difference of logarithms.
fn answer(mut generation: Generation) -> Value {
    let (mut text, mut bytes, mut gaps) = (String::new(), 0, Vec::new());
    while let Some(event) = generation.next_blocking() {
        let Event::Text { text: piece, logprobs, .. } = event else { continue };
        text.push_str(&piece);
        for token in logprobs {
            bytes += token.token.bytes.len();
            if let [first, second] = &token.likeliest[..] {
                gaps.push(json!([bytes, first.logprob - second.logprob]));
            }
        }
    }
    json!({ "text": text, "gaps": gaps })
}

/// Tokens without meaning, of which no two seeds share a beginning.
fn tokens(engine: &EngineHandle, count: usize, seed: u64) -> Vec<u32> {
    let vocabulary = engine.text().vocabulary().min(30_000) as u64;
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % (vocabulary - 300)) as u32
        })
        .collect()
}

/// Resident memory of this process in MiB, where the system says it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib >> 10)
}
