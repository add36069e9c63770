//! The enemy between client and instance. It has every byte on the wire, relays or cheats,
//! and remembers everything.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use strongroom_channel::attest;

use super::system::{http, serve};

/// What the enemy does with the traffic.
#[derive(Clone, Default)]
pub(crate) enum Cheat {
    /// Relays.
    #[default]
    No,
    /// Changes questions for evidence.
    Question(Change),
    /// Makes of a question and its genuine answer what the client gets.
    Evidence(Forge),
    /// Changes encapsulated requests.
    Request(Change),
    /// Changes encapsulated answers.
    Answer(Change),
    /// Sends each encapsulated request twice and gives the client the second answer.
    Twice,
}

pub(crate) type Change = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;
pub(crate) type Forge = Arc<dyn Fn(&[u8], &[u8]) -> Vec<u8> + Send + Sync>;

/// One request and its answer as they crossed the wire.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) path: String,
    /// Headers of both directions, as text.
    pub(crate) heads: String,
    pub(crate) request: Vec<u8>,
    pub(crate) answer: Vec<u8>,
}

/// A gateway that listens.
pub(crate) struct Gateway {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Mutex<String>,
    cheat: Mutex<Cheat>,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Gateway {
    /// Relays to `upstream`.
    pub(crate) async fn before(upstream: &str) -> Self {
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream.to_owned()),
            cheat: Mutex::default(),
            exchanges: Mutex::default(),
        });
        let url = serve(Router::new().fallback(relay).with_state(shared.clone())).await;
        Self { url, shared }
    }

    /// From now on.
    pub(crate) fn cheat(&self, cheat: Cheat) {
        *self.shared.cheat.lock().unwrap() = cheat;
    }

    /// Relays elsewhere from now on.
    pub(crate) fn divert(&self, upstream: &str) {
        upstream.clone_into(&mut self.shared.upstream.lock().unwrap());
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.shared.exchanges.lock().unwrap().clone()
    }

    /// The last exchange at this path.
    pub(crate) fn last(&self, path: &str) -> Exchange {
        self.exchanges().into_iter().rfind(|exchange| exchange.path == path).unwrap()
    }
}

async fn relay(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let path = head.uri.path_and_query().unwrap().as_str().to_owned();
    let upstream = format!("{}{path}", shared.upstream.lock().unwrap());
    let cheat = shared.cheat.lock().unwrap().clone();
    let evidence = path == attest::PATH;
    let sent = match &cheat {
        Cheat::Question(change) if evidence => change(body.clone()),
        Cheat::Request(change) if !evidence => change(body.clone()),
        _ => body.clone(),
    };
    let send = || {
        let mut upstream = http().request(head.method.clone(), &upstream);
        for (name, value) in head.headers.iter().filter(|(name, _)| *name != "host" && *name != "content-length") {
            upstream = upstream.header(name, value);
        }
        upstream.body(sent.clone()).send()
    };
    let mut answer = send().await.unwrap();
    if matches!(cheat, Cheat::Twice) && !evidence {
        answer.bytes().await.unwrap();
        answer = send().await.unwrap();
    }
    let heads = format!("{:?} {:?} {:?}", head.uri, head.headers, answer.headers());
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| !hop(name.as_str())) {
        response = response.header(name, value);
    }
    let genuine = answer.bytes().await.unwrap().to_vec();
    shared.exchanges.lock().unwrap().push(Exchange { path, heads, request: body.clone(), answer: genuine.clone() });
    let given = match &cheat {
        Cheat::Evidence(forge) if evidence => forge(&body, &genuine),
        Cheat::Answer(change) if !evidence => change(genuine),
        _ => genuine,
    };
    response.body(Body::from(given)).unwrap()
}

/// Headers of one connection, and the length that a cheat may change.
fn hop(name: &str) -> bool {
    matches!(name, "connection" | "transfer-encoding" | "content-length")
}
