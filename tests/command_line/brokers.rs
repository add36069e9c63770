//! `strongroom broker …`.

use std::net::TcpListener;

use axum::http::StatusCode;

use super::deployment::{Deployment, Nobody, Stranger};
use super::scene::Scene;
use super::tenant::Tenant;

const INIT: [&str; 8] = ["broker", "init", "--dir", "broker", "--tenant", "bank", "--deployment", "dev"];

#[test]
fn a_broker_is_made_once() {
    let mut tenant = Tenant::new();
    let scene = &mut tenant.scene;
    let key = scene.read("broker/broker-key.pub");
    let said = scene.show(&[&INIT[..], &["--development", "--development-root", "root.der"]].concat());
    assert_eq!((said.exit, scene.read("broker/broker-key.pub")), (2, key));
    // It still is the broker that it was.
    assert_eq!(scene.show(&["broker", "log", "verify", "--dir", "broker"]).exit, 0);
    scene.agrees_with("broker-init-twice");
}

#[test]
fn the_key_encryption_key_goes_where_the_user_stands() {
    let scene = Scene::new();
    scene.done(&[&INIT[..], &["--kek", "elsewhere.key"]].concat());
    assert_eq!(scene.names(), ["broker", "elsewhere.key"]);
    scene.done(&["broker", "log", "verify", "--dir", "broker"]);
}

#[test]
fn a_broker_that_cannot_be_meant_is_not_made() {
    let mut scene = Scene::new();
    scene.write("random", [0xff, 0, 0x9f, 1]);
    let unnamed = ["broker", "init", "--dir", "broker", "--tenant", "bank", "--deployment", "Bank Prod"];
    for (arguments, exit) in [
        (unnamed.to_vec(), 2),
        (INIT.map(|argument| if argument == "bank" { "Bank & Sons" } else { argument }).to_vec(), 2),
        (INIT.map(|argument| if argument == "--tenant" { "--owner" } else { argument }).to_vec(), 2),
        ([&INIT[..], &["--development"]].concat(), 2),
        ([&INIT[..], &["--development", "--development-root", "missing"]].concat(), 1),
        ([&INIT[..], &["--development", "--development-root", "random"]].concat(), 4),
    ] {
        assert_eq!(scene.show(&arguments).exit, exit, "{arguments:?}");
    }
    assert_eq!(scene.names(), ["random"]);
    scene.agrees_with("broker-init-wrong");
}

#[test]
fn a_broker_that_is_not_there_is_not_made_by_another_command() {
    let mut scene = Scene::new();
    for command in [&["serve"][..], &["log", "verify"], &["trust", "export", "--out", "new.trust"]] {
        let arguments = [&["broker"], command, &["--dir", "none"]].concat();
        assert_eq!(scene.show(&arguments).exit, 2, "{command:?}");
    }
    assert!(scene.names().is_empty());
    scene.agrees_with("broker-missing");
}

#[test]
fn what_may_not_be_deposited_leaves_no_record() {
    let mut tenant = Tenant::new();
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    let production = ["broker", "init", "--dir", "prod", "--tenant", "bank", "--deployment", "bank-prod"];
    scene.done(&production);
    scene.done(&Tenant::seal("v3.sealed", &["--name", "tiny", "--version", "3", "--development"]));
    scene.done(&Tenant::seal("v2.sealed", &["--name", "tiny", "--version", "2", "--development"]));
    scene.done(&Tenant::seal("again.sealed", &["--name", "tiny", "--version", "3", "--development"]));
    scene.done(&Tenant::seal("prod.sealed", &["--name", "other"]));
    scene.done(&Tenant::seal("cut.sealed", &["--name", "cut", "--development"]));
    let manifest = scene.read("cut.sealed/manifest.cbor");
    scene.write("cut.sealed/manifest.cbor", &manifest[..manifest.len() - 1]);
    let other = scene.done(&["model", "publisher-key", "other.key"])["publisher"].as_str().unwrap().to_owned();
    scene.done(&["broker", "deposit", "--dir", "broker", "v3.sealed", "--publisher", &publisher]);

    let records = |scene: &Scene| -> Vec<serde_json::Value> {
        ["broker", "prod"].map(|dir| scene.done(&["broker", "log", "verify", "--dir", dir])).into()
    };
    let before = records(scene);
    for (broker, sealed, publisher, exit) in [
        ("broker", "v2.sealed", publisher.as_str(), 3),
        ("broker", "again.sealed", &publisher, 3),
        ("broker", "prod.sealed", &publisher, 3),
        ("prod", "v3.sealed", &publisher, 3),
        ("prod", "prod.sealed", &publisher, 3),
        ("broker", "v3.sealed", &other, 3),
        ("broker", "cut.sealed", &publisher, 4),
        ("broker", "none.sealed", &publisher, 1),
    ] {
        let said = scene.show(&["broker", "deposit", "--dir", broker, sealed, "--publisher", publisher]);
        assert_eq!(said.exit, exit, "{broker} {sealed}: {}", said.stderr);
    }
    assert_eq!(records(scene), before);
    scene.agrees_with("deposit-refused");
}

#[test]
fn a_policy_that_cannot_be_meant_is_not_put_in_force() {
    let mut tenant = Tenant::new();
    let scene = &mut tenant.scene;
    let policy = String::from_utf8(scene.read("policy.toml")).unwrap();
    scene.write("unknown.toml", format!("lease_second = 60\n{policy}"));
    scene.write("range.toml", format!("lease_seconds = 0\n{policy}"));
    scene.write("random.toml", [0xff, 0, 0x9f, 1]);
    for (file, exit) in [("unknown.toml", 2), ("range.toml", 2), ("random.toml", 2), ("none.toml", 1)] {
        assert_eq!(scene.show(&["broker", "policy", "--dir", "broker", file]).exit, exit, "{file}");
    }
    let fresh = ["broker", "init", "--dir", "fresh", "--tenant", "bank", "--deployment", "fresh"];
    scene.done(&fresh);
    let exported = scene.show(&["broker", "trust", "export", "--dir", "fresh", "--out", "fresh.trust"]);
    assert_eq!((exported.exit, scene.path("fresh.trust").exists()), (2, false));
    scene.agrees_with("policy-refused");
}

#[test]
fn a_port_in_use_is_said() {
    let mut tenant = Tenant::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = tenant.scene.show(&["broker", "serve", "--dir", "broker", "--listen", &address]);
    assert_eq!(said.exit, 1);
    tenant.scene.agrees_with("broker-port-in-use");
}

#[test]
fn a_running_broker_keeps_its_store() {
    let mut deployment = Deployment::new();
    let url = deployment.broker_url.clone();
    let scene = &mut deployment.tenant.scene;
    assert_eq!(scene.show(&["broker", "log", "verify", "--dir", "broker"]).exit, 1);
    for (lease, exit) in [(&["--all"][..], 0), (&["--lease", "abcd"], 2), (&["--lease", &"0".repeat(32)], 2)] {
        let arguments = [&["broker", "revoke", "--dir", "broker", "--url", &url], lease].concat();
        assert_eq!(scene.show(&arguments).exit, exit, "{lease:?}");
    }
    scene.write("broker/admin.token", "another");
    assert_eq!(scene.show(&["broker", "revoke", "--dir", "broker", "--url", &url, "--all"]).exit, 3);
    scene.agrees_with("broker-running");
}

#[test]
fn a_broker_that_is_down_cannot_revoke() {
    let mut tenant = Tenant::new();
    let (nobody, stranger) = (Nobody::new(), Stranger::new(StatusCode::OK));
    for url in [nobody.url(), stranger.url.clone()] {
        let said = tenant.scene.show(&["broker", "revoke", "--dir", "broker", "--all", "--url", &url]);
        assert_eq!(said.exit, 5);
    }
    tenant.scene.agrees_with("revoke-unavailable");
}
