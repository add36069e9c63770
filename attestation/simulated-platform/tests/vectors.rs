//! The committed vectors give what their `expected.json` says, and there is one for every
//! fault. They were written by `examples/write_vectors`.

#[path = "support/vector.rs"]
mod vector;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use strongroom_attestation::{AttestationResult, Examination, Policy, UnixTime, examine};
use strongroom_simulated_platform::{AzureFault, Fault, NvidiaFault, Product, QuoteFormat, ReportVersion, TdxFault};
use vector::{Expected, OneOrMore};

const PLATFORMS: [&str; 4] = ["snp", "tdx", "azure", "nvidia"];

#[test]
fn every_vector_gives_the_expected_code() {
    let mut wrong = Vec::new();
    for (folder, expected) in PLATFORMS.into_iter().flat_map(vectors) {
        let anchors: Vec<Vec<u8>> = expected.anchors().iter().map(|path| read(&folder, path)).collect();
        let result = examined(&folder, &expected, &anchors);
        let found = outcome(&result);
        if found != expected.expected {
            wrong.push(format!("{}: {found}, {:?}", folder.display(), result.detail));
        }
        if found == "accepted" && !result.simulated {
            wrong.push(format!("{}: accepted as hardware", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn none_is_accepted_without_its_development_root() {
    let mut wrong = Vec::new();
    for (folder, expected) in PLATFORMS.into_iter().flat_map(vectors) {
        let found = outcome(&examined(&folder, &expected, &[]));
        let right = match expected.expected.as_str() {
            "accepted" => found == "SIMULATED",
            // Some are refused before anybody looks at the chain.
            code => ["SIMULATED", "CHAIN", code].contains(&found),
        };
        if !right {
            wrong.push(format!("{}: {found}", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_a_vector_for_every_fault_and_every_variant() {
    let snp = Fault::ALL.iter().map(|fault| (fault.name(), fault.expected_code()));
    complete("snp", snp.collect(), Product::ALL.len() * ReportVersion::ALL.len() + 1);
    let tdx = TdxFault::ALL.iter().map(|fault| (fault.name(), fault.expected_code()));
    complete("tdx", tdx.collect(), QuoteFormat::ALL.len() + 4);
    let azure = AzureFault::ALL.iter().map(|fault| (fault.name(), fault.expected_code()));
    complete("azure", azure.collect(), 2 * (4 + 1));
    let nvidia = NvidiaFault::ALL.iter().map(|fault| (fault.name(), fault.expected_code()));
    complete("nvidia", nvidia.collect(), 4);
}

fn complete(platform: &str, faults: Vec<(&str, &str)>, variants: usize) {
    let vectors = vectors(platform);
    let written: BTreeSet<(&str, &str)> =
        vectors.iter().map(|(_, vector)| (vector.name.as_str(), vector.expected.as_str())).collect();
    for fault in faults {
        assert!(written.contains(&fault), "{platform} has no vector {fault:?}: run the example `write_vectors`");
    }
    let accepted = vectors.iter().filter(|(_, vector)| vector.expected == "accepted");
    assert_eq!(accepted.count(), variants, "{platform}");
}

fn vectors(platform: &str) -> Vec<(PathBuf, Expected)> {
    fs::read_dir(vector::folder(platform))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.json").exists())
        .map(|path| {
            let text = fs::read_to_string(path.join("expected.json")).unwrap();
            (path, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

fn examined(folder: &Path, expected: &Expected, development_roots: &[Vec<u8>]) -> AttestationResult {
    let evidence = expected.evidence.clone().unwrap_or_else(|| vec!["report.bin".to_owned()]);
    let endorsements = expected.endorsements.clone().unwrap_or_else(|| certificates_in(folder));
    let artefacts: Vec<Vec<u8>> = evidence.iter().chain(&endorsements).map(|path| read(folder, path)).collect();
    let bytes = |digits: &Option<String>| digits.as_ref().map(|digits| hex::decode(digits).unwrap());
    let nonce = bytes(&expected.nonce);
    examine(&Examination {
        artefacts: &artefacts,
        report_data: bytes(&expected.report_data).map(|bytes| bytes.try_into().unwrap()),
        nonce: nonce.as_deref(),
        policy: &Policy::from_toml(&expected.policy(folder)).unwrap(),
        now: UnixTime::from_secs(expected.now),
        development_roots,
        warn_within: 0,
    })
}

fn outcome(result: &AttestationResult) -> &'static str {
    result.code.map_or("accepted", |code| code.as_str())
}

fn certificates_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".der")).collect()
}

fn read(folder: &Path, path: &str) -> Vec<u8> {
    fs::read(folder.join(path)).unwrap()
}

impl Expected {
    fn policy(&self, folder: &Path) -> String {
        match (&self.policy, &self.policy_file) {
            (Some(policy), None) => policy.clone(),
            (None, Some(path)) => String::from_utf8(read(folder, path)).unwrap(),
            _ => panic!("{}: a policy, or the file that it is in", self.name),
        }
    }

    fn anchors(&self) -> Vec<String> {
        match &self.anchor {
            OneOrMore::One(path) => vec![path.clone()],
            OneOrMore::More(paths) => paths.clone(),
        }
    }
}
