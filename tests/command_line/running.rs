//! What clients say of a server that runs.

use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt as _;

use super::deployment::Deployment;

#[test]
fn a_server_that_runs() {
    let mut deployment = Deployment::new();
    let (_server, url) = deployment.server();
    let root = deployment.tenant.trust_root.clone();
    let scene = &mut deployment.tenant.scene;
    let verify = ["verify", &url, "--trust", "current.trust", "--state", "state", "--trust-root", &root];

    // Simulated evidence is no evidence, unless it is asked for.
    assert_eq!(scene.show(&verify).exit, 3);
    assert_eq!(scene.show(&[&verify[..], &["--accept-simulated"]].concat()).exit, 0);
    // A trust file of before is of another configuration, and older than one that was seen.
    let older = verify.map(|argument| if argument == "current.trust" { "bank.trust" } else { argument });
    assert_eq!(scene.show(&older).exit, 3);
    // The proxy has its verdict before it has its port, and the port is for this machine only.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let proxy = [&["proxy"], &verify[1..], &["--accept-simulated", "--listen", &listen]].concat();
    assert_eq!(scene.show(&proxy).exit, 1);
    let proxy = [&["proxy"], &verify[1..], &["--accept-simulated", "--listen", "0.0.0.0:0"]].concat();
    assert_eq!(scene.show(&proxy).exit, 2);
    scene.agrees_with("running");
}

/// What an operator asks of it, to its end.
#[test]
fn a_server_that_is_operated() {
    let mut deployment = Deployment::new();
    let config = String::from_utf8(deployment.tenant.scene.read("server.toml")).unwrap();
    deployment.tenant.scene.write("server.toml", format!("admin = \"run/admin.sock\"\n{config}"));
    let folder = deployment.tenant.scene.path("run");
    std::fs::DirBuilder::new().mode(0o700).create(folder).unwrap();
    deployment.allow_config();
    let admin = |arguments: &[&'static str]| [&["admin", "--socket", "run/admin.sock"], arguments].concat();
    assert_eq!(deployment.tenant.scene.show(&admin(&["status"])).exit, 5, "it does not run yet");
    let (server, _) = deployment.server();
    let scene = &mut deployment.tenant.scene;
    for (arguments, exit) in [
        (&["status"][..], 0),
        (&["load", "other"], 2),
        (&["load", "tiny"], 3),
        (&["unload", "tiny"], 3),
        (&["drain"], 0),
    ] {
        assert_eq!(scene.show(&admin(arguments)).exit, exit, "{arguments:?}");
    }
    assert_eq!(server.end(), 0);
    scene.agrees_with("admin");
}

#[test]
fn a_server_that_is_asked_to_end_drains_first() {
    let deployment = Deployment::new();
    let (server, _) = deployment.server();
    server.ask_to_end();
    assert_eq!(server.end(), 0);
}

#[test]
fn a_verdict_as_json() {
    let deployment = Deployment::new();
    let (_server, url) = deployment.server();
    let root = deployment.tenant.trust_root.clone();
    let verify = ["--json", "verify", &url, "--trust", "current.trust", "--state", "state", "--trust-root", &root];
    let accepted = deployment.tenant.scene.run(&[&verify[..], &["--accept-simulated"]].concat());
    let value = accepted.json();
    assert_eq!((accepted.exit, accepted.stderr.as_str()), (0, ""));
    assert_eq!((&value["result"], &value["simulated"]), (&"accepted".into(), &true.into()));
    assert_eq!((&value["deployment"], &value["epoch"]), (&"bank".into(), &2.into()));
    assert!(value["checks"].as_array().unwrap().iter().all(|check| check["state"] != "fail"), "{value}");

    let refused = deployment.tenant.scene.run(&verify);
    let value = refused.json();
    assert_eq!((refused.exit, &value["error"]["exit"]), (3, &3.into()));
    let failed = value["checks"].as_array().unwrap().iter().find(|check| check["state"] == "fail").unwrap();
    assert_eq!(failed["code"], value["error"]["code"]);
}
