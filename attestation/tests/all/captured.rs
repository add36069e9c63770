//! One folder of tests/vectors/{tdx,azure,sgx} (tests/vectors/README.md describes the form), and the test
//! that every one of them gives the answers that it says.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use strongroom_attestation::{AttestationResult, Examination, Policy, Status, UnixTime, examine};

const FAMILIES: [&str; 4] = ["tdx", "azure", "sgx", "nvidia"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    pub(crate) name: String,
    description: String,
    pub(crate) now: UnixTime,
    /// Files of this folder or, by a relative path, of another.
    pub(crate) artefacts: Vec<String>,
    nonce: Option<String>,
    report_data: Option<String>,
    /// TOML; `outcome` is the answer under it.
    policy: Option<String>,
    outcome: Option<String>,
    /// The answers under the two policies that have names: "accepted", or a code.
    pub(crate) authentic: String,
    pub(crate) strict: String,
    platform: Option<String>,
    #[serde(default)]
    pub(crate) tolerated: Vec<Tolerated>,
}

/// Bytes in which a flipped bit may leave the answer as it is, word for word.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tolerated {
    pub(crate) file: String,
    pub(crate) from: usize,
    /// One past the last.
    pub(crate) to: usize,
    /// Only these bits of each byte; absent: all.
    #[serde(default = "all_bits")]
    pub(crate) bits: u8,
    pub(crate) why: String,
}

fn all_bits() -> u8 {
    0xFF
}

pub(crate) struct Captured {
    pub(crate) family: &'static str,
    pub(crate) folder: PathBuf,
    pub(crate) description: Description,
    pub(crate) artefacts: Vec<Vec<u8>>,
}

/// What is asked beside the artefacts; a changed copy is another question.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) policy: Policy,
    pub(crate) now: UnixTime,
    pub(crate) nonce: Option<Vec<u8>>,
    pub(crate) report_data: Option<[u8; 64]>,
    /// In seconds.
    pub(crate) warn_within: u64,
}

impl Captured {
    pub(crate) fn all() -> Vec<Captured> {
        FAMILIES.iter().flat_map(|family| Captured::of_family(family)).collect()
    }

    /// The vector with this path below tests/vectors, for example `tdx/001-v4-collateral`.
    pub(crate) fn named(path: &str) -> Captured {
        let family = FAMILIES.iter().find(|family| path.starts_with(*family)).unwrap();
        Captured::read(family, &root().join(path))
    }

    fn of_family(family: &'static str) -> Vec<Captured> {
        let entries = fs::read_dir(root().join(family)).unwrap().map(|entry| entry.unwrap().path());
        let mut folders: Vec<PathBuf> = entries.filter(|path| path.join("expected.json").exists()).collect();
        folders.sort();
        folders.iter().map(|folder| Captured::read(family, folder)).collect()
    }

    fn read(family: &'static str, folder: &Path) -> Captured {
        let text = fs::read_to_string(folder.join("expected.json")).unwrap();
        let description: Description =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let read =
            |name: &String| fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let artefacts = description.artefacts.iter().map(read).collect();
        Captured { family, folder: folder.to_owned(), description, artefacts }
    }

    pub(crate) fn question(&self, policy: Policy) -> Question {
        let Description { nonce, report_data, now, .. } = &self.description;
        Question {
            policy,
            now: *now,
            nonce: nonce.as_ref().map(|digits| hex::decode(digits).unwrap()),
            report_data: report_data.as_ref().map(|digits| hex::decode(digits).unwrap().try_into().unwrap()),
            warn_within: 0,
        }
    }

    pub(crate) fn examine(&self, policy: Policy) -> AttestationResult {
        self.question(policy).about(&self.artefacts)
    }

    /// Where in `artefacts` the file of this name is.
    pub(crate) fn index(&self, file: &str) -> usize {
        let found =
            self.description.artefacts.iter().position(|name| name == file || name.ends_with(&format!("/{file}")));
        found.unwrap_or_else(|| panic!("{} has no {file}", self.description.name))
    }
}

impl Question {
    pub(crate) fn about(&self, artefacts: &[Vec<u8>]) -> AttestationResult {
        examine(&Examination {
            artefacts,
            report_data: self.report_data,
            nonce: self.nonce.as_deref(),
            policy: &self.policy,
            now: self.now,
            development_roots: &[],
            warn_within: self.warn_within,
        })
    }
}

/// "accepted", or the code.
pub(crate) fn outcome(result: &AttestationResult) -> String {
    result.code.map_or_else(|| result.status.as_str().to_owned(), |code| code.to_string())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

/// What is wrong with one answer, if anything.
fn mismatch(vector: &Captured, policy: Policy, wanted: &str) -> Option<String> {
    let name = policy.name.clone();
    let result = vector.examine(policy);
    let platform = result.platform.map(|platform| platform.name().to_owned());
    let exit = match wanted {
        "accepted" => 0,
        "PARSE" => 4,
        _ => 3,
    };
    let is_right = outcome(&result) == wanted
        && platform == vector.description.platform
        && result.exit_code() == exit
        && (result.status == Status::Accepted) == (wanted == "accepted");
    (!is_right).then(|| {
        let detail = result.detail.clone().unwrap_or_default();
        let found = format!("{} {platform:?} ({detail})", outcome(&result));
        let wanted = format!("{wanted} {:?}", vector.description.platform);
        format!("{}/{} under {name}: {found}\n    wanted {wanted}", vector.family, vector.description.name)
    })
}

#[test]
fn every_captured_vector_gives_the_answers_that_it_says() {
    let vectors = Captured::all();
    assert!(vectors.len() > 50, "{} vectors", vectors.len());
    let mut wrong = Vec::new();
    for vector in &vectors {
        let Description { name, description, authentic, strict, policy, outcome, tolerated, .. } = &vector.description;
        assert!(vector.folder.ends_with(name) && description.ends_with('.'), "{name}");
        assert!(tolerated.iter().all(|range| range.from < range.to && !range.why.is_empty()), "{name}");
        assert_eq!(policy.is_some(), outcome.is_some(), "{name}");
        wrong.extend(mismatch(vector, Policy::authentic(), authentic));
        wrong.extend(mismatch(vector, Policy::strict(), strict));
        if let (Some(text), Some(outcome)) = (policy, outcome) {
            wrong.extend(mismatch(vector, Policy::from_toml(text).unwrap(), outcome));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn strict_accepts_nothing_that_authentic_refuses() {
    for Captured { description: Description { name, authentic, strict, .. }, .. } in Captured::all() {
        assert!(strict != "accepted" || authentic == "accepted", "{name}");
    }
}

/// The order of the artefacts says nothing, and the answer is the same in all of them.
#[test]
fn the_order_of_the_artefacts_does_not_matter() {
    for mut vector in Captured::all().into_iter().filter(|vector| vector.description.authentic == "accepted") {
        let forwards = vector.examine(Policy::authentic()).to_json();
        vector.artefacts.reverse();
        assert_eq!(vector.examine(Policy::authentic()).to_json(), forwards, "{}", vector.description.name);
    }
}
