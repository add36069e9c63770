//! No bit of anything that a verdict rests on is ignored: any one flipped bit of any artefact refuses, or
//! leaves the answer as it is, word for word, inside the bytes that the vector lists and gives reasons for.
//!
//! The ordinary run takes a sample; every bit is in the test that is marked `ignored`, which `.ci/slow` runs
//! (`cargo test … -- --ignored every_single_bit`).

use std::thread;

use serde_json::Value;
use strongroom_attestation::{Policy, Status};

use crate::captured::{Captured, Question, Tolerated};

/// Vectors whose every bit is tried, and the step of the sample; a prime, so that all bits of a byte come.
const TRIED: &[(&str, usize)] = &[
    ("tdx/001-v4-collateral", 61),
    ("tdx/003-v5-td15", 61),
    ("azure/002-snp-milan-json", 61),
    ("azure/004-snp-milan-nonce", 31),
    ("azure/006-snp-genoa", 31),
    ("azure/008-tdx", 31),
    ("nvidia/002-h100-report-and-chain", 61),
    ("nvidia/006-gb100", 61),
    ("nvidia/007-ls10", 211),
];

/// Vectors of which a sample is tried and no more: every bit of a manifest and of an OCSP response is tried in
/// the modules that read them.
const SAMPLED: &[(&str, usize)] = &[("nvidia/003-h100-manifests", 499)];

struct Trial {
    vector: Captured,
    question: Question,
    unchanged: Value,
}

impl Trial {
    /// Under strict where that accepts the vector; else under authentic, made to miss what the vector has,
    /// so that losing it is no way to be accepted.
    fn of(path: &str) -> Trial {
        let vector = Captured::named(path);
        let mut policy = Policy::strict();
        if vector.description.strict != "accepted" {
            policy = Policy::authentic();
            policy.tdx.allow_trailing_bytes = false;
            policy.azure.require_tpm_quote = true;
            policy.nvidia.require_manifests = vector.description.artefacts.iter().any(|name| name.ends_with(".xml"));
            policy.nvidia.require_revocation = false;
        }
        let question = vector.question(policy);
        let result = question.about(&vector.artefacts);
        assert_eq!(result.status, Status::Accepted, "{path} itself is accepted");
        Trial { vector, question, unchanged: result.to_json() }
    }

    /// What is wrong with the answers to `step`-th bits, from `first` on.
    fn findings(&self, first: usize, step: usize) -> Vec<String> {
        let mut findings = Vec::new();
        let mut artefacts = self.vector.artefacts.clone();
        for (index, name) in self.vector.description.artefacts.iter().enumerate() {
            for bit in (first..artefacts[index].len() * 8).step_by(step) {
                let (byte, mask) = (bit / 8, 1u8 << (bit % 8));
                artefacts[index][byte] ^= mask;
                findings.extend(self.finding(name, byte, mask, &artefacts));
                artefacts[index][byte] ^= mask;
            }
        }
        findings
    }

    fn finding(&self, name: &str, byte: usize, mask: u8, artefacts: &[Vec<u8>]) -> Option<String> {
        let result = self.question.about(artefacts);
        if result.status != Status::Accepted {
            return None;
        }
        let place = format!("{name} byte {byte} bit {mask:#04x}");
        if result.to_json() != self.unchanged {
            return Some(format!("{place}: accepted with another answer"));
        }
        let holds =
            |range: &Tolerated| range.file == name && (range.from..range.to).contains(&byte) && range.bits & mask != 0;
        (!self.vector.description.tolerated.iter().any(holds)).then(|| format!("{place}: accepted"))
    }

    /// Ranges in which nothing is accepted, and which therefore say too much.
    fn idle_ranges(&self) -> Vec<String> {
        let mut artefacts = self.vector.artefacts.clone();
        let mut is_idle = |range: &&Tolerated| {
            let index = self.vector.index(&range.file);
            !(range.from..range.to).flat_map(|byte| (0..8).map(move |bit| (byte, 1u8 << bit))).any(|(byte, mask)| {
                artefacts[index][byte] ^= mask;
                let accepted = self.question.about(&artefacts).status == Status::Accepted;
                artefacts[index][byte] ^= mask;
                accepted
            })
        };
        let tolerated = self.vector.description.tolerated.iter();
        tolerated
            .filter(|range| is_idle(range))
            .map(|range| format!("{} from {}: nothing", range.file, range.from))
            .collect()
    }
}

/// The findings of every `step`-th bit, the bits shared between two threads.
fn findings(path: &str, step: usize) -> Vec<String> {
    let trial = Trial::of(path);
    let halves = thread::scope(|scope| {
        let halves = [0, step].map(|first| {
            scope.spawn({
                let trial = &trial;
                move || trial.findings(first, step * 2)
            })
        });
        halves.map(|half| half.join().unwrap())
    });
    halves.concat().into_iter().map(|finding| format!("{path}: {finding}")).collect()
}

#[test]
fn a_sample_of_the_bits_of_accepted_vectors_counts() {
    let sampled = TRIED.iter().chain(SAMPLED);
    let findings: Vec<String> = sampled.flat_map(|(path, step)| findings(path, *step)).collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// About eight minutes on two cores.
#[test]
#[ignore = "long: .ci/slow runs it"]
fn every_single_bit_of_accepted_vectors_counts() {
    let findings: Vec<String> = TRIED.iter().flat_map(|(path, _)| findings(path, 1)).collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn each_tolerated_range_is_there_for_a_reason() {
    for (path, _) in TRIED {
        let idle = Trial::of(path).idle_ranges();
        assert!(idle.is_empty(), "{path}:\n{}", idle.join("\n"));
    }
}
