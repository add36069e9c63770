//! Runs each target once over its corpus, without a fuzzer: `replay CORPUS`. Tells how many inputs
//! there were, and how near the bound the allocations came.

use std::error::Error;
use std::fs;
use std::path::Path;

use strongroom_fuzz::{ALL, Target};

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = std::env::args_os().nth(1).ok_or("usage: replay CORPUS")?;
    println!("| target | inputs | largest peak | of an input of | bound | nearest to the bound |");
    println!("|---|---|---|---|---|---|");
    for target in ALL {
        replay(&target, &Path::new(&corpus).join(target.name))?;
    }
    Ok(())
}

fn replay(target: &Target, folder: &Path) -> Result<(), Box<dyn Error>> {
    let (mut inputs, mut largest, mut nearest) = (0usize, (0usize, 0usize), 0.0f64);
    if !folder.is_dir() {
        println!("| `{}` | none | | | | |", target.name);
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let input = fs::read(entry?.path())?;
        target.run(&input);
        let peak = target.peak(&input);
        inputs += 1;
        largest = largest.max((peak, input.len()));
        nearest = nearest.max(peak as f64 / (target.constant + target.factor * input.len()) as f64);
    }
    let (peak, of) = largest;
    let bound = format!("{} KiB + {} × length", target.constant >> 10, target.factor);
    println!("| `{}` | {inputs} | {} KiB | {of} | {bound} | {:.0} % |", target.name, peak >> 10, nearest * 100.0);
    Ok(())
}
