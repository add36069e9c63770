//! A measurement, run by hand: `cargo test ... -- --ignored --nocapture throughput`.
//!
//! Beside the rate it prints bytes by second of processor time, which other work on the
//! machine disturbs less.

use std::io::Read;
use std::time::Instant;

use crate::fixture::{Tenant, Workshop, bytes};

const BYTES: usize = 1 << 30;

#[test]
#[ignore = "a measurement, which seals a gigabyte"]
fn throughput_of_sealing_and_reading() {
    let tenant = Tenant::new(1);
    let content = bytes(1, BYTES);
    let workshop = Workshop::new(&[("model.gguf", &content)]);
    drop(content);
    let mut options = tenant.options(1);
    options.chunk_log2 = 20;
    options.blob_bytes = 1 << 28;

    measure("seal", || drop(workshop.seal(&options)));
    let model = tenant.open(&workshop.sealed()).expect("opens");
    for (what, buffer) in [("read, 64 MiB at a time", 64 << 20), ("read, 64 KiB at a time", 64 << 10)] {
        let mut buffer = vec![1; buffer];
        for _ in 0..3 {
            measure(what, || {
                let mut reader = model.reader("model.gguf").expect("the file");
                while reader.read(&mut buffer).expect("reads") > 0 {}
            });
        }
    }
    measure("verify_all", || model.verify_all(&|_| ()).expect("verifies"));
}

fn measure(what: &str, work: impl FnOnce()) {
    let (begun, cpu) = (Instant::now(), processor_seconds());
    work();
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), processor_seconds() - cpu);
    let gigabytes = BYTES as f64 / 1e9;
    println!("{what}: {:.2} GB/s, {:.2} GB per processor second", gigabytes / seconds, gigabytes / cpu);
}

/// Processor time of all threads of this process: fields 14 and 15 of /proc/self/stat, in ticks of
/// 10 ms; 0 where there is no such file.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}
