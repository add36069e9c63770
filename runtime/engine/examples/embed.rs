//! Prints the vectors of texts, to compare with other implementations, or how long they take.
//! Each line of the input is a JSON string; each line of the output is a JSON object with its `ids`, and the
//! `vector`.
//! `cargo run -p strongroom-engine --example embed -- DIRECTORY|MODEL.gguf [THREADS] < TEXTS`
//! With `time` the texts of the input are one batch, computed RUNS times; it prints the median in milliseconds:
//! `cargo run --release -p strongroom-engine --example embed -- DIRECTORY|MODEL.gguf THREADS time RUNS < TEXTS`

use std::io::BufRead;
use std::path::PathBuf;
use std::time::Instant;

use strongroom_engine::{EncoderHandle, Limits, LoadOptions, PlainDirectory, PlainFile, load_encoder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("wanted: DIRECTORY|MODEL.gguf [THREADS] [time RUNS]")?;
    let threads = arguments.next().map_or(Ok(0), |number| number.parse())?;
    let runs: Option<usize> = match arguments.next().as_deref() {
        Some("time") => Some(arguments.next().map_or(Ok(15), |number| number.parse())?),
        _ => None,
    };
    let options = LoadOptions { threads, ..LoadOptions::default() };
    let path = PathBuf::from(path);
    let loaded = if path.is_file() {
        load_encoder(&PlainFile(path), &options, &|_, _| ())?
    } else {
        load_encoder(&PlainDirectory(path), &options, &|_, _| ())?
    };
    let machine = loaded.machine();
    let engine = EncoderHandle::spawn(loaded, Limits::default())?;
    let mut texts = Vec::new();
    for line in std::io::stdin().lock().lines() {
        texts.push(engine.text().encode(&serde_json::from_str::<String>(&line?)?)?);
    }
    if let Some(runs) = runs {
        let rows: usize = texts.iter().map(Vec::len).sum();
        let mut times = Vec::new();
        for _ in 0..runs.max(1) {
            let started = Instant::now();
            engine.embed_blocking(texts.clone())?;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        println!("{} texts, {rows} tokens, {machine:?}: {:.1} ms", texts.len(), times[times.len() / 2]);
        return Ok(());
    }
    for (ids, vector) in texts.iter().zip(engine.embed_blocking(texts.clone())?) {
        println!("{}", serde_json::json!({ "ids": ids, "vector": vector }));
    }
    Ok(())
}
