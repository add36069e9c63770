//! Evidence of GPUs and switches has the genuine structure, compared with captured evidence
//! field by field by readers that share no code with the writers; every signature verifies; and
//! the catalogue's faults are where they say they are.

#[path = "../support/reader.rs"]
mod reader;

mod canonical;
mod chains;
mod checker;
mod der;
mod faults;
mod genuine;
mod manifests;
mod report;
mod revocation;
mod tokens;
mod topology;

use strongroom_simulated_platform::{GpuTopology, NvidiaEvidence, SimulatedGpuSet, SimulatedNvidia};

const NOW: u64 = 1_800_000_000;
const NONCE: [u8; 32] = *b"the nonce that was asked for ...";

/// One of each kind.
const TOPOLOGIES: [GpuTopology; 4] =
    [GpuTopology::Hopper(2), GpuTopology::Blackwell(1), GpuTopology::MultiGpu, GpuTopology::ProtectedPcie];

fn vendor() -> SimulatedNvidia {
    SimulatedNvidia::published(NOW).unwrap()
}

fn set(topology: GpuTopology) -> SimulatedGpuSet {
    vendor().gpu_set(SimulatedNvidia::PUBLISHED_SET_SECRET, topology, NOW).unwrap()
}

fn evidence(topology: GpuTopology) -> NvidiaEvidence {
    set(topology).evidence(&NONCE).unwrap()
}
