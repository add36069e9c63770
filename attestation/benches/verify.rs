//! How long a verification takes: `cargo bench -p strongroom-attestation [-- FOLDER]`. Every folder of
//! captured evidence under `tests/vectors` (or `FOLDER`) whose evidence is authentic at a moment that is
//! tried; for each the median in microseconds, from bytes to checks, with
//! nothing remembered, and with endorsements that were read and verified before.
//!
//! Peers are measured beside it in `.ci/oracles` (`.ci/oracles.sh bench`), so that this crate depends on
//! none of them for it. Results are in docs/benchmarks.md.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use strongroom_attestation::{
    Artefacts, Endorsements, Evidence, Expected, Hardware, HardwareAnchors, Policy, Remembered, UnixTime,
    verify_remembering,
};

/// Moments at which captured evidence may be valid.
const MOMENTS: [u64; 6] = [1_750_000_000, 1_760_000_000, 1_773_000_000, 1_720_000_000, 1_690_000_000, 1_785_000_000];
const ROUNDS: usize = 31;
/// Verifications in one round.
const COUNT: u32 = 16;
/// A machine has a few files; a folder with more is a collection.
const FILES_MAX: usize = 8;

/// The files of one machine, and when they are good.
struct Machine {
    name: String,
    files: Vec<Vec<u8>>,
    now: UnixTime,
}

fn main() {
    // Cargo passes flags of its own.
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors");
    let mut machines = Vec::new();
    collect(&folder.map_or(PathBuf::from(vectors), PathBuf::from), &mut machines);
    println!("{:>10} {:>10}  µs: from bytes; endorsements verified before", "", "");
    for machine in &machines {
        let (evidence, bag) = sorted(&machine.files).expect("sorted before");
        let remembered = Remembered::new(64);
        let fresh = median(|| {
            let (evidence, bag) = sorted(&machine.files).expect("sorted before");
            assert!(is_authentic(&evidence, &bag, machine.now, &Remembered::new(64)));
        });
        let again = median(|| assert!(is_authentic(black_box(&evidence), &bag, machine.now, &remembered)));
        println!("{fresh:10.1} {again:10.1}  {}", machine.name);
    }
    assert!(!machines.is_empty(), "no authentic evidence was found");
}

fn collect(folder: &Path, machines: &mut Vec<Machine>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| path.is_dir());
    if files.len() <= FILES_MAX {
        let evidence = files.iter().filter(|file| file.file_name().is_some_and(|name| name != "expected.json"));
        let files: Vec<Vec<u8>> = evidence.filter_map(|file| fs::read(file).ok()).collect();
        machines.extend(machine(folder, files));
    }
    folders.iter().for_each(|folder| collect(folder, machines));
}

fn machine(folder: &Path, files: Vec<Vec<u8>>) -> Option<Machine> {
    let (evidence, bag) = sorted(&files)?;
    let moments = MOMENTS.into_iter().map(UnixTime::from_secs);
    let now = moments.into_iter().find(|now| is_authentic(&evidence, &bag, *now, &Remembered::new(64)))?;
    let name = folder.file_name()?.to_string_lossy().into_owned();
    Some(Machine { name, files, now })
}

fn sorted(files: &[Vec<u8>]) -> Option<(Evidence, Endorsements)> {
    let mut artefacts = Artefacts::default();
    files.iter().try_for_each(|file| artefacts.add(file).map(drop)).ok()?;
    artefacts.into_evidence().ok()
}

fn is_authentic(evidence: &Evidence, bag: &Endorsements, now: UnixTime, remembered: &Remembered) -> bool {
    let (anchors, expected) = (HardwareAnchors::compiled_in(), Expected::unbound_for_inspection());
    let policy = Policy::authentic();
    let appraisal = verify_remembering::<Hardware>(evidence, bag, &anchors, &policy, &expected, now, remembered);
    black_box(appraisal).claims().is_some()
}

/// Microseconds of one run, the median over the rounds.
fn median(run: impl Fn()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..COUNT).for_each(|_| run());
            start.elapsed().as_secs_f64() * 1e6 / f64::from(COUNT)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times.get(ROUNDS / 2).copied().unwrap_or_default()
}
