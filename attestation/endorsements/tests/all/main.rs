//! The source against the vendors' services as they behave, on this machine: one binary, a file a topic.

mod bundle;
mod cache;
mod clock;
mod fetch;
mod freshness;
mod hostile;
mod snp;
mod vendor;
mod waiting;

use std::path::Path;
use std::sync::Arc;

use strongroom_endorsements::{Cache, CollateralSource, Mirrors, Settings, Want};

use crate::clock::SimulatedClock;
use crate::vendor::Vendor;

/// A day on which most of the captured artefacts are in force.
const MARCH: &str = "2026-03-20T08:00:00Z";

fn want(text: &str) -> Want {
    text.parse().unwrap()
}

fn tcb_info() -> Want {
    want("intel/tdx-tcb-info/90c06f000000/standard")
}

/// Settings that lead to these services only.
fn settings(vendors: &[&Vendor]) -> Settings {
    let mirrors: Vec<_> = vendors.iter().map(|vendor| vendor.mirror()).collect();
    Settings { mirrors: Mirrors { amd: mirrors.clone(), intel: mirrors }, proxy: false, ..Settings::default() }
}

fn source(settings: Settings, directory: &Path, clock: &Arc<SimulatedClock>) -> CollateralSource {
    let cache = Cache::open(directory, strongroom_endorsements::Clock::now(clock.as_ref())).unwrap();
    CollateralSource::new(settings, cache, clock.clone()).unwrap()
}

/// One vendor, one source, one cache, one clock.
struct Stage {
    vendor: Vendor,
    source: CollateralSource,
    clock: Arc<SimulatedClock>,
    directory: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Stage {
        Stage::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Stage {
        let (vendor, clock) = (Vendor::start().await, SimulatedClock::at(MARCH));
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(&[&vendor]);
        change(&mut settings);
        let source = source(settings, directory.path(), &clock);
        Stage { vendor, source, clock, directory }
    }
}
