//! `strongroom verify --evidence` and `strongroom evidence show`: raw artefacts, told apart by content.

use super::scene::Scene;

const REPORT: &[u8] = include_bytes!("../vectors/snp/012-genoa-v5/report.bin");
const VCEK: &[u8] = include_bytes!("../vectors/snp/012-genoa-v5/vcek.der");
const QUOTE: &[u8] = include_bytes!("../vectors/tdx/001-v4-collateral/quote.bin");
const COLLATERAL: &[u8] = include_bytes!("../vectors/tdx/001-v4-collateral/collateral.json");
const AZURE: &[u8] = include_bytes!("../vectors/azure-ak/evidence.json");
const SGX: &[u8] = include_bytes!("../vectors/sgx/001-v3-collateral/quote.bin");

/// `challenge`, the nonce of the captured vTPM quote.
const CHALLENGE: &str = "6368616c6c656e6765";

fn scene() -> Scene {
    let scene = Scene::new();
    // Names say nothing, or the wrong thing.
    for (name, bytes) in
        [("a", REPORT), ("b.json", VCEK), ("c", QUOTE), ("d.der", COLLATERAL), ("e", AZURE), ("sgx", SGX)]
    {
        scene.write(name, bytes);
    }
    scene
}

/// `verify` under `authentic` at a fixed time.
fn verify<'a>(at: &'a str, files: &[&'a str]) -> Vec<&'a str> {
    [&["verify", "--policy", "authentic", "--at", at], files].concat()
}

#[test]
fn artefacts_are_told_apart_and_verified() {
    let mut scene = scene();
    let tdx = verify("2025-06-25T00:00:00Z", &["--evidence", "c", "--endorsement", "d.der"]);
    let azure = verify("2026-05-01T00:00:00Z", &["--evidence", "e", "--nonce", CHALLENGE]);
    // Which is evidence and which endorses it is told by the content, too.
    let snp = verify("2026-05-01T00:00:00Z", &["--evidence", "b.json", "--endorsement", "a"]);
    for (arguments, platform) in [(tdx, "tdx"), (azure, "azure-snp"), (snp, "snp")] {
        let said = scene.show(&arguments);
        assert_eq!(said.exit, 0, "{}", said.stderr);
        assert!(said.stdout.starts_with(&format!("accepted ({platform}) under policy authentic")), "{}", said.stdout);
        let json = scene.run(&[&["--json"], &arguments[..]].concat()).json();
        assert_eq!((&json["status"], &json["platform"]), (&"accepted".into(), &platform.into()));
        assert_eq!(json["simulated"], false);
        assert!(json["checks"].as_array().unwrap().len() > 15);
        for check in json["checks"].as_array().unwrap() {
            assert!(["pass", "skip"].contains(&check["result"].as_str().unwrap()), "{check}");
            assert!(check["id"].is_string() && check["wanted"].is_string() && check["found"].is_string());
        }
    }
    scene.agrees_with("verify-evidence");
}

#[test]
fn what_is_not_as_it_should_be_is_refused_by_its_code() {
    let mut scene = scene();
    let mut changed = REPORT.to_vec();
    changed[0x90] ^= 1;
    scene.write("changed", changed);
    scene.write("cut", &QUOTE[..2000]);
    scene.write("words", "not evidence at all");
    scene.write("policy.toml", "name = \"bank\"\nmeasurements = []\n");
    let now = "2026-05-01T00:00:00Z";
    let wrong_nonce = verify(now, &["--evidence", "e", "--nonce", "00"]);
    for (arguments, exit, code) in [
        (verify(now, &["--evidence", "a"]), 3, Some("NO_ENDORSEMENT")),
        (verify(now, &["--evidence", "changed", "--endorsement", "b.json"]), 3, Some("SIGNATURE")),
        (verify(now, &["--evidence", "c", "--endorsement", "d.der"]), 3, Some("COLLATERAL_EXPIRED")),
        (wrong_nonce, 3, Some("NONCE")),
        (verify(now, &["--evidence", "sgx"]), 3, Some("PLATFORM_NOT_ALLOWED")),
        (verify(now, &["--evidence", "cut"]), 4, Some("PARSE")),
        (verify(now, &["--evidence", "words"]), 4, Some("PARSE")),
        (verify(now, &["--evidence", "a", "--evidence", "c"]), 4, Some("PARSE")),
        (verify(now, &["--evidence", "b.json"]), 4, Some("PARSE")),
        (vec!["verify", "--at", now, "--evidence", "e"], 3, Some("PLATFORM_NOT_ALLOWED")),
        (
            vec!["verify", "--policy", "policy.toml", "--at", now, "--evidence", "a", "--evidence", "b.json"],
            3,
            Some("MEASUREMENT"),
        ),
        (verify(now, &["--evidence", "missing"]), 1, None),
        (verify("yesterday", &["--evidence", "a"]), 2, None),
        (verify(now, &["--evidence", "a", "--report-data", "00"]), 2, None),
        (verify(now, &["http://127.0.0.1:1", "--evidence", "a"]), 2, None),
        (vec!["verify", "--endorsement", "a"], 2, None),
        (vec!["verify"], 2, None),
    ] {
        let said = scene.show(&arguments);
        assert_eq!(said.exit, exit, "{arguments:?}: {}{}", said.stdout, said.stderr);
        let json = scene.run(&[&["--json"], &arguments[..]].concat()).json();
        match code {
            Some(code) => {
                assert_eq!(json["code"], code);
                assert_eq!(json["status"], if exit == 4 { "malformed" } else { "refused" });
            }
            None => assert!(json["error"]["code"].is_string()),
        }
    }
    scene.agrees_with("verify-evidence-refused");
}

#[test]
fn an_ear_is_the_same_answer_in_other_words() {
    let scene = scene();
    let arguments = verify("2026-05-01T00:00:00Z", &["--evidence", "e", "--ear"]);
    let ear: serde_json::Value = serde_json::from_str(&scene.run(&arguments).stdout).unwrap();
    let cpu = &ear["submods"]["cpu"];
    assert_eq!(cpu["ear.status"], "warning", "nothing fresh was compared");
    assert_eq!(cpu["ear.trustworthiness-vector"]["hardware"], 2);
    assert_eq!(cpu["ear.trustworthiness-vector"]["executables"], 0, "no measurement was compared");
    assert_eq!(cpu["strongroom.result"]["status"], "accepted");
    assert_eq!(ear["eat_profile"], "tag:github.com,2023:veraison/ear");
}

#[test]
fn what_ends_soon_is_said() {
    let scene = scene();
    let files = ["--evidence", "c", "--endorsement", "d.der", "--warn-days"];
    let warned = |days: &str| {
        let said = scene.run(&[&verify("2025-07-01T00:00:00Z", &files)[..], &[days]].concat());
        said.stderr.lines().filter(|line| line.starts_with("warning: ")).count()
    };
    assert_eq!(warned("1"), 0);
    assert!(warned("30") >= 3, "two pieces of collateral and a revocation list");
}

#[test]
fn any_artefact_is_shown_and_none_is_judged() {
    let mut scene = scene();
    let said = scene.show(&["evidence", "show", "c", "d.der"]);
    assert_eq!(said.exit, 0, "{}", said.stderr);
    for field in ["mr_td:", "fmspc: b0c06f000000", "Intel SGX PCK Platform CA", "TDX TCB info of FMSPC"] {
        assert!(said.stdout.contains(field), "{field}");
    }
    let said = scene.show(&["evidence", "show", "sgx"]);
    assert_eq!(said.exit, 3, "{}", said.stderr);
    let json = scene.done(&["evidence", "show", "a"]);
    assert_eq!((&json["verified"], &json["snp_report"]["vmpl"]), (&false.into(), &0.into()));
    scene.agrees_with("evidence-show");
}
