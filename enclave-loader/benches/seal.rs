//! How fast a model is sealed: `cargo bench -p strongroom-enclave-loader --bench seal [-- DIRECTORY
//! [GIGABYTES]]`. Beside it, in turn, the same bytes copied to the same disk and flushed.

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use strongroom_enclave_loader::Suite;
use support::{Cost, Scene, measure, median, peak_memory};

const ROUNDS: usize = 3;

fn main() {
    let scene = Scene::new();
    let mut buffer = vec![1; 8 << 20];
    println!("{:.1} GB, in the page cache; {} MiB of memory before sealing", scene.bytes as f64 / 1e9, peak_memory());
    let copy = scene.plain().with_extension("copy");
    let (mut copied, mut blake3, mut sha256) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        copied.push(measure(|| copy_and_flush(&scene.plain(), &copy, &mut buffer)));
        fs::remove_file(&copy).expect("removes");
        for (suite, costs) in [(Suite::Blake3, &mut blake3), (Suite::Sha256, &mut sha256)] {
            let mut sealed = None;
            costs.push(measure(|| sealed = Some(scene.seal("sealed", suite))));
            fs::remove_dir_all(sealed.expect("sealed")).expect("removes");
        }
    }
    let copied = median(copied);
    for (what, cost) in [("copied", copied), ("BLAKE3 trees", median(blake3)), ("SHA-256 trees", median(sha256))] {
        show(&scene, what, cost, copied);
    }
    println!("{} MiB of memory at most", peak_memory());
}

fn copy_and_flush(from: &Path, to: &Path, buffer: &mut [u8]) {
    let (mut from, mut to) = (File::open(from).expect("opens"), File::create(to).expect("creates"));
    loop {
        let len = from.read(buffer).expect("reads");
        if len == 0 {
            break;
        }
        to.write_all(&buffer[..len]).expect("writes");
    }
    to.sync_all().expect("on disk");
}

fn show(scene: &Scene, what: &str, cost: Cost, copied: Cost) {
    println!(
        "{what:14} {:6.2} GB/s  {:5.2} s  {:5.2} s of processor  {:4.2} of the time to copy",
        scene.bytes as f64 / 1e9 / cost.seconds,
        cost.seconds,
        cost.processor,
        cost.seconds / copied.seconds
    );
}
