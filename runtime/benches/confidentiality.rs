//! What confidentiality costs: the whole way (sealed model, attested epoch, plugin, channel, padding, receipt,
//! proxy) beside the engine's own handle in the same process, which has no server at all. Both answer the same
//! questions in turn, each with an engine of its own; medians of the pairs.
//!
//! `cargo bench --bench confidentiality -- [MODEL.gguf [THREADS [ROUNDS]]]`
//!
//! Without a model a generated one of a few kilobytes: it computes next to nothing, so that what is left is the way.
//!
//! Results are in `docs/benchmarks.md`.

use std::time::Instant;

use futures_util::StreamExt;
use serde_json::{Value, json};
use strongroom_engine::{ChatMessage, EngineHandle, Event, GenerationRequest, Limits, LoadOptions, MemoryFiles, load};
use support::system::{Application, Blueprint, CHAT, MODEL, http};

#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../../tests/support/mod.rs"]
mod support;

/// Tokens of an answer whose rate is wanted, and of one whose beginning is. A beginning takes many rounds: what
/// is looked for is a hundredth of what a prompt takes.
const ANSWERS: [usize; 2] = [128, 3];
/// The plugin of the examples.
const REDACT: &[u8] = include_bytes!("../../examples/plugin-redact/redact.wasm");

/// How one question was answered.
struct Reading {
    /// Seconds to the first text.
    first: f64,
    /// Seconds to the end.
    whole: f64,
    tokens: usize,
    text: String,
}

#[tokio::main]
async fn main() {
    // Cargo passes flags of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let path = arguments.next();
    let model = path.map_or_else(|| strongroom_engine::tiny_model(7), |path| std::fs::read(path).expect("a model"));
    let threads: usize = arguments.next().map_or(1, |text| text.parse().expect("a number of threads"));
    let rounds: usize = arguments.next().map_or(15, |text| text.parse().expect("a number of rounds"));

    let options = LoadOptions { threads, ..LoadOptions::default() };
    let files = MemoryFiles::new().with("model.gguf", model.as_slice());
    let loaded = load(&files, &options, &|_, _| ()).expect("a model");
    drop(files);
    let engine = EngineHandle::spawn(loaded, Limits::default()).expect("an engine");
    let configured = format!("threads = {threads}\n").leak();
    let blueprint = Blueprint::real().file("model.gguf", model).plugin("redact", REDACT.to_vec());
    let system = blueprint.configured(configured).start().await;
    // One client, as applications have: making one reads certificates.
    let application = (system.application().await, http());

    // Once before each: pages are touched, the instance is verified.
    in_the_clear(&engine, &question(0), 1).await;
    confidential(&application, &question(0), 1).await;
    println!(
        "{} cores, {threads} threads of the engine, {rounds} rounds",
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    println!("| streams, tokens each | | in the clear | confidential | difference |\n|---|---|---|---|---|");
    let mut asked = 1;
    for (streams, answer, rounds) in [(1, ANSWERS[0], rounds), (8, ANSWERS[0], rounds), (1, ANSWERS[1], 4 * rounds + 1)]
    {
        let mut pairs = Vec::new();
        for round in 0..rounds {
            let questions: Vec<String> = (asked..asked + streams).map(question).collect();
            asked += streams;
            // Who goes first alternates: the host's mood changes within a round.
            pairs.push(if round % 2 == 0 {
                let clear = together(&questions, |question| in_the_clear(&engine, question, answer)).await;
                (clear, together(&questions, |question| confidential(&application, question, answer)).await)
            } else {
                let private = together(&questions, |question| confidential(&application, question, answer)).await;
                (together(&questions, |question| in_the_clear(&engine, question, answer)).await, private)
            });
        }
        report(streams, answer, &pairs);
    }
    system.running.stop().await;
}

fn report(streams: usize, answer: usize, pairs: &[(Round, Round)]) {
    let rate = |of: fn(&(Round, Round)) -> &Round| median(pairs.iter().map(|pair| of(pair).rate()));
    let first = |of: fn(&(Round, Round)) -> &Round| 1e3 * median(pairs.iter().map(|pair| of(pair).first()));
    let ratio = median(pairs.iter().map(|(clear, private)| private.rate() / clear.rate()));
    let later = 1e3 * median(pairs.iter().map(|(clear, private)| private.first() - clear.first()));
    let (clear, private) = (rate(|pair| &pair.0), rate(|pair| &pair.1));
    println!("| {streams}, {answer} | tokens/s | {clear:.1} | {private:.1} | {:+.2} % |", 100.0 * (ratio - 1.0));
    let (clear, private) = (first(|pair| &pair.0), first(|pair| &pair.1));
    println!("| {streams}, {answer} | first token, ms | {clear:.2} | {private:.2} | {later:+.2} ms |");
    let readings = pairs.iter().flat_map(|(clear, private)| clear.readings.iter().zip(&private.readings));
    let differ = readings.filter(|(clear, private)| clear.text != private.text).count();
    println!("| {streams}, {answer} | answers that differ | | {differ} of {} | |", pairs.len() * streams);
}

/// The answers to questions that were asked at once.
struct Round {
    seconds: f64,
    readings: Vec<Reading>,
}

impl Round {
    /// Tokens a second. One stream is counted from its first token on: what comes before has its own line.
    fn rate(&self) -> f64 {
        match &self.readings[..] {
            [one] => (one.tokens - 1) as f64 / (one.whole - one.first),
            all => all.iter().map(|reading| reading.tokens as f64).sum::<f64>() / self.seconds,
        }
    }

    fn first(&self) -> f64 {
        median(self.readings.iter().map(|reading| reading.first))
    }
}

async fn together<'a, F: Future<Output = Reading>>(questions: &'a [String], ask: impl Fn(&'a str) -> F) -> Round {
    let begun = Instant::now();
    let readings = futures_util::future::join_all(questions.iter().map(|question| ask(question))).await;
    Round { seconds: begun.elapsed().as_secs_f64(), readings }
}

/// No two share a beginning beyond the template's.
fn question(number: usize) -> String {
    format!(
        "{number}. Somebody who has never seen a railway asks you how a train finds its way across a junction, why \
         the signals are red so often, and who decides which train goes first. Explain it in full sentences, at \
         length, with an example of a small station that has two platforms and one siding, and say what happens when \
         two trains arrive at the same minute."
    )
}

async fn in_the_clear(engine: &EngineHandle, question: &str, answer: usize) -> Reading {
    let begun = Instant::now();
    let prompt = engine.text().encode_chat(&[ChatMessage::new("user", question)], true).expect("a prompt");
    let request =
        GenerationRequest { owner: Some("an-application".into()), ..GenerationRequest::greedy(prompt, answer) };
    let mut generation = engine.submit(request).expect("a place");
    let (mut first, mut text) = (None, String::new());
    loop {
        match generation.next().await.expect("an answer") {
            Event::Text { text: piece, .. } => {
                first.get_or_insert_with(|| begun.elapsed().as_secs_f64());
                text.push_str(&piece);
            }
            Event::Done { completion_tokens, .. } => {
                let whole = begun.elapsed().as_secs_f64();
                return Reading { first: first.unwrap_or(whole), whole, tokens: completion_tokens, text };
            }
        }
    }
}

async fn confidential((application, http): &(Application, reqwest::Client), question: &str, answer: usize) -> Reading {
    let begun = Instant::now();
    let body = json!({
        "model": MODEL, "messages": [{ "role": "user", "content": question }], "stream": true,
        "stream_options": { "include_usage": true }, "temperature": 0, "max_tokens": answer,
    });
    let request = http.post(format!("{}{CHAT}", application.url)).bearer_auth(&application.api_key);
    let request = request.header("content-type", "application/json").body(body.to_string());
    let response = request.send().await.expect("a response");
    assert!(response.status().is_success(), "{}", response.status());
    let mut pieces = response.bytes_stream();
    let (mut first, mut text, mut tokens, mut rest) = (None, String::new(), 0, Vec::new());
    while let Some(piece) = pieces.next().await {
        rest.extend_from_slice(&piece.expect("a piece"));
        while let Some(end) = rest.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = rest.drain(..end + 2).collect();
            let Ok(event) = serde_json::from_slice::<Value>(event.strip_prefix(b"data: ").unwrap_or_default()) else {
                continue;
            };
            if let Some(said) = event["choices"][0]["delta"]["content"].as_str().filter(|said| !said.is_empty()) {
                first.get_or_insert_with(|| begun.elapsed().as_secs_f64());
                text.push_str(said);
            }
            tokens = event["usage"]["completion_tokens"].as_u64().map_or(tokens, |count| count as usize);
        }
    }
    let whole = begun.elapsed().as_secs_f64();
    Reading { first: first.unwrap_or(whole), whole, tokens, text }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
