//! A tenant's limits as its applications see them: OpenAI's headers, and refusals that say when to come back.

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::App;
use super::error::ApiError;
use super::identity::Tenant;
use crate::budgets::{Refusal, Unit};

/// Digits of the longest wait: a day and a slot.
const WAIT_DIGITS: usize = 5;

/// Adds OpenAI's headers: how the limit of the shortest period stands, of requests and of tokens.
///
/// The head of a stream is a chunk of its own, so its length is seen from outside. It is the same whatever is
/// left, and for every tenant with limits of the same units: numbers have as many digits as the largest limit.
pub(super) async fn headers(
    State(app): State<App>,
    Extension(tenant): Extension<Tenant>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let standings = app.budgets.standings(&tenant.0);
    for unit in [Unit::Requests, Unit::Tokens] {
        let Some(standing) = standings.iter().find(|standing| standing.limit.unit == unit) else { continue };
        let digits = app.budgets.limits().largest(unit).to_string().len();
        for (what, value) in [
            ("limit", format!("{:0digits$}", standing.limit.most)),
            ("remaining", format!("{:0digits$}", standing.left)),
            ("reset", format!("{:0WAIT_DIGITS$}s", standing.whole_in)),
        ] {
            let name = HeaderName::try_from(format!("x-ratelimit-{what}-{}", unit.word()));
            // Digits and these words are always a header.
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
    }
    response
}

/// What the tenant is told when it asks for too much.
pub(super) fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Reached { limit, left, asked, wait } => {
            let (most, unit, period) = (limit.most, limit.unit.word(), limit.period.word());
            ApiError {
                status: StatusCode::TOO_MANY_REQUESTS,
                kind: unit,
                code: "rate_limit_exceeded",
                message: format!(
                    "your limit is {most} {unit} per {period}: {left} are left, and this request may take {asked}; \
                     try again in {wait} s"
                ),
                param: None,
                retry_after: Some(u32::try_from(wait).unwrap_or(u32::MAX)),
            }
        }
        // No 429: SDKs try those again, and it would never be taken.
        Refusal::Never { limit, asked } => {
            let (most, unit, period) = (limit.most, limit.unit.word(), limit.period.word());
            let message = format!(
                "your limit is {most} {unit} per {period}, and this request may take {asked}, prompt and answers \
                 together: it can never be taken; ask for fewer tokens, or send less at once"
            );
            ApiError::invalid("request_exceeds_limit", None, message)
        }
    }
}
