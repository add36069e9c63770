//! Drives a release, a renewal and heartbeats over HTTP.
//!
//! Nothing here decides: the network can only deliver, delay or lose what the pure state
//! machines check. TLS below is defence in depth; the answers carry their own seals.

use std::future::Future;
use std::time::Duration;

use strongroom_channel::attest::Collection;
use strongroom_channel::cose::{SigningKey, VerifyingKey};

use super::challenge::Challenge;
use super::error::ReleaseError;
use super::refusal::interpret;
use super::session::{ReleaseParams, ReleaseSession, Released};
use super::transport::Transport;

/// A release waits for a quote's verification, a log entry on disk and perhaps a slow network.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(30);

/// A heartbeat is tried again before the grace of ten seconds ends.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);

/// A broker at an address, known by its key.
#[derive(Clone)]
pub struct ReleaseClient {
    transport: Transport,
    broker_key: VerifyingKey,
}

impl ReleaseClient {
    /// The broker at `url` (scheme, host and port; the paths are this protocol's), which must
    /// own `broker_key`. Follows no redirect and reads no proxy settings from the environment.
    ///
    /// # Errors
    /// [`ReleaseError::Misuse`] when no HTTP client can be made.
    pub fn new(url: &str, broker_key: VerifyingKey) -> Result<Self, ReleaseError> {
        Ok(Self { transport: Transport::new(url)?, broker_key })
    }

    /// The pinned key.
    #[must_use]
    pub fn broker_key(&self) -> &VerifyingKey {
        &self.broker_key
    }

    /// A fresh challenge of the pinned broker.
    ///
    /// # Errors
    /// See [`ReleaseError`].
    pub async fn challenge(&self) -> Result<Challenge, ReleaseError> {
        let (status, body) = self.post("challenge", b"{}".to_vec(), RELEASE_TIMEOUT).await?;
        Challenge::from_json(interpret(status, &body)?, &self.broker_key)
    }

    /// The whole exchange: challenge, evidence by `collect` over the preimage it is given
    /// ([`ReleaseSession::preimage`]; evidence first, then endorsements), request, answer. `params.renews` chooses between
    /// release and renewal; `params.broker_key` is replaced by this client's.
    ///
    /// # Errors
    /// See [`ReleaseError`]; whatever `collect` returns is passed on.
    pub async fn release<F>(
        &self,
        mut params: ReleaseParams,
        instance_key: &SigningKey,
        collect: impl FnOnce(Vec<u8>) -> F,
    ) -> Result<Released, ReleaseError>
    where
        F: Future<Output = Result<(Collection, Collection), ReleaseError>>,
    {
        let path = match params.renews {
            None => "release",
            Some(_) => "renewal",
        };
        params.broker_key = self.broker_key.clone();
        let challenge = self.challenge().await?;
        let session = ReleaseSession::begin(params, &challenge)?;
        let (evidence, endorsements) = collect(session.preimage()).await?;
        let request = session.request(instance_key, evidence, endorsements)?;
        let (status, body) = self.post(path, request.to_json(), RELEASE_TIMEOUT).await?;
        session.finish(interpret(status, &body)?)
    }

    /// Sends one heartbeat and returns the answer's bytes for
    /// [`super::LeaseKeeper::answer`]. An error here changes nothing in the keeper: only the
    /// broker's signed word does.
    ///
    /// # Errors
    /// [`ReleaseError::Unavailable`] or [`ReleaseError::RefusedByBroker`].
    pub async fn heartbeat(&self, heartbeat: Vec<u8>) -> Result<Vec<u8>, ReleaseError> {
        let (status, body) = self.post("heartbeat", heartbeat, HEARTBEAT_TIMEOUT).await?;
        interpret(status, &body)?;
        Ok(body)
    }

    async fn post(&self, path: &str, body: Vec<u8>, timeout: Duration) -> Result<(u16, Vec<u8>), ReleaseError> {
        let content_type = match path {
            "heartbeat" => "application/strongroom-heartbeat+cose",
            _ => "application/json",
        };
        let request = self.transport.post(&format!("strongroom/v1/{path}"), body);
        let answer = Transport::send(request.timeout(timeout).header("content-type", content_type)).await?;
        Ok((answer.status, answer.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_at_the_address_is_unavailable_and_says_where() {
        // Bound and dropped: the port is free, and nobody listens.
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let key = SigningKey::from_seed([1; 32]).verifying_key();
        let url = format!("http://127.0.0.1:{port}/");
        let client = ReleaseClient::new(&url, key).unwrap();
        let error = client.challenge().await.unwrap_err();
        assert!(error.is_retryable());
        assert_eq!(
            error.to_string(),
            format!(
                "the broker is unavailable: {url}strongroom/v1/challenge: no connection; \
                 check its address, and try again"
            )
        );
    }

    #[tokio::test]
    async fn an_address_that_is_none_says_so() {
        let key = SigningKey::from_seed([1; 32]).verifying_key();
        let client = ReleaseClient::new("not an address", key).unwrap();
        let error = client.challenge().await.unwrap_err();
        assert!(error.to_string().contains(": not a usable address;"), "{error}");
    }
}
