//! The committed vectors give what their `expected.json` says, and there is one for every
//! fault. They were written by `examples/write_vectors.rs`.

#[path = "support/vector.rs"]
mod vector;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use strongroom_attestation::{
    DevelopmentAnchors, Endorsements, Evidence, Policy, Refusal, Simulated, UnixTime, verify,
};
use strongroom_simulated_platform::{Fault, Product, ReportVersion};
use vector::Expected;

#[test]
fn every_vector_gives_the_expected_code() {
    let vectors = vectors();
    let mut wrong = Vec::new();
    for (folder, expected) in &vectors {
        let found = match appraise(folder, expected) {
            Ok(()) => "accepted".to_owned(),
            Err(refusal) => refusal.to_string(),
        };
        if found.split(':').next() != Some(&expected.expected) {
            wrong.push(format!("{}: {found}", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_a_vector_for_every_fault_and_every_variant() {
    let vectors = vectors();
    let names: BTreeSet<&str> = vectors.iter().map(|(_, expected)| expected.name.as_str()).collect();
    for fault in Fault::ALL {
        assert!(names.contains(fault.name()), "{}", fault.name());
    }
    let variants = Product::ALL.len() * ReportVersion::ALL.len();
    let accepted = vectors.iter().filter(|(_, e)| e.expected == "accepted");
    assert_eq!(accepted.count(), variants + 1);
    assert_eq!(vectors.len(), variants + 1 + Fault::ALL.len());
}

fn vectors() -> Vec<(PathBuf, Expected)> {
    fs::read_dir(vector::folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.json").exists())
        .map(|path| {
            let text = fs::read_to_string(path.join("expected.json")).unwrap();
            (path, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

fn appraise(folder: &Path, expected: &Expected) -> Result<(), Refusal> {
    let mut endorsements = Endorsements::default();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "der") {
            endorsements.add(&fs::read(path).unwrap())?;
        }
    }
    let evidence = Evidence::parse(&fs::read(folder.join("report.bin")).unwrap())?;
    let anchor = fs::read(folder.join(&expected.anchor)).unwrap();
    let report_data = hex::decode(&expected.report_data).unwrap();
    verify::<Simulated>(
        &evidence,
        &endorsements,
        &DevelopmentAnchors::new(&anchor).unwrap(),
        &Policy::from_toml(&expected.policy).unwrap(),
        &strongroom_attestation::Expected::report_data(report_data.try_into().unwrap()),
        UnixTime::from_secs(expected.now),
    )
    .into_verdict()
    .map(drop)
}
