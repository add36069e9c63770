//! AMD's, Intel's and NVIDIA's services on this machine: their paths, headers and captured artefacts, and what goes wrong.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use futures_util::{StreamExt as _, stream};
use strongroom_endorsements::Mirror;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the service does instead of answering as it should.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Sound,
    Status(u16),
    /// 429 with this Retry-After.
    TooMany(&'static str),
    /// Answers when the gate opens.
    Gated,
    /// Head and half of the body, then nothing until the gate opens.
    HalfThenGated,
    /// Head and half of the body, then the connection ends.
    Cut,
    /// This body instead, with the right headers.
    Body(Vec<u8>),
    /// The artefact of this path instead.
    Other(&'static str),
    Redirect(String),
    /// The right body without the issuer chain.
    NoChain,
    /// The right body with the chain of this certificate.
    Chain(&'static str),
    /// Lists as hexadecimal text, as a caching service gives them.
    Hexadecimal,
}

/// Which of Intel's captured objects are the current ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Season {
    June2025,
    March2026,
}

pub(crate) struct Vendor {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    /// Path and query of each request.
    requests: watch::Sender<Vec<String>>,
    script: Mutex<VecDeque<Behaviour>>,
    usual: Mutex<Behaviour>,
    season: Season,
    gate: watch::Sender<bool>,
}

impl Vendor {
    pub(crate) async fn start() -> Vendor {
        Vendor::start_in(Season::March2026).await
    }

    pub(crate) async fn start_in(season: Season) -> Vendor {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: watch::Sender::default(),
            script: Mutex::default(),
            usual: Mutex::new(Behaviour::Sound),
            season,
            gate: watch::Sender::default(),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Vendor { address, shared, server }
    }

    pub(crate) fn mirror(&self) -> Mirror {
        Mirror::new(&format!("http://{}", self.address)).unwrap()
    }

    /// What the next request meets; those after it meet what is usual.
    pub(crate) fn next(&self, behaviour: Behaviour) {
        self.shared.script.lock().unwrap().push_back(behaviour);
    }

    /// What every request meets from now on.
    pub(crate) fn always(&self, behaviour: Behaviour) {
        *self.shared.usual.lock().unwrap() = behaviour;
    }

    pub(crate) fn open_gate(&self) {
        self.shared.gate.send_replace(true);
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.borrow().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.requests.borrow().len()
    }

    /// Until this many requests have come.
    pub(crate) async fn asked(&self, times: usize) {
        self.shared.requests.subscribe().wait_for(|requests| requests.len() >= times).await.unwrap();
    }

    /// Nobody listens any more.
    pub(crate) async fn stop(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let path = uri.path_and_query().unwrap().to_string();
    shared.requests.send_modify(|requests| requests.push(path.clone()));
    let next = shared.script.lock().unwrap().pop_front();
    let behaviour = next.unwrap_or_else(|| shared.usual.lock().unwrap().clone());
    let mut gate = shared.gate.subscribe();
    let Some((mut headers, body)) = published(&path, shared.season) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match behaviour {
        Behaviour::Sound => (headers, body).into_response(),
        Behaviour::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Behaviour::TooMany(after) => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, after)]).into_response(),
        Behaviour::Gated => {
            gate.wait_for(|open| *open).await.unwrap();
            (headers, body).into_response()
        }
        Behaviour::HalfThenGated => {
            let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
            let rest = stream::once(async move {
                let _ = gate.wait_for(|open| *open).await;
                Err::<Bytes, _>(std::io::Error::other("cut"))
            });
            (headers, Body::from_stream(stream::iter([Ok(half)]).chain(rest))).into_response()
        }
        Behaviour::Cut => {
            let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
            // The half is on its way before the connection ends.
            let end = stream::once(async {
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cut"))
            });
            (headers, Body::from_stream(stream::iter([Ok(half)]).chain(end))).into_response()
        }
        Behaviour::Body(other) => (headers, other).into_response(),
        Behaviour::Other(path) => {
            let (own, body) = published(path, shared.season).unwrap();
            headers.extend(own);
            (headers, body).into_response()
        }
        Behaviour::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Behaviour::NoChain => body.into_response(),
        Behaviour::Chain(certificate) => {
            let name = headers.keys().next().unwrap().clone();
            let chain = percent_encoded(&pem(&intel(certificate)));
            headers.insert(name, HeaderValue::from_str(&chain).unwrap());
            (headers, body).into_response()
        }
        Behaviour::Hexadecimal => (headers, hex::encode(body)).into_response(),
    }
}

/// What the vendors have under `path`. Written out by hand: the addresses are theirs, not the program's.
fn published(path: &str, season: Season) -> Option<(HeaderMap, Vec<u8>)> {
    let chip = |vector: &str| snp(&format!("{vector}/report.bin"))[0x1A0..0x1E0].to_vec();
    let genoa =
        format!("/vcek/v1/Genoa/{}?blSPL=10&teeSPL=00&snpSPL=25&ucodeSPL=84", hex::encode(chip("012-genoa-v5")));
    let azure = format!(
        "/vcek/v1/Genoa/{}?blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84",
        hex::encode(chip("014-genoa-v3-paravisor"))
    );
    let milan =
        format!("/vcek/v1/Milan/{}?blSPL=03&teeSPL=00&snpSPL=08&ucodeSPL=115", hex::encode(chip("001-milan-v2")));
    let turin = format!(
        "/vcek/v1/Turin/{}?fmcSPL=00&blSPL=01&teeSPL=00&snpSPL=02&ucodeSPL=71",
        hex::encode(&chip("013-turin-v5")[..8])
    );
    let amd = |body| Some((HeaderMap::new(), body));
    if let Some(body) = crate::nvidia_vendor::published(path) {
        return Some((HeaderMap::new(), body));
    }
    match path {
        path if path == genoa => return amd(snp("012-genoa-v5/vcek.der")),
        path if path == azure => return amd(snp("014-genoa-v3-paravisor/vcek.der")),
        path if path == milan => return amd(snp("001-milan-v2/vcek.der")),
        path if path == turin => return amd(snp("013-turin-v5/vcek.der")),
        "/vcek/v1/Genoa/cert_chain" => return amd(amd_chain("genoa", "ask")),
        "/vcek/v1/Milan/cert_chain" => return amd(amd_chain("milan", "ask")),
        "/vcek/v1/Turin/cert_chain" => return amd(amd_chain("turin", "ask")),
        "/vlek/v1/Milan/cert_chain" => return amd(amd_chain("milan", "asvk")),
        "/vcek/v1/Genoa/crl" => return amd(snp("021-genoa-revocation-list/crl.der")),
        "/vcek/v1/Milan/crl" => return amd(snp("022-milan-revocation-list/crl.der")),
        _ => {}
    }
    let tcb = ("TCB-Info-Issuer-Chain", "tcb_signing_2025-05-06.der");
    let identity = ("SGX-Enclave-Identity-Issuer-Chain", "tcb_signing_2025-05-06.der");
    let (body, chain) = match path {
        "/tdx/certification/v4/tcb?fmspc=90c06f000000" => {
            ("tcb_TDX_90C06F000000_2026-03-16_2026-04-15_eval18.json", Some(tcb))
        }
        "/tdx/certification/v4/tcb?fmspc=90c06f000000&tcbEvaluationDataNumber=17" => {
            ("tcb_TDX_90C06F000000_2025-06-05_2025-07-05_eval17.json", Some(tcb))
        }
        "/tdx/certification/v4/tcb?fmspc=50806f000000&update=early" => {
            ("tcb_TDX_50806F000000_2026-03-16_2026-04-15_eval18.json", Some(tcb))
        }
        "/tdx/certification/v4/tcb?fmspc=b0c06f000000" => {
            ("tcb_TDX_B0C06F000000_2025-06-19_2025-07-19_eval17.json", Some(tcb))
        }
        "/tdx/certification/v4/qe/identity" if season == Season::June2025 => {
            ("qe_TD_QE_2025-06-19_2025-07-19_eval17.json", Some(identity))
        }
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der" if season == Season::June2025 => {
            ("pck_platform_crl_2025-06-19_2025-07-19.der", Some(("SGX-PCK-CRL-Issuer-Chain", "pck_platform_ca.der")))
        }
        "/sgx/certification/v4/rootcacrl" if season == Season::June2025 => {
            ("root_ca_crl_2025-03-20_2026-04-03.der", None)
        }
        "/tdx/certification/v4/qe/identity" => ("qe_TD_QE_2026-03-16_2026-04-15_eval18.json", Some(identity)),
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der" => {
            ("pck_platform_crl_2026-03-16_2026-04-15.der", Some(("SGX-PCK-CRL-Issuer-Chain", "pck_platform_ca.der")))
        }
        "/sgx/certification/v4/pckcrl?ca=processor&encoding=der" => {
            ("pck_processor_crl_2025-06-19_2025-07-19.der", Some(("SGX-PCK-CRL-Issuer-Chain", "pck_processor_ca.der")))
        }
        "/sgx/certification/v4/rootcacrl" => ("root_ca_crl_2026-02-26_2027-02-26.der", None),
        _ => return None,
    };
    let chain = chain.map(|(name, certificate)| {
        let pem = format!("{}{}", pem(&intel(certificate)), pem(&intel("intel_sgx_root_ca.der")));
        (name.parse::<header::HeaderName>().unwrap(), HeaderValue::from_str(&percent_encoded(&pem)).unwrap())
    });
    Some((chain.into_iter().collect(), intel(body)))
}

fn amd_chain(product: &str, intermediate: &str) -> Vec<u8> {
    let anchor = |name: &str| file(&format!("attestation/anchors/amd/{product}/{name}.der"));
    format!("{}{}", pem(&anchor(intermediate)), pem(&anchor("ark"))).into_bytes()
}

pub(crate) fn snp(name: &str) -> Vec<u8> {
    file(&format!("tests/vectors/snp/{name}"))
}

pub(crate) fn vector(name: &str) -> Vec<u8> {
    file(&format!("tests/vectors/{name}"))
}

pub(crate) fn intel(name: &str) -> Vec<u8> {
    file(&format!("tests/vectors/collateral/intel/{name}"))
}

fn file(name: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn pem(der: &[u8]) -> String {
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// As Intel writes it: everything but letters, digits and `-_.~`.
fn percent_encoded(text: &str) -> String {
    let code = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(code).collect()
}
