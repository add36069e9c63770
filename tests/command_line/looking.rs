//! `strongroom model inspect|verify|rewrap|diff`: looking into sealed models, and passing them on.

use std::fs;

use super::scene::Scene;
use super::tenant::Tenant;

const NAMED: [&str; 3] = ["--name", "tiny", "--development"];

/// Flips one bit of a file.
fn flip(scene: &Scene, name: &str, at: usize) {
    let mut bytes = scene.read(name);
    bytes[at] ^= 1;
    fs::write(scene.path(name), bytes).unwrap();
}

#[test]
fn a_sealed_model_is_verified_without_keys_with_them_and_to_the_last_file() {
    let mut tenant = Tenant::new();
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    let verify = ["model", "verify", "model.sealed", "--publisher", &publisher];
    let keys = ["--broker", "broker"];
    assert_eq!(scene.show(&verify).exit, 0);
    assert_eq!(scene.show(&[&verify[..], &keys].concat()).exit, 0);
    assert_eq!(scene.show(&[&verify[..], &keys, &["--deep"]].concat()).exit, 0);
    assert_eq!(scene.show(&[&["--json"], &verify[..]].concat()).exit, 0);
    assert_eq!(scene.show(&[&["--json", "model", "inspect"], &verify[2..], &keys].concat()).exit, 0);
    // Nobody's keys are needed to see that a mirror's copy is not whole.
    flip(scene, "model.sealed/blobs/0000.bin", 70_000);
    assert_eq!(scene.show(&verify).exit, 3);
    assert_eq!(scene.run(&[&verify[..], &keys].concat()).exit, 3);
    assert_eq!(scene.run(&[&verify[..], &["--deep"]].concat()).exit, 2, "files cannot be compared without keys");
    scene.agrees_with("model-verify");
}

#[test]
fn a_sealed_model_is_passed_on_and_stays_the_same_model() {
    let mut tenant = Tenant::new();
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    let init = ["broker", "init", "--dir", "other", "--tenant", "bank", "--deployment", "bank"];
    scene.done(&[&init[..], &["--development", "--development-root", "root.der"]].concat());
    let before = (scene.read("model.sealed/manifest.cbor"), scene.read("model.sealed/blobs/0000.bin"));
    let rewrap =
        |from, to| ["model", "rewrap", "model.sealed", "--publisher", &publisher, "--broker", from, "--to", to];
    let deposit = |to| ["broker", "deposit", "--dir", to, "model.sealed", "--publisher", &publisher];

    assert_eq!(scene.show(&deposit("other")).exit, 3, "it is not for that broker");
    assert_eq!(scene.show(&rewrap("other", "broker/deposit.pub")).exit, 3, "who has no key cannot pass it on");
    assert_eq!(scene.show(&rewrap("broker", "other/deposit.pub")).exit, 0);
    assert_eq!(scene.show(&deposit("other")).exit, 0);
    assert_eq!(before, (scene.read("model.sealed/manifest.cbor"), scene.read("model.sealed/blobs/0000.bin")));
    let log = String::from_utf8(scene.read("broker/decisions.log")).unwrap();
    assert!(log.contains("model-rewrapped"), "{log}");
    scene.agrees_with("model-rewrap");
}

#[test]
fn two_versions_are_told_apart_in_public_and_file_by_file() {
    let mut tenant = Tenant::new();
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    for (folder, weights, extra) in [("one", "a", Some("gone.txt")), ("two", "b", Some("new.txt"))] {
        fs::create_dir(scene.path(folder)).unwrap();
        scene.write(&format!("{folder}/model.safetensors"), weights);
        scene.write(&format!("{folder}/config.json"), "{}");
        scene.write(&format!("{folder}/{}", extra.unwrap()), "text");
    }
    let seal = |source, destination, more: &[&str]| {
        let common =
            ["model", "seal", source, destination, "--to", "broker/deposit.pub", "--publisher", "publisher.key"];
        [&common[..], &NAMED, more].concat().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let run = |scene: &Scene, arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        scene.done(&arguments)["model_id"].as_str().unwrap().to_owned()
    };
    let first = run(scene, seal("one", "one.sealed", &[]));
    run(scene, seal("two", "two.sealed", &["--version", "2", "--previous", &first, "--fips"]));

    let diff = ["model", "diff", "one.sealed", "two.sealed", "--publisher", &publisher];
    assert_eq!(scene.show(&diff).exit, 0);
    assert_eq!(scene.show(&[&diff[..], &["--broker", "broker"]].concat()).exit, 0);
    let value = scene.run(&[&["--json"], &diff[..], &["--broker", "broker"]].concat()).json();
    assert_eq!((&value["same"], &value["follows"]), (&false.into(), &true.into()));
    assert_eq!(value["files"]["changed"][0]["path"], "model.safetensors");
    assert_eq!(scene.show(&["model", "diff", "one.sealed", "one.sealed", "--publisher", &publisher]).exit, 0);
    assert_eq!(
        scene
            .show(&[
                "model",
                "seal",
                "one",
                "x",
                "--to",
                "broker/deposit.pub",
                "--publisher",
                "publisher.key",
                "--name",
                "x",
                "--previous",
                "12"
            ])
            .exit,
        2
    );
    scene.agrees_with("model-diff");
}

#[test]
fn an_address_is_as_good_as_a_directory_and_nobody_there_is_told() {
    let mut tenant = Tenant::new();
    let publisher = tenant.publisher.clone();
    let nobody = super::deployment::Nobody::new();
    let scene = &mut tenant.scene;
    let served = super::deployment::files(scene.path("model.sealed"));
    let verify = |url| ["model", "verify", url, "--publisher", &publisher];
    assert_eq!(scene.show(&verify(&served.url)).exit, 0);
    assert_eq!(scene.show(&[&verify(&served.url)[..], &["--broker", "broker", "--deep"]].concat()).exit, 0);
    assert_eq!(scene.show(&verify(&nobody.url())).exit, 5);
    scene.agrees_with("model-address");
}
