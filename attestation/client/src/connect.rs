//! Asking an instance for evidence, and the session that only verified evidence makes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use strongroom_attestation::{Check, Code, Refusal};
use strongroom_channel::attest::{self, AttestRequest, AttestResponse};
use strongroom_channel::ohttp::Suite;
use strongroom_channel::session::{Seen, SessionWanted, VerifiedSession, verify_session};
use strongroom_channel::statement::EpochStatement;
use strongroom_channel::trust_file::TrustFile;

use crate::clock::{Clock, Moment, SystemClock};
use crate::error::ClientError;

/// The share of its life after which a verdict is renewed in the background, in percent.
const RENEW_AT_PERCENT: u64 = 80;

/// A verdict with no more seconds than this is about to end.
const ENDING_SECS: u64 = 2;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an attest exchange may take: a quote is milliseconds, a busy instance a few batches.
const ATTEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stream may be silent: a long prompt is read for minutes before its first token.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(300);

/// Connects to one deployment, by what its trust file says.
pub struct Connector {
    endpoint: Url,
    trust: TrustFile,
    accept_simulated: bool,
    clock: Arc<dyn Clock>,
    http: reqwest::Client,
    /// What was last verified of each instance, against rollback and forks.
    seen: Mutex<HashMap<[u8; 16], Seen>>,
}

impl Connector {
    /// A connector to `endpoint` (`http` or `https`, without path, query or user; TLS is only a second layer, so
    /// plain `http` is as safe for the content). Simulated evidence is refused unless `accept_simulated`.
    ///
    /// # Errors
    /// [`ClientError::Misuse`] for an address that cannot be one.
    pub fn new(endpoint: &str, trust: TrustFile, accept_simulated: bool) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            // A redirect would only move the ciphertext; whoever wants that can relay it himself.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ClientError::Misuse(format!("the HTTP client cannot start: {error}")))?;
        Ok(Connector {
            endpoint: parse_endpoint(endpoint)?,
            trust,
            accept_simulated,
            clock: Arc::new(SystemClock::new()),
            http,
            seen: Mutex::default(),
        })
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same with another HTTP client, for instance one with a proxy of its own.
    #[must_use]
    pub fn with_http(mut self, http: reqwest::Client) -> Self {
        self.http = http;
        self
    }

    /// The trust file.
    #[must_use]
    pub fn trust(&self) -> &TrustFile {
        &self.trust
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Asks for evidence with a fresh nonce and verifies it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with every check when the verification says no; [`ClientError::Unavailable`] when
    /// there is no answer; [`ClientError::Malformed`] when it is not one.
    pub async fn connect(&self) -> Result<Session, ClientError> {
        // 1. A question that nobody could have answered before.
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| ClientError::unavailable("no randomness from the operating system"))?;
        let mut question = AttestRequest::new(nonce, self.trust.deployment.clone());
        question.suites = Suite::ALL.map(|suite| <[u16; 3]>::from(suite.ids())).to_vec();
        let request = question.to_bytes();
        // 2. Ages count from before the question left.
        let asked = Moment::now(&*self.clock);
        let response = self.ask(&request).await?;
        // 3. Everything is decided in the pure verifier.
        let seen = claimed_instance(&response).and_then(|id| self.seen(&id));
        let appraisal = verify_session(
            SessionWanted {
                trust: &self.trust,
                request_body: &request,
                accept_simulated: self.accept_simulated,
                now: asked.wall(),
                seen,
                suites: &Suite::ALL,
            },
            &response,
        );
        let verified = appraisal.result?;
        self.remember(verified.seen());
        Ok(Session {
            // At most the protocol's `max_age`; see `VerifiedSession::valid_until`.
            life_secs: verified.valid_until().saturating_secs_since(asked.wall()),
            verified,
            checks: appraisal.checks,
            asked,
            proof: Arc::new(SessionProof { request, response }),
            http: self.http.clone(),
            endpoint: self.endpoint.clone(),
            clock: Arc::clone(&self.clock),
        })
    }

    async fn ask(&self, request: &[u8]) -> Result<Vec<u8>, ClientError> {
        let url = at(&self.endpoint, attest::PATH);
        let doing = "asking for evidence";
        let answer = self
            .http
            .post(url)
            .timeout(ATTEST_TIMEOUT)
            .header(CONTENT_TYPE, "application/json")
            .body(request.to_vec())
            .send()
            .await
            .map_err(|error| ClientError::transport(doing, error))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(unavailable_answer(doing, &answer));
        }
        read_limited(answer, attest::MAX_RESPONSE, doing).await
    }

    fn seen(&self, instance_id: &[u8; 16]) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(instance_id).copied()
    }

    /// Keeps the highest epoch: of two attempts at once, the one that asked first may end last.
    fn remember(&self, seen: Seen) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.entry(seen.instance_id).or_insert(seen);
        if kept.epoch < seen.epoch {
            *kept = seen;
        }
    }
}

/// A verified instance to which requests may be sent, as long as the verdict is fresh.
pub struct Session {
    verified: VerifiedSession,
    checks: Vec<Check>,
    asked: Moment,
    /// Seconds from `asked` for which the verdict may be used.
    life_secs: u64,
    proof: Arc<SessionProof>,
    pub(crate) http: reqwest::Client,
    endpoint: Url,
    clock: Arc<dyn Clock>,
}

/// The question and the answer that a session was verified from: what a receipt's bundle carries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SessionProof {
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
}

impl Session {
    /// What was verified.
    #[must_use]
    pub fn verified(&self) -> &VerifiedSession {
        &self.verified
    }

    /// Every check that was done.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether the platform is simulated, and protects nothing.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.verified.is_simulated()
    }

    /// Whether the tenant certified this very machine and can end its right to serve
    /// ([`VerifiedSession::is_certified`]).
    #[must_use]
    pub fn is_certified(&self) -> bool {
        self.verified.is_certified()
    }

    /// Whether the verdict may still be used.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.asked.age_secs(&*self.clock) < self.life_secs && self.clock.now() <= self.verified.valid_until()
    }

    /// Whether so little of its life is left that a request would hardly leave in time.
    pub(crate) fn is_ending(&self) -> bool {
        self.life_secs.saturating_sub(self.asked.age_secs(&*self.clock)) <= ENDING_SECS
    }

    /// Whether it is time for another verdict, while this one may still be used.
    pub(crate) fn renewal_due(&self) -> bool {
        let renew_at = self.life_secs.saturating_mul(RENEW_AT_PERCENT) / 100;
        self.asked.age_secs(&*self.clock) >= renew_at
    }

    pub(crate) fn proof(&self) -> &Arc<SessionProof> {
        &self.proof
    }

    /// The instance's clock now, as far as its answer and our own clocks tell.
    pub(crate) fn instance_time(&self) -> u64 {
        self.verified.instance_time().as_secs().saturating_add(self.asked.age_secs(&*self.clock))
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        at(&self.endpoint, path)
    }

    /// # Errors
    /// [`Code::Stale`] when the verdict is too old.
    pub(crate) fn require_fresh(&self) -> Result<(), ClientError> {
        if self.is_fresh() {
            return Ok(());
        }
        let detail = format!(
            "the verdict is {} s old, at most {} s are allowed",
            self.asked.age_secs(&*self.clock),
            self.life_secs
        );
        Err(Refusal::new(Code::Stale, detail).into())
    }
}

/// The instance that a response claims to be from, unverified: it only chooses what to compare with.
fn claimed_instance(response: &[u8]) -> Option<[u8; 16]> {
    let response = AttestResponse::from_bytes(response).ok()?;
    EpochStatement::decode(&response.statement).ok().map(|statement| statement.instance_id)
}

fn parse_endpoint(text: &str) -> Result<Url, ClientError> {
    let misuse = |why: &str| ClientError::Misuse(format!("{text} is not the address of an instance: {why}"));
    let url = Url::parse(text).map_err(|error| misuse(&format!("{error}; wanted http://HOST or https://HOST")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(misuse("wanted http://HOST or https://HOST"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(misuse("wanted no path and no query"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // The text is not repeated: it holds a password.
        let why = "the address of an instance was wanted without user and password";
        return Err(ClientError::Misuse(why.to_owned()));
    }
    Ok(url)
}

fn at(endpoint: &Url, path: &str) -> Url {
    let mut url = endpoint.clone();
    url.set_path(path);
    url
}

/// An answer that is not the one wanted: nothing of its body is believed or shown.
pub(crate) fn unavailable_answer(doing: &str, answer: &reqwest::Response) -> ClientError {
    let retry_after =
        answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
    ClientError::Unavailable { what: format!("{doing}: the server answered {}", answer.status()), retry_after }
}

async fn read_limited(mut answer: reqwest::Response, limit: usize, doing: &str) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| ClientError::transport(doing, error))? {
        if bytes.len().saturating_add(piece.len()) > limit {
            return Err(ClientError::Malformed(format!("{doing}: the answer is longer than {limit} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use strongroom_attestation::{Denied, DeniedSubject, DenyList};

    use super::*;
    use crate::test_instance::Instance;

    #[tokio::test]
    async fn a_lower_epoch_that_comes_late_replaces_nothing() {
        let connector = Instance::new().connector().await;
        let seen = |epoch, hash| Seen { instance_id: [3; 16], epoch, statement_hash: [hash; 32] };
        for (found, kept) in [(seen(4, 1), seen(4, 1)), (seen(3, 2), seen(4, 1)), (seen(5, 3), seen(5, 3))] {
            connector.remember(found);
            assert_eq!(connector.seen(&[3; 16]), Some(kept));
        }
        connector.remember(Seen { instance_id: [4; 16], ..seen(1, 4) });
        assert_eq!(connector.seen(&[3; 16]), Some(seen(5, 3)));
    }

    /// What the tenant's own policy names, a list that came later takes back.
    #[tokio::test]
    async fn a_measurement_that_is_denied_gets_no_session() {
        let mut connector = Instance::new().connector().await;
        assert!(connector.connect().await.is_ok());
        let denied = connector.trust.policy.measurements.clone().unwrap_or_default().into_iter().map(|measurement| {
            let subject = DeniedSubject::Measurement(measurement);
            Denied { subject, reason: "it leaks".to_owned() }
        });
        let list = DenyList::new("bank".to_owned(), 1, None, denied.collect()).unwrap();
        connector.trust.policy.deny_feeds.push(list);
        let Err(ClientError::Refused(refusal)) = connector.connect().await else { panic!("a session") };
        assert_eq!(refusal.code, Code::Measurement);
        assert!(refusal.detail.ends_with("it leaks"), "{refusal}");
    }

    #[test]
    fn endpoints_are_bare_addresses() {
        for good in ["http://127.0.0.1:8443", "https://models.example/", "http://[::1]:1"] {
            assert!(parse_endpoint(good).is_ok(), "{good}");
        }
        for bad in ["ftp://a", "models.example", "https://a/v1", "https://a/?x=1", "https://u:p@a/", "https://a/#f"] {
            assert!(matches!(parse_endpoint(bad), Err(ClientError::Misuse(_))), "{bad}");
        }
        let url = at(&parse_endpoint("http://h:1").unwrap(), attest::PATH);
        assert_eq!(url.as_str(), "http://h:1/.well-known/strongroom/attest");
    }
}
