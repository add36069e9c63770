//! `tests/vectors/session`: whole answers as files, for whoever else verifies them (the browser).

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_attestation::{HexBytes, Policy, UnixTime};

use super::scene::{NOW, Scene};
use crate::attest::AttestRequest;
use crate::cose::SigningKey;
use crate::ohttp::Suite;
use crate::session::{SessionWanted, verify_session};
use crate::trust_file;

/// `expected.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    name: String,
    description: String,
    /// "accepted", a check's code, or "TRUST_FILE".
    expected: String,
    /// The client's clock, seconds since the Unix epoch.
    now: u64,
    /// The pinned root.
    trust_root: String,
    accept_simulated: bool,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/session")
}

#[test]
fn every_vector_gives_its_expected_outcome() {
    let folders = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    assert!(folders.len() >= 10, "{} vectors", folders.len());
    for folder in folders {
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        let said: Expected = serde_json::from_slice(&read("expected.json")).unwrap();
        assert!(folder.ends_with(&said.name), "{}", said.name);
        assert_eq!(outcome(&said, &read), said.expected, "{}", said.name);
    }
}

fn outcome(said: &Expected, read: &dyn Fn(&str) -> Vec<u8>) -> String {
    let mut pinned = [0; 32];
    hex::decode_to_slice(said.trust_root.strip_prefix("sha256:").unwrap(), &mut pinned).unwrap();
    let now = UnixTime::from_secs(said.now);
    let Ok(trust) = trust_file::verify(&read("trust-file.cbor"), &pinned, 0, now) else {
        return "TRUST_FILE".to_owned();
    };
    let wanted = SessionWanted {
        trust: &trust,
        request_body: &read("request.json"),
        accept_simulated: said.accept_simulated,
        now,
        seen: None,
        suites: &Suite::ALL,
    };
    match verify_session(wanted, &read("response.json")).result {
        Ok(_) => "accepted".to_owned(),
        Err(refusal) => refusal.code.to_string(),
    }
}

#[test]
#[ignore = "writes tests/vectors/session anew; the signatures are randomised, so the bytes change"]
fn write_the_vectors() {
    write("001-accepted", "A sound answer of a simulated instance, accepted because asked.", "accepted", |_| {});
    write("101-simulated", "The same, without being asked to accept simulation.", "SIMULATED", |vector| {
        vector.accept_simulated = false;
    });
    write("102-replay", "The answer to another question.", "NONCE", |vector| {
        vector.request = AttestRequest::new([99; 32], vector.scene.trust.deployment.clone()).to_bytes();
    });
    write("103-truncated", "The answer without its last byte.", "PARSE", |vector| {
        vector.response.pop();
    });
    write("104-expired", "The statement ended a second ago.", "STALE", |vector| {
        vector.now = NOW.as_secs() + 891;
    });
    rewrite("105-measurement", "A launch that the trust file does not name.", "MEASUREMENT", |scene| {
        scene.trust.policy.measurements = Some(vec![HexBytes([0xAB; 48])]);
    });
    rewrite("106-other-instance", "A certificate of another instance: a diversion.", "INSTANCE_CERT", |scene| {
        scene.claims.instance_id = [77; 16];
    });
    rewrite("107-other-model", "A model that the trust file does not name.", "POLICY", |scene| {
        scene.trust.models[0].model_id = [0xAB; 32];
    });
    rewrite(
        "108-other-policy",
        "A platform that the trust file's policy does not name.",
        "PLATFORM_NOT_ALLOWED",
        |scene| {
            let text = scene.trust.policy.to_toml().replace("Genoa", "Milan");
            scene.trust.policy = Policy::from_toml(&text).unwrap();
        },
    );
    write("109-other-root", "A trust file by another root than the pinned one.", "TRUST_FILE", |vector| {
        vector.trust_root = format!("sha256:{}", "ab".repeat(32));
    });
    write("110-trust-file-changed", "A trust file with a bit changed.", "TRUST_FILE", |vector| {
        let middle = vector.trust_file.len() / 2;
        vector.trust_file[middle] ^= 1;
    });
}

/// One vector before it is written.
struct Draft {
    scene: Scene,
    trust_file: Vec<u8>,
    trust_root: String,
    request: Vec<u8>,
    response: Vec<u8>,
    now: u64,
    accept_simulated: bool,
}

impl Draft {
    fn new(scene: Scene) -> Draft {
        let trust_file = scene.trust.sign(&SigningKey::from_seed([13; 32]));
        let thumbprint = trust_file::root_thumbprint(&trust_file).unwrap();
        Draft {
            trust_root: format!("sha256:{}", hex::encode(thumbprint)),
            request: scene.request_body.clone(),
            response: scene.response().to_bytes(),
            now: NOW.as_secs(),
            accept_simulated: true,
            trust_file,
            scene,
        }
    }

    fn save(&self, folder: &Path, said: &Expected) {
        fs::create_dir_all(folder).unwrap();
        let text = serde_json::to_string_pretty(said).unwrap() + "\n";
        for (name, bytes) in [
            ("trust-file.cbor", &self.trust_file),
            ("request.json", &self.request),
            ("response.json", &self.response),
            ("expected.json", &text.into_bytes()),
        ] {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

/// A defect in what was sent or in how it is judged.
fn write(name: &str, description: &str, expected: &str, spoil: impl FnOnce(&mut Draft)) {
    let mut draft = Draft::new(Scene::new());
    spoil(&mut draft);
    let said = Expected {
        name: name.to_owned(),
        description: description.to_owned(),
        expected: expected.to_owned(),
        now: draft.now,
        trust_root: draft.trust_root.clone(),
        accept_simulated: draft.accept_simulated,
    };
    draft.save(&root().join(name), &said);
}

/// A defect in what the parties are.
fn rewrite(name: &str, description: &str, expected: &str, spoil: impl FnOnce(&mut Scene)) {
    let mut scene = Scene::new();
    spoil(&mut scene);
    write(name, description, expected, |draft| *draft = Draft::new(scene));
}
