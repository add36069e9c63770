//! Keys over the CoCo KBS protocol: a tenant who hands them to another KBS, and a server that gets them
//! from one.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use strongroom_attestation::crypto::sha256;
use strongroom_enclave_loader::release::AnsweredModel;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::deployment::{Deployment, Nobody, Stranger};
use super::tenant::{Tenant, policy};

/// A KBS that takes what its administrator sends, and keeps it to be looked at.
struct OtherKbs {
    url: String,
    taken: Taken,
    _runtime: Runtime,
}

type Taken = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

impl OtherKbs {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Taken::default();
        let keep = taken.clone();
        let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
            let token = headers["authorization"].to_str().unwrap().to_owned();
            keep.lock().unwrap().push((uri.path().to_owned(), token, body.to_vec()));
            StatusCode::OK
        });
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, taken, _runtime: runtime }
    }
}

/// A tenant whose policy lets keys go over the KBS protocol.
fn tenant() -> Tenant {
    let tenant = Tenant::new();
    tenant.scene.write("kbs.toml", format!("kbs = true\n{}", policy(&"00".repeat(32))));
    tenant.scene.write("token", "an administrator's token\n");
    tenant
}

const PUBLISH: [&str; 9] =
    ["broker", "kbs-publish", "--dir", "broker", "--model", "tiny", "--token-file", "token", "--version"];

#[test]
fn keys_are_handed_to_another_kbs_once_the_policy_says_so() {
    let (mut tenant, kbs) = (tenant(), OtherKbs::new());
    let scene = &mut tenant.scene;
    let to = [&PUBLISH[..], &["1", "--to", &kbs.url]].concat();
    assert_eq!(scene.show(&to).exit, 2, "no policy says so");
    scene.done(&["broker", "policy", "--dir", "broker", "kbs.toml"]);
    assert_eq!(scene.show(&to).exit, 0);
    let placed = scene.show(&[&["--json"], &to[..], &["--resource", "default/llm/v1"]].concat());
    assert_eq!(placed.json()["resource"], "default/llm/v1");

    let taken = kbs.taken.lock().unwrap();
    let [(path, token, content), (other, ..)] = &taken[..] else { panic!("{} requests", taken.len()) };
    assert_eq!(
        (path.as_str(), other.as_str()),
        ("/kbs/v0/resource/tiny/model-key/1", "/kbs/v0/resource/default/llm/v1")
    );
    assert_eq!(token, "Bearer an administrator's token");
    assert_eq!(AnsweredModel::from_bytes(content).unwrap().version, 1);
    drop(taken);

    for (more, exit) in [
        (&["2", "--to", &kbs.url][..], 2),
        (&["1", "--to", "http://kbs.example"], 2),
        (&["1", "--to", "kbs"], 2),
        (&["1", "--to", &kbs.url, "--resource", "a/b"], 2),
        (&["1", "--to", &kbs.url, "--ca", "token"], 4),
    ] {
        assert_eq!(scene.show(&[&PUBLISH[..], more].concat()).exit, exit, "{more:?}");
    }
    let (refusing, nobody) = (Stranger::new(StatusCode::UNAUTHORIZED), Nobody::new());
    for (url, exit) in [(refusing.url.clone(), 3), (nobody.url(), 5)] {
        assert_eq!(scene.show(&[&PUBLISH[..], &["1", "--to", &url]].concat()).exit, exit, "{url}");
    }
    assert_eq!(kbs.taken.lock().unwrap().len(), 2, "a refused command sends nothing");
    scene.agrees_with("kbs-publish");
}

#[test]
fn a_trust_file_for_the_protocol_needs_the_policys_word() {
    let mut tenant = tenant();
    let scene = &mut tenant.scene;
    let export = ["broker", "trust", "export", "--dir", "broker", "--out", "kbs.trust", "--kbs"];
    assert_eq!(scene.show(&export).exit, 2);
    scene.done(&["broker", "policy", "--dir", "broker", "kbs.toml"]);
    assert_eq!(scene.show(&export).exit, 0);
    scene.agrees_with("kbs-trust-export");
}

#[test]
fn a_server_over_the_protocol_and_what_its_clients_read() {
    let mut deployment = Deployment::new();
    let api_key = "a key that the tenant drew";
    let config = deployment.tenant.config(&deployment.broker_url);
    let config = config.replace(&format!("key = \"{}\"\n", deployment.tenant.broker_key), "");
    let client = format!(
        "[[client]]\nid = \"app\"\nkey_sha256 = \"{}\"\ntenant = \"bank\"\n",
        hex::encode(sha256(api_key.as_bytes()))
    );
    deployment.tenant.scene.write("server.toml", format!("release = \"kbs\"\n{config}\n{client}"));
    deployment.tenant.scene.write("api.key", api_key);
    deployment.allow_config_over_kbs();
    let (_server, url) = deployment.server();

    let trust = ["--trust", "current.trust", "--trust-root", &deployment.tenant.trust_root, "--state", "state"];
    let trust = [&trust[..], &["--accept-simulated"]].concat();
    let scene = &mut deployment.tenant.scene;
    assert_eq!(scene.show(&[&["verify", &url], &trust[..]].concat()).exit, 0);
    let verified = scene.run(&[&["--json", "verify", &url], &trust[..]].concat()).json();
    assert_eq!((&verified["certified"], &verified["result"]), (&false.into(), &"accepted".into()));
    let chat = [&["chat", &url, "--api-key-file", "api.key", "--ask", "Hello"], &trust[..]].concat();
    assert_eq!(scene.run(&chat).exit, 0);
    scene.agrees_with("kbs-verify");
}
