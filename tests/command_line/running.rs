//! What clients say of a server that runs.

use std::net::TcpListener;

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
