//! Whether it shows in time what another owner asked. These are measurements, so they are no part of the
//! default run: `.ci/slow` calls them.

use std::sync::Arc;
use std::time::Instant;

use super::sampling::SplitMix64;
use super::{EngineHandle, Event, GenerationRequest, Limits};
use crate::files::MemoryFiles;
use crate::load::{LoadOptions, load};
use crate::tiny::tiny_model;

/// Tokens of each prompt: 32 pages.
const PROMPT: usize = 1024;
/// Samples of each kind.
const ROUNDS: usize = 200;
/// Rounds before the first sample: until then the memory of prefixes is not full, and nothing has to make room.
const WARM_UP: usize = 20;
/// Standard deviations of a rank sum that are taken for chance. By chance alone one run in 16,000 has more. With so
/// many rounds, a shift by half of the samples' own deviation gives about 5; a prompt that is remembered gives 17.
const CHANCE: f64 = 4.0;

/// A bank asks something long; a hospital asks the same, and something else. Whether the engine has the bank's
/// prompt in memory must not be seen from when the hospital's answers begin. The bank's own repetition shows
/// that it would be seen.
#[test]
#[ignore = "a measurement of up to a minute; .ci/slow runs it"]
fn what_another_owner_asked_does_not_show_in_time() {
    let engine = engine();
    let (bank, hospital): (Arc<str>, Arc<str>) = ("bank".into(), "hospital".into());
    let mut random = SplitMix64(1);
    let (mut repeated, mut same, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let (asked, other) = (prompt(&mut random), prompt(&mut random));
        first_token(&engine, &bank, &asked, 0);
        // In turns, so that neither always comes first, and what else the machine does meets both alike.
        let samples = if round % 2 == 0 {
            let same = first_token(&engine, &hospital, &asked, 0);
            (same, first_token(&engine, &hospital, &other, 0))
        } else {
            let fresh = first_token(&engine, &hospital, &other, 0);
            (first_token(&engine, &hospital, &asked, 0), fresh)
        };
        let own = first_token(&engine, &bank, &asked, PROMPT - 32);
        if round >= WARM_UP {
            same.push(samples.0);
            fresh.push(samples.1);
            repeated.push(own);
        }
    }
    let (across, within) = (deviations(&same, &fresh), deviations(&repeated, &fresh));
    let [own, same, fresh] = [repeated, same, fresh].map(median);
    println!(
        "first token, median of {ROUNDS}: another's prompt {same:.3} ms, a fresh one {fresh:.3} ms ({across:+.2} \
         deviations); one's own again {own:.3} ms ({within:+.2})"
    );
    assert!(across.abs() < CHANCE, "{across} deviations");
    assert!(within < -3.0 * CHANCE && own * 3.0 < fresh, "{within} deviations, {own} ms: nothing was remembered");
}

/// One thread, so that nothing waits for another; little memory for prefixes, so that making room is part of
/// every sample.
fn engine() -> EngineHandle {
    let files = MemoryFiles::new().with("tiny.gguf", tiny_model(7));
    let options = LoadOptions { threads: 1, cache_bytes: 16 << 20, ..LoadOptions::default() };
    EngineHandle::spawn(load(&files, &options, &|_, _| ()).unwrap(), Limits::default()).unwrap()
}

/// Tokens of which no two prompts have a page in common.
fn prompt(random: &mut SplitMix64) -> Vec<u32> {
    (0..PROMPT).map(|_| (random.next() % 250) as u32).collect()
}

/// Milliseconds until the first token of an answer, of which so many tokens had been computed before.
fn first_token(engine: &EngineHandle, owner: &Arc<str>, prompt: &[u32], cached: usize) -> f64 {
    let request = GenerationRequest {
        owner: Some(owner.clone()),
        ignores_end: true,
        ..GenerationRequest::greedy(prompt.to_vec(), 1)
    };
    let begun = Instant::now();
    let mut generation = engine.submit(request).unwrap();
    loop {
        if let Event::Done { cached_tokens, completion_tokens, .. } = generation.next_blocking().unwrap() {
            let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
            assert_eq!((cached_tokens, completion_tokens), (cached, 1));
            return milliseconds;
        }
    }
}

/// By how many standard deviations the ranks of `some` lie above those of `others`, against what chance gives
/// when both are of one distribution, whatever that is (Mann and Whitney 1947).
fn deviations(some: &[f64], others: &[f64]) -> f64 {
    let pairs = some.iter().flat_map(|one| others.iter().map(move |other| one.total_cmp(other)));
    let above = pairs.map(|order| f64::from(order as i8) / 2.0 + 0.5).sum::<f64>();
    let (n, m) = (some.len() as f64, others.len() as f64);
    (above - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

#[test]
fn deviations_tell_what_is_shifted_from_what_is_not() {
    let ranks = |start: usize, step: usize| -> Vec<f64> { (0..200).map(|n| (start + n * step) as f64).collect() };
    assert_eq!(deviations(&ranks(0, 1), &ranks(0, 1)), 0.0);
    assert!(deviations(&ranks(0, 2), &ranks(1, 2)).abs() < 0.2);
    // All of them apart, as far as it goes with 200 of each.
    assert!((deviations(&ranks(200, 1), &ranks(0, 1)) - 17.3).abs() < 0.05);
    assert!(deviations(&ranks(0, 1), &ranks(40, 1)) < -CHANCE);
}
