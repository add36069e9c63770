//! What both benchmarks share: a model of random bytes, and what work costs.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use strongroom_channel::cose::SigningKey;
use strongroom_channel::trust_file::Environment;
use strongroom_enclave_loader::{DepositKeyPair, SealOptions, Suite, seal};
use zeroize::Zeroizing;

/// Bytes of the model, unless it is said.
const GIGABYTES: f64 = 4.0;
/// A directory of the benchmark's, removed at the end.
pub(crate) struct Scene {
    directory: PathBuf,
    pub(crate) publisher: SigningKey,
    pub(crate) broker: DepositKeyPair,
    pub(crate) bytes: u64,
}

impl Scene {
    /// `cargo bench … -- [DIRECTORY [GIGABYTES]]`. Cargo passes flags of its own.
    pub(crate) fn new() -> Self {
        let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
        let parent = arguments.next().map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
        let gigabytes: f64 = arguments.next().map_or(GIGABYTES, |text| text.parse().expect("gigabytes"));
        let directory = parent.join("strongroom-bench");
        // What a run before left behind.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory");
        let broker = DepositKeyPair::from_secret(Zeroizing::new([1; 32])).expect("a deposit key");
        let scene =
            Self { directory, publisher: SigningKey::from_seed([2; 32]), broker, bytes: (gigabytes * 1e9) as u64 };
        scene.fill();
        scene
    }

    pub(crate) fn plain(&self) -> PathBuf {
        self.directory.join("model.gguf")
    }

    /// Seals under this name, and says nothing.
    pub(crate) fn seal(&self, name: &str, suite: Suite) -> PathBuf {
        let mut options = SealOptions::new("bench", 1, Environment::Development, &self.publisher, self.broker.public());
        options.suite = suite;
        let sealed = self.directory.join(name);
        seal(&self.plain(), &sealed, &options, &|_| ()).expect("seals");
        sealed
    }

    /// Bytes that no file system and no processor finds a pattern in.
    fn fill(&self) {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(self.plain()).expect("creates"));
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut block = vec![0; 1 << 20];
        let mut left = self.bytes;
        while left > 0 {
            for word in block.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes());
            }
            let len = left.min(block.len() as u64);
            file.write_all(&block[..len as usize]).expect("writes");
            left -= len;
        }
        file.into_inner().expect("writes").sync_all().expect("on disk");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// What a piece of work took.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    /// Of all threads.
    pub(crate) processor: f64,
}

pub(crate) fn measure(work: impl FnOnce()) -> Cost {
    let (begun, before) = (Instant::now(), processor_seconds());
    work();
    Cost { seconds: begun.elapsed().as_secs_f64(), processor: processor_seconds() - before }
}

pub(crate) fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    costs[costs.len() / 2]
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory that this process ever had, in MiB.
pub(crate) fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
