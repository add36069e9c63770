//! The files of examples/ are what the program takes.

use std::fs;
use std::path::Path;

fn example(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)).unwrap()
}

#[test]
fn the_server_configuration_is_read() {
    let config = strongroom_runtime::Config::from_toml(&example("deployment/server.toml")).unwrap();
    assert!(config.strict);
    assert_eq!((config.models.len(), config.plugins.len()), (1, 1));
}

#[test]
fn the_server_configuration_for_a_kbs_is_read() {
    let config = strongroom_runtime::Config::from_toml(&example("deployment/server-kbs.toml")).unwrap();
    let strongroom_runtime::ReleaseProtocol::Kbs(places) = config.protocol().unwrap() else {
        panic!("another protocol")
    };
    assert_eq!((places.len(), config.credentials().unwrap().len()), (1, 1));
}

#[test]
fn the_release_policy_is_read() {
    let policy = strongroom_broker::ActivePolicy::from_toml(&example("deployment/policy.toml")).unwrap();
    assert_eq!(policy.rules.models.get("llama"), Some(&1));
}

#[test]
fn the_named_plugin_is_the_committed_one() {
    let committed = example("plugin-redact/redact.wasm.sha256");
    let digest = committed.split_whitespace().next().unwrap();
    for file in ["deployment/server.toml", "deployment/policy.toml"] {
        assert!(example(file).contains(digest), "{file} names another plugin than {digest}");
    }
}
