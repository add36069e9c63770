//! Answers one question with a model file and prints how fast:
//! `cargo run -p strongroom-engine --example generate -- MODEL.gguf|DIRECTORY [QUESTION] [TOKENS] [THREADS] [candle]`

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use strongroom_engine::{
    Arithmetic, ChatMessage, EngineHandle, Event, GenerationRequest, Limits, LoadOptions, ModelFiles, PlainDirectory,
    PlainFile, load,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("wanted: MODEL [QUESTION] [TOKENS]")?);
    let question =
        arguments.next().unwrap_or_else(|| "Write a Python function that returns the n-th Fibonacci number.".into());
    let tokens: usize = arguments.next().map_or(Ok(200), |number| number.parse())?;

    let threads: usize = arguments.next().map_or(Ok(0), |number| number.parse())?;
    let arithmetic = match arguments.next().as_deref() {
        Some("candle") => Arithmetic::Candle,
        _ => Arithmetic::Kernels,
    };

    let started = Instant::now();
    let files: Box<dyn ModelFiles> =
        if path.is_dir() { Box::new(PlainDirectory(path)) } else { Box::new(PlainFile(path)) };
    let loaded = load(files.as_ref(), &LoadOptions { threads, arithmetic, ..LoadOptions::default() }, &|_, _| ())?;
    let machine = loaded.machine();
    let engine = EngineHandle::spawn(loaded, Limits::default())?;
    println!("loaded in {:.2?}: {machine:?}", started.elapsed());

    let prompt = engine.text().encode_chat(&[ChatMessage { role: "user".into(), content: question }], true)?;
    println!("{} prompt tokens", prompt.len());
    let long: Vec<u32> = prompt.iter().copied().cycle().take(512).collect();
    let (first, _, _) = drain(&engine, GenerationRequest::greedy(long, 1), false)?;
    println!("prefill of 512 tokens: {:.1} tokens/s", 512.0 / first.as_secs_f64());
    let (first, rest, count) = drain(&engine, GenerationRequest::greedy(prompt, tokens), true)?;
    println!("first token after {first:.2?}, then {:.1} tokens/s", (count - 1) as f64 / rest.as_secs_f64());
    Ok(())
}

/// Time to the first text, time after it, and tokens generated.
fn drain(
    engine: &EngineHandle,
    request: GenerationRequest,
    show: bool,
) -> Result<(Duration, Duration, usize), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let mut generation = engine.submit(request)?;
    let mut first = None;
    while let Some(event) = generation.next_blocking() {
        let at = *first.get_or_insert_with(|| started.elapsed());
        match event {
            Event::Text(text) if show => {
                print!("{text}");
                std::io::stdout().flush()?;
            }
            Event::Text(_) => {}
            Event::Done { reason, completion_tokens, .. } => {
                if show {
                    println!("\n[{reason:?}]");
                }
                return Ok((at, started.elapsed() - at, completion_tokens));
            }
        }
    }
    Err("the engine died".into())
}
