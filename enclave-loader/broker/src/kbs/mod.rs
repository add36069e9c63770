//! The CoCo KBS protocol 0.4.0 in the server's role, so that a stock client (Confidential
//! Containers' attestation agent) gets its model keys here too.
//!
//! ```text
//!  POST auth ─► nonce, cookie     POST attest ─► EAR token     GET resource/… ─► JWE
//! ```
//!
//! A resource is the keys of one model: `resource/<model name>/model-key/<version>`. The same
//! decision as for our own release grants it; what this protocol lacks (a lease, a heartbeat,
//! an instance certificate) the policy must have allowed with `kbs = true`. Facts and traps of
//! the wire format: docs/specs/key-release.md section 9. `tee: "sample"` is not served at all:
//! evidence that nobody signed can be no verdict, and only a verdict can be granted anything.

mod attest;
mod error;
mod publish;
mod resource;
mod session;
mod token;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::api::{Service, json};
use crate::error::Denial;
use error::KbsError;
use strongroom_enclave_loader::kbs::COOKIE_NAME;

pub(crate) use session::KbsSessions;
pub(crate) use token::TokenKey;

/// The largest authentication request.
const MAX_AUTH_BYTES: usize = 16 * 1024;

/// The largest attestation request: a report as a JSON list of numbers, certificates likewise.
const MAX_ATTEST_BYTES: usize = 1024 * 1024;

/// The protocol's endpoints, to be nested under `/kbs/v0`.
pub(crate) fn router() -> Router<Service> {
    Router::new()
        .route("/auth", post(auth).layer(DefaultBodyLimit::max(MAX_AUTH_BYTES)))
        .route("/attest", post(attest).layer(DefaultBodyLimit::max(MAX_ATTEST_BYTES)))
        .route("/resource/{repository}/{kind}/{tag}", get(resource))
        .fallback(|| async { KbsError::not_found() })
}

async fn auth(State(service): State<Service>, body: Bytes) -> Result<Response, KbsError> {
    let opened = service.broker.kbs_auth(&body)?;
    let cookie = format!("{COOKIE_NAME}={}; Max-Age={}; Path=/kbs/v0; HttpOnly", opened.id, session::SESSION_SECONDS);
    let mut response = json(opened.body);
    let value = cookie.try_into().map_err(|_| KbsError::attestation("the session has no cookie"))?;
    response.headers_mut().insert(SET_COOKIE, value);
    Ok(response)
}

async fn attest(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Result<Response, KbsError> {
    let session = cookie(&headers).ok_or_else(|| KbsError::attestation("there is no session cookie"))?;
    let work = move |broker: &crate::Broker| Ok::<_, Denial>(broker.kbs_attest(&session, &body));
    Ok(json(service.work(work).await.map_err(KbsError::from)??))
}

async fn resource(
    State(service): State<Service>,
    Path((repository, kind, tag)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, KbsError> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
    let cookie = cookie(&headers);
    let work = move |broker: &crate::Broker| {
        let session = broker.kbs_session_of(bearer.as_deref(), cookie.as_deref());
        Ok::<_, Denial>(session.and_then(|session| broker.kbs_resource(session, &repository, &kind, &tag)))
    };
    Ok(json(service.work(work).await.map_err(KbsError::from)??).into_response())
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';')).find_map(
        |pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE_NAME).then(|| value.to_owned())
        },
    )
}
