//! `strongroom model …`.

use std::fs;

use super::scene::Scene;
use super::tenant::Tenant;

const NAMED: [&str; 3] = ["--name", "tiny", "--development"];

#[test]
fn seal_and_inspect() {
    let mut tenant = Tenant::new();
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    for (destination, json) in [("text.sealed", false), ("json.sealed", true)] {
        let seal = Tenant::seal(destination, &NAMED);
        let inspect = ["model", "inspect", destination, "--publisher", &publisher];
        for arguments in [seal, inspect.to_vec()] {
            let arguments = if json { [&["--json"], &arguments[..]].concat() } else { arguments };
            assert_eq!(scene.show(&arguments).exit, 0);
        }
    }
    scene.agrees_with("seal");
}

#[test]
fn what_is_no_model_is_not_sealed() {
    let mut tenant = Tenant::new();
    let scene = &mut tenant.scene;
    fs::create_dir(scene.path("empty")).unwrap();
    scene.write("weights.pt", "by its name");
    scene.write("weights", [0x80, 2, b'}', b'q']);
    scene.write("model.onnx", "by its name");
    fs::create_dir(scene.path("linked")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", scene.path("linked/model.gguf")).unwrap();
    let before = scene.names();
    let sources =
        [("missing.gguf", 1), ("empty", 4), ("weights.pt", 3), ("weights", 3), ("linked", 3), ("model.onnx", 4)];
    for (source, exit) in sources {
        let options = ["--to", "broker/deposit.pub", "--publisher", "publisher.key", "--name", "tiny"];
        let arguments = [&["model", "seal", source, "new.sealed"][..], &options[..]].concat();
        assert_eq!(scene.show(&arguments).exit, exit, "{source}");
    }
    assert_eq!(scene.names(), before);
    scene.agrees_with("seal-wrong-source");
}

#[test]
fn what_is_no_key_seals_nothing() {
    let mut tenant = Tenant::new();
    let scene = &mut tenant.scene;
    scene.write("random", [0xff, 0, 0x9f, 1]);
    scene.write("short", "abcd\n");
    let before = scene.names();
    for (to, publisher, exit) in [
        ("broker/deposit.pub", "random", 4),
        ("broker/deposit.pub", "short", 4),
        ("broker/deposit.pub", "missing", 1),
        ("random", "publisher.key", 4),
        ("broker/broker-key.pub", "publisher.key", 4),
        ("missing", "publisher.key", 1),
    ] {
        let options = ["--to", to, "--publisher", publisher, "--name", "tiny"];
        let arguments = [&["model", "seal", "model.gguf", "new.sealed"][..], &options[..]].concat();
        assert_eq!(scene.show(&arguments).exit, exit, "{to} {publisher}");
    }
    assert_eq!(scene.names(), before);
    scene.agrees_with("seal-wrong-key");
}

#[test]
fn nothing_is_overwritten() {
    let mut tenant = Tenant::new();
    let scene = &mut tenant.scene;
    let key = scene.read("publisher.key");
    let manifest = scene.read("model.sealed/manifest.cbor");
    assert_eq!(scene.show(&Tenant::seal("model.sealed", &NAMED)).exit, 2);
    assert_eq!(scene.show(&["model", "publisher-key", "publisher.key"]).exit, 2);
    assert_eq!(scene.show(&Tenant::seal("new.sealed", &["--name", "two words"])).exit, 2);
    assert_eq!((scene.read("publisher.key"), scene.read("model.sealed/manifest.cbor")), (key, manifest));
    assert!(!scene.path("new.sealed.partial").exists());
    scene.agrees_with("seal-overwrites-nothing");
}

#[test]
fn inspect_refuses_what_is_not_the_publishers() {
    let mut tenant = Tenant::new();
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    let other = scene.done(&["model", "publisher-key", "other.key"])["publisher"].as_str().unwrap().to_owned();
    let manifest = scene.read("model.sealed/manifest.cbor");
    for (directory, bytes) in [("random", &b"\xff\x00random"[..]), ("cut", &manifest[..manifest.len() / 2])] {
        fs::create_dir(scene.path(directory)).unwrap();
        scene.write(&format!("{directory}/manifest.cbor"), bytes);
    }
    for (sealed, publisher, exit) in [
        ("model.sealed", other.as_str(), 3),
        ("model.sealed", "abcd", 2),
        ("random", &publisher, 4),
        ("cut", &publisher, 4),
        ("missing", &publisher, 1),
        ("model.gguf", &publisher, 1),
    ] {
        assert_eq!(scene.show(&["model", "inspect", sealed, "--publisher", publisher]).exit, exit, "{sealed}");
    }
    scene.agrees_with("inspect-refused");
}

/// A limit on the size of files stands for a disk that is full. The signal that comes with it is
/// ignored, so that the program sees what a full disk shows it: a write that fails.
#[test]
fn a_full_disk_stops_sealing_and_a_later_run_goes_on() {
    let mut tenant = Tenant::new();
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    assert!(scene.read("model.gguf").len() > 32 << 10, "the model would fit the limit");
    let seal = Tenant::seal("new.sealed", &[&NAMED[..], &["--version", "2"]].concat());
    let said = scene.show_under("ulimit -f 16; trap '' XFSZ", &seal);
    assert_eq!(said.exit, 1);
    assert!(said.stderr.contains("new.sealed.partial"), "{}", said.stderr);
    assert!(scene.path("new.sealed.partial").is_dir() && !scene.path("new.sealed").exists());
    assert_eq!(scene.show(&seal).exit, 0);
    assert!(!scene.path("new.sealed.partial").exists());
    scene.agrees_with("seal-full-disk");

    // It went on with what was begun, and the broker takes it.
    assert_eq!(scene.done(&["model", "inspect", "new.sealed", "--publisher", &publisher])["runs"], 2);
    scene.done(&["broker", "deposit", "--dir", "broker", "new.sealed", "--publisher", &publisher]);
}

#[test]
fn a_publisher_key_is_its_owners() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::new();
    scene.done(&["model", "publisher-key", "key"]);
    assert_eq!(fs::metadata(scene.path("key")).unwrap().permissions().mode() & 0o777, 0o600);
}
