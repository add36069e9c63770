//! `strongroom serve`, up to the point where a broker says yes.

use std::net::TcpListener;
use std::path::Path;

use super::deployment::{Deployment, Nobody};
use super::tenant::{SERVE, Tenant, machine, now};

const DAY: u64 = 24 * 60 * 60;

#[test]
fn a_configuration_that_cannot_be_meant_starts_nothing() {
    let mut tenant = Tenant::new();
    let good = tenant.config("http://127.0.0.1:0");
    let (key, publisher) = (tenant.broker_key.clone(), tenant.publisher.clone());
    let scene = &mut tenant.scene;
    scene.write("unknown.toml", format!("max_tokens = 9\n{good}"));
    scene.write("range.toml", format!("epoch_seconds = 5\n{good}"));
    scene.write("logging.toml", format!("logging = \"prompts\"\n{good}"));
    scene.write("key.toml", good.replace(&key, "abcd"));
    scene.write("publisher.toml", good.replace(&publisher, "abcd"));
    scene.write("random.toml", [0xff, 0, 0x9f, 1]);
    scene.write("text.toml", "deployment: bank\n");
    for (name, exit) in [
        ("unknown", 2),
        ("range", 2),
        ("logging", 2),
        ("key", 2),
        ("publisher", 2),
        ("random", 2),
        ("text", 2),
        ("missing", 1),
    ] {
        let file = format!("{name}.toml");
        assert_eq!(scene.show(&["serve", "--config", &file]).exit, exit, "{name}");
    }
    scene.agrees_with("config-refused");
}

#[test]
fn without_a_platform_there_is_no_server() {
    if Path::new("/dev/sev-guest").exists() || Path::new("/dev/tdx_guest").exists() {
        return; // this machine has one
    }
    let mut tenant = Tenant::new();
    tenant.configure("http://127.0.0.1:0");
    assert_eq!(tenant.scene.show(&["serve", "--config", "server.toml"]).exit, 3);
    assert_eq!(tenant.scene.show(&["--json", "serve", "--config", "server.toml"]).exit, 3);
    tenant.scene.agrees_with("no-platform");
}

#[test]
fn what_is_no_device_is_no_platform() {
    let mut tenant = Tenant::new();
    tenant.configure("http://127.0.0.1:0");
    let simulated = ["serve", "--config", "server.toml", "--simulated", "snp"];
    for (more, exit) in [(&["--device", "broker"][..], 1), (&["--device", "device", "--simulated-image", "none"], 1)] {
        assert_eq!(tenant.scene.show(&[&simulated[..], more].concat()).exit, exit, "{more:?}");
    }
    tenant.scene.agrees_with("no-device");
}

#[test]
fn a_sealed_model_that_is_not_the_publishers_is_not_asked_for() {
    let mut tenant = Tenant::new();
    let nobody = Nobody::new();
    let good = tenant.config(&nobody.url());
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    let other = scene.done(&["model", "publisher-key", "other.key"])["publisher"].as_str().unwrap().to_owned();
    let manifest = scene.read("model.sealed/manifest.cbor");
    for (config, manifest, exit) in [
        (good.replace(&publisher, &other), &manifest[..], 3),
        (good.replace("model.sealed", "none.sealed"), &manifest, 1),
        (good.clone(), &manifest[..manifest.len() / 2], 4),
        (good.clone(), b"\xff\x00random", 4),
    ] {
        scene.write("server.toml", config);
        scene.write("model.sealed/manifest.cbor", manifest);
        let said = scene.show(&SERVE);
        assert_eq!(said.exit, exit, "{}", said.stderr);
    }
    scene.agrees_with("serve-wrong-model");
}

#[test]
fn a_port_in_use_is_said() {
    let mut tenant = Tenant::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    tenant.configure("http://127.0.0.1:0");
    let listen = taken.local_addr().unwrap().to_string();
    assert_eq!(tenant.scene.show(&[&SERVE[..], &["--listen", &listen]].concat()).exit, 1);
    tenant.scene.agrees_with("serve-port-in-use");
}

#[test]
fn a_broker_that_is_down_is_worth_another_try() {
    let mut tenant = Tenant::new();
    let nobody = Nobody::new();
    tenant.configure(&nobody.url());
    assert_eq!(tenant.scene.show(&SERVE).exit, 5);
    assert_eq!(tenant.scene.show(&[&["--json"], &SERVE[..]].concat()).exit, 5);
    tenant.scene.agrees_with("serve-broker-down");
}

#[test]
fn another_broker_than_the_pinned_one_is_not_believed() {
    let mut deployment = Deployment::new();
    let other = deployment.tenant.publisher.clone();
    let config = deployment.tenant.config(&deployment.broker_url).replace(&deployment.tenant.broker_key, &other);
    deployment.tenant.scene.write("server.toml", config);
    assert_eq!(deployment.tenant.scene.show(&SERVE).exit, 3);
    deployment.tenant.scene.agrees_with("serve-wrong-broker");
}

/// A machine whose certificates are of last week: what a clock that is wrong looks like, too.
#[test]
fn certificates_that_ended_release_nothing() {
    let mut deployment = Deployment::new();
    let scene = &mut deployment.tenant.scene;
    machine(now() - 8 * DAY).to_directory(&scene.path("old-device")).unwrap();
    let old = SERVE.map(|argument| if argument == "device" { "old-device" } else { argument });
    let said = scene.show(&old);
    assert_eq!(said.exit, 3, "{}", said.stderr);
    scene.agrees_with("serve-certificates-ended");
}

#[test]
fn a_configuration_that_the_policy_does_not_name_gets_no_key() {
    let mut deployment = Deployment::new();
    let config = deployment.tenant.config(&deployment.broker_url);
    deployment.tenant.scene.write("server.toml", format!("max_streams = 7\n{config}"));
    assert_eq!(deployment.tenant.scene.show(&SERVE).exit, 3);
    let said = deployment.tenant.scene.run(&[&["--json"], &SERVE[..]].concat()).json();
    let failed = |check: &&serde_json::Value| check["state"] != "pass" && check["state"] != "skip";
    assert!(said["checks"].as_array().unwrap().iter().any(|check| failed(&check)), "{said}");
    deployment.tenant.scene.agrees_with("serve-refused");
}

/// The blob is read only once its key is there.
#[test]
fn a_sealed_model_that_was_cut_is_not_served() {
    let mut deployment = Deployment::new();
    let scene = &mut deployment.tenant.scene;
    let blob = scene.read("model.sealed/blobs/0000.bin");
    scene.write("model.sealed/blobs/0000.bin", &blob[..blob.len() / 2]);
    assert_eq!(scene.show(&SERVE).exit, 4);
    std::fs::remove_file(scene.path("model.sealed/blobs/0000.bin")).unwrap();
    assert_eq!(scene.show(&SERVE).exit, 4);
    scene.agrees_with("serve-cut-model");
}
