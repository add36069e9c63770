//! `call_time COMPONENT`: what one call of a filter costs, from new instance to answer,
//! and how long loading takes. Medians; build with `--release` or `--profile ci`.

use std::error::Error;
use std::time::{Duration, Instant};

use strongroom_plugins::{ChatRequest, Grants, Limits, Message, PluginHost};

const LOADS: usize = 9;
const CALLS: usize = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: call_time COMPONENT")?;
    let wasm = std::fs::read(path)?;
    let host = PluginHost::new(Limits::default())?;
    let load = median(LOADS, || host.load("timed", &wasm, &Grants::none()).map(drop))?;
    println!("load            {load:?}");

    let plugin = host.load("timed", &wasm, &Grants::none())?;
    for bytes in [0, 100, 1_000, 10_000, 100_000] {
        let request = chat(bytes);
        let call = median(CALLS, || plugin.on_request(request.clone()).map(drop))?;
        println!("{bytes:>7} B prompt {call:?}");
    }
    Ok(())
}

fn chat(bytes: usize) -> ChatRequest {
    let content = "The quick brown fox jumps over 13 lazy dogs. ".chars().cycle().take(bytes).collect();
    ChatRequest { model: "timed".into(), messages: vec![Message { role: "user".into(), content }] }
}

fn median<E>(times: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let start = Instant::now();
        work()?;
        took.push(start.elapsed());
    }
    took.sort_unstable();
    Ok(took.get(times / 2).copied().unwrap_or_default())
}
