//! The source against the vendors' services as they behave, on this machine: one binary, a file a topic.

mod bundle;
mod cache;
mod clock;
mod evidence;
mod fetch;
mod freshness;
mod hostile;
mod nvidia;
mod nvidia_devices;
mod nvidia_freshness;
mod nvidia_vendor;
mod snp;
mod tdx;
mod vendor;
mod waiting;

use std::path::Path;
use std::sync::Arc;

use strongroom_attestation::{Artefacts, Check, Endorsements, Evidence, Examination, Policy, Product, State, examine};
use strongroom_endorsements::{
    Cache, Clock as _, Collateral, CollateralSource, Evaluation, Mirrors, Settings, Want, evidence_wants, not_given,
};

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
    Settings { mirrors: Mirrors::all(mirrors), proxy: false, ..Settings::default() }
}

fn source(settings: Settings, directory: &Path, clock: &Arc<SimulatedClock>) -> CollateralSource {
    let cache = Cache::open(directory, clock.now()).unwrap();
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
        Stage::at(MARCH, change).await
    }

    async fn at(date: &str, change: impl FnOnce(&mut Settings)) -> Stage {
        let (vendor, clock) = (Vendor::start().await, SimulatedClock::at(date));
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(&[&vendor]);
        change(&mut settings);
        let source = source(settings, directory.path(), &clock);
        Stage { vendor, source, clock, directory }
    }
}

/// Evidence in these files, and the endorsements among them.
fn sorted(files: &[Vec<u8>]) -> (Evidence, Endorsements) {
    let mut artefacts = Artefacts::default();
    for file in files {
        artefacts.add(file).unwrap();
    }
    artefacts.into_evidence().unwrap()
}

/// What these files need and do not hold, as the command `verify --fetch` gets it.
async fn fetched(source: &CollateralSource, clock: &SimulatedClock, files: &[Vec<u8>]) -> Collateral {
    let (evidence, given) = sorted(files);
    let wants = evidence_wants(&evidence, &given, &Product::ALL, Evaluation::Standard).unwrap();
    source.first_of(&not_given(wants, &given, clock.now())).await
}

/// The first check that failed for these files with what was got for them; `None` when they are accepted.
fn failed(files: &[Vec<u8>], collateral: &Collateral, policy: &Policy, clock: &SimulatedClock) -> Option<Check> {
    let items = collateral.answers.iter().flat_map(|answer| answer.item.artefacts());
    let artefacts: Vec<Vec<u8>> = files.iter().cloned().chain(items.map(|part| part.bytes.clone())).collect();
    let result = examine(&Examination {
        artefacts: &artefacts,
        report_data: None,
        nonce: None,
        policy,
        now: clock.now(),
        development_roots: &[],
        warn_within: 0,
    });
    let failed = result.checks.into_iter().find(|check| check.state == State::Fail);
    assert_eq!(failed.is_none(), result.code.is_none(), "{:?}", result.detail);
    failed
}
