//! Only programs of this machine: a web page that the user visits must not speak through the loopback port.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::error_shape;

/// Refuses requests whose `Host` is not a loopback name (a page whose name was rebound to 127.0.0.1), and those with
/// an `Origin` that is not (a page that posts across origins).
pub(super) async fn only_this_machine(request: Request, next: Next) -> Response {
    if is_local(request.headers()) {
        return next.run(request).await;
    }
    error_shape::plain(
        StatusCode::FORBIDDEN,
        "NOT_LOCAL",
        "this port answers programs on this machine only; use the address http://127.0.0.1 or http://localhost",
    )
}

fn is_local(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST).is_some_and(is_loopback_authority);
    let origin = text(header::ORIGIN).is_none_or(|origin| {
        origin
            .parse::<Uri>()
            .is_ok_and(|origin| origin.authority().is_some_and(|authority| is_loopback_authority(authority.as_str())))
    });
    host && origin
}

fn is_loopback_authority(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<axum::http::uri::Authority>() else { return false };
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), (*value).parse().unwrap())).collect();
        is_local(&headers)
    }

    #[test]
    fn programs_of_this_machine_pass() {
        for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "127.0.0.2"] {
            assert!(local(&[("host", host)]), "{host}");
        }
        assert!(local(&[("host", "localhost:1"), ("origin", "http://localhost:3000")]));
    }

    #[test]
    fn pages_of_the_web_do_not() {
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.0.1", ""] {
            assert!(!local(&[("host", host)]), "{host}");
        }
        assert!(!local(&[]), "no host at all");
        for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
            assert!(!local(&[("host", "127.0.0.1:8080"), ("origin", origin)]), "{origin}");
        }
    }
}
