//! `strongroom verify`, `proxy` and `receipt`, up to the point where a server is needed.

use axum::http::StatusCode;
use strongroom_attestation::UnixTime;
use strongroom_channel::cose::SigningKey;
use strongroom_channel::trust_file::{self, TrustFile};

use super::deployment::{Nobody, Stranger};
use super::scene::Scene;
use super::tenant::{Tenant, now};

const DAY: u64 = 24 * 60 * 60;

/// `strongroom verify` of an address where nobody is, so that whatever ends it came before.
fn verify<'a>(url: &'a str, trust: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["verify", url, "--state", "state", "--trust", trust], more].concat()
}

#[test]
fn what_is_no_trust_file_is_not_trusted() {
    let mut tenant = Tenant::new();
    let nobody = Nobody::new();
    let root = tenant.trust_root.clone();
    let scene = &mut tenant.scene;
    let file = scene.read("bank.trust");
    let mut changed = file.clone();
    *changed.last_mut().unwrap() ^= 1;
    scene.write("random.trust", [0xff, 0, 0x9f, 1]);
    scene.write("cut.trust", &file[..file.len() / 2]);
    scene.write("changed.trust", changed);
    let other = format!("sha256:{}", "0".repeat(64));
    for (trust, more, exit) in [
        ("missing.trust", &["--trust-root", root.as_str()][..], 1),
        ("random.trust", &["--trust-root", &root], 4),
        ("cut.trust", &["--trust-root", &root], 4),
        ("changed.trust", &["--trust-root", &root], 3),
        ("bank.trust", &[], 3),
        ("bank.trust", &["--trust-root", &other], 3),
        ("bank.trust", &["--trust-root", "abcd"], 2),
    ] {
        let said = scene.show(&verify(&nobody.url(), trust, more));
        assert_eq!(said.exit, exit, "{trust} {more:?}: {}", said.stderr);
    }
    assert!(!scene.path("state/trust/bank.json").exists(), "a refused file was remembered");
    scene.agrees_with("trust-file-refused");
}

#[test]
fn without_a_state_directory_nothing_is_guessed() {
    let mut tenant = Tenant::new();
    let said = tenant.scene.show(&["verify", "http://127.0.0.1:0", "--trust", "bank.trust"]);
    assert_eq!(said.exit, 2);
    tenant.scene.agrees_with("no-state-directory");
}

/// A root of the test's own, so that it can sign what no broker would.
#[test]
fn an_old_trust_file_is_refused() {
    let mut tenant = Tenant::new();
    let nobody = Nobody::new();
    let root = SigningKey::generate();
    let pinned = format!("sha256:{}", hex::encode(root.verifying_key().thumbprint()));
    let file = exported(&tenant);
    let scene = &mut tenant.scene;
    let at = |seconds| UnixTime::from_secs(seconds);
    let ended = TrustFile { created: at(now() - 3 * DAY), not_after: at(now() - DAY), ..file.clone() };
    scene.write("ended.trust", ended.sign(&root));
    scene.write("first.trust", TrustFile { sequence: 1, ..file.clone() }.sign(&root));
    scene.write("second.trust", TrustFile { sequence: 2, ..file }.sign(&root));

    // What goes on to the address, where nobody is, was accepted: 5.
    for (trust, more, exit) in [
        ("ended.trust", &["--trust-root", pinned.as_str()][..], 3),
        ("second.trust", &["--trust-root", &pinned], 5),
        ("second.trust", &[], 5),
        ("first.trust", &[], 3),
        ("first.trust", &["--trust-root", &pinned], 3),
        ("bank.trust", &["--trust-root", &tenant.trust_root], 3),
    ] {
        let said = scene.show(&verify(&nobody.url(), trust, more));
        assert_eq!(said.exit, exit, "{trust} {more:?}: {}", said.stderr);
    }
    let remembered = String::from_utf8(scene.read("state/trust/bank.json")).unwrap();
    assert!(remembered.contains(&pinned) && remembered.contains("\"sequence\":2"), "{remembered}");
    scene.agrees_with("trust-file-old");
}

#[test]
fn what_is_no_strongroom_is_not_verified() {
    let mut tenant = Tenant::new();
    let (nobody, page, error) = (Nobody::new(), Stranger::new(StatusCode::OK), Stranger::new(StatusCode::NOT_FOUND));
    let root = tenant.trust_root.clone();
    let more = ["--trust-root", &root];
    for (url, exit) in [
        (nobody.url().as_str(), 5),
        (&page.url, 4),
        (&error.url, 5),
        ("bank.example", 2),
        ("https://user:secret@bank.example", 2),
        ("http://127.0.0.1:0/v1", 2),
    ] {
        for command in ["verify", "proxy"] {
            let arguments = verify(url, "bank.trust", &more);
            let said = tenant.scene.show(&[&[command], &arguments[1..]].concat());
            assert_eq!(said.exit, exit, "{command} {url}: {}", said.stderr);
            assert!(!said.stderr.contains("secret"), "{}", said.stderr);
        }
    }
    let said = tenant.scene.show(&[&["--json"], &verify(&nobody.url(), "bank.trust", &more)[..]].concat());
    assert_eq!(said.exit, 5);
    tenant.scene.agrees_with("verify-nobody");
}

#[test]
fn what_is_no_receipt_is_not_believed() {
    let mut tenant = Tenant::new();
    let root = tenant.trust_root.clone();
    let scene = &mut tenant.scene;
    scene.write("random.json", [0xff, 0, 0x9f, 1]);
    scene.write("other.json", "{\"format\":\"another\"}");
    let empty = "{\"format\":\"strongroom-receipt-bundle-v1\",\"receipt\":\"\",\"attest_request\":\"\",\"attest_response\":\"\"}";
    scene.write("empty.json", empty);
    for (file, exit) in [("random.json", 4), ("other.json", 4), ("missing.json", 1), ("empty.json", 4)] {
        let said = scene.show(&["receipt", "verify", file, "--trust", "bank.trust", "--trust-root", &root]);
        assert_eq!(said.exit, exit, "{file}: {}", said.stderr);
    }
    scene.agrees_with("receipt-refused");
}

#[test]
fn the_proxy_wants_an_address() {
    let mut scene = Scene::new();
    let common = ["proxy", "http://127.0.0.1:0", "--trust", "bank.trust", "--state", "state", "--listen"];
    for listen in ["localhost", "8788"] {
        assert_eq!(scene.show(&[&common[..], &[listen]].concat()).exit, 2, "{listen}");
    }
    scene.agrees_with("proxy-listen");
}

fn exported(tenant: &Tenant) -> TrustFile {
    let bytes = tenant.scene.read("bank.trust");
    let root = trust_file::root_thumbprint(&bytes).unwrap();
    trust_file::verify(&bytes, &root, 0, UnixTime::from_secs(now())).unwrap()
}
