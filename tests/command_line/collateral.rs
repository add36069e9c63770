//! `strongroom collateral`, against a mirror on this machine and without any.

use std::fs;
use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::deployment::Nobody;
use super::scene::Scene;

/// A mirror that has Milan's published items and one chip's certificate.
struct Mirror {
    url: String,
    _runtime: Runtime,
}

impl Mirror {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = |uri: Uri| async move { published(uri.path()).ok_or(StatusCode::NOT_FOUND) };
        runtime.spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url, _runtime: runtime }
    }
}

fn published(path: &str) -> Option<Bytes> {
    let anchors = "attestation/anchors/amd/milan";
    let files = match path {
        "/vcek/v1/Milan/cert_chain" => vec![format!("{anchors}/ask.der"), format!("{anchors}/ark.der")],
        "/vlek/v1/Milan/cert_chain" => vec![format!("{anchors}/asvk.der"), format!("{anchors}/ark.der")],
        "/vcek/v1/Milan/crl" => vec!["tests/vectors/snp/022-milan-revocation-list/crl.der".to_owned()],
        chip if chip.starts_with("/vcek/v1/Milan/") => vec!["tests/vectors/snp/001-milan-v2/vcek.der".to_owned()],
        _ => return None,
    };
    Some(files.iter().flat_map(|name| file(name)).collect())
}

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn milan() -> Vec<u8> {
    file("tests/vectors/snp/001-milan-v2/report.bin")
}

#[test]
fn what_was_fetched_is_carried_to_another_site() {
    let (mirror, nobody, mut scene) = (Mirror::new(), Nobody::new(), Scene::new());
    let (up, down) = (["--amd-url", mirror.url.as_str()], ["--amd-url", &nobody.url()]);
    scene.write("milan.bin", milan());
    for (arguments, exit) in [
        ([&["collateral", "fetch", "--product", "Milan", "--cache", "here"], &up[..]].concat(), 0),
        // A report that does not name its product: Genoa is tried, and does not know the chip.
        (
            [
                &["collateral", "fetch", "--evidence", "milan.bin", "--product", "Genoa", "--product", "Milan"][..],
                &["--cache", "here"],
                &up,
            ]
            .concat(),
            0,
        ),
        // The mirror is down: what is young is there.
        ([&["collateral", "fetch", "--product", "Milan", "--cache", "here"], &down[..]].concat(), 0),
        ([&["collateral", "fetch", "--product", "Milan", "--cache", "none"], &down[..]].concat(), 5),
        // A second address is tried.
        ([&["collateral", "fetch", "--product", "Milan", "--cache", "new"], &down[..], &up].concat(), 0),
        ([&["collateral", "fetch", "--product", "Turin", "--cache", "here"], &up[..]].concat(), 3),
        (vec!["collateral", "export", "milan.json", "--cache", "here"], 0),
        (vec!["collateral", "export", "milan.json", "--cache", "here"], 2),
        (vec!["collateral", "import", "milan.json", "--cache", "there"], 0),
        (vec!["collateral", "import", "milan.json", "--cache", "there"], 0),
        (vec!["collateral", "show", "--cache", "there"], 0),
        (vec!["collateral", "show", "milan.json", "--cache", "unused"], 0),
        (vec!["collateral", "show", "--cache", "empty"], 0),
    ] {
        let said = scene.show(&arguments);
        assert_eq!(said.exit, exit, "{arguments:?}: {}{}", said.stdout, said.stderr);
    }
    scene.agrees_with("collateral");

    scene.done(&["collateral", "export", "again.json", "--cache", "there"]);
    assert_eq!(scene.read("again.json"), scene.read("milan.json"), "one set of items, one file");
    let shown = scene.done(&["collateral", "show", "--cache", "there"]);
    let wants: Vec<&str> = shown["items"].as_array().unwrap().iter().filter_map(|item| item["want"].as_str()).collect();
    assert_eq!(wants[..3], ["amd/chain/Milan/vcek", "amd/chain/Milan/vlek", "amd/crl/Milan"]);
    assert!(wants.len() == 4 && wants[3].starts_with("amd/vcek/Milan/"), "{wants:?}");
    assert!(
        shown["items"][0]["days_left"].as_i64().unwrap() > 0 && shown["items"][2]["days_left"].as_i64().unwrap() < 0
    );
    let missing =
        scene.run(&[&["--json", "collateral", "fetch", "--product", "Turin", "--cache", "here"], &up[..]].concat());
    assert_eq!((missing.exit, missing.json()["error"]["code"].as_str()), (3, Some("NOT_FOUND")));
}

#[test]
fn what_is_no_bundle_is_not_imported() {
    let (mirror, mut scene) = (Mirror::new(), Scene::new());
    scene.done(&["collateral", "fetch", "--product", "Milan", "--cache", "here", "--amd-url", &mirror.url]);
    scene.done(&["collateral", "export", "milan.json", "--cache", "here"]);
    let bytes = scene.read("milan.json");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&bytes).unwrap();
        change(&mut value);
        serde_json::to_vec(&value).unwrap()
    };
    scene.write("random.json", [0xff, 0, 0x9f, 1]);
    scene.write("cut.json", &bytes[..30]);
    scene.write("other.json", "{\"format\":\"another\",\"version\":1}");
    scene.write("version.json", changed(&|value| value["version"] = json!(2)));
    scene.write("digest.json", changed(&|value| value["items"][0]["artefacts"][0]["sha256"] = json!("0".repeat(64))));
    scene.write("want.json", changed(&|value| value["items"][2]["want"] = json!("amd/crl/Genoa")));
    for name in ["random", "cut", "other", "version", "digest", "want"] {
        let said = scene.show(&["collateral", "import", &format!("{name}.json"), "--cache", "there"]);
        assert_eq!(said.exit, 4, "{name}: {}", said.stderr);
    }
    assert_eq!(scene.show(&["collateral", "import", "missing.json", "--cache", "there"]).exit, 1);
    assert!(!scene.path("there").exists(), "nothing was kept");
    scene.agrees_with("collateral-refused");

    // A damaged file of the cache is named, and what is sound is listed.
    let name = scene.names().into_iter().find(|name| name == "here").unwrap();
    let damaged = fs::read_dir(scene.path(&name)).unwrap().next().unwrap().unwrap().path();
    fs::write(&damaged, "{}").unwrap();
    let said = scene.run(&["collateral", "show", "--cache", "here"]);
    assert!(said.exit == 0 && said.stderr.contains("is damaged and left out"), "{}", said.stderr);
    assert_eq!(said.stdout.lines().count(), 4, "{}", said.stdout);
}

#[test]
fn a_fetch_must_say_what_and_from_where() {
    let mut scene = Scene::new();
    scene.write("milan.bin", milan());
    scene.write("short.bin", &milan()[..100]);
    for (arguments, exit) in [
        (&["collateral", "fetch"][..], 2),
        (&["collateral", "fetch", "--product", "Rome", "--cache", "c"], 2),
        (&["collateral", "fetch", "--product", "Milan"], 2),
        (&["collateral", "fetch", "--fmspc", "90c06f", "--cache", "c"], 2),
        (&["collateral", "fetch", "--fmspc", "90c06f000000", "--evaluation", "old", "--cache", "c"], 2),
        (&["collateral", "fetch", "--product", "Milan", "--amd-url", "ftp://a", "--cache", "c"], 2),
        (&["collateral", "fetch", "--product", "Milan", "--amd-url", "https://user:secret@a", "--cache", "c"], 2),
        (&["collateral", "fetch", "--evidence", "short.bin", "--cache", "c"], 4),
        (&["collateral", "fetch", "--evidence", "missing.bin", "--cache", "c"], 1),
        (&["collateral", "fetch", "--evidence", "milan.bin", "--product", "Turin", "--cache", "c"], 3),
        (&["collateral", "show", "--cache", "milan.bin"], 2),
    ] {
        let said = scene.show(arguments);
        assert_eq!(said.exit, exit, "{arguments:?}: {}", said.stderr);
        assert!(!said.stderr.contains("secret"), "{}", said.stderr);
    }
    scene.agrees_with("collateral-usage");
}
