//! The tenant's own interface, for when the broker runs and its store is locked. Behind a
//! bearer token; it can put keys in and take leases back, and it can read no key.

use std::path::PathBuf;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;
use strongroom_attestation::crypto;
use strongroom_channel::cose::VerifyingKey;
use strongroom_enclave_loader::release::{LeaseId, Refused};
use subtle::ConstantTimeEq as _;

use super::Service;
use crate::error::{BrokerError, Denial};
use crate::leases::Revoke;
use crate::trust::TrustOptions;

/// The admin endpoints; each asks for the token.
pub(super) fn router(service: &Service) -> Router<Service> {
    Router::new()
        .route("/leases", get(leases))
        .route("/revoke", post(revoke))
        .route("/models", get(models))
        .route("/deposit", post(deposit))
        .route("/policy", post(policy))
        .route("/api-keys", get(api_keys).post(create_api_key))
        .route("/api-keys/revoke", post(revoke_api_key))
        .route("/trust", post(trust))
        .route("/log-head", get(log_head))
        .route_layer(middleware::from_fn_with_state(service.clone(), authenticate))
}

/// `{"lease":"<hex>"}` or `{"lease":"all"}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeRequest {
    lease: String,
}

/// `{"path":…,"publisher":"<hex>","policy":"<toml>"}`; the path is on the broker's machine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DepositRequest {
    path: PathBuf,
    publisher: String,
    policy: Option<String>,
}

/// `{"toml":…}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyRequest {
    toml: String,
}

/// `{"tenant":…}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeyRequest {
    tenant: String,
}

/// `{"id":…}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeyId {
    id: String,
}

/// `{"valid_days":30,"hints":[…],"kbs":false}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TrustRequest {
    valid_days: u64,
    hints: Vec<String>,
    kbs: bool,
}

impl Default for TrustRequest {
    fn default() -> Self {
        let TrustOptions { valid_days, hints, kbs } = TrustOptions::default();
        Self { valid_days, hints, kbs }
    }
}

/// The caller's mistakes, told in full: whoever holds the token owns the broker.
struct AdminError(Denial);

impl From<BrokerError> for AdminError {
    fn from(error: BrokerError) -> Self {
        match error {
            failed @ (BrokerError::Store(_) | BrokerError::Log(_) | BrokerError::Kek(_) | BrokerError::Randomness) => {
                Self(Denial::Failed(failed))
            }
            mistake => Self(Denial::Malformed(with_causes(&mistake))),
        }
    }
}

impl From<Denial> for AdminError {
    fn from(denial: Denial) -> Self {
        Self(denial)
    }
}

impl axum::response::IntoResponse for AdminError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

async fn authenticate(State(service): State<Service>, request: Request, next: Next) -> Response {
    let presented = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented = presented.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    // Hashes are compared, in constant time: neither length nor prefix of the token shows.
    let hash = crypto::sha256(presented.as_bytes());
    if !bool::from(hash.ct_eq(&service.broker.identity.admin_token)) {
        let refused = Refused::new("UNAUTHORIZED", "the admin token is missing or wrong", Vec::new());
        return (StatusCode::UNAUTHORIZED, Json(refused)).into_response();
    }
    next.run(request).await
}

async fn leases(State(service): State<Service>) -> Result<Response, AdminError> {
    let leases = service.work(|broker| Ok(broker.leases())).await??;
    Ok(Json(json!({ "leases": leases })).into_response())
}

async fn revoke(State(service): State<Service>, Json(wanted): Json<RevokeRequest>) -> Result<Response, AdminError> {
    let which = match (wanted.lease.as_str(), LeaseId::parse(&wanted.lease)) {
        ("all", _) => Revoke::All,
        (_, Some(id)) => Revoke::One(id),
        (_, None) => return Err(Denial::Malformed("lease: \"all\" or 32 hexadecimal digits".to_owned()).into()),
    };
    let revoked = service.work(move |broker| Ok(broker.revoke(which))).await??;
    let revoked: Vec<String> = revoked.iter().map(LeaseId::to_string).collect();
    Ok(Json(json!({ "revoked": revoked })).into_response())
}

async fn models(State(service): State<Service>) -> Result<Response, AdminError> {
    let models = service.work(|broker| Ok(broker.models())).await??;
    Ok(Json(json!({ "models": models })).into_response())
}

async fn deposit(State(service): State<Service>, Json(wanted): Json<DepositRequest>) -> Result<Response, AdminError> {
    let publisher = parse_key(&wanted.publisher)?;
    let work = move |broker: &crate::Broker| Ok(broker.deposit(&wanted.path, &publisher, wanted.policy.as_deref()));
    let deposited = service.work(work).await??;
    Ok(Json(deposited).into_response())
}

async fn policy(State(service): State<Service>, Json(wanted): Json<PolicyRequest>) -> Result<Response, AdminError> {
    let policy = service.work(move |broker| Ok(broker.activate_policy(&wanted.toml))).await??;
    Ok(Json(json!({ "policy": hex::encode(policy.hash), "name": policy.rules.name })).into_response())
}

async fn api_keys(State(service): State<Service>) -> Result<Response, AdminError> {
    let keys = service.work(|broker| Ok(broker.api_keys())).await??;
    Ok(Json(json!({ "api_keys": keys })).into_response())
}

async fn create_api_key(
    State(service): State<Service>,
    Json(wanted): Json<ApiKeyRequest>,
) -> Result<Response, AdminError> {
    let key = service.work(move |broker| Ok(broker.create_api_key(&wanted.tenant))).await??;
    Ok(Json(json!({ "id": key.id, "secret": key.secret.as_str() })).into_response())
}

async fn revoke_api_key(State(service): State<Service>, Json(wanted): Json<ApiKeyId>) -> Result<Response, AdminError> {
    service.work(move |broker| Ok(broker.revoke_api_key(&wanted.id))).await??;
    Ok(Json(json!({})).into_response())
}

async fn trust(State(service): State<Service>, Json(wanted): Json<TrustRequest>) -> Result<Response, AdminError> {
    let TrustRequest { valid_days, hints, kbs } = wanted;
    let options = TrustOptions { valid_days, hints, kbs };
    let file = service.work(move |broker| Ok(broker.export_trust(&options))).await??;
    Ok(Json(json!({ "trust": URL_SAFE_NO_PAD.encode(file) })).into_response())
}

async fn log_head(State(service): State<Service>) -> Result<Response, AdminError> {
    let head = service.work(|broker| Ok(broker.signed_log_head())).await?;
    Ok(Json(json!({ "head": URL_SAFE_NO_PAD.encode(head) })).into_response())
}

fn parse_key(text: &str) -> Result<VerifyingKey, AdminError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .ok()
        .and_then(|()| VerifyingKey::from_bytes(&bytes).ok())
        .ok_or_else(|| Denial::Malformed("publisher: an Ed25519 key as 64 hexadecimal digits".to_owned()).into())
}

fn with_causes(error: &BrokerError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
