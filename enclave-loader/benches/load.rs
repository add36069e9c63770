//! How fast a sealed model is read: `cargo bench -p strongroom-enclave-loader --bench load [-- DIRECTORY
//! [GIGABYTES]]`, four gigabytes unless it is said. Beside it, in turn, the same bytes read from the plain
//! file by as many threads; with a page cache that has both, and with one that has neither.
//!
//! Everything is verified: signature, commitment, tree, tag. Results are in docs/benchmarks.md; other
//! programs are measured by `.ci/sealed-model-bench.sh`.

mod support;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use rustix::fs::{Advice, fadvise};
use strongroom_enclave_loader::{SealedModel, Suite, open_manifest, read_wrapped_keys};
use support::{Cost, Scene, measure, median, peak_memory};

/// Read at a time, in one buffer that is used again and again, as an engine takes tensor after tensor.
const BUFFER: usize = 64 << 20;

const ROUNDS: usize = 5;

fn main() {
    let scene = Scene::new();
    let sealed =
        [("BLAKE3 trees", scene.seal("blake3", Suite::Blake3)), ("SHA-256 trees", scene.seal("sha256", Suite::Sha256))];
    let mut buffer = vec![1; BUFFER];
    println!("{:.1} GB; {} MiB of memory before reading", scene.bytes as f64 / 1e9, peak_memory());
    for (cache, cold) in [("warm", false), ("cold", true)] {
        let mut plain = Vec::new();
        let mut ours: Vec<Vec<Cost>> = sealed.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            prepare(&scene.plain(), cold);
            plain.push(measure(|| read_plain(&scene.plain(), &mut buffer)));
            for ((_, path), costs) in sealed.iter().zip(&mut ours) {
                let model = open(&scene, path);
                prepare(path, cold);
                costs.push(measure(|| read_sealed(&model, &mut buffer)));
            }
        }
        let plain = median(plain);
        show(&scene, cache, "plain file", plain, plain);
        for ((name, _), costs) in sealed.iter().zip(ours) {
            show(&scene, cache, name, median(costs), plain);
        }
    }
    println!("{} MiB of memory at most", peak_memory());
}

/// Into the page cache, or out of it.
fn prepare(path: &Path, cold: bool) {
    if cold {
        forget(path);
    }
}

fn read_sealed(model: &SealedModel, buffer: &mut [u8]) {
    let mut reader = model.reader("model.gguf").expect("the file");
    while reader.read(buffer).expect("reads") > 0 {}
}

fn show(scene: &Scene, cache: &str, what: &str, cost: Cost, plain: Cost) {
    let gigabytes = scene.bytes as f64 / 1e9;
    println!(
        "{cache}  {what:14} {:6.2} GB/s  {:5.2} s  {:5.2} s of processor  {:3.0} % of the plain file's speed",
        gigabytes / cost.seconds,
        cost.seconds,
        cost.processor,
        100.0 * plain.seconds / cost.seconds
    );
}

fn open(scene: &Scene, sealed: &Path) -> SealedModel {
    let keys = scene.broker.unwrap_keys(&read_wrapped_keys(sealed).expect("keys")).expect("opens");
    open_manifest(sealed, &scene.publisher.verifying_key()).expect("a manifest").unlock(&keys).expect("unlocks")
}

/// Reads a plain file as the loader reads a sealed one: chunks of 1 MiB, a thread a core.
fn read_plain(path: &Path, buffer: &mut [u8]) {
    let file = File::open(path).expect("opens");
    let len = file.metadata().expect("a length").len();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut at = 0;
    while at < len {
        let room = buffer.len().min((len - at) as usize);
        let (part, _) = buffer.split_at_mut(room);
        let pieces: Vec<(u64, &mut [u8])> =
            part.chunks_mut(1 << 20).enumerate().map(|(n, piece)| (at + ((n as u64) << 20), piece)).collect();
        let mut shares: Vec<Vec<(u64, &mut [u8])>> = (0..threads).map(|_| Vec::new()).collect();
        for (n, piece) in pieces.into_iter().enumerate() {
            shares[n % threads].push(piece);
        }
        thread::scope(|scope| {
            for share in shares {
                let file = &file;
                scope.spawn(move || {
                    for (at, piece) in share {
                        file.read_exact_at(piece, at).expect("reads");
                    }
                });
            }
        });
        at += room as u64;
    }
}

/// Takes a file, or all below a directory, out of the page cache, as far as the system does it.
fn forget(path: &Path) {
    if path.is_dir() {
        fs::read_dir(path).expect("lists").for_each(|entry| forget(&entry.expect("an entry").path()));
        return;
    }
    let file = File::open(path).expect("opens");
    file.sync_all().expect("on disk");
    fadvise(&file, 0, None, Advice::DontNeed).expect("advises");
}
