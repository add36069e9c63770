//! A tenant whose broker runs, with a policy for the configuration that names its address;
//! and what else may be found at an address.

use std::path::PathBuf;

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;

use super::processes::Service;
use super::tenant::{SERVE, Tenant, policy};

/// A running broker. `server.toml` is what its policy allows; `current.trust` is its trust file.
pub(super) struct Deployment {
    pub(super) tenant: Tenant,
    pub(super) broker_url: String,
    _broker: Service,
}

impl Deployment {
    pub(super) fn new() -> Self {
        Self::of(Tenant::new())
    }

    /// The same with a change to the model.
    pub(super) fn with(change: fn(Vec<u8>) -> Vec<u8>) -> Self {
        Self::of(Tenant::with(change))
    }

    fn of(tenant: Tenant) -> Self {
        let serve = ["broker", "serve", "--dir", "broker", "--listen", "127.0.0.1:0"];
        let mut broker = Service::start(&tenant.scene.path(""), &serve);
        let broker_url = format!("http://{}", broker.event("listening")["address"].as_str().unwrap());
        tenant.configure(&broker_url);
        let mut deployment = Self { tenant, broker_url, _broker: broker };
        deployment.allow_config();
        deployment
    }

    /// Puts a policy for `server.toml` in force, and exports the trust file that follows.
    pub(super) fn allow_config(&mut self) {
        let scene = &self.tenant.scene;
        let digest = scene.done(&["serve", "--config", "server.toml", "--print-config-digest"]);
        self.admin("policy", &json!({ "toml": policy(digest["config_digest"].as_str().unwrap()) }));
        self.export_trust(&json!({}));
    }

    /// The same for a `server.toml` whose keys come over the KBS protocol.
    pub(super) fn allow_config_over_kbs(&mut self) {
        let scene = &self.tenant.scene;
        let digest = scene.done(&["serve", "--config", "server.toml", "--print-config-digest"]);
        let policy = policy(digest["config_digest"].as_str().unwrap());
        self.admin("policy", &json!({ "toml": format!("kbs = true\n{policy}") }));
        self.export_trust(&json!({ "kbs": true }));
    }

    fn export_trust(&self, options: &Value) {
        let trust = self.admin("trust", options);
        self.tenant.scene.write("current.trust", base64url(trust["trust"].as_str().unwrap()));
    }

    /// A server that is ready, and its address.
    pub(super) fn server(&self) -> (Service, String) {
        let mut server = Service::start(&self.tenant.scene.path(""), &SERVE);
        let address = server.event("ready")["address"].as_str().unwrap().to_owned();
        (server, format!("http://{address}"))
    }

    fn admin(&self, path: &str, body: &Value) -> Value {
        let token = String::from_utf8(self.tenant.scene.read("broker/admin.token")).unwrap();
        let url = format!("{}/strongroom/v1/admin/{path}", self.broker_url);
        Runtime::new().unwrap().block_on(async {
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = http.post(url).bearer_auth(token.trim()).json(body).send().await.unwrap();
            let (status, said) = (answer.status(), answer.json::<Value>().await.unwrap());
            assert!(status.is_success(), "{path}: {said}");
            said
        })
    }
}

/// A port that is taken and refuses connections, as long as this lives.
pub(super) struct Nobody(TcpSocket);

impl Nobody {
    pub(super) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(super) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

/// A web server that serves the files of `directory` in ranges.
pub(super) fn files(directory: PathBuf) -> Stranger {
    let runtime = Runtime::new().unwrap();
    let url = runtime.block_on(crate::support::files::serve(directory));
    Stranger { url, _runtime: runtime }
}

/// A web server that is none of ours and answers everything alike.
pub(super) struct Stranger {
    pub(super) url: String,
    _runtime: Runtime,
}

impl Stranger {
    pub(super) fn new(status: StatusCode) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(move || async move { (status, "<html>a shop</html>") });
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, _runtime: runtime }
    }
}

/// Base64url without padding (RFC 4648): too little to need a crate.
fn base64url(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes() {
        bits = bits << 6 | ALPHABET.iter().position(|known| *known == digit).unwrap() as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    bytes
}
