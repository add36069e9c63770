//! Drives a handshake over HTTP. Nothing here decides.

use std::future::Future;
use std::time::Duration;

use super::COOKIE_NAME;
use super::messages::RuntimeData;
use super::problem::{asks_for_evidence, interpret};
use super::resource_path::ResourcePath;
use super::session::{KbsSession, PrimaryEvidence};
use crate::release::{Answer, ReleaseError, ReleasedModel, Transport, WantedModel};

/// A server may wait for a vendor's service before it answers.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Handshakes of one release: a session may end between evidence and resource, once.
const ATTEMPTS: usize = 2;

/// The longest cookie that is sent back.
const MAX_COOKIE: usize = 4096;

/// A KBS at an address. It is known by nothing: what it releases is checked against what a publisher
/// signed, and to whom it releases is its own to decide.
#[derive(Clone)]
pub struct KbsClient {
    transport: Transport,
}

impl KbsClient {
    /// The KBS at `url` (scheme, host and port; the paths are the protocol's). Follows no redirect and
    /// reads no proxy settings from the environment.
    ///
    /// # Errors
    /// [`ReleaseError::Misuse`] when no HTTP client can be made.
    pub fn new(url: &str) -> Result<Self, ReleaseError> {
        Ok(Self { transport: Transport::new(url)? })
    }

    /// The keys of `wanted`, in that order. `tee` is the kind of the evidence ("snp", "tdx") that `collect`
    /// makes: first the devices' over [`RuntimeData::device_nonce`], then the CPU's over
    /// [`RuntimeData::report_data`] of these. A session that ended meanwhile is begun once more; a refusal
    /// is final.
    ///
    /// # Errors
    /// See [`ReleaseError`]; whatever `collect` returns is passed on.
    pub async fn release<F>(
        &self,
        tee: &str,
        wanted: &[(WantedModel, ResourcePath)],
        collect: impl Fn(RuntimeData) -> F,
    ) -> Result<Vec<ReleasedModel>, ReleaseError>
    where
        F: Future<Output = Result<(PrimaryEvidence, String), ReleaseError>>,
    {
        let mut attempt = 1;
        loop {
            match self.handshake(tee, wanted, &collect).await {
                Err(error) if asks_for_evidence(&error) && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn handshake<F>(
        &self,
        tee: &str,
        wanted: &[(WantedModel, ResourcePath)],
        collect: &impl Fn(RuntimeData) -> F,
    ) -> Result<Vec<ReleasedModel>, ReleaseError>
    where
        F: Future<Output = Result<(PrimaryEvidence, String), ReleaseError>>,
    {
        let challenge = self.post("auth", KbsSession::auth(tee), None).await?;
        let session = KbsSession::begin(interpret(challenge.status, &challenge.body)?)?;
        let cookie = session_cookie(&challenge).ok_or_else(|| ReleaseError::MalformedJson {
            message: "challenge",
            detail: format!("it comes without the cookie {COOKIE_NAME}"),
        })?;

        let (primary, additional) = collect(session.runtime_data().clone()).await?;
        let attestation = session.attestation(&primary, additional)?;
        // The token in the answer says what the cookie's session knows.
        let attested = self.post("attest", attestation, Some(&cookie)).await?;
        interpret(attested.status, &attested.body)?;

        let mut released = Vec::new();
        for (model, path) in wanted {
            let request = self.transport.get(&format!("kbs/v0/resource/{path}"));
            let answer = Transport::send(request.timeout(TIMEOUT).header("cookie", &cookie)).await?;
            released.push(session.model_keys(interpret(answer.status, &answer.body)?, model)?);
        }
        Ok(released)
    }

    async fn post(&self, path: &str, body: Vec<u8>, cookie: Option<&str>) -> Result<Answer, ReleaseError> {
        let request = self.transport.post(&format!("kbs/v0/{path}"), body);
        let request = request.timeout(TIMEOUT).header("content-type", "application/json");
        Transport::send(match cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        })
        .await
    }
}

/// `name=value` of the session's cookie, as it is sent back.
fn session_cookie(answer: &Answer) -> Option<String> {
    answer.cookies.iter().find_map(|cookie| {
        let pair = cookie.split(';').next()?.trim();
        let (name, value) = pair.split_once('=')?;
        let plain = value.bytes().all(|byte| byte.is_ascii_graphic());
        (name == COOKIE_NAME && plain && pair.len() <= MAX_COOKIE).then(|| pair.to_owned())
    })
}
