//! One HTTP exchange, bounded in time and size, for every protocol that brings keys.

use std::time::Duration;

use reqwest::RequestBuilder;

use super::MAX_ANSWER_BYTES;
use super::error::ReleaseError;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server at an address.
#[derive(Clone)]
pub(crate) struct Transport {
    base: String,
    http: reqwest::Client,
}

/// What it answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The `Set-Cookie` headers.
    pub(crate) cookies: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Transport {
    /// To the server at `url` (scheme, host and port). Follows no redirect and reads no proxy settings from
    /// the environment.
    ///
    /// # Errors
    /// [`ReleaseError::Misuse`] when no HTTP client can be made.
    pub(crate) fn new(url: &str) -> Result<Self, ReleaseError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|_| ReleaseError::Misuse("no HTTP client can be made on this system"))?;
        Ok(Self { base: url.trim_end_matches('/').to_owned(), http })
    }

    pub(crate) fn post(&self, path: &str, body: Vec<u8>) -> RequestBuilder {
        self.http.post(format!("{}/{path}", self.base)).body(body)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}/{path}", self.base))
    }

    /// Sends `request` and reads the whole answer.
    ///
    /// # Errors
    /// [`ReleaseError::Unavailable`], with the address and a reason to act on.
    pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, ReleaseError> {
        let (http, request) = request.build_split();
        let request = request.map_err(|error| ReleaseError::Unavailable { detail: reason(&error).to_owned() })?;
        let url = request.url().to_string();
        let unavailable =
            |error: &reqwest::Error| ReleaseError::Unavailable { detail: format!("{url}: {}", reason(error)) };
        let mut response = http.execute(request).await.map_err(|error| unavailable(&error))?;
        let status = response.status().as_u16();
        let cookies = response.headers().get_all("set-cookie");
        let cookies = cookies.iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unavailable(&error))? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                return Err(ReleaseError::Unavailable {
                    detail: format!("{url}: the answer is longer than {MAX_ANSWER_BYTES} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, cookies, body })
    }
}

/// What a person can act on, without the library's nested sentences.
fn reason(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_builder() {
        "not a usable address"
    } else {
        "the connection broke"
    }
}
