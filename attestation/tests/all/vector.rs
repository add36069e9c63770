//! One folder of tests/vectors/snp (its SOURCES.md describes the form).

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use strongroom_attestation::{
    Appraisal, Endorsements, Evidence, Expected, Hardware, HardwareAnchors, Policy, Refusal, UnixTime, Verdict, verify,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    #[expect(dead_code, reason = "for people")]
    description: String,
    expected: String,
    now: UnixTime,
    policy: String,
    report_data: Option<String>,
    endorsements: Vec<String>,
}

pub(crate) struct Vector {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    /// "accepted", or a code.
    pub(crate) expected: String,
    pub(crate) now: UnixTime,
    pub(crate) policy: Policy,
    pub(crate) bound_to: Expected,
    pub(crate) report: Vec<u8>,
    pub(crate) endorsements: Vec<Vec<u8>>,
}

impl Vector {
    pub(crate) fn all() -> Vec<Vector> {
        let mut folders: Vec<PathBuf> = fs::read_dir(root())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("expected.json").exists())
            .collect();
        folders.sort();
        folders.iter().map(|folder| Vector::read(folder)).collect()
    }

    pub(crate) fn named(name: &str) -> Vector {
        Vector::read(&root().join(name))
    }

    fn read(folder: &Path) -> Vector {
        let text = fs::read_to_string(folder.join("expected.json")).unwrap();
        let description: Description = serde_json::from_str(&text).unwrap();
        let bound_to = match &description.report_data {
            Some(digits) => Expected::report_data(hex::decode(digits).unwrap().try_into().unwrap()),
            None => Expected::unbound_for_inspection(),
        };
        Vector {
            folder: folder.to_owned(),
            name: description.name,
            expected: description.expected,
            now: description.now,
            policy: match description.policy.as_str() {
                "strict" => Policy::strict(),
                "authentic" => Policy::authentic(),
                text => Policy::from_toml(text).unwrap(),
            },
            bound_to,
            report: fs::read(folder.join("report.bin")).unwrap(),
            endorsements: description.endorsements.iter().map(|name| fs::read(folder.join(name)).unwrap()).collect(),
        }
    }

    pub(crate) fn bag(&self) -> Result<Endorsements, Refusal> {
        let mut bag = Endorsements::default();
        for bytes in &self.endorsements {
            bag.add(bytes)?;
        }
        Ok(bag)
    }

    pub(crate) fn appraise(&self) -> Result<Appraisal<Hardware>, Refusal> {
        Ok(verify::<Hardware>(
            &Evidence::parse(&self.report)?,
            &self.bag()?,
            &HardwareAnchors::compiled_in(),
            &self.policy,
            &self.bound_to,
            self.now,
        ))
    }

    pub(crate) fn verdict(&self) -> Result<Verdict<Hardware>, Refusal> {
        self.appraise()?.into_verdict()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/snp")
}
