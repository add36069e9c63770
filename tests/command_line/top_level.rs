//! What the program says of itself, and to a command line that it does not understand.

use super::scene::Scene;

#[test]
fn the_program_describes_itself() {
    let mut scene = Scene::new();
    for arguments in [
        &["--version"][..],
        &["--help"],
        &["broker", "--help"],
        &["model", "--help"],
        &["collateral", "--help"],
        &["deny-list", "--help"],
    ] {
        assert_eq!(scene.show(arguments).exit, 0, "{arguments:?}");
    }
    scene.agrees_with("help");
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let mut scene = Scene::new();
    for arguments in [
        &["frobnicate"][..],
        &["serve"],
        &["serve", "--config", "server.toml", "--simulated", "sgx"],
        &["serve", "--config", "server.toml", "--simulated", "snp"],
        &["broker", "revoke", "--dir", "broker"],
        &["--json", "frobnicate"],
    ] {
        assert_eq!(scene.show(arguments).exit, 2, "{arguments:?}");
    }
    scene.agrees_with("usage");
}

#[test]
fn json_errors_are_objects_whatever_is_wrong() {
    let scene = Scene::new();
    for (arguments, code, exit) in [
        (&["--json", "frobnicate"][..], "USAGE", 2),
        (&["verify", "http://127.0.0.1:0", "--trust", "none.trust", "--state", "state", "--json"], "IO", 1),
        (&["--json", "serve", "--config", "none.toml"], "IO", 1),
        (&["--json", "model", "inspect", "none", "--publisher", "1"], "USAGE", 2),
        (&["--json", "broker", "log", "verify", "--dir", "none"], "BROKER_MISSING", 2),
    ] {
        let said = scene.run(arguments);
        let value = said.json();
        assert_eq!((said.exit, value["error"]["code"].as_str()), (exit, Some(code)), "{arguments:?}");
        assert_eq!(value["error"]["exit"], exit, "{arguments:?}");
        assert!(!value["error"]["message"].as_str().unwrap().is_empty(), "{arguments:?}");
        assert!(value["checks"].is_array(), "{arguments:?}");
        assert_eq!((said.stdout.lines().count(), said.stderr.as_str()), (1, ""), "{arguments:?}");
    }
}
