//! One request to one service: bounded in time and size, and never led elsewhere.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use strongroom_attestation::UnixTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::clock::Clock;
use crate::item::MAX_BODY;

/// Redirects within one service that are followed.
const MAX_REDIRECTS: usize = 3;

/// A whole answer.
pub(crate) struct Reply {
    pub(crate) body: Vec<u8>,
    pub(crate) headers: HeaderMap,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// The service says that it has no such item.
    Absent,
    /// It gave no answer, or one that is of no use.
    Failed { why: String, retry_after: Option<Duration> },
}

impl NoReply {
    /// A whole answer, and not what was asked for; `why` says in a sentence what is wrong with it.
    pub(crate) fn of_content(why: &str) -> NoReply {
        NoReply::Failed { why: format!("answered something else: {why}"), retry_after: None }
    }
}

/// The HTTP client. Where `proxy` says so it goes through the proxies that the environment names.
pub(crate) fn client(proxy: bool) -> Result<Client, reqwest::Error> {
    let within_host = redirect::Policy::custom(|attempt| {
        let origin =
            |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
        let same = attempt.previous().iter().all(|earlier| origin(earlier) == origin(attempt.url()));
        match (same, attempt.previous().len() <= MAX_REDIRECTS) {
            (true, true) => attempt.follow(),
            (true, false) => attempt.error("redirected too often"),
            // It could lead into the operator's own network.
            (false, _) => attempt.error("redirected to another host"),
        }
    });
    let builder = Client::builder().redirect(within_host).user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")));
    if proxy { builder.build() } else { builder.no_proxy().build() }
}

/// Asks for `url`. By `clock`, `timeout` after the start there is an answer or a fault.
pub(crate) async fn ask(http: &Client, clock: &dyn Clock, url: &Url, timeout: Duration) -> Result<Reply, NoReply> {
    tokio::select! {
        answered = exchange(http, clock, url) => answered,
        () = clock.sleep(timeout) => Err(failed(format!("gave no whole answer within {} s", timeout.as_secs()))),
    }
}

async fn exchange(http: &Client, clock: &dyn Clock, url: &Url) -> Result<Reply, NoReply> {
    let response =
        http.get(url.clone()).send().await.map_err(|error| failed(format!("gave no answer: {}", reason(error))))?;
    match response.status() {
        StatusCode::OK => {}
        // Intel says 400 to an FMSPC and 410 to an evaluation number that it does not know (any more).
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::BAD_REQUEST => return Err(NoReply::Absent),
        status => {
            let retry_after = retry_after(response.headers(), clock.now());
            return Err(NoReply::Failed { why: format!("answered {status}"), retry_after });
        }
    }
    let headers = response.headers().clone();
    Ok(Reply { body: body(response).await?, headers })
}

async fn body(mut response: Response) -> Result<Vec<u8>, NoReply> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| failed(format!("broke off: {}", reason(error))))? {
        if body.len().saturating_add(piece.len()) > MAX_BODY {
            return Err(failed(format!("answered more than {MAX_BODY} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Retry-After (RFC 9110 10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: UnixTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = OffsetDateTime::parse(text, &Rfc2822).ok()?.unix_timestamp();
    let date = UnixTime::from_secs(u64::try_from(date).ok()?);
    Some(Duration::from_secs(date.saturating_secs_since(now)))
}

fn failed(why: String) -> NoReply {
    NoReply::Failed { why, retry_after: None }
}

/// An error with its causes, without the address, which the caller names.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UnixTime::parse_rfc3339("2026-03-20T08:00:00Z").unwrap();
        let read = |text: &str| {
            let headers: HeaderMap = [(RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
            retry_after(&headers, now).map(|time| time.as_secs())
        };
        assert_eq!(read("17"), Some(17));
        assert_eq!(read("Fri, 20 Mar 2026 08:01:30 GMT"), Some(90));
        assert_eq!(read("Fri, 20 Mar 2026 07:00:00 GMT"), Some(0), "the past");
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
