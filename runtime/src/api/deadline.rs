//! How long an answer may take. Whoever stops waiting says so beforehand, and the model's time goes
//! to somebody else; the deployment may set an upper bound for all.

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::Instant;

use super::error::ApiError;

/// The header, in milliseconds from the request's arrival at the API.
const TIMEOUT: &str = "x-request-timeout-ms";
/// The longest that a client may name.
const TIMEOUT_MAX: u64 = 3_600_000;

/// When an answer must be complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Option<Instant>,
    allowed: Duration,
}

impl Deadline {
    /// The nearer of what the client asks for and what the deployment allows; none where neither says.
    pub(super) fn new(headers: &HeaderMap, most: Option<Duration>) -> Result<Self, ApiError> {
        let asked = headers.get(TIMEOUT).map(|value| {
            let milliseconds = value.to_str().ok().and_then(|text| text.parse().ok());
            milliseconds.filter(|found| (1..=TIMEOUT_MAX).contains(found)).map(Duration::from_millis).ok_or_else(|| {
                let message = format!("the header `{TIMEOUT}` wants milliseconds, 1 to {TIMEOUT_MAX}");
                ApiError::invalid("invalid_value", Some(TIMEOUT), message)
            })
        });
        let allowed = asked.transpose()?.into_iter().chain(most).min();
        let at = allowed.and_then(|allowed| Instant::now().checked_add(allowed));
        Ok(Self { at, allowed: allowed.unwrap_or_default() })
    }

    /// Comes when it has passed; never where there is none.
    pub(super) async fn passed(self) {
        match self.at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// What the client is told then.
    pub(super) fn error(self) -> ApiError {
        ApiError::deadline(self.allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline(header: Option<&'static str>, most: Option<u64>) -> Result<Deadline, ApiError> {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(TIMEOUT, value.parse().unwrap());
        }
        Deadline::new(&headers, most.map(Duration::from_millis))
    }

    #[test]
    fn the_nearer_one_counts() {
        let allowed = |header, most| deadline(header, most).unwrap().allowed.as_millis();
        assert_eq!(allowed(Some("20"), Some(30)), 20);
        assert_eq!(allowed(Some("40"), Some(30)), 30);
        assert_eq!(allowed(Some("40"), None), 40);
        assert!(deadline(None, None).unwrap().at.is_none());
    }

    #[test]
    fn a_header_that_is_no_time_is_refused() {
        for header in ["", "0", "-1", "1.5", "soon", "3600001", "99999999999999999999"] {
            assert_eq!(deadline(Some(header), None).unwrap_err().param.as_deref(), Some(TIMEOUT), "{header}");
        }
    }
}
