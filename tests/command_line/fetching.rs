//! `strongroom verify --fetch` and `collateral fetch --evidence`, against a mirror on this machine and without any.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::deployment::Nobody;
use super::scene::Scene;

const JUNE: &str = "2025-06-25T00:00:00Z";
const INTEL: &str = "tests/vectors/collateral/intel";

/// What a caching service of Intel's items had in June 2025.
struct Pccs {
    url: String,
    /// A path that it answers with something that Intel did not sign.
    forged: Arc<Mutex<Option<&'static str>>>,
    _runtime: Runtime,
}

impl Pccs {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let forged: Arc<Mutex<Option<&'static str>>> = Arc::default();
        let shared = Arc::clone(&forged);
        let answer = move |uri: Uri| {
            let forged = *shared.lock().unwrap() == Some(uri.path());
            async move { published(&uri.to_string(), forged).ok_or(StatusCode::NOT_FOUND) }
        };
        runtime.spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url, forged, _runtime: runtime }
    }

    /// The arguments that lead to it and to a cache.
    fn with<'a>(&'a self, cache: &'a str) -> [&'a str; 5] {
        ["--fetch", "--cache", cache, "--intel-url", &self.url]
    }
}

fn published(path: &str, forged: bool) -> Option<(HeaderMap, Bytes)> {
    let (object, chain) = match path {
        "/tdx/certification/v4/tcb?fmspc=b0c06f000000" => (
            "tcb_TDX_B0C06F000000_2025-06-19_2025-07-19_eval17.json",
            Some(("tcb-info-issuer-chain", "tcb_signing_2025-05-06.der")),
        ),
        "/tdx/certification/v4/qe/identity" => (
            "qe_TD_QE_2025-06-19_2025-07-19_eval17.json",
            Some(("sgx-enclave-identity-issuer-chain", "tcb_signing_2025-05-06.der")),
        ),
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der" => {
            ("pck_platform_crl_2025-06-19_2025-07-19.der", Some(("sgx-pck-crl-issuer-chain", "pck_platform_ca.der")))
        }
        "/sgx/certification/v4/rootcacrl" => ("root_ca_crl_2025-03-20_2026-04-03.der", None),
        _ => return None,
    };
    let mut headers = HeaderMap::new();
    if let Some((name, certificate)) = chain {
        // Every byte coded, so that no PEM is needed here.
        let chain = [certificate, "intel_sgx_root_ca.der"].map(|name| file(&format!("{INTEL}/{name}"))).concat();
        let coded: String = chain.iter().map(|byte| format!("%{byte:02X}")).collect();
        headers.insert(name, HeaderValue::from_str(&coded).unwrap());
    }
    let mut body = file(&format!("{INTEL}/{object}"));
    if forged {
        let text = String::from_utf8(body).unwrap();
        body = text.replacen("OutOfDate", "UpToDate", 1).into_bytes();
    }
    Some((headers, body.into()))
}

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn scene() -> Scene {
    let scene = Scene::new();
    scene.write("quote.bin", file("tests/vectors/collateral/evidence/tdx-quote-v4.bin"));
    scene
}

#[test]
fn what_a_verdict_needs_is_fetched_once_and_kept() {
    let (pccs, nobody, mut scene) = (Pccs::new(), Nobody::new(), scene());
    let down = nobody.url();
    let verify = ["verify", "--evidence", "quote.bin", "--at", JUNE];
    for (arguments, exit) in [
        ([&verify[..], &pccs.with("here")].concat(), 0),
        // The service is down, then nobody is asked: the cache has it all.
        ([&verify[..], &["--fetch", "--cache", "here", "--intel-url", &down]].concat(), 0),
        ([&verify[..], &["--fetch", "--cache", "here", "--offline"]].concat(), 0),
        // Nothing is there, and the policy wants it: the service may have it later.
        ([&verify[..], &["--fetch", "--cache", "none", "--intel-url", &down]].concat(), 5),
        // Where nobody may be asked, later is no better.
        ([&verify[..], &["--fetch", "--cache", "none", "--offline"]].concat(), 3),
        // The policy can do without.
        ([&verify[..], &["--policy", "authentic", "--fetch", "--cache", "none", "--intel-url", &down]].concat(), 0),
        (vec!["verify", "--evidence", "quote.bin", "--offline"], 2),
        (vec!["verify", "--evidence", "quote.bin", "--fetch", "--intel-url", "ftp://a", "--cache", "here"], 2),
    ] {
        let said = scene.show(&arguments);
        assert_eq!(said.exit, exit, "{arguments:?}: {}{}", said.stdout, said.stderr);
    }
    scene.agrees_with("verify-fetch");

    let json = scene.done(&[&verify[..], &pccs.with("here")].concat());
    let states: Vec<_> = json["endorsements"].as_array().unwrap().iter().map(|item| &item["freshness"]).collect();
    assert_eq!(states, ["cached"; 4]);
    assert!(json["endorsements"][0]["age"].is_u64() && json["endorsements"][0]["want"].is_string(), "{json}");
    let missing = [&["--json"], &verify[..], &["--fetch", "--cache", "none", "--offline"]].concat();
    let missing = scene.run(&missing).json();
    assert_eq!((&missing["endorsements"][0]["freshness"], &missing["code"]), (&"missing".into(), &"REVOKED".into()));
    let without = scene.run(&[&["--json"], &verify[..]].concat()).json();
    assert!(without.get("endorsements").is_none(), "{without}");
}

#[test]
fn what_intel_did_not_sign_is_forgotten() {
    let (pccs, scene) = (Pccs::new(), scene());
    let verify = [&["verify", "--evidence", "quote.bin", "--at", JUNE][..], &pccs.with("here")].concat();
    *pccs.forged.lock().unwrap() = Some("/tdx/certification/v4/tcb");
    let said = scene.run(&verify);
    assert_eq!(said.exit, 3, "{}", said.stderr);
    assert!(said.stderr.contains("error[SIGNATURE]"), "{}", said.stderr);
    assert!(said.stderr.contains("intel/tdx-tcb-info/b0c06f000000/standard from http://127.0.0.1:"), "{}", said.stderr);
    *pccs.forged.lock().unwrap() = None;
    let said = scene.run(&verify);
    assert_eq!(said.exit, 0, "{}", said.stderr);
    assert!(said.stderr.contains("fresh from the vendor"), "{}", said.stderr);
}

#[test]
fn evidence_of_each_platform_says_what_to_fetch() {
    let (pccs, scene) = (Pccs::new(), scene());
    for name in ["azure-tdx-hcl-report", "azure-tdx-quote"] {
        scene.write(&format!("{name}.bin"), file(&format!("tests/vectors/collateral/evidence/{name}.bin")));
    }
    let place = ["--cache", "here", "--intel-url", &pccs.url];
    let fetched = scene.done(&[&["collateral", "fetch", "--evidence", "quote.bin"][..], &place].concat());
    assert_eq!(fetched["items"].as_array().unwrap().len(), 4, "{fetched}");
    // Two files, one machine; this service does not know its FMSPC.
    let azure = ["collateral", "fetch", "--evidence", "azure-tdx-quote.bin", "azure-tdx-hcl-report.bin"];
    let said = scene.run(&[&azure[..], &place].concat());
    assert_eq!(said.exit, 3, "{}", said.stderr);
    assert!(said.stderr.contains("intel/tdx-tcb-info/00806f050000/standard: not known"), "{}", said.stderr);
    assert_eq!(said.stdout.matches("from the cache").count(), 3, "{}", said.stdout);
    // A TDREPORT names no platform.
    let said = scene.run(&[&["collateral", "fetch", "--evidence", "azure-tdx-hcl-report.bin"][..], &place].concat());
    assert!(said.exit == 3 && said.stderr.contains("error[NOTHING_TO_FETCH]"), "{}", said.stderr);
}
