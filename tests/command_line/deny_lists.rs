//! `strongroom deny-list`, and what `strongroom verify` makes of one.

use std::fs;
use std::path::Path;

use super::scene::Scene;

/// A report of an AMD Genoa with its certificate, and a time at which it is accepted.
fn scene() -> (Scene, String, Vec<String>) {
    let scene = Scene::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/snp/012-genoa-v5");
    let report = fs::read(folder.join("report.bin")).unwrap();
    let measurement = hex::encode(&report[0x90..0xC0]);
    let expected: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let now = expected["now"].as_str().unwrap().to_owned();
    scene.write("report.bin", report);
    scene.write("vcek.der", fs::read(folder.join("vcek.der")).unwrap());
    let verify = ["verify", "--evidence", "report.bin", "--endorsement", "vcek.der", "--state", "state", "--at", &now];
    (scene, measurement, verify.map(str::to_owned).to_vec())
}

fn edition(sequence: u64, entries: &str) -> String {
    format!("issuer = \"Example Bank\"\nsequence = {sequence}\nnot_after = \"2090-01-01T00:00:00Z\"\n{entries}")
}

#[test]
fn a_list_is_signed_shown_and_asked() {
    let (mut scene, measurement, verify) = scene();
    scene.write("1.toml", edition(1, ""));
    let entry = format!("[[entries]]\nmeasurement = \"{measurement}\"\nreason = \"image 1.4 logs prompts; use 1.5\"\n");
    scene.write("2.toml", edition(2, &entry));
    scene.write("other.toml", edition(2, ""));
    assert_eq!(scene.show(&["deny-list", "keygen", "deny.key"]).exit, 0);
    let made = scene.done(&["deny-list", "keygen", "second.key"]);
    let digest = made["digest"].as_str().unwrap().to_owned();
    let public = made["public_key"].as_str().unwrap().to_owned();
    for arguments in [
        &["1.toml", "--key", "second.key", "--out", "1.deny"][..],
        &["2.toml", "--key", "second.key", "--out", "2.deny", "--previous", "1.deny"],
        &["other.toml", "--key", "second.key", "--out", "other.deny"],
    ] {
        assert_eq!(scene.show(&[&["deny-list", "sign"], arguments].concat()).exit, 0, "{arguments:?}");
    }
    for arguments in [&["show", "2.deny"][..], &["show", "2.deny", "--key", &digest]] {
        assert_eq!(scene.show(&[&["deny-list"], arguments].concat()).exit, 0, "{arguments:?}");
    }
    assert_eq!(scene.show(&["--json", "deny-list", "show", "2.deny", "--key", &public]).exit, 0);

    let verify: Vec<&str> = verify.iter().map(String::as_str).collect();
    // In this order: the second edition is remembered, so the first one is too old then.
    for (list, key, exit) in
        [("1.deny", &digest, 0), ("2.deny", &public, 3), ("1.deny", &digest, 3), ("other.deny", &digest, 3)]
    {
        let said = scene.show(&[&verify[..], &["--deny-list", list, "--deny-list-key", key]].concat());
        assert_eq!(said.exit, exit, "{list}: {}", said.stderr);
    }
    let said = scene.run(&[&["--json"], &verify[..], &["--deny-list", "2.deny", "--deny-list-key", &digest]].concat());
    let answer = said.json();
    assert_eq!(
        (said.exit, answer["status"].as_str(), answer["code"].as_str()),
        (3, Some("refused"), Some("MEASUREMENT"))
    );
    let found = answer["checks"].as_array().unwrap().iter().find(|check| check["id"] == "deny-list-launch-measurement");
    assert!(found.unwrap()["found"].as_str().unwrap().ends_with("image 1.4 logs prompts; use 1.5"));
    scene.agrees_with("deny-list");
}

#[test]
fn what_is_no_list_or_no_successor_is_refused() {
    let (mut scene, _, verify) = scene();
    scene.write("1.toml", edition(1, ""));
    scene.write("endless.toml", "issuer = \"Example Bank\"\nsequence = 2\n");
    scene.write("ended.toml", edition(2, "").replace("2090", "2020"));
    scene.write("wrong.toml", edition(2, "[[entries]]\nmeasurement = \"ab\"\nreason = \"r\"\n"));
    scene.write("other.key", "x");
    let digest = scene.done(&["deny-list", "keygen", "deny.key"])["digest"].as_str().unwrap().to_owned();
    scene.done(&["deny-list", "keygen", "second.key"]);
    scene.done(&["deny-list", "sign", "1.toml", "--key", "deny.key", "--out", "1.deny"]);
    let mut changed = scene.read("1.deny");
    *changed.last_mut().unwrap() ^= 1;
    scene.write("changed.deny", changed);
    for (source, more, exit) in [
        ("missing.toml", &["--key", "deny.key"][..], 1),
        ("endless.toml", &["--key", "deny.key"], 4),
        ("ended.toml", &["--key", "deny.key"], 4),
        ("wrong.toml", &["--key", "deny.key"], 4),
        ("1.toml", &["--key", "other.key"], 4),
        ("1.toml", &["--key", "deny.key", "--previous", "1.deny"], 3),
        ("1.toml", &["--key", "second.key", "--previous", "1.deny"], 3),
    ] {
        let said = scene.show(&[&["deny-list", "sign", source, "--out", "new.deny"], more].concat());
        assert_eq!(said.exit, exit, "{source} {more:?}: {}", said.stderr);
        assert!(!scene.path("new.deny").exists());
    }
    let over = scene.show(&["deny-list", "sign", "1.toml", "--key", "deny.key", "--out", "1.deny"]);
    assert_eq!(over.exit, 2, "nothing is overwritten");
    let zeros = format!("sha256:{}", "0".repeat(64));
    let verify: Vec<&str> = verify.iter().map(String::as_str).collect();
    for (list, key, exit) in [
        ("missing.deny", &digest, 1),
        ("changed.deny", &digest, 3),
        ("1.toml", &digest, 4),
        ("1.deny", &zeros, 3),
        ("1.deny", &"abcd".to_owned(), 2),
    ] {
        let said = scene.show(&[&verify[..], &["--deny-list", list, "--deny-list-key", key]].concat());
        assert_eq!(said.exit, exit, "{list}: {}", said.stderr);
        assert!(said.stdout.is_empty(), "{list}: {}", said.stdout);
    }
    assert!(!scene.path("state/deny").exists(), "a refused list was remembered");
    assert_eq!(scene.show(&[&verify[..], &["--deny-list", "1.deny"]].concat()).exit, 2);
    scene.agrees_with("deny-list-refused");
}
